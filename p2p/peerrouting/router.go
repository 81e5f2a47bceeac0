package peerrouting

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"
)

const (
	closest      = 20               // peers in an answer, as everybody's
	idleTimeout  = time.Minute      // between requests on one stream
	writeTimeout = 10 * time.Second // for an answer
	askTimeout   = 3 * time.Second  // for one question
	findTimeout  = 10 * time.Second // for a search
	parallel     = 3                // questions at once
	maxAsked     = 20               // peers asked in one search
	maxDialled   = 8                // of them, peers dialled for it
	maxServed    = 256              // streams served at once
	missTime     = 3 * time.Second  // an unsuccessful search is not repeated for so long
	missSize     = 1024             // unsuccessful searches remembered
)

// ErrNotFound reports that nobody asked knew the peer.
var ErrNotFound = errors.New("nobody knows the peer's addresses")

// Config describes a Router.
type Config struct {
	Protocols []protocol.ID // served and asked, most preferred first
	Logger    *slog.Logger  // nil: silent
}

// Router serves and asks peer routing. All methods are safe for concurrent use.
type Router struct {
	h         host.Host
	protocols []protocol.ID
	log       *slog.Logger
	misses    *lru.Cache[peer.ID, time.Time]

	mu      sync.Mutex // guards the fields below
	closed  bool
	streams map[network.Stream]struct{}
	serving sync.WaitGroup // Add only under mu while not closed
}

// New serves the protocols on h.
func New(h host.Host, cfg Config) *Router {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	misses, err := lru.New[peer.ID, time.Time](missSize)
	if err != nil {
		panic(err) // only for a size below one
	}
	r := &Router{h: h, protocols: cfg.Protocols, log: log, misses: misses, streams: make(map[network.Stream]struct{})}
	for _, id := range cfg.Protocols {
		h.SetStreamHandler(id, r.serve)
	}
	return r
}

// Close stops serving and waits for the streams that are being served.
func (r *Router) Close() {
	for _, id := range r.protocols {
		r.h.RemoveStreamHandler(id)
	}
	r.mu.Lock()
	r.closed = true
	open := make([]network.Stream, 0, len(r.streams))
	for s := range r.streams {
		open = append(open, s)
	}
	r.mu.Unlock()
	for _, s := range open {
		r.reset(s)
	}
	r.serving.Wait()
}

// enter registers a served stream, unless the router is closed or full.
func (r *Router) enter(s network.Stream) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.streams) >= maxServed {
		return false
	}
	r.streams[s] = struct{}{}
	r.serving.Add(1)
	return true
}

func (r *Router) leave(s network.Stream) {
	r.mu.Lock()
	delete(r.streams, s)
	r.mu.Unlock()
	r.serving.Done()
}

func (r *Router) reset(s network.Stream) {
	if err := s.Reset(); err != nil {
		r.log.Debug("peerrouting: reset", "err", err)
	}
}

// key is where a peer ID lies in the protocol's metric space.
func key(id peer.ID) [sha256.Size]byte { return sha256.Sum256([]byte(id)) }

// sortByDistance orders peers by distance to target, nearest first.
func sortByDistance(infos []peer.AddrInfo, target peer.ID) {
	want := key(target)
	type ranked struct {
		distance [sha256.Size]byte
		info     peer.AddrInfo
	}
	list := make([]ranked, len(infos))
	for i, info := range infos {
		d := key(info.ID)
		for j := range d {
			d[j] ^= want[j]
		}
		list[i] = ranked{d, info}
	}
	slices.SortFunc(list, func(a, b ranked) int { return bytes.Compare(a.distance[:], b.distance[:]) })
	for i := range list {
		infos[i] = list[i].info
	}
}

// FindPeer asks for the addresses of a peer. It returns ErrNotFound if nobody asked knew them, or if the
// same search failed a moment ago.
func (r *Router) FindPeer(ctx context.Context, target peer.ID) ([]multiaddr.Multiaddr, error) {
	if at, missed := r.misses.Get(target); missed && time.Since(at) < missTime {
		return nil, ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	s := newSearch(r, target)
	addrs := s.run(ctx)
	if len(addrs) == 0 {
		if ctx.Err() != nil {
			return nil, errors.Join(ErrNotFound, ctx.Err())
		}
		if s.asked > 0 { // with nobody to ask, the next call may be luckier
			r.misses.Add(target, time.Now())
		}
		return nil, ErrNotFound
	}
	r.misses.Remove(target)
	return addrs, nil
}

// speaks tells whether a connected peer serves one of the protocols.
func (r *Router) speaks(p peer.ID) bool {
	known, err := r.h.Peerstore().SupportsProtocols(p, r.protocols...)
	return err == nil && len(known) > 0
}
