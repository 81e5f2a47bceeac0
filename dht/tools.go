package dht

import (
	"context"
	"slices"
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
	Stats   kad.TargetStats // of the last look, with the reason why it stopped; what was asked, answered and failed, of all looks
	Steps   []TraceStep     // of all looks
	Doubts  []kad.Doubt     // why each look but the last was not believed
	Nearest []kad.Contact   // that answered the last look, nearest first
}

// TraceStep is one question of a traced search.
type TraceStep struct {
	kad.Step
	Look  int    // 0 is the first
	Err   string // why there was no answer
	Found bool   // the answer held a valid value
}

// Trace searches a key without caches, asking all of the nearest as a get for the latest value does, but on one path first,
// and tells each hop, how long it took, and why the search stopped.
func (n *Node) Trace(ctx context.Context, key record.Key) (*TraceReport, error) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	report := &TraceReport{Key: key}
	var best *finding
	var memory memory
	d, doubt, own := n.defence(n.cfg.Paths), kad.DoubtNone, kad.DoubtNone
	start := time.Now()
	for depth, again := kad.LookFirst, true; again; depth++ {
		look := d.Look(kad.ID(key), depth, false, doubt)
		s := n.newSearch(d, look, &memory)
		s.thorough = true
		if len(look.Targets) > 1 {
			s.keys = make(map[kad.ID]kad.ID)
			for _, t := range look.Targets {
				s.keys[t] = kad.ID(key)
			}
		}
		found := map[peer.ID]bool{}
		failures := map[uint32]string{}
		s.answered = func(from kad.Contact, keys []kad.ID, a *answer) []kad.ID {
			at := slices.Index(keys, kad.ID(key))
			if at < len(a.forged) && a.forged[at] {
				own = kad.DoubtLies
			}
			if f := a.found[at]; f != nil {
				found[from.Peer] = true
				best = merge(best, f)
			}
			return nil
		}
		s.failed = func(ask kad.Ask, err error) { failures[ask.Seq] = err.Error() }
		s.finished = func(l *kad.Lookup, target kad.ID) {
			for _, step := range l.Steps(target) {
				if step.Seq == 0 { // it was asked in an earlier look
					continue
				}
				report.Steps = append(report.Steps, TraceStep{Step: step, Look: depth, Err: failures[step.Seq], Found: found[step.Contact.Peer]})
			}
			if target != kad.ID(key) {
				return
			}
			report.Stats = l.Stats(target)
			report.Nearest = l.Nearest(nil, target, n.cfg.BucketSize)
			doubt = d.Judge(l, target, look, own)
			if again = d.Deeper(look, doubt) && ctx.Err() == nil; again {
				report.Doubts = append(report.Doubts, doubt)
			}
		}
		s.run(ctx)
	}
	report.Took = time.Since(start)
	report.count()
	if best != nil {
		report.Value = n.open(key, best)
	}
	if ctx.Err() != nil {
		return report, n.ended(ctx)
	}
	return report, nil
}

// count sums up the questions of all looks.
func (r *TraceReport) count() {
	r.Stats.Asked, r.Stats.Answered, r.Stats.Failed = len(r.Steps), 0, 0
	for _, s := range r.Steps {
		switch {
		case s.Answered:
			r.Stats.Answered++
		case !s.Ended.IsZero():
			r.Stats.Failed++
		}
	}
}

// Graph is the swarm as its members see each other.
type Graph struct {
	Nodes []GraphNode
	Took  time.Duration
	Cut   bool // there were more nodes than CrawlOptions.MaxNodes
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

const (
	defaultCrawl   = 10_000
	crawlProbes    = 12 // bits of the space asked about per node: all of its table in swarms of up to some 80,000 nodes
	crawlBatchSize = 6  // probes per question
)

// Crawl asks every node that it can reach for the nodes near itself and at several distances, and returns who knows whom.
func (n *Node) Crawl(ctx context.Context, opts CrawlOptions) (*Graph, error) {
	if opts.MaxNodes <= 0 {
		opts.MaxNodes = defaultCrawl
	}
	if opts.Parallel <= 0 {
		opts.Parallel = 16
	}
	start := time.Now()
	graph := &Graph{}
	seen := map[peer.ID]bool{n.me: true}
	var queue []kad.Contact
	push := func(list []kad.Contact) {
		for _, c := range list {
			if !seen[c.Peer] {
				if len(seen) > opts.MaxNodes {
					graph.Cut = true
					return
				}
				seen[c.Peer] = true
				queue = append(queue, c)
			}
		}
	}
	push(n.Contacts())
	self := GraphNode{Contact: kad.Contact{ID: n.self, Peer: n.me}}
	for _, c := range queue {
		self.Peers = append(self.Peers, c.Peer)
	}
	if !n.cfg.ClientMode {
		graph.Nodes = append(graph.Nodes, self)
	}
	type result struct {
		node GraphNode
		near []kad.Contact
		ans  []*answer
	}
	results := make(chan result, opts.Parallel)
	active := 0
	for len(queue) > 0 || active > 0 {
		for len(queue) > 0 && active < opts.Parallel && ctx.Err() == nil {
			c := queue[0]
			queue = queue[1:]
			if !n.group.start(func() {
				var r result
				r.node, r.near, r.ans = n.probe(ctx, c)
				results <- r
			}) {
				return graph, ErrClosed
			}
			active++
		}
		if active == 0 {
			break
		}
		r := <-results
		active--
		for _, c := range r.near {
			for _, a := range r.ans {
				if !seen[c.Peer] {
					n.learnAddrs(c.Peer, a.addrsOf(c.Peer))
				}
			}
		}
		graph.Nodes = append(graph.Nodes, r.node)
		push(r.near)
	}
	graph.Took = time.Since(start)
	if ctx.Err() != nil {
		return graph, ctx.Err()
	}
	return graph, nil
}

// probe asks one node for its neighbours at several distances from itself.
func (n *Node) probe(ctx context.Context, c kad.Contact) (GraphNode, []kad.Contact, []*answer) {
	node := GraphNode{Contact: c}
	for _, a := range n.calls.Host().Libp2p().Peerstore().Addrs(c.Peer) {
		node.Addrs = append(node.Addrs, a.String())
	}
	probes := []kad.ID{c.ID}
	for bit := range crawlProbes - 1 {
		probes = append(probes, c.ID.FlipBit(bit))
	}
	seen := map[peer.ID]bool{}
	var answers []*answer
	var near []kad.Contact
	for len(probes) > 0 {
		k := min(crawlBatchSize, len(probes))
		start := time.Now()
		a, err := n.find(ctx, c, probes[:k], true)
		if err != nil {
			node.Err = err.Error()
			break
		}
		if node.RTT == 0 {
			node.RTT = time.Since(start)
		}
		probes = probes[k:]
		for _, list := range a.nearest {
			for _, other := range list {
				if !seen[other.Peer] {
					seen[other.Peer] = true
					node.Peers = append(node.Peers, other.Peer)
					near = append(near, other)
				}
			}
		}
		answers = append(answers, a)
	}
	return node, near, answers
}

// Snapshot returns the verified contacts of the routing table, to be given back as Config.Restore after a restart.
func (n *Node) Snapshot() kad.Snapshot {
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	return n.contacts.table.Snapshot(n.now())
}
