package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/p2p/peerrouting"
)

// PythonRoutingProtocol is the peer routing that Python daemons speak. It is the same everywhere, so one
// shared peer joins two swarms; it is served with Config.PythonCompat only.
const PythonRoutingProtocol = protocol.ID("/ipfs/kad/1.0.0")

// Host is a running libp2p host with admission, limits and peer routing. All methods are safe for concurrent
// use.
type Host struct {
	h       host.Host
	gater   *gater
	refused *refusalLog
	router  *peerrouting.Router // nil without protocols to route by
	book    *book               // nil without a file
	own     *sockets            // nil: those of the operating system
	upgrade *upgrader           // nil without hole punching
	log     *slog.Logger

	closeOnce sync.Once
	closeErr  error
}

// New starts a host and listens. An address that is taken gives an *AddrInUseError.
func New(cfg Config) (*Host, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.withDefaults()
	bridgeLibraryLogs()
	var own *sockets
	if cfg.ListenUDP != nil {
		own = &sockets{cfg: &cfg}
		cfg.DisableTCP = true
	} else if err := probePorts(cfg.Listen); err != nil {
		return nil, fmt.Errorf("p2p: %w", err)
	}
	g := newGater(&cfg)
	opts, err := options(&cfg, g)
	if err != nil {
		return nil, fmt.Errorf("p2p: %w", err)
	}
	inner, err := newLibp2p(append(opts, own.options()...))
	if err != nil {
		return nil, fmt.Errorf("p2p: start: %w", errors.Join(err, own.Close()))
	}
	for _, a := range cfg.Listen {
		if err := inner.Network().Listen(a); err != nil {
			return nil, fmt.Errorf("p2p: %w", errors.Join(listenError(a, err), inner.Close(), own.Close()))
		}
	}
	h, err := wrap(inner, &cfg, g)
	if err != nil {
		return nil, fmt.Errorf("p2p: %w", errors.Join(err, inner.Close(), own.Close()))
	}
	h.own = own
	if cfg.punch != nil {
		h.upgrade = newUpgrader(inner, cfg.punch, h.log)
	}
	return h, nil
}

// Wrap makes a Host of a libp2p host that exists, for simulated networks and tests. The gate must have been
// given to that host already if it is to refuse connections; here it serves EnforceGate only. Close closes
// the inner host.
func Wrap(inner host.Host, cfg Config) (*Host, error) {
	cfg.Limits = cfg.Limits.withDefaults()
	h, err := wrap(inner, &cfg, newGater(&cfg))
	if err != nil {
		return nil, fmt.Errorf("p2p: %w", err)
	}
	return h, nil
}

func newGater(cfg *Config) *gater {
	g := &gater{
		gate: cfg.Gate, allow: make(map[peer.ID]struct{}, len(cfg.Allow)),
		publicOnly: cfg.PublicOnly, refused: newRefusalLog(cfg.Limits.Refusals),
	}
	for _, p := range cfg.Allow {
		g.allow[p] = struct{}{}
	}
	return g
}

func wrap(inner host.Host, cfg *Config, g *gater) (*Host, error) {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Host{h: inner, gater: g, refused: g.refused, log: log}
	if cfg.AddressBook != "" {
		b, err := openBook(cfg.AddressBook, cfg.Limits.BookPeers)
		if err != nil {
			return nil, err
		}
		h.book = b
		for _, info := range b.peers() {
			inner.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.RecentlyConnectedAddrTTL)
		}
	}
	var protocols []protocol.ID
	if cfg.Namespace != "" {
		protocols = append(protocols, protocol.ID(cfg.Namespace+"/peers/1"))
	}
	if cfg.PythonCompat {
		protocols = append(protocols, PythonRoutingProtocol)
	}
	if len(protocols) > 0 {
		h.router = peerrouting.New(inner, peerrouting.Config{Protocols: protocols, Logger: log})
	}
	return h, nil
}

// Libp2p returns the host underneath, for protocols of one's own.
func (h *Host) Libp2p() host.Host { return h.h }

// ID returns the host's peer ID.
func (h *Host) ID() peer.ID { return h.h.ID() }

// Reachability returns what the host was told, or has found out, about whether others can dial it.
func (h *Host) Reachability() Reachability {
	lib, ok := h.h.(interface{ Reachability() network.Reachability })
	if !ok {
		return ReachabilityUnknown
	}
	switch lib.Reachability() {
	case network.ReachabilityPublic:
		return ReachabilityPublic
	case network.ReachabilityPrivate:
		return ReachabilityPrivate
	default:
		return ReachabilityUnknown
	}
}

// Addrs returns the addresses told to others, each ending in /p2p/<id>.
func (h *Host) Addrs() []multiaddr.Multiaddr {
	addrs, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: h.ID(), Addrs: h.h.Addrs()})
	if err != nil {
		return nil // only for a peer ID that is none
	}
	return addrs
}

// AddrInfo returns the host's peer ID and addresses as others need them to connect.
func (h *Host) AddrInfo() peer.AddrInfo {
	return peer.AddrInfo{ID: h.ID(), Addrs: slices.Clone(h.h.Addrs())}
}

