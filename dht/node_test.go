package dht_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
)

func TestTwoNodes(t *testing.T) {
	m := swarm(t, 2, dht.Config{})
	ctx := testContext(t)
	res, err := m[0].Ping(ctx, m[1].Host.ID(), true)
	if err != nil {
		t.Fatal(err)
	}
	if kad.ID(res.ID) != m[1].ID() || !res.Available || res.Offset.Abs() > time.Second {
		t.Errorf("ping: %+v", res)
	}
	key, expiration := record.KeyOfText("key"), in(time.Minute)
	stored, err := m[0].Store(ctx, dht.StoreRequest{Key: key, Value: "value", Expiration: expiration})
	if err != nil {
		t.Fatal(err)
	}
	if stored.Accepted != 2 || stored.Wanted != 2 {
		t.Errorf("stored at %d of %d: %+v", stored.Accepted, stored.Wanted, stored.Answers)
	}
	v, err := m[1].Get(ctx, key, dht.Latest())
	if err != nil {
		t.Fatal(err)
	}
	if got := must(v.Decode()); got != "value" {
		t.Errorf("got %v", got)
	}
	if v.Expiration != record.ExpirationAt(expiration) {
		t.Errorf("expires at %v, want %v", v.Expiration, record.ExpirationAt(expiration))
	}
	if _, err := m[1].Get(ctx, record.KeyOfText("other")); !errors.Is(err, dht.ErrNotFound) {
		t.Errorf("unknown key: %v", err)
	}
}
