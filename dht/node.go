package dht

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// The methods of the protocol, the names of the Python handlers.
const (
	MethodPing  rpc.Method = "DHTProtocol.rpc_ping"
	MethodStore rpc.Method = "DHTProtocol.rpc_store"
	MethodFind  rpc.Method = "DHTProtocol.rpc_find"
)

// Node is one member of the swarm. All methods are safe for concurrent use.
type Node struct {
	cfg    Config
	calls  *rpc.Node
	me     peer.ID
	self   kad.ID
	info   wire.NodeInfo // what we say about ourselves: empty in client mode
	limits wire.Limits

	contacts contacts   // routing table, back-off, addresses
	shelves  shelves    // storage and cache
	gates    turnstiles // calls under way per peer
	couriers couriers   // records under way per peer
	flights  flights    // gets under way
	ledger   ledger     // when records last came
	conduct  conduct    // scores of peers that misbehaved
	clock    clockSkew  // offsets of the peers' clocks
	due      refreshes  // cached keys to fetch anew
	count    counters   // atomic
	events   *eventStream

	validators atomic.Pointer[record.Chain] // the rules in force

	desks    sync.Pool        // of *desk
	pushes   atomic.Int32     // copies on their way to others
	checks   chan kad.Contact // peers to call before they may enter the table; drained by Run
	handover chan kad.Contact // peers new in the table; drained by Run

	ready     chan struct{}
	readyOnce sync.Once

	// life ends with Close. Searches outlive the context of the call that started them, because others may have
	// joined them; they end with this one.
	life  context.Context //nolint:containedctx // see above
	end   context.CancelFunc
	group group // every goroutine of the node, but Run's
}

// New creates a node on calls and registers its handlers there, unless in client mode. It starts no goroutine.
func New(calls *rpc.Node, cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	me := calls.Host().ID()
	self := kad.IDFromPeer(me)
	n := &Node{
		cfg: cfg, calls: calls, me: me, self: self,
		limits: wire.Limits{
			Keys:    maxRecordsPerCall,
			Nearest: max(4*cfg.BucketSize, 64), // peers may have larger buckets; kad cuts what is too much
			Subkey:  cfg.MaxSubkey,
			Value:   4 << 20, // a dictionary; single values are checked against MaxValue
		},
		events:   newEventStream(cfg.Events),
		checks:   make(chan kad.Contact, 4*cfg.BucketSize),
		handover: make(chan kad.Contact, 4*cfg.BucketSize),
		ready:    make(chan struct{}),
	}
	if !cfg.ClientMode {
		n.info.ID = self[:]
	}
	rules := cfg.Validators.With(record.NewBounds(record.BoundsConfig{
		MaxSubkey: cfg.MaxSubkey, MaxValue: cfg.MaxValue, MaxHorizon: cfg.MaxLifetime, Clock: cfg.MaxClockSkew,
	}))
	n.validators.Store(&rules)
	n.contacts.init(cfg, self)
	if cfg.Restore != nil {
		for _, c := range n.contacts.table.Restore(*cfg.Restore, n.now()) {
			n.queueCheck(c)
		}
	}
	n.shelves.init(cfg)
	n.gates.init()
	n.couriers.init()
	n.flights.init()
	n.due.init()
	n.ledger.init(cfg)
	n.conduct.init(cfg)
	n.life, n.end = context.WithCancel(context.Background())
	if !cfg.ClientMode {
		calls.Handle(MethodPing, n.guard(n.servePing))
		calls.Handle(MethodStore, n.guard(n.serveStore))
		calls.Handle(MethodFind, n.guard(n.serveFind))
	}
	return n, nil
}

// ID returns the node's place in the key space, which follows from its peer ID.
func (n *Node) ID() kad.ID { return n.self }

// Ready returns a channel that is closed once the node has joined its swarm, or is known to be its first node.
func (n *Node) Ready() <-chan struct{} { return n.ready }

func (n *Node) setReady() {
	n.readyOnce.Do(func() {
		close(n.ready)
		n.event(Event{Kind: EventReady, Count: n.contacts.len()})
	})
}

// Close removes the handlers, ends all searches and waits for them. It is idempotent. Run ends too, but whoever called
// Run waits for it.
func (n *Node) Close() error {
	if !n.cfg.ClientMode {
		n.calls.Remove(MethodPing)
		n.calls.Remove(MethodStore)
		n.calls.Remove(MethodFind)
	}
	n.end()
	n.group.close()
	n.events.close()
	return nil
}

func (n *Node) now() time.Time { return n.cfg.Now() }

// group counts goroutines, refuses new ones once closed, and waits. A WaitGroup alone must not grow while it is awaited.
type group struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

// start runs f in a goroutine unless the group is closed.
func (g *group) start(f func()) bool {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return false
	}
	g.wg.Add(1)
	g.mu.Unlock()
	go func() {
		defer g.wg.Done()
		f()
	}()
	return true
}

func (g *group) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.wg.Wait()
}
