package kad

import (
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Heard remembers what was answered in the lookups of one operation, so that a later one
// asks nobody the same again: it takes what is remembered as if it had just been answered.
// What a contact said leads only the path that draws it, in each lookup. It is safe for
// concurrent use. The zero value is ready.
type Heard struct {
	mu      sync.Mutex
	answers map[heardFrom][]Contact
}

type heardFrom struct {
	peer   peer.ID
	id     ID // a peer is no proof for other IDs that somebody invents for it
	target ID
}

const maxHeard = 1 << 12 // answers: 64 for each of 64 keys; whoever is not remembered is asked again

func (h *Heard) put(from *Contact, target ID, list []Contact) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.answers) >= maxHeard {
		return
	}
	if h.answers == nil {
		h.answers = make(map[heardFrom][]Contact)
	}
	h.answers[heardFrom{from.Peer, from.ID, target}] = slices.Clone(list)
}

func (h *Heard) get(from *Contact, target ID) ([]Contact, bool) {
	if h == nil {
		return nil, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	list, ok := h.answers[heardFrom{from.Peer, from.ID, target}]
	return list, ok
}
