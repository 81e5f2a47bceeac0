package kad

import "github.com/libp2p/go-libp2p/core/peer"

// Heard remembers what was answered in the lookups of one operation, so that a later one
// asks nobody the same again: it takes what is remembered as if it had just been answered.
// What a contact said leads only the path that draws it, in each lookup. The zero value is
// ready for use.
type Heard struct {
	answers map[heardFrom][]Contact
}

type heardFrom struct {
	from   peer.ID
	target ID
}

const maxHeard = 1 << 14 // answers: 240 for each of 64 keys

func (h *Heard) put(from peer.ID, target ID, list []Contact) {
	if h == nil || len(h.answers) >= maxHeard {
		return
	}
	if h.answers == nil {
		h.answers = make(map[heardFrom][]Contact)
	}
	h.answers[heardFrom{from, target}] = list
}

func (h *Heard) get(from peer.ID, target ID) ([]Contact, bool) {
	if h == nil {
		return nil, false
	}
	list, ok := h.answers[heardFrom{from, target}]
	return list, ok
}
