package mesh

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/p2p"
)

// Chain is what a node reads from its chain; [substrate.Client] is the implementation over RPC.
type Chain interface {
	chain.HeadSource
	chain.SubnetReader
	chain.RoundReader
}

// Config describes a [Node]. Key, Subnet and either Endpoints or Chain are required, and Hotkey for a node that takes part in
// consensus; every other zero value is a usable default.
type Config struct {
	// Key is the peer identity, as registered on the chain. Two nodes with one key knock each other out.
	Key crypto.PrivKey
	// Hotkey signs proposals and attestations. It must be the hotkey of this node on the chain, and hold enough to pay a fee; fees
	// of successful calls are given back. Nil: the node watches and scores, but never submits.
	Hotkey substrate.Signer
	// Subnet is the subnet's ID. Numbers below 128000 are read as friendly IDs when no subnet has them.
	Subnet chain.SubnetID
	// Node is the node's ID in the subnet. 0: it is found by the peer ID of Key.
	Node chain.NodeID
	// Bootnode makes a node that others join by and nothing else: it is not registered, scores nobody and announces nothing.
	Bootnode bool

	// Endpoints are WebSocket addresses of the chain; the healthiest is used.
	Endpoints []string
	// Genesis pins the chain; zero takes what the first endpoint serves.
	Genesis chain.Hash
	// Chain and Writer replace the connection to Endpoints, for tests and for chains of another kind.
	Chain  Chain
	Writer chain.RoundWriter

	// Listen holds the addresses to listen on; default /ip4/0.0.0.0/tcp/0, which takes a free port.
	Listen []multiaddr.Multiaddr
	// Announce, if set, holds the only addresses told to others. Needed behind port forwarding; a wrong one makes the node
	// unreachable.
	Announce []multiaddr.Multiaddr
	// Bootstrap holds peers to join by. They are admitted whatever the chain says, and none means: those that the chain lists for
	// the subnet, or, when there are none, that this node is the first.
	Bootstrap []peer.AddrInfo
	// NewSwarm says that this node is the first: nobody is joined by.
	NewSwarm bool
	// Python lets nodes of the Python mesh into the swarm: their wire, their signatures, their free node IDs.
	Python bool
	// DisableRelay, RelayService, HolePunching, AutoNAT, StaticRelays, NATPortMap, Reachability are as in [p2p.Config]. Without
	// StaticRelays the peers of Bootstrap are tried, which relay if they run with RelayService.
	DisableRelay bool
	RelayService bool
	HolePunching bool
	AutoNAT      bool
	NATPortMap   bool
	StaticRelays []peer.AddrInfo
	Reachability p2p.Reachability
	Limits       p2p.Limits
	// Rate bounds the calls of one peer; default 200 per second, 1,000 at once. Who goes on after 100 refusals is banned.
	Rate auth.Rate

	// MinClass is what a peer must be to be admitted; default registered, as in the Python mesh, so that nodes warm up in the swarm
	// before they count.
	MinClass chain.Class

	// DataDir keeps the consensus journal, the address book, the membership and the DHT's records, which a restart takes back. It is
	// locked while the node runs. Required for a node with a Hotkey, because without a journal a restart could say two things in one
	// epoch.
	DataDir string

	// UpdatePeriod is the time between two heartbeats; default an eighth of the epoch, within 500 ms and 60 s. A heartbeat lives
	// twice as long, at least 3 s, so that is how fast a dead node is noticed. Shorter costs traffic and, from 100 per epoch, is refused.
	UpdatePeriod time.Duration
	// PublicName is shown to others; "" for none.
	PublicName string
	// Version is shown to others; default "mesh".
	Version string
	// Reevaluate is up to where in the epoch, in thousandths, scores are asked for again; default 500. See [consensus.Config].
	Reevaluate uint32
	// StopTimeout bounds each step of the shutdown; default 3 s.
	StopTimeout time.Duration

	// Status serves the node's state as JSON over HTTP on this loopback address, such as 127.0.0.1:0; the address in use is written
	// to the file "status.addr" in DataDir. Empty: not served.
	Status string

	// Logger is where the node reports; nil discards.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Listen == nil {
		c.Listen = []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/0.0.0.0/tcp/0")}
	}
	if c.Version == "" {
		c.Version = "mesh"
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = 3 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate names the first thing that cannot work.
func (c Config) Validate() error {
	fail := func(format string, args ...any) error { return fmt.Errorf("mesh: config: "+format, args...) }
	switch {
	case c.Key == nil:
		return fail("Key is missing")
	case c.Subnet == 0:
		return fail("Subnet is missing")
	case len(c.Endpoints) == 0 && c.Chain == nil:
		return fail("Endpoints is empty: which chain?")
	case c.MinClass > chain.ClassValidator:
		return fail("MinClass is %d, the highest is %d", c.MinClass, chain.ClassValidator)
	case c.Hotkey != nil && c.DataDir == "":
		return fail("DataDir is missing: consensus needs a journal")
	case c.NewSwarm && len(c.Bootstrap) > 0:
		return fail("NewSwarm and Bootstrap exclude each other")
	case c.UpdatePeriod < 0 || c.StopTimeout < 0:
		return fail("a time is negative")
	case c.Reevaluate > 1000:
		return fail("Reevaluate is %d, more than 1000 thousandths", c.Reevaluate)
	case c.Status != "" && !loopback(c.Status):
		return fail("Status is served on loopback only, %q is not", c.Status)
	case c.Status != "" && c.DataDir == "":
		return fail("Status needs a DataDir to write its address to")
	}
	pc := p2p.Config{Key: c.Key, Announce: c.Announce, Limits: c.Limits}
	if err := pc.Validate(); err != nil {
		return errors.Join(fail("network"), err)
	}
	return nil
}
