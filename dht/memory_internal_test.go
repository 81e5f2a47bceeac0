package dht

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
)

// naming returns an answer that names peers, each with the addresses given.
func naming(blob string, peers ...string) *answer {
	a := &answer{nearest: make([][]kad.Contact, 1), addrs: make([][][]byte, 1)}
	for _, p := range peers {
		a.nearest[0] = append(a.nearest[0], kad.Contact{Peer: peer.ID(p)})
		a.addrs[0] = append(a.addrs[0], []byte(blob))
	}
	return a
}

// What is remembered of addresses: two answers' word each, nothing twice, nothing oversized, and no more peers than there is room
// for, whatever the answers hold.
func TestMemory(t *testing.T) {
	var m memory
	m.keep(naming("first", "p"))
	m.keep(naming("first", "p"))
	m.keep(naming("", "p", "q"))
	m.keep(naming(string(bytes.Repeat([]byte("x"), maxAddrBlob+1)), "q"))
	if got := m.addrsOf("p"); string(got) != "first" {
		t.Errorf("p: %q", got)
	}
	m.keep(naming("second", "p", "q"))
	m.keep(naming("third", "p"))
	if got := m.addrsOf("p"); string(got) != "firstsecond" {
		t.Errorf("p: %q", got)
	}
	if got := m.addrsOf("q"); string(got) != "second" {
		t.Errorf("q: %q", got)
	}
	if got := m.addrsOf("nobody"); got != nil {
		t.Errorf("nobody: %q", got)
	}
	for i := range maxNamed + maxUnsorted + 1 {
		m.keep(naming("a", fmt.Sprint("peer ", i)))
		if len(m.unsorted) >= maxUnsorted {
			t.Fatalf("%d answers are kept whole", len(m.unsorted))
		}
	}
	if m.addrsOf(peer.ID(fmt.Sprint("peer ", maxNamed+maxUnsorted))) != nil || len(m.named) != maxNamed {
		t.Errorf("%d peers", len(m.named))
	}
}

// A search that doubts less than another, or that was cut short, ends that other one only with a value that is fresh enough for it.
func TestLandingKeepsCaution(t *testing.T) {
	key := record.KeyOfText("key")
	latest := getOptions{sufficient: forever()}
	careful := latest
	careful.paths = CriticalPaths
	for _, c := range []struct {
		first, other getOptions
		err          error
		over         bool
	}{
		{latest, latest, nil, true},
		{latest, careful, nil, false},
		{careful, latest, nil, true},
		{careful, latest, ErrClosed, false},
	} {
		var f flights
		f.init()
		arrivals := make(chan arrival, 2)
		a, _ := f.join(key, c.first, false, nil, waiter{arrivals, 0})
		b, _ := f.join(key, c.other, true, nil, waiter{arrivals, 1})
		a.private = false
		f.offer(a, &finding{expiration: 1e9, value: []byte{1}})
		f.land(a, c.err)
		if b.over != c.over {
			t.Errorf("%+v: over %v", c, b.over)
		}
		if f.wanting(a) || f.wanting(b) == c.over {
			t.Errorf("%+v: still wanted", c)
		}
	}
}
