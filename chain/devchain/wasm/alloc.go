package wasm

import (
	"errors"
	"math/bits"

	"github.com/tetratelabs/wazero/api"
)

var errMemory = errors.New("runtime is out of memory")

const (
	minBlock   = 8        // bytes
	maxBlock   = 32 << 20 // bytes, as in a node
	pageSize   = 64 << 10
	growPages  = 16 // grown at once
	blockKinds = 23 // 8 bytes to 32 MiB
)

// allocator hands out blocks of a runtime's heap: powers of two, from a free list
// for each size or from the end of what is used.
type allocator struct {
	mem  api.Memory
	end  uint32
	free [blockKinds][]uint32
	kind map[uint32]uint8 // of blocks in use
}

func newAllocator(mem api.Memory, heapBase uint32) *allocator {
	return &allocator{mem: mem, end: (heapBase + 7) &^ 7, kind: map[uint32]uint8{}}
}

// malloc returns a block of at least n bytes. It panics when there is none,
// which ends the call of the runtime.
func (a *allocator) malloc(n uint32) uint32 {
	if n > maxBlock {
		panic(errMemory)
	}
	kind := uint8(0)
	if n > minBlock {
		kind = uint8(bits.Len32(n-1)) - 3
	}
	if list := a.free[kind]; len(list) > 0 {
		p := list[len(list)-1]
		a.free[kind] = list[:len(list)-1]
		a.kind[p] = kind
		return p
	}
	size := uint32(minBlock) << kind
	p := a.end
	if uint64(p)+uint64(size) > uint64(a.mem.Size()) {
		missing := uint64(p) + uint64(size) - uint64(a.mem.Size())
		pages := uint32((missing + pageSize - 1) / pageSize)
		if _, ok := a.mem.Grow(max(pages, growPages)); !ok {
			if _, ok := a.mem.Grow(pages); !ok {
				panic(errMemory)
			}
		}
	}
	a.end += size
	a.kind[p] = kind
	return p
}

// release takes a block back. A pointer that is none ends the call of the runtime.
func (a *allocator) release(p uint32) {
	kind, ok := a.kind[p]
	if !ok {
		panic(errors.New("runtime frees what it has not allocated"))
	}
	delete(a.kind, p)
	a.free[kind] = append(a.free[kind], p)
}
