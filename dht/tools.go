package dht

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
)

// TraceReport is a search made visible.
type TraceReport struct {
	Key     record.Key
	Value   *Value // nil if none was found
	Took    time.Duration
	Stats   kad.TargetStats
	Steps   []TraceStep
	Nearest []kad.Contact // that answered, nearest first
}

// TraceStep is one question of a traced search.
type TraceStep struct {
	kad.Step
	Err   string // why there was no answer
	Found bool   // the answer held a valid value
}

// Trace searches a key without caches and tells each hop, how long it took, and why the search stopped.
func (n *Node) Trace(ctx context.Context, key record.Key) (*TraceReport, error) { return nil, nil }

// Graph is the swarm as its members see each other.
type Graph struct {
	Nodes []GraphNode
	Took  time.Duration
}

// GraphNode is one member.
type GraphNode struct {
	Contact kad.Contact
	Addrs   []string
	RTT     time.Duration
	Err     string    // why it did not answer
	Peers   []peer.ID // whom it names
}

// CrawlOptions bound a crawl.
type CrawlOptions struct {
	MaxNodes int // 0: 10,000
	Parallel int // 0: 16
}

// Crawl asks every node it can reach for its neighbours, and returns the graph.
func (n *Node) Crawl(ctx context.Context, opts CrawlOptions) (*Graph, error) { return nil, nil }
