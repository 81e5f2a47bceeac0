package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/consensus"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
	"github.com/hypertensor-blockchain/mesh/stake"
)

// Node is one member of a subnet, or a bootnode.
type Node struct {
	cfg   Config
	app   App
	rules App // whose rules for records hold: the app, on bootnodes too
	log   *slog.Logger

	id     peer.ID
	subkey []byte // of this node's records, not packed

	// Set by Run, in this order, before anything that reads them is started; what can be asked for at any time is atomic.
	chain    *chainView
	writer   chain.RoundWriter
	subnet   atomic.Uint32              // as the chain calls it; 0 before
	own      atomic.Pointer[chain.Node] // as last seen on the chain; nil before
	members  atomic.Pointer[stake.Set]
	bans     *auth.Ban
	host     atomic.Pointer[p2p.Host]
	calls    atomic.Pointer[rpc.Node]
	dht      atomic.Pointer[dht.Node]
	beats    *beats
	engine   atomic.Pointer[consensus.Engine]
	handlers map[rpc.Method]rpc.UnaryHandler

	mu      sync.Mutex // guards the fields below
	phase   Phase
	detail  string
	started time.Time
	ran     bool
	changed chan struct{} // closed and replaced when phase changes
}

// Phase is how far a node has come.
type Phase string

// The phases, in order.
const (
	PhaseNew          Phase = "new"
	PhaseConnecting   Phase = "connecting to the chain"
	PhaseRegistration Phase = "waiting for registration"
	PhaseStart        Phase = "waiting for the start epoch"
	PhaseJoining      Phase = "joining"
	PhaseOnline       Phase = "online"
	PhaseStopping     Phase = "stopping"
	PhaseStopped      Phase = "stopped"
)

// New returns a node that has done nothing yet. A nil app is [Liveness]. Of the App of a bootnode only [RecordRules] and [PhaseRules]
// are used.
func New(cfg Config, app App) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	id, err := identity.PeerID(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	subkey, err := heartbeat.Name(cfg.Key.GetPublic())
	if err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	rules := app
	if app == nil || cfg.Bootnode {
		app = Liveness{}
	}
	cfg = cfg.withDefaults()
	return &Node{
		cfg: cfg, app: app, rules: rules, log: cfg.Logger, id: id, subkey: subkey, phase: PhaseNew, bans: auth.NewBan(auth.BanConfig{}),
		handlers: make(map[rpc.Method]rpc.UnaryHandler), changed: make(chan struct{}),
	}, nil
}

// PeerID is the node's own peer.
func (n *Node) PeerID() peer.ID { return n.id }

// OwnSubkey is the one subkey of this node, under which nobody else can write: its peer ID followed by the marker of its key. The DHT
// signs what is stored under it. [heartbeat.ParseSubkey] tells whose a subkey is.
func (n *Node) OwnSubkey() []byte { return slices.Clone(n.subkey) }

// ID is the node's ID in its subnet; 0 before it is known, and for a bootnode.
func (n *Node) ID() chain.NodeID {
	if own := n.own.Load(); own != nil {
		return own.ID
	}
	return n.cfg.Node
}

// Subnet is the subnet's ID; what was configured until the chain has answered.
func (n *Node) Subnet() chain.SubnetID {
	if id := n.subnet.Load(); id != 0 {
		return chain.SubnetID(id)
	}
	return n.cfg.Subnet
}

// Logger is where the node reports; an App may use it too.
func (n *Node) Logger() *slog.Logger { return n.log }

// DHT is the node's part of the swarm: to get and store records. Nil before Start is called.
func (n *Node) DHT() *dht.Node { return n.dht.Load() }

// Host is the libp2p host. Nil before Start is called.
func (n *Node) Host() *p2p.Host { return n.host.Load() }

// RPC is the node's end of all calls, for streams and protobuf helpers. Nil before Start is called.
func (n *Node) RPC() *rpc.Node { return n.calls.Load() }

// Bans is the list of peers that are refused for a while; an App may add to it.
func (n *Node) Bans() *auth.Ban { return n.bans }

// Members is who belongs to the subnet, as of the last block seen. Nil before Start is called.
func (n *Node) Members() *stake.Snapshot {
	set := n.members.Load()
	if set == nil {
		return nil
	}
	return set.Snapshot()
}

// Handle serves a unary method to the members of the subnet. To be called in App.Start. The same name twice panics.
func (n *Node) Handle(m rpc.Method, h rpc.UnaryHandler, opts ...rpc.HandlerOption) {
	n.calls.Load().Handle(m, h, opts...)
	n.handlers[m] = h
}

// HandleStream serves a streaming method to the members of the subnet; see Handle.
func (n *Node) HandleStream(m rpc.Method, h rpc.StreamHandler, opts ...rpc.HandlerOption) {
	n.calls.Load().HandleStream(m, h, opts...)
}

// Call calls a method of another node, or of this one.
func (n *Node) Call(ctx context.Context, to peer.ID, m rpc.Method, data []byte) ([]byte, error) {
	if to != n.id {
		return n.calls.Load().Call(ctx, to, m, data)
	}
	h, ok := n.handlers[m]
	if !ok {
		return nil, rpc.Errorf(rpc.Unimplemented, "no method %s here", m)
	}
	return h(ctx, &rpc.Request{Method: m, Peer: n.id, Data: append([]byte(nil), data...)})
}

// fluxMargin is how near to the snapshot point a node must have come or gone for honest nodes to differ about it.
func (n *Node) fluxMargin() time.Duration {
	look := time.Duration(0)
	if n.beats != nil {
		look = n.beats.look
	}
	return 2 * max(look, n.chain.pace())
}

func (n *Node) enter(p Phase, detail string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.phase != p {
		close(n.changed)
		n.changed = make(chan struct{})
	}
	n.phase, n.detail = p, detail
}

// Await returns when the node has reached a phase, or ctx ends.
func (n *Node) Await(ctx context.Context, p Phase) error {
	for {
		n.mu.Lock()
		now, changed := n.phase, n.changed
		n.mu.Unlock()
		if now == p {
			return nil
		}
		if now == PhaseStopped {
			return errors.New("mesh: the node has stopped")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// scorer gives the App its rounds.
type scorer struct{ n *Node }

func (s scorer) Score(ctx context.Context, r consensus.Round) (consensus.Opinion, error) {
	return s.n.app.Score(ctx, Round{Round: r, node: s.n})
}
