package native_test

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
)

// memState is a plain devchain.State: a sorted list of keys beside a map, with
// an undo log for each layer.
type memState struct {
	keys   []string
	values map[string][]byte
	undo   [][]undo
}

type undo struct {
	key string
	old []byte
}

func newMemState() *memState { return &memState{values: map[string][]byte{}} }

func (s *memState) Get(key []byte) []byte { return s.values[string(key)] }

func (s *memState) put(key string, value []byte) {
	old, ok := s.values[key]
	if len(s.undo) > 0 {
		top := &s.undo[len(s.undo)-1]
		*top = append(*top, undo{key, old})
	}
	i := sort.SearchStrings(s.keys, key)
	switch {
	case value == nil && ok:
		delete(s.values, key)
		s.keys = slices.Delete(s.keys, i, i+1)
	case value != nil:
		if !ok {
			s.keys = slices.Insert(s.keys, i, key)
		}
		s.values[key] = value
	}
}

func (s *memState) Set(key, value []byte) {
	s.put(string(key), append(make([]byte, 0, len(value)), value...))
}

func (s *memState) Delete(key []byte) { s.put(string(key), nil) }

func (s *memState) Next(key []byte) []byte {
	i := sort.SearchStrings(s.keys, string(key))
	if i < len(s.keys) && s.keys[i] == string(key) {
		i++
	}
	if i == len(s.keys) {
		return nil
	}
	return []byte(s.keys[i])
}

func (s *memState) DeletePrefix(prefix []byte) {
	for {
		i := sort.SearchStrings(s.keys, string(prefix))
		if i == len(s.keys) || !strings.HasPrefix(s.keys[i], string(prefix)) {
			return
		}
		s.put(s.keys[i], nil)
	}
}

func (s *memState) Begin() { s.undo = append(s.undo, nil) }

func (s *memState) pop() []undo {
	top := s.undo[len(s.undo)-1]
	s.undo = s.undo[:len(s.undo)-1]
	return top
}

func (s *memState) Commit() {
	top := s.pop()
	if len(s.undo) > 0 {
		s.undo[len(s.undo)-1] = append(s.undo[len(s.undo)-1], top...)
	}
}

func (s *memState) Rollback() {
	top := s.pop()
	kept := s.undo
	s.undo = nil // undoing is not undone
	for _, u := range slices.Backward(top) {
		s.put(u.key, u.old)
	}
	s.undo = kept
}

// under returns the pairs below a prefix.
func under(s devchain.State, prefix []byte) map[string][]byte {
	out := map[string][]byte{}
	for k := s.Next(prefix); bytes.HasPrefix(k, prefix); k = s.Next(k) {
		out[string(k)] = bytes.Clone(s.Get(k))
	}
	return out
}
