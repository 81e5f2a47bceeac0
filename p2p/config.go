package p2p

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypertensor-blockchain/mesh/identity"
)

// Reachability tells a host what it need not find out.
type Reachability uint8

// What a host may know about itself.
const (
	ReachabilityUnknown Reachability = iota // ask AutoNAT
	ReachabilityPublic                      // others can dial the announced addresses
	ReachabilityPrivate                     // nobody can; relays are needed
)

// String is one word.
func (r Reachability) String() string {
	switch r {
	case ReachabilityPublic:
		return "public"
	case ReachabilityPrivate:
		return "private"
	default:
		return "unknown"
	}
}

// Config describes a host. Key is required; every other zero value is a usable default.
type Config struct {
	// Key is the identity; two hosts with one key knock each other out.
	Key crypto.PrivKey

	// Listen holds the addresses to listen on, /ip4/../tcp/.. or /ip4/../udp/../quic-v1. All of them must
	// work. None: a host that only dials. Port 0 takes a free port.
	Listen []multiaddr.Multiaddr

	// Announce, if set, holds the only addresses told to others; ports must be explicit. Needed behind port
	// forwarding. Wrong addresses make the node unreachable.
	Announce []multiaddr.Multiaddr

	// PublicOnly neither announces nor dials addresses of private networks. Set it for nodes on rented
	// machines, whose providers take dials into private networks for scans. Default: off.
	PublicOnly bool

	// Gate decides who may connect, after the handshake. Nil admits everybody.
	Gate Gate

	// Allow holds peers that are admitted whatever the gate says: bootnodes, static peers.
	Allow []peer.ID

	// Namespace is the prefix of the subnet's own protocols, "/mesh/<genesis hex 8>/<subnet>". It keeps
	// swarms apart that share a peer. Empty: no native peer routing.
	Namespace string

	// PythonCompat serves and uses the peer routing of Python daemons, /ipfs/kad/1.0.0. A Python node cannot
	// find or keep a peer that does not serve it.
	PythonCompat bool

	// DisableTCP and DisableQUIC switch a transport off. Both are on by default; QUIC is used only if an
	// address asks for it.
	DisableTCP  bool
	DisableQUIC bool

	// ListenUDP, if set, opens the sockets of QUIC in place of the operating system: those of a virtual network. Such a host
	// has no TCP, its addresses in Listen name the IP address that it dials from, and nobody tells it how others see it.
	ListenUDP func(at *net.UDPAddr) (net.PacketConn, error)

	// Relay settings. A host that others cannot dial is reached through StaticRelays, of those that relay. A
	// service relays for others within the library's limits (2 minutes, 128 KiB per connection); it takes itself
	// for public unless Reachability says otherwise, because nobody else may be there to tell it. HolePunching
	// makes relayed connections direct where the routers on the way allow it, trying again while Run runs.
	DisableRelay bool
	StaticRelays []peer.AddrInfo
	RelayService bool
	HolePunching bool

	// AutoNAT helps others to find out whether they can be reached. Reachability, unless unknown, overrides
	// what others tell this node.
	AutoNAT      bool
	Reachability Reachability

	// NATPortMap asks the router for a port. It sends packets to the local network, so it is off by default.
	NATPortMap bool

	// Limits bounds connections, streams and memory.
	Limits Limits

	// AddressBook is a file that keeps addresses of peers across restarts. Empty: none.
	AddressBook string

	// UserAgent is what identify tells others. Default "mesh".
	UserAgent string

	// Metrics receives libp2p's own metrics. Nil: none are collected.
	Metrics prometheus.Registerer

	// Logger receives the host's few messages. Nil: silent.
	Logger *slog.Logger

	punch func(peer.ID) error // of the library's service for hole punching, once the host is made
}

// reachability is what the host need not find out.
func (c *Config) reachability() Reachability {
	if c.Reachability == ReachabilityUnknown && c.RelayService && !c.DisableRelay {
		return ReachabilityPublic
	}
	return c.Reachability
}

