package dht_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/kad"
)

// TestTrimmingSparesNeighbours looks at what the connection manager is told when it must choose: contacts are worth more
// than strangers, the nearest most, and a node that ends takes back what it said.
func TestTrimmingSparesNeighbours(t *testing.T) {
	const contact, neighbour = 5, 20
	cfg := quiet()
	cfg.CheckInterval = 10 * time.Millisecond
	cfg.BucketSize, cfg.Replicas = 3, 2
	m := swarm(t, 8, cfg)
	stranger := launch(t, quiet())
	if err := stranger.Host.Connect(testContext(t), m[0].info()); err != nil {
		t.Fatal(err)
	}
	manager := m[0].Host.Libp2p().ConnManager()
	worth := func(x *member) int {
		if info := manager.GetTagInfo(x.Host.ID()); info != nil {
			return info.Tags["mesh-dht"]
		}
		return 0
	}
	eventually(t, "contacts are worth more than strangers, neighbours most", func() bool {
		live := m[0].Contacts()
		slices.SortFunc(live, func(a, b kad.Contact) int { return kad.CompareDistance(m[0].ID(), a.ID, b.ID) })
		for _, x := range m[1:] {
			at := slices.IndexFunc(live, func(c kad.Contact) bool { return c.Peer == x.Host.ID() })
			want := 0
			switch {
			case at >= cfg.BucketSize:
				want = contact
			case at >= 0:
				want = neighbour
			}
			if worth(x) != want {
				return false
			}
		}
		return len(live) > cfg.BucketSize
	})
	if worth(stranger) != 0 {
		t.Error("a stranger is worth something")
	}
	nearest := m[0].Contacts()
	slices.SortFunc(nearest, func(a, b kad.Contact) int { return kad.CompareDistance(m[0].ID(), a.ID, b.ID) })
	once := manager.GetTagInfo(nearest[0].Peer)
	if err := m[0].Host.Libp2p().Network().ClosePeer(nearest[0].Peer); err != nil {
		t.Fatal(err)
	}
	eventually(t, "who connects again is worth what it was", func() bool {
		again := manager.GetTagInfo(nearest[0].Peer)
		return again != nil && again.FirstSeen.After(once.FirstSeen) && len(again.Conns) > 0 && again.Tags["mesh-dht"] == neighbour
	})
	m[0].end()
	for _, x := range m[1:] {
		if worth(x) != 0 {
			t.Error("a node that ended leaves its tags behind")
		}
	}
}
