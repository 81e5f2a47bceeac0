package p2p

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/hypertensor-blockchain/mesh/identity"
)

const (
	bookPeriod   = time.Minute        // between saves; a crash loses what came since
	bookAge      = 7 * 24 * time.Hour // older entries are forgotten
	bookAddrs    = 8                  // addresses kept per peer
	bookMaxBytes = 4 << 20            // a file beyond that is not ours
)

// bookEntry is one peer in the file.
type bookEntry struct {
	Peer  peer.ID               `json:"peer"`
	Addrs []multiaddr.Multiaddr `json:"addrs"`
	Seen  time.Time             `json:"seen"`
}

// book remembers the addresses of peers that this node was connected to. What others merely told about third
// parties never enters it.
type book struct {
	path string
	size int

	mu      sync.Mutex // guards entries
	entries map[peer.ID]bookEntry
}

// openBook reads the file. A missing or damaged one is an empty book: it only saves time.
func openBook(path string, size int) (*book, error) {
	b := &book{path: path, size: size, entries: make(map[peer.ID]bookEntry)}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("address book: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, bookMaxBytes))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("address book: %w", err)
	}
	for _, e := range decodeBook(data, time.Now()) {
		if len(b.entries) == size {
			break
		}
		b.entries[e.Peer] = e
	}
	return b, nil
}

// decodeBook reads entries, newest first, and drops those that are old or senseless.
func decodeBook(data []byte, now time.Time) []bookEntry {
	var raw []struct {
		Peer  string    `json:"peer"`
		Addrs []string  `json:"addrs"`
		Seen  time.Time `json:"seen"`
	}
	if json.Unmarshal(data, &raw) != nil {
		return nil
	}
	entries := make([]bookEntry, 0, min(len(raw), defaultBookPeers))
	for _, r := range raw {
		id, err := peer.Decode(r.Peer)
		if err != nil || now.Sub(r.Seen) > bookAge {
			continue
		}
		e := bookEntry{Peer: id, Seen: r.Seen}
		for _, text := range r.Addrs[:min(len(r.Addrs), bookAddrs)] {
			if a, err := multiaddr.NewMultiaddr(text); err == nil {
				e.Addrs = append(e.Addrs, a)
			}
		}
		if len(e.Addrs) > 0 {
			entries = append(entries, e)
		}
	}
	slices.SortStableFunc(entries, func(a, b bookEntry) int { return b.Seen.Compare(a.Seen) })
	return entries
}

// sorted returns the entries, newest first. The caller holds mu.
func (b *book) sorted() []bookEntry {
	entries := make([]bookEntry, 0, len(b.entries))
	for _, e := range b.entries {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(x, y bookEntry) int {
		return cmp.Or(y.Seen.Compare(x.Seen), cmp.Compare(x.Peer, y.Peer))
	})
	return entries
}

func (b *book) peers() []peer.AddrInfo {
	b.mu.Lock()
	defer b.mu.Unlock()
	infos := make([]peer.AddrInfo, 0, len(b.entries))
	for _, e := range b.sorted() {
		infos = append(infos, peer.AddrInfo{ID: e.Peer, Addrs: slices.Clone(e.Addrs)})
	}
	return infos
}

// note takes the addresses of the peers that are connected now.
func (b *book) note(h host.Host, now time.Time) []bookEntry {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range h.Network().Peers() {
		addrs := worthKeeping(h.Peerstore().Addrs(p))
		if len(addrs) > 0 {
			b.entries[p] = bookEntry{Peer: p, Addrs: addrs, Seen: now}
		}
	}
	entries := b.sorted()
	for i, e := range entries {
		if i >= b.size || now.Sub(e.Seen) > bookAge {
			delete(b.entries, e.Peer)
		}
	}
	return b.sorted()
}

func worthKeeping(addrs []multiaddr.Multiaddr) []multiaddr.Multiaddr {
	kept := make([]multiaddr.Multiaddr, 0, bookAddrs)
	for _, a := range addrs {
		if len(kept) == bookAddrs {
			break
		}
		if !manet.IsIPUnspecified(a) {
			kept = append(kept, a)
		}
	}
	return kept
}

// save writes the file whole or not at all.
func (b *book) save(h host.Host) error {
	data, err := json.MarshalIndent(b.note(h, time.Now()), "", " ")
	if err != nil {
		return fmt.Errorf("p2p: address book: %w", err)
	}
	if err := identity.WriteSecret(b.path, append(data, '\n'), true); err != nil {
		return fmt.Errorf("p2p: address book: %w", err)
	}
	return nil
}

func (b *book) run(ctx context.Context, h *Host) error {
	tick := time.NewTicker(bookPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := b.save(h.h); err != nil {
				h.log.Warn("address book not saved", "err", err)
			}
		}
	}
}
