package kad_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
)

// A table learns from answers only, and finds the contacts nearest to a key.
func ExampleTable() {
	now := time.Unix(1_700_000_000, 0)
	table := kad.NewTable(kad.TableConfig{Self: kad.IDFromPeer("me")})
	for _, name := range []peer.ID{"alice", "bob", "carol"} {
		table.Add(kad.BoundContact(name, netip.Addr{}), now)
	}
	rumour := kad.BoundContact("mallory", netip.Addr{})
	r := table.Offer(rumour, now)
	fmt.Println("rumour:", r.Status, "ask it first:", r.HasCheck)

	for _, c := range table.Nearest(nil, kad.IDFromPeer("bob"), 1, kad.ID{}) {
		fmt.Println(string(c.Peer))
	}
	// Output:
	// rumour: spare ask it first: true
	// bob
}

// A lookup says whom to ask and learns from the answers.
func ExampleLookup() {
	now := time.Unix(1_700_000_000, 0)
	names := []peer.ID{"alice", "bob", "carol", "dave"}
	contacts := make([]kad.Contact, len(names))
	for i, name := range names {
		contacts[i] = kad.BoundContact(name, netip.Addr{})
	}
	target := kad.IDFromPeer("some key")
	l := kad.NewLookup(kad.LookupConfig{Self: contacts[0].ID, Targets: []kad.ID{target}}, contacts[1:2])
	for !l.Done() {
		for _, ask := range l.Next(now) {
			// Everybody knows everybody in this swarm; a real one sends an RPC here.
			l.Answer(now, ask, [][]kad.Contact{contacts})
		}
	}
	fmt.Println(l.Reason(target), "after", l.Stats(target).Asked, "questions")
	fmt.Println("nearest:", string(l.Nearest(nil, target, 1)[0].Peer))
	// Output:
	// exhausted after 3 questions
	// nearest: dave
}
