package devchain

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

const crashEnv = "DEVCHAIN_CRASH_DIR"

// TestCrashChild is the process that TestKill kills: it makes blocks, and names
// each one when it has been announced.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashEnv)
	if dir == "" {
		t.Skip("started by TestKill only")
	}
	c, err := New(Config{DataDir: dir, Seal: SealManual, History: 8, FinalityLag: 4}, &toyEngine{})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	nonce, err := c.NextNonce([]byte{1})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	for i := uint32(nonce); ; i++ {
		if _, err := c.Submit(toyTx(1, i, 0, opSet, byte(i), byte(i))); err != nil {
			fmt.Println("error", err)
			return
		}
		b, err := c.Mine(1)
		if err == nil && i%5 == 4 {
			b, err = c.Reorg(2)
		}
		if err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println("block", c.Finalized().Number(), c.Finalized().Hash, b.Number())
	}
}

// TestKill kills a process that makes blocks, at any moment, and expects every
// block that was final and announced to be there afterwards.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	known := map[chain.BlockNumber]chain.Hash{}
	last := chain.BlockNumber(0)
	for round := range 8 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCrashChild$") //nolint:gosec // ourselves
		cmd.Env = append(os.Environ(), crashEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stop := 1 + r.IntN(40)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var num, head uint32
			var text string
			if _, err := fmt.Sscanf(lines.Text(), "block %d %s %d", &num, &text, &head); err != nil {
				t.Fatalf("round %d: %s", round, lines.Text())
			}
			h, err := chain.ParseHash(text)
			if err != nil {
				t.Fatal(err)
			}
			known[chain.BlockNumber(num)], last = h, chain.BlockNumber(head)
			if n == stop { // whatever it does at this moment
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("round %d: %v", round, err)
		}
		c := newTestChain(t, Config{DataDir: dir, History: 8, FinalityLag: 4})
		if c.Head().Number() < last {
			t.Fatalf("round %d: head %d, announced was %d", round, c.Head().Number(), last)
		}
		for n, h := range known {
			if have, ok := c.BlockHash(n); !ok || have != h {
				t.Fatalf("round %d: block %d was final and is gone", round, n)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d blocks, %d final ones checked", last, len(known))
}

// TestMemoryIsFlat makes 10,000 blocks with transactions and expects the
// memory of the first half to do.
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("a long run")
	}
	c := newTestChain(t, Config{History: 64, KeepBlocks: 1000})
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	nonce := uint32(0)
	run := func(blocks int) {
		for range blocks {
			for acc := range byte(4) {
				mustSubmit(t, c, toyTx(acc, nonce, 0, opSet, append(make([]byte, 200), byte(nonce))...))
			}
			nonce++
			mustMine(t, c, 1)
		}
	}
	run(5000)
	before := used()
	run(10_000)
	after := used()
	t.Logf("%d KiB after 5,000 blocks, %d KiB after 15,000", before>>10, after>>10)
	if after > before+before/4+1<<20 {
		t.Errorf("memory grows: %d to %d bytes", before, after)
	}
}
