package frame_test

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// flat is a State without layers.
type flat map[string][]byte

func (s flat) Get(k []byte) []byte { return s[string(k)] }
func (s flat) Set(k, v []byte)     { s[string(k)] = append([]byte{}, v...) }
func (s flat) Delete(k []byte)     { delete(s, string(k)) }
func (s flat) Begin()              {}
func (s flat) Commit()             {}
func (s flat) Rollback()           {}

func (s flat) Next(k []byte) []byte {
	var keys []string
	for have := range s {
		keys = append(keys, have)
	}
	slices.Sort(keys)
	i := sort.SearchStrings(keys, string(k)+"\x00")
	if i == len(keys) {
		return nil
	}
	return []byte(keys[i])
}

func (s flat) DeletePrefix(p []byte) {
	for k := range s {
		if bytes.HasPrefix([]byte(k), p) {
			delete(s, k)
		}
	}
}

// declared is metadata with a few storage items.
func declared() *metadata.Metadata {
	u32, account := metadata.TypeID(0), metadata.TypeID(1)
	entry := func(name string, def []byte, hashers ...metadata.Hasher) metadata.StorageEntry {
		e := metadata.StorageEntry{Name: name, Hashers: hashers, Key: metadata.NoType, Value: u32, Default: []byte{0}}
		if def != nil {
			e.Modifier, e.Default = metadata.ModifierDefault, def
		}
		return e
	}
	return &metadata.Metadata{
		Types: []metadata.Type{
			{Kind: metadata.KindPrimitive, Primitive: metadata.U32},
			{Kind: metadata.KindArray, Elem: account, Len: 20},
		},
		Pallets: []metadata.Pallet{{Name: "Test", Storage: &metadata.Storage{Prefix: "Test", Entries: []metadata.StorageEntry{
			entry("Count", []byte{7, 0, 0, 0}),
			entry("Maybe", nil),
			entry("ByID", nil, metadata.Identity),
			entry("ByPair", nil, metadata.Identity, metadata.Blake2_128Concat),
			entry("ByThree", []byte{1, 0, 0, 0}, metadata.Identity, metadata.Identity, metadata.Identity),
		}}}},
	}
}

// An item reads as its default until it is set, and knows the difference.
func ExampleValue() {
	st := flat{}
	count := frame.NewValue(frame.NewItems(declared(), "Test"), "Count", frame.U32())
	fmt.Println(count.Find(st))
	count.Update(st, func(n uint32) uint32 { return n + 1 })
	fmt.Println(count.Find(st))
	// Output:
	// 7 false
	// 8 true
}

// Maps iterate in the order of their storage keys: little-endian numbers, in
// which 256 comes before 1.
func TestMapOrder(t *testing.T) {
	st := flat{}
	m := frame.NewMap(frame.NewItems(declared(), "Test"), "ByID", frame.U32(), frame.U32())
	for _, id := range []uint32{1, 256, 2} {
		m.Set(st, id, 10*id)
	}
	var order []uint32
	for _, e := range m.All(st) {
		order = append(order, e.A)
		if e.B != 10*e.A {
			t.Errorf("value of %d is %d", e.A, e.B)
		}
	}
	if !slices.Equal(order, []uint32{256, 1, 2}) {
		t.Errorf("order %v", order)
	}
	if v, ok := m.Take(st, 256); !ok || v != 2560 || m.Has(st, 256) {
		t.Errorf("taking 256 gave %d %t", v, ok)
	}
}

func TestMap2(t *testing.T) {
	st := flat{}
	m := frame.NewMap2(frame.NewItems(declared(), "Test"), "ByPair", frame.U32(), frame.Bytes(), frame.U32())
	m.Set(st, 1, "a", 5)
	m.Set(st, 1, "b", 6)
	m.Set(st, 2, "a", 7)
	if n := len(m.Under(st, 1)); n != 2 {
		t.Errorf("%d entries under 1", n)
	}
	m.Swap(st, 1, "a", "c")
	if m.Has(st, 1, "a") || m.Get(st, 1, "c") != 5 {
		t.Error("swap with an absent key did not move the value")
	}
	m.Clear(st, 1)
	if all := m.All(st); len(all) != 1 || all[0].A.B != "a" || all[0].B != 7 {
		t.Errorf("after clearing 1: %v", all)
	}
}

// A map is compared with Go's own.
func TestMap3AgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := flat{}
		m := frame.NewMap3(frame.NewItems(declared(), "Test"), "ByThree", frame.U32(), frame.U32(), frame.U32(), frame.U32())
		want := map[[3]uint32]uint32{}
		small := rapid.Uint32Range(0, 3)
		for range 30 {
			k := [3]uint32{small.Draw(t, "a"), small.Draw(t, "b"), small.Draw(t, "c")}
			v := small.Draw(t, "v")
			m.Set(st, k[0], k[1], k[2], v)
			want[k] = v
		}
		n := 0
		for a := range uint32(4) {
			for _, e := range m.Under(st, a) {
				n++
				if want[[3]uint32{a, e.A.A, e.A.B}] != e.B {
					t.Fatalf("%d %v", a, e)
				}
			}
		}
		if n != len(want) {
			t.Fatalf("%d entries, want %d", n, len(want))
		}
		if m.Get(st, 9, 9, 9) != 1 {
			t.Fatal("an absent key does not read as the default")
		}
	})
}

// Maps that are not in ascending order are refused: the chain would sort them
// and then not find them signed.
func TestUnsortedMap(t *testing.T) {
	c := frame.Set(frame.U32(), frame.CompareU32)
	sorted := c.Encode(map[uint32]struct{}{256: {}, 1: {}})
	if want := []byte{8, 1, 0, 0, 0, 0, 1, 0, 0}; !bytes.Equal(sorted, want) {
		t.Fatalf("encoded %x, want %x", sorted, want)
	}
	if _, err := c.Decode([]byte{8, 0, 1, 0, 0, 1, 0, 0, 0}); err == nil {
		t.Error("an unsorted set is accepted")
	}
	if _, err := c.Decode([]byte{8, 1, 0, 0, 0, 1, 0, 0, 0}); err == nil {
		t.Error("a set with a repeated key is accepted")
	}
}

// A broken value in the state is our own bug, and loud.
func TestBrokenValuePanics(t *testing.T) {
	st := flat{}
	count := frame.NewValue(frame.NewItems(declared(), "Test"), "Count", frame.U32())
	st.Set(frame.Prefix("Test", "Count"), []byte{1, 2})
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	count.Get(st)
}

func TestCodecs(t *testing.T) {
	c := frame.Option(frame.PairOf(frame.Account(), frame.Vec(frame.U128(), 16)))
	v := frame.Some(frame.Pair[chain.AccountID, []u128.U128]{A: chain.AccountID{1}, B: []u128.U128{u128.From64(3), u128.Max()}})
	got, err := c.Decode(c.Encode(v))
	if err != nil || !got.OK || got.V.A != v.V.A || !slices.Equal(got.V.B, v.V.B) {
		t.Errorf("round trip gave %v, %v", got, err)
	}
	if _, err := frame.BoundedBytes(2).Decode(frame.Bytes().Encode("abc")); err == nil {
		t.Error("three bytes pass a bound of two")
	}
	var e scale.Encoder
	frame.Module(23, 5).(frame.DispatchError).Encode(&e) //nolint:errorlint,forcetypeassert // exactly that type
	if !bytes.Equal(e.Buf, []byte{3, 23, 5, 0, 0, 0}) {
		t.Errorf("module error is %x", e.Buf)
	}
}
