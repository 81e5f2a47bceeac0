package p2p

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// Decision is the gate's answer about one peer.
type Decision struct {
	OK     bool
	Reason string // short fixed text for people and counters, empty when OK
}

// Gate decides who may connect.
type Gate interface {
	// Admit MUST answer at once, from memory; it is called after every handshake, inbound and outbound.
	Admit(peer.ID) Decision
}

// GateFunc makes a Gate of a function.
type GateFunc func(peer.ID) Decision

// Admit calls f.
func (f GateFunc) Admit(p peer.ID) Decision { return f(p) }

// Config describes a host.
type Config struct {
	Key          crypto.PrivKey        // identity; required
	Listen       []multiaddr.Multiaddr // addresses to listen on; none: a host that only dials
	Announce     []multiaddr.Multiaddr // if set, the only addresses told to others
	Gate         Gate                  // nil admits everybody
	Allow        []peer.ID             // admitted whatever the gate says: bootnodes, static peers
	Namespace    string                // protocol prefix of the subnet, "/mesh/<genesis hex 8>/<subnet>"
	PythonCompat bool                  // serve and use what Python daemons expect
	Logger       *slog.Logger          // nil: silent
}

// Host is a running libp2p host.
type Host struct{ h host.Host }

// New starts a host.
func New(cfg Config) (*Host, error) { return nil, errors.New("p2p: not built yet") }

// Libp2p returns the host underneath.
func (h *Host) Libp2p() host.Host { return h.h }

// ID returns the host's peer ID.
func (h *Host) ID() peer.ID { return h.h.ID() }

// Addrs returns the addresses told to others, each ending in /p2p/<id>.
func (h *Host) Addrs() []multiaddr.Multiaddr { return nil }

// Connect connects to a peer.
func (h *Host) Connect(ctx context.Context, p peer.AddrInfo) error {
	return errors.New("p2p: not built yet")
}

// Refusal is one refused connection.
type Refusal struct {
	Time    time.Time
	Peer    peer.ID
	Addr    multiaddr.Multiaddr
	Inbound bool
	Reason  string
}

// Refusals returns the last refusals, newest first.
func (h *Host) Refusals() []Refusal { return nil }

// RefusalCounts returns how often each reason was given.
func (h *Host) RefusalCounts() map[string]uint64 { return nil }

// EnforceGate closes connections to peers that the gate no longer admits and returns their number.
func (h *Host) EnforceGate() int { return 0 }

// Run keeps the host's address book until ctx ends.
func (h *Host) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Close stops the host and waits for its goroutines.
func (h *Host) Close() error { return nil }

// ParseAddrs reads multiaddresses.
func ParseAddrs(texts []string) ([]multiaddr.Multiaddr, error) {
	return nil, errors.New("not built yet")
}

// ParsePeers reads multiaddresses that end in /p2p/<id> and joins those of the same peer.
func ParsePeers(texts []string) ([]peer.AddrInfo, error) { return nil, errors.New("not built yet") }
