package devchain_test

import (
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
)

// TestSoak runs a subnet of 64 nodes that propose and attest in every epoch for
// as many blocks as MESH_SOAK says, such as 10,000, and prints the heap on the
// way. What may grow is the chain's own storage, which the real chain keeps as
// well.
func TestSoak(t *testing.T) {
	blocks := 3000
	if text := os.Getenv("MESH_SOAK"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 2000 {
			t.Fatalf("MESH_SOAK=%s: want 2000 or more", text)
		}
		blocks = n
	} else if testing.Short() {
		t.Skip("a long run")
	}
	w := newCrowd(t, devchain.Config{KeepBlocks: 512}, 64)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // what finalizers held
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	storage := func() (pairs int, bytes uint64) {
		st, err := w.c.StateAt(chain.Hash{})
		if err != nil {
			t.Fatal(err)
		}
		for k := st.Next([]byte{0}); k != nil; k = st.Next(k) {
			pairs++
			bytes += uint64(len(k) + len(st.Get(k)))
		}
		return pairs, bytes
	}
	var from, fromStorage uint64
	began := time.Now()
	for n := 1; n <= blocks; n++ {
		w.step()
		if n%1000 != 0 {
			continue
		}
		pairs, size := storage()
		used := heap()
		t.Logf("%6d blocks, %v: heap %d KiB, storage %d pairs of %d KiB, %d goroutines",
			n, time.Since(began).Round(100*time.Millisecond), used>>10, pairs, size>>10, runtime.NumGoroutine())
		if n == 1000 {
			from, fromStorage = used, size
		}
		if n == blocks-blocks%1000 && used > from+from/10+2*(size-fromStorage)+4<<20 {
			t.Errorf("the heap has grown from %d to %d KiB, the storage from %d to %d KiB", from>>10, used>>10, fromStorage>>10, size>>10)
		}
	}
}
