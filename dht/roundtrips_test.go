package dht_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/record"
)

// TestRoundTrips counts the round trips of operations in a calm swarm whose hosts are 50 ms apart: time on such a network is
// nothing else. Who is connected answers in one; each stranger costs a handshake more, so the stores, which come first, pay
// for the gets.
func TestRoundTrips(t *testing.T) {
	const (
		oneWay    = 50 * time.Millisecond
		roundTrip = 2 * oneWay
	)
	hosts := 40
	if testing.Short() {
		hosts = 24
	}
	synctest.Test(t, func(t *testing.T) {
		s := newVirtualSwarm(t, oneWay, quiet())
		s.grow(hosts)
		time.Sleep(time.Minute)
		var keys []record.Key
		var store, first, latest []time.Duration
		timed := func(list *[]time.Duration, f func() error) {
			t.Helper()
			began := time.Now()
			if err := f(); err != nil {
				t.Error(err)
			}
			*list = append(*list, time.Since(began))
		}
		for range 100 {
			keys = append(keys, s.newKey())
			timed(&store, func() error {
				_, err := s.someone().Store(t.Context(), dht.StoreRequest{Key: keys[len(keys)-1], Value: 1, Expiration: in(time.Hour)})
				return err
			})
		}
		for _, key := range keys {
			timed(&first, func() error { _, err := s.someone().Get(t.Context(), key); return err })
			timed(&latest, func() error { _, err := s.someone().Get(t.Context(), key, dht.Latest()); return err })
		}
		for _, op := range []struct {
			name        string
			took        []time.Duration
			median, p90 float64
		}{{"a store", store, 6, 9}, {"a get of the first value", first, 1, 2}, {"a get of the latest value", latest, 3, 5}} {
			slices.Sort(op.took)
			trips := func(q float64) float64 { return float64(quantile(op.took, q)) / float64(roundTrip) }
			t.Logf("%s takes %.1f round trips, one in ten %.1f, one in a hundred %.1f", op.name, trips(0.5), trips(0.9), trips(0.99))
			if trips(0.5) > op.median || trips(0.9) > op.p90 {
				t.Errorf("%s takes %.1f round trips, one in ten %.1f, want %.0f and %.0f", op.name, trips(0.5), trips(0.9), op.median, op.p90)
			}
		}
	})
}