// Connect connects to a peer, looking its addresses up if need be. It returns at once if the peer is
// connected already; a connection through a relay counts.
func (h *Host) Connect(ctx context.Context, p peer.AddrInfo) error {
	if p.ID == h.ID() {
		return nil
	}
	ctx = network.WithAllowLimitedConn(ctx, "mesh")
	err := h.h.Connect(ctx, p)
	if err == nil || h.router == nil || ctx.Err() != nil {
		return wrapConnect(p.ID, err)
	}
	if d := h.gater.decide(p.ID); !d.OK {
		return fmt.Errorf("p2p: connect to %s: %w: %s", p.ID, ErrRefused, d.Reason)
	}
	known := h.h.Peerstore().Addrs(p.ID)
	addrs, findErr := h.router.FindPeer(ctx, p.ID)
	if findErr != nil {
		return wrapConnect(p.ID, errors.Join(err, findErr))
	}
	if !slices.ContainsFunc(addrs, func(a multiaddr.Multiaddr) bool { return !multiaddr.Contains(known, a) }) {
		return wrapConnect(p.ID, err)
	}
	return wrapConnect(p.ID, h.h.Connect(ctx, peer.AddrInfo{ID: p.ID, Addrs: addrs}))
}

// Why Connect did not even try.
var (
	ErrRefused   = errors.New("not admitted") // by this host's own gate
	ErrNoAddress = swarm.ErrNoAddresses       // and nobody who was asked knew one
)

func wrapConnect(p peer.ID, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("p2p: connect to %s: %w", p, err)
}

// FindPeer asks connected peers for the addresses of a peer.
func (h *Host) FindPeer(ctx context.Context, p peer.ID) (peer.AddrInfo, error) {
	if addrs := h.h.Peerstore().Addrs(p); len(addrs) > 0 {
		return peer.AddrInfo{ID: p, Addrs: addrs}, nil
	}
	if h.router == nil {
		return peer.AddrInfo{}, fmt.Errorf("p2p: find %s: %w", p, peerrouting.ErrNotFound)
	}
	addrs, err := h.router.FindPeer(ctx, p)
	if err != nil {
		return peer.AddrInfo{}, fmt.Errorf("p2p: find %s: %w", p, err)
	}
	return peer.AddrInfo{ID: p, Addrs: addrs}, nil
}

// Connected tells whether there is a connection to p, directly or through a relay.
func (h *Host) Connected(p peer.ID) bool {
	switch h.h.Network().Connectedness(p) {
	case network.Connected, network.Limited:
		return true
	default:
		return false
	}
}

// Direct tells whether there is a connection to p that goes through no relay.
func (h *Host) Direct(p peer.ID) bool { return h.h.Network().Connectedness(p) == network.Connected }

// Peers returns the connected peers.
func (h *Host) Peers() []peer.ID { return h.h.Network().Peers() }

// KnownPeers returns the peers that the address book brought from earlier runs.
func (h *Host) KnownPeers() []peer.AddrInfo {
	if h.book == nil {
		return nil
	}
	return h.book.peers()
}

// Refusals returns the last refusals, newest first.
func (h *Host) Refusals() []Refusal { return h.refused.last() }

// RefusalCounts returns how often each reason was given.
func (h *Host) RefusalCounts() map[string]uint64 { return h.refused.byReason() }

// EnforceGate closes connections to peers that the gate no longer admits and returns their number. Call it
// when the gate's data has changed.
func (h *Host) EnforceGate() int {
	closed := 0
	for _, p := range h.h.Network().Peers() {
		if h.gater.check(p, nil, false) {
			continue
		}
		if err := h.h.Network().ClosePeer(p); err != nil {
			h.log.Debug("p2p: closing a refused peer", "peer", p, "err", err)
		}
		closed++
	}
	return closed
}

// Run saves the address book from time to time and makes relayed connections direct, until ctx ends. Without a book and hole punching
// it only waits.
func (h *Host) Run(ctx context.Context) error {
	if h.upgrade != nil {
		var upgrading sync.WaitGroup
		upgrading.Go(func() { h.upgrade.run(ctx) })
		defer upgrading.Wait()
	}
	if h.book == nil {
		<-ctx.Done()
		return nil
	}
	return h.book.run(ctx, h)
}

// Close saves the address book, stops the host and waits for its goroutines.
func (h *Host) Close() error {
	h.closeOnce.Do(func() {
		var saveErr error
		if h.book != nil {
			saveErr = h.book.save(h.h)
		}
		if h.router != nil {
			h.router.Close()
		}
		h.closeErr = errors.Join(saveErr, h.h.Close(), h.own.Close())
		if h.upgrade != nil {
			h.upgrade.close()
		}
	})
	return h.closeErr
}

// Speaks tells which of the protocols a connected peer serves, waiting until it has introduced itself.
func (h *Host) Speaks(ctx context.Context, p peer.ID, ids ...protocol.ID) ([]protocol.ID, error) {
	if lib, ok := h.h.(interface{ IDService() identify.IDService }); ok {
		for _, c := range h.h.Network().ConnsToPeer(p) {
			select {
			case <-lib.IDService().IdentifyWait(c):
			case <-ctx.Done():
				return nil, fmt.Errorf("p2p: identify %s: %w", p, ctx.Err())
			}
		}
	}
	known, err := h.h.Peerstore().SupportsProtocols(p, ids...)
	if err != nil {
		return nil, fmt.Errorf("p2p: protocols of %s: %w", p, err)
	}
	return known, nil
}
