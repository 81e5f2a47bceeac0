package kad_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
)

// epoch is the start of virtual time in the tests.
var epoch = time.Unix(1_700_000_000, 0).UTC()

// testPeer returns peer number i: an identity multihash, as short keys have.
func testPeer(i int) peer.ID { return peer.ID(fmt.Sprintf("\x00\x11test-peer-%07d", i)) }

// testContact returns the bound contact number i.
func testContact(i int) kad.Contact { return kad.BoundContact(testPeer(i), netip.Addr{}) }

func filledTable(tb testing.TB, n int, cfg kad.TableConfig) *kad.Table {
	tb.Helper()
	t := kad.NewTable(cfg)
	for i := range n {
		t.Add(testContact(i), epoch)
	}
	return t
}

func BenchmarkNearest(b *testing.B) {
	for _, n := range []int{200, 10_000} {
		for _, modulo := range []int{1, 5} {
			table := filledTable(b, n, kad.TableConfig{Self: kad.IDFromPeer("self"), DepthModulo: modulo})
			b.Run(fmt.Sprintf("of=%d/modulo=%d/live=%d", n, modulo, table.Len()), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 2))
				targets := make([]kad.ID, 1024)
				for i := range targets {
					targets[i] = kad.RandomID(rng)
				}
				dst := make([]kad.Contact, 0, 20)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					dst = table.Nearest(dst[:0], targets[i%len(targets)], 20, kad.ID{})
					i++
				}
			})
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	contacts := make([]kad.Contact, 10_000)
	for i := range contacts {
		contacts[i] = testContact(i)
	}
	b.ReportAllocs()
	i := 0
	var table *kad.Table
	for b.Loop() {
		if i%len(contacts) == 0 {
			table = kad.NewTable(kad.TableConfig{Self: kad.IDFromPeer("self")})
		}
		table.Add(contacts[i%len(contacts)], epoch)
		i++
	}
}
