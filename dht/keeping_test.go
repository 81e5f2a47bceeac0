package dht_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/kad"
)

// TestRepublishingGoesRoundTheDead ends two holders of a record without a word. When it is republished their place is taken
// by others, and nobody is sent the record twice, however many attempts that takes.
func TestRepublishingGoesRoundTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := quiet()
		cfg.Replicas, cfg.CheckInterval = 5, time.Hour // so that nobody misses the dead before the records are sent
		cfg.BackoffBase = -1
		s := newVirtualSwarm(t, virtualLatency, cfg)
		s.grow(14)
		key := s.newKey()
		order := s.nearest(kad.ID(key), 14)
		if _, err := order[13].Store(t.Context(), dht.StoreRequest{Key: key, Value: 1, Expiration: in(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		s.kill(order[1])
		s.kill(order[3])
		served := make(map[*virtualHost]uint64)
		for _, h := range s.hosts {
			served[h] = h.Stats().StoresServed
		}
		republished := func() (n uint64) {
			for _, h := range s.hosts {
				n += h.Stats().Republished
			}
			return n
		}
		for republished() == 0 {
			time.Sleep(time.Second)
		}
		copies, again := 0, 0
		for _, h := range s.nearest(kad.ID(key), 5) {
			if h.local(key) != nil {
				copies++
			}
			if h.Stats().StoresServed > served[h]+1 {
				again++
			}
		}
		if copies != 5 || again > 0 {
			t.Errorf("%d of the 5 nearest have the record, and %d were sent it more than once", copies, again)
		}
	})
}
