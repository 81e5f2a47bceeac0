package dht

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

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
	events *eventStream
}

// New creates a node on calls and registers its handlers there, unless in client mode. It starts no goroutine.
func New(calls *rpc.Node, cfg Config) (*Node, error) { return nil, errors.New("not built yet") }

// ID returns the node's place in the key space, which follows from its peer ID.
func (n *Node) ID() kad.ID { return kad.ID{} }

// Run joins the swarm, keeps it healthy and blocks until ctx ends; then it hands its records to others (see
// Config.LeaveTimeout) and returns nil. Joining is retried for ever.
func (n *Node) Run(ctx context.Context) error { return nil }

// Bootstrap joins the swarm once: it calls the bootstrap peers and looks for the node's neighbours. It fails with
// ErrBootstrap, ErrNoDial or ErrClock. Run does the same again and again; call it only to fail early.
func (n *Node) Bootstrap(ctx context.Context) error { return nil }

// Ready returns a channel that is closed once the node has joined its swarm, or is known to be its first node.
func (n *Node) Ready() <-chan struct{} { return nil }

// Close removes the handlers, ends all searches and waits for them and for Run. It is idempotent.
func (n *Node) Close() error { return nil }

// Ping calls a peer. With validate the peer is asked to call back.
func (n *Node) Ping(ctx context.Context, p peer.ID, validate bool) (PingResult, error) {
	return PingResult{}, nil
}

// Get returns the value of a key: by default the first valid one that is found. It fails with ErrNotFound.
func (n *Node) Get(ctx context.Context, key record.Key, opts ...GetOption) (*Value, error) {
	return nil, ErrNotFound
}

// GetMany gets many keys with one search and returns one result per key, in order.
func (n *Node) GetMany(ctx context.Context, keys []record.Key, opts ...GetOption) []GetResult {
	return nil
}

// GetEach is GetMany that sends each result as soon as it is known; the channel is closed after the last.
func (n *Node) GetEach(ctx context.Context, keys []record.Key, opts ...GetOption) <-chan GetResult {
	return nil
}

// Store signs a record and stores it at the nodes nearest to its key. The error is that of StoreResult.Failure.
func (n *Node) Store(ctx context.Context, req StoreRequest) (StoreResult, error) {
	return StoreResult{}, nil
}

// StoreMany stores many records with one search and returns one result per request, in order.
func (n *Node) StoreMany(ctx context.Context, reqs []StoreRequest) []StoreResult { return nil }

// FindNearest returns the k nodes nearest to target that answer, nearest first, this node not among them.
func (n *Node) FindNearest(ctx context.Context, target kad.ID, k int) ([]kad.Contact, error) {
	return nil, nil
}

// Remove takes a peer out of the routing table at once: it was banned or lost its stake.
func (n *Node) Remove(p peer.ID) {}

// Stats returns the counters.
func (n *Node) Stats() Stats { return Stats{} }

// ClockOffset returns how far the swarm's clock is ahead of ours, the median over the given number of peers.
func (n *Node) ClockOffset() (offset time.Duration, peers int) { return 0, 0 }

// Contacts returns the live contacts of the routing table.
func (n *Node) Contacts() []kad.Contact { return nil }

// Table returns the buckets of the routing table, for people and tools.
func (n *Node) Table() []kad.BucketInfo { return nil }

func (n *Node) now() time.Time { return n.cfg.Now() }
