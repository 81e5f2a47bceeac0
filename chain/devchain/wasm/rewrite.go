package wasm

import (
	"bytes"
	"errors"
	"fmt"
)

// The sections of a wasm module that matter here.
const (
	sectionCustom = 0
	sectionType   = 1
	sectionImport = 2
	sectionTable  = 4
	sectionMemory = 5
)

// The kinds of imports.
const (
	importFunc   = 0
	importTable  = 1
	importMemory = 2
	importGlobal = 3
)

var errModule = errors.New("malformed wasm module")

// reader is a cursor over wasm; after an error everything is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)) {
		r.err = errModule
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

// u32 reads a LEB128 number.
func (r *reader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if v > 1<<32-1 {
				r.err = errModule
				return 0
			}
			return uint32(v)
		}
	}
	r.err = errModule
	return 0
}

func (r *reader) name() string { return string(r.take(uint64(r.u32()))) }

// limits skips table or memory limits and returns the minimum.
func (r *reader) limits() uint32 {
	flags := r.byte()
	lo := r.u32()
	if flags&1 != 0 {
		r.u32()
	}
	return lo
}

func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func appendSection(b []byte, id byte, body []byte) []byte {
	return append(appendU32(append(b, id), uint32(len(body))), body...)
}

// imported is one imported function.
type imported struct{ module, name string }

// ownMemory rewrites a module that imports its memory into one that defines it,
// with spare pages on top and at most maxPages, drops custom sections, and lists the
// functions that the module imports. A module that has its own memory keeps it.
func ownMemory(code []byte, spare, maxPages uint32) (out []byte, funcs []imported, err error) {
	if !bytes.HasPrefix(code, wasmMagic()) {
		return nil, nil, errModule
	}
	r := &reader{b: code[8:]}
	out = append(make([]byte, 0, len(code)), code[:8]...)
	var memory []byte // the section to insert
	for len(r.b) > 0 {
		id := r.byte()
		body := r.take(uint64(r.u32()))
		if r.err != nil {
			return nil, nil, r.err
		}
		if id == sectionCustom {
			continue
		}
		if memory != nil && id > sectionTable {
			out = appendSection(out, sectionMemory, memory)
			memory = nil
			if id == sectionMemory {
				return nil, nil, fmt.Errorf("%w: it imports a memory and defines another", errModule)
			}
		}
		if id == sectionImport {
			var pages uint32
			body, funcs, pages, err = splitImports(body)
			if err != nil {
				return nil, nil, err
			}
			if pages > 0 {
				if pages > maxPages {
					return nil, nil, fmt.Errorf("%w: it wants %d pages of memory, %d are allowed", errModule, pages, maxPages)
				}
				memory = appendU32([]byte{1, 1}, min(pages+spare, maxPages))
				memory = appendU32(memory, maxPages)
			}
		}
		out = appendSection(out, id, body)
	}
	if memory != nil {
		out = appendSection(out, sectionMemory, memory)
	}
	return out, funcs, r.err
}

// splitImports takes the memory out of an import section; pages is its minimum
// plus nothing, 0 when there is none.
func splitImports(body []byte) (rest []byte, funcs []imported, pages uint32, err error) {
	r := &reader{b: body}
	n := r.u32()
	var kept []byte
	count := uint32(0)
	for range n {
		start := r.b
		module, name := r.name(), r.name()
		kind := r.byte()
		switch kind {
		case importFunc:
			r.u32()
			funcs = append(funcs, imported{module, name})
		case importTable:
			r.byte()
			r.limits()
		case importMemory:
			pages = max(1, r.limits())
		case importGlobal:
			r.take(2)
		default:
			r.err = errModule
		}
		if r.err != nil {
			return nil, nil, 0, r.err
		}
		if kind != importMemory {
			kept = append(kept, start[:len(start)-len(r.b)]...)
			count++
		}
	}
	if len(r.b) != 0 {
		return nil, nil, 0, errModule
	}
	return append(appendU32(nil, count), kept...), funcs, pages, nil
}

// importSignatures returns the types of the functions that a module imports:
// arguments and results.
func importSignatures(code []byte) (map[string][2][]byte, error) {
	r := &reader{b: code[8:]}
	var types [][2][]byte
	sigs := map[string][2][]byte{}
	for len(r.b) > 0 && r.err == nil {
		id := r.byte()
		s := &reader{b: r.take(uint64(r.u32()))}
		switch id {
		case sectionType:
			for range s.u32() {
				if s.byte() != 0x60 {
					return nil, errModule
				}
				in := s.take(uint64(s.u32()))
				out := s.take(uint64(s.u32()))
				if s.err != nil {
					return nil, s.err
				}
				types = append(types, [2][]byte{in, out})
			}
		case sectionImport:
			for range s.u32() {
				_, name := s.name(), s.name()
				switch s.byte() {
				case importFunc:
					t := s.u32()
					if s.err != nil || uint64(t) >= uint64(len(types)) {
						return nil, errModule
					}
					sigs[name] = types[t]
				case importTable:
					s.byte()
					s.limits()
				case importMemory:
					s.limits()
				case importGlobal:
					s.take(2)
				default:
					return nil, errModule
				}
				if s.err != nil {
					return nil, s.err
				}
			}
			return sigs, nil
		}
	}
	return sigs, r.err
}
