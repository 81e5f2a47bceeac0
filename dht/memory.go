package dht

import (
	"bytes"
	"strings"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
)

const (
	maxNamed    = 8192 // peers whose addresses one operation remembers
	maxUnsorted = 32   // answers that are kept whole until their addresses are wanted
	maxTellers  = 2    // answers whose word on one peer's addresses counts: the first may be a liar's
	maxAddrBlob = 1024 // bytes of it
)

// memory is what the looks of one operation share: what was answered, and where those that were named can be dialled. Safe for
// concurrent use. The zero value is ready.
type memory struct {
	heard kad.Heard

	mu       sync.Mutex
	unsorted []*answer // among connected peers nobody needs their addresses
	named    map[peer.ID]namedAddrs
}

type namedAddrs struct {
	blob    []byte // as the answers carry them
	tellers int
}

// keep remembers the addresses in an answer.
func (m *memory) keep(a *answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unsorted = append(m.unsorted, a)
	if len(m.unsorted) >= maxUnsorted {
		m.sort()
	}
}

// addrsOf returns the addresses that answers gave for a peer.
func (m *memory) addrsOf(p peer.ID) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sort()
	return m.named[p].blob
}

// sort notes the addresses of the answers kept whole, and lets these go.
func (m *memory) sort() {
	if m.named == nil {
		m.named = make(map[peer.ID]namedAddrs)
	}
	for _, a := range m.unsorted {
		for i, list := range a.nearest {
			for j := range list {
				if j < len(a.addrs[i]) {
					m.note(list[j].Peer, a.addrs[i][j])
				}
			}
		}
	}
	clear(m.unsorted)
	m.unsorted = m.unsorted[:0]
}

func (m *memory) note(p peer.ID, blob []byte) {
	have, ok := m.named[p]
	if len(blob) == 0 || len(blob) > maxAddrBlob || have.tellers >= maxTellers || bytes.Contains(have.blob, blob) {
		return
	}
	if !ok {
		if len(m.named) >= maxNamed {
			return
		}
		p = peer.ID(strings.Clone(string(p))) // not the answer with all its names
	}
	have.blob = append(have.blob[:len(have.blob):len(have.blob)], blob...)
	have.tellers++
	m.named[p] = have
}
