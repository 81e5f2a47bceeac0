package devchain

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// mapState is the dumb twin of Overlay: whole copies of a map.
type mapState struct{ layers []map[string]string }

func (m *mapState) top() map[string]string { return m.layers[len(m.layers)-1] }

func (m *mapState) next(key string) (string, bool) {
	for _, k := range slices.Sorted(maps.Keys(m.top())) {
		if k > key {
			return k, true
		}
	}
	return "", false
}

func TestOverlayMatchesMap(t *testing.T) {
	key := rapid.SliceOfN(rapid.ByteRange(0, 3), 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		base := newTree()
		oracle := &mapState{layers: []map[string]string{{}}}
		for _, k := range rapid.SliceOfN(key, 0, 20).Draw(t, "base") {
			base.Set(pair{key: k, value: []byte("base")})
			oracle.top()[string(k)] = "base"
		}
		before := hashTree(base)
		o := newOverlay(base)
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				k, v := key.Draw(t, "k"), rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "v")
				o.Set(k, v)
				oracle.top()[string(k)] = string(v)
			},
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "k")
				o.Delete(k)
				delete(oracle.top(), string(k))
			},
			"deletePrefix": func(t *rapid.T) {
				k := key.Draw(t, "k")
				o.DeletePrefix(k)
				maps.DeleteFunc(oracle.top(), func(s, _ string) bool { return bytes.HasPrefix([]byte(s), k) })
			},
			"begin": func(*rapid.T) {
				o.Begin()
				oracle.layers = append(oracle.layers, maps.Clone(oracle.top()))
			},
			"commit": func(t *rapid.T) {
				if o.Depth() == 0 {
					t.Skip()
				}
				o.Commit()
				n := len(oracle.layers)
				oracle.layers = append(oracle.layers[:n-2], oracle.layers[n-1])
			},
			"rollback": func(t *rapid.T) {
				if o.Depth() == 0 {
					t.Skip()
				}
				o.Rollback()
				oracle.layers = oracle.layers[:len(oracle.layers)-1]
			},
			"": func(t *rapid.T) {
				k := key.Draw(t, "probe")
				want, ok := oracle.top()[string(k)]
				got := o.Get(k)
				if (got != nil) != ok || string(got) != want {
					t.Fatalf("Get(%x) = %q, want %q %v", k, got, want, ok)
				}
				next, ok := oracle.next(string(k))
				if got := o.Next(k); (got != nil) != ok || string(got) != next {
					t.Fatalf("Next(%x) = %x, want %x %v", k, got, next, ok)
				}
			},
		})
		for o.Depth() > 0 {
			o.Commit()
		}
		changes := o.changes()
		after := apply(base, changes)
		got := map[string]string{}
		after.Scan(func(p pair) bool {
			got[string(p.key)] = string(p.value)
			return true
		})
		if diff := cmp.Diff(oracle.top(), got); diff != "" {
			t.Fatalf("after apply: %s", diff)
		}
		if before.with(changes) != hashTree(after) {
			t.Fatal("incremental hash differs from the full one")
		}
		if hashTree(base) != before {
			t.Fatal("the base was written")
		}
		if hashTree(undo(after, changes)) != before {
			t.Fatal("undo does not lead back")
		}
		if back := difference(after, base); hashTree(apply(after, back)) != before {
			t.Fatal("difference does not lead back")
		}
		restored, err := decodeChanges(encodeChanges(changes))
		if err != nil || len(restored) != len(changes) {
			t.Fatalf("undo record: %v", err)
		}
		if hashTree(undo(after, restored)) != before {
			t.Fatal("undo record does not lead back")
		}
	})
}

func TestDeletePrefixLimit(t *testing.T) {
	o := NewState()
	for _, k := range []string{"a", "ab", "abc", "b"} {
		o.Set([]byte(k), nil)
	}
	if n, more := o.DeletePrefixLimit([]byte("a"), 2); n != 2 || !more {
		t.Fatalf("got %d %v", n, more)
	}
	if n, more := o.DeletePrefixLimit([]byte("a"), 2); n != 1 || more {
		t.Fatalf("got %d %v", n, more)
	}
	if v := o.Get([]byte("b")); v == nil || len(v) != 0 {
		t.Fatalf("an empty value came back as %v", v)
	}
}

func TestCommitWithoutBeginPanics(t *testing.T) {
	for name, f := range map[string]func(*Overlay){"commit": (*Overlay).Commit, "rollback": (*Overlay).Rollback} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			f(NewState())
		}()
	}
}

func BenchmarkOverlayGet(b *testing.B) {
	b.ReportAllocs()
	base := newTree()
	var k [4]byte
	for i := range 10_000 {
		k = [4]byte{byte(i), byte(i >> 8), byte(i >> 16)}
		base.Set(pair{key: bytes.Clone(k[:]), value: k[:1]})
	}
	o := newOverlay(base)
	o.Begin()
	for i := 0; b.Loop(); i++ {
		k = [4]byte{byte(i), byte(i >> 8)}
		o.Get(k[:])
	}
}