// Limits bounds what peers can take. Zero fields take the default. Everything is fixed by configuration,
// never by the size of the machine, so that two nodes behave alike.
type Limits struct {
	ConnsLow       int           // connections that the connection manager trims to; default 256
	ConnsHigh      int           // connections at which it starts trimming; default 512
	ConnsGrace     time.Duration // age below which a connection is not trimmed; default 2 min
	Conns          int           // connections at most, both directions; default 1024
	ConnsPerPeer   int           // default 8
	ConnsPerIP     int           // per IPv4 address or IPv6 /64, not for loopback; default 8
	Streams        int           // streams at most; default 16384
	StreamsPerPeer int           // per direction; default 160: 64 kept RPC streams and the protocols beside
	Memory         int64         // bytes reserved by libp2p at most; default 512 MiB
	MemoryPerPeer  int64         // default 64 MiB: four receive windows of 16 MiB
	BookPeers      int           // peers in the address book; default 256
	Refusals       int           // refusals kept for people to look at; default 128
}

const (
	defaultConnsLow       = 256 // as Python daemons
	defaultConnsHigh      = 512 // as Python daemons
	defaultConnsGrace     = 2 * time.Minute
	defaultConns          = 1024
	defaultConnsPerPeer   = 8
	defaultConnsPerIP     = 8
	defaultStreams        = 16384
	defaultStreamsPerPeer = 160
	defaultMemory         = 512 << 20
	defaultMemoryPerPeer  = 64 << 20
	defaultBookPeers      = 256
	defaultRefusals       = 128
)

func (l Limits) withDefaults() Limits {
	setDefault(&l.ConnsLow, defaultConnsLow)
	setDefault(&l.ConnsHigh, defaultConnsHigh)
	setDefault(&l.ConnsGrace, defaultConnsGrace)
	setDefault(&l.Conns, defaultConns)
	setDefault(&l.ConnsPerPeer, defaultConnsPerPeer)
	setDefault(&l.ConnsPerIP, defaultConnsPerIP)
	setDefault(&l.Streams, defaultStreams)
	setDefault(&l.StreamsPerPeer, defaultStreamsPerPeer)
	setDefault(&l.Memory, defaultMemory)
	setDefault(&l.MemoryPerPeer, defaultMemoryPerPeer)
	setDefault(&l.BookPeers, defaultBookPeers)
	setDefault(&l.Refusals, defaultRefusals)
	return l
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (l Limits) validate() error {
	d := l.withDefaults()
	switch {
	case d.ConnsLow < 0 || d.ConnsHigh < d.ConnsLow:
		return fmt.Errorf("limits: ConnsHigh (%d) is below ConnsLow (%d)", d.ConnsHigh, d.ConnsLow)
	case d.Conns < d.ConnsHigh:
		return fmt.Errorf("limits: Conns (%d) is below ConnsHigh (%d): new connections would be refused before old ones are trimmed",
			d.Conns, d.ConnsHigh)
	case min(d.ConnsPerPeer, d.ConnsPerIP, d.Streams, d.StreamsPerPeer, d.BookPeers, d.Refusals) < 0,
		min(d.Memory, d.MemoryPerPeer) < 0:
		return errors.New("limits: negative value")
	}
	return nil
}

// Validate reports the first thing in the configuration that cannot work.
func (c *Config) Validate() error {
	if err := c.validate(); err != nil {
		return fmt.Errorf("p2p: config: %w", err)
	}
	return nil
}

func (c *Config) validate() error {
	if c.Key == nil {
		return errors.New("no key given (field Key)")
	}
	if _, err := identity.PeerID(c.Key); err != nil {
		return err
	}
	if c.DisableTCP && c.DisableQUIC {
		return errors.New("every transport is disabled")
	}
	if c.DisableQUIC && c.ListenUDP != nil {
		return errors.New("ListenUDP is for QUIC, which is disabled")
	}
	for _, a := range c.Announce {
		if port, ok := portOf(a); ok && port == 0 {
			return fmt.Errorf("address to announce %s: please give an explicit port", a)
		}
	}
	return c.Limits.validate()
}
