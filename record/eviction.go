package record

import (
	"bytes"
	"cmp"

	"github.com/libp2p/go-libp2p/core/peer"
)

// makeRoom returns which entries must go so that a record of the given size fits the bounds in all and of its
// author once the leaving ones are gone, or a Fault if that cannot be. It changes nothing.
func (s *Storage) makeRoom(r Record, author peer.ID, size int64, leaving []*entry) ([]*entry, error) {
	p := evictionPlan{r: r, evict: s.config.Evict, gone: leaving}
	if acc, ok := s.authors[author]; author != "" {
		own := room{side: SideAuthor, bytes: s.config.MaxAuthorBytes - size, entries: s.config.MaxAuthorEntries - 1}
		if ok {
			own.bytes -= acc.bytes
			own.entries -= acc.byExpiry.len()
			own.heap = &acc.byExpiry
		}
		own.author = author
		if err := p.free(own); err != nil {
			return nil, err
		}
	}
	all := room{side: SideOurs, bytes: s.config.MaxBytes - size - s.bytes, entries: s.config.MaxEntries - 1 - s.byExpiry.len(), heap: &s.byExpiry}
	if err := p.free(all); err != nil {
		return nil, err
	}
	return p.gone[len(leaving):], nil
}

// room is what a bound leaves: negative when it is exceeded.
type room struct {
	side    Side
	author  peer.ID // "" for all authors
	bytes   int64
	entries int
	heap    *expiryHeap
}

type evictionPlan struct {
	r     Record
	evict bool
	gone  []*entry // leaving ones, then victims
}

// free extends the plan with the earliest-expiring entries until nothing is exceeded.
func (p *evictionPlan) free(left room) error {
	for _, e := range p.gone {
		if left.author == "" || e.author.id == left.author {
			left.bytes += e.size
			left.entries++
		}
	}
	if left.bytes >= 0 && left.entries >= 0 {
		return nil
	}
	full := fault(left.side, CodeFull, "%d bytes and %d records over the limit", max(0, -left.bytes), max(0, -left.entries))
	if !p.evict || left.heap == nil {
		return full
	}
	for e := range left.heap.ascending() {
		if left.bytes >= 0 && left.entries >= 0 {
			return nil
		}
		if e.expiration >= p.r.Expiration {
			return full // the newcomer itself would be the first to go
		}
		if p.leaves(e) {
			continue
		}
		p.gone = append(p.gone, e)
		left.bytes += e.size
		left.entries++
	}
	if left.bytes >= 0 && left.entries >= 0 {
		return nil
	}
	return full
}

func (p *evictionPlan) leaves(e *entry) bool {
	for _, g := range p.gone {
		if g == e {
			return true
		}
	}
	return false
}

// Slots of an entry's positions in heaps.
const (
	slotAll = iota
	slotAuthor
	heapSlots
)

// expiryHeap orders entries by expiration, then key, then subkey. Each entry knows its position, so any can be
// removed.
type expiryHeap struct {
	slot int
	list []*entry
}

func (h *expiryHeap) len() int { return len(h.list) }

func (h *expiryHeap) top() *entry {
	if len(h.list) == 0 {
		return nil
	}
	return h.list[0]
}

func earlier(a, b *entry) bool {
	if c := cmp.Compare(a.expiration, b.expiration); c != 0 {
		return c < 0
	}
	if c := bytes.Compare(a.item.key[:], b.item.key[:]); c != 0 {
		return c < 0
	}
	return bytes.Compare(a.subkey, b.subkey) < 0
}

func (h *expiryHeap) set(i int, e *entry) {
	h.list[i] = e
	e.pos[h.slot] = i
}

func (h *expiryHeap) push(e *entry) {
	h.list = append(h.list, e)
	h.up(len(h.list)-1, e)
}

func (h *expiryHeap) remove(e *entry) {
	i, last := e.pos[h.slot], len(h.list)-1
	moved := h.list[last]
	h.list[last] = nil
	h.list = h.list[:last]
	if i == last {
		return
	}
	if i > 0 && earlier(moved, h.list[(i-1)/2]) {
		h.up(i, moved)
	} else {
		h.down(i, moved)
	}
}

func (h *expiryHeap) up(i int, e *entry) {
	for i > 0 {
		parent := (i - 1) / 2
		if !earlier(e, h.list[parent]) {
			break
		}
		h.set(i, h.list[parent])
		i = parent
	}
	h.set(i, e)
}

func (h *expiryHeap) down(i int, e *entry) {
	for {
		child := 2*i + 1
		if child >= len(h.list) {
			break
		}
		if child+1 < len(h.list) && earlier(h.list[child+1], h.list[child]) {
			child++
		}
		if !earlier(h.list[child], e) {
			break
		}
		h.set(i, h.list[child])
		i = child
	}
	h.set(i, e)
}

// ascending iterates over the entries from the earliest expiration on without changing the heap: a search front
// holds the positions that may come next.
func (h *expiryHeap) ascending() func(yield func(*entry) bool) {
	return func(yield func(*entry) bool) {
		if len(h.list) == 0 {
			return
		}
		front := positionHeap{heap: h, list: []int{0}}
		for len(front.list) > 0 {
			i := front.pop()
			if !yield(h.list[i]) {
				return
			}
			for child := 2*i + 1; child <= 2*i+2 && child < len(h.list); child++ {
				front.push(child)
			}
		}
	}
}
