package mesh

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/consensus"
)

// App is what a subnet builder implements: what the subnet serves, and what a node is worth in it. It may also be a [Runner], a [Stopper],
// and say more about records, as [RecordRules] and [PhaseRules].
type App interface {
	// Start is called once, before the node joins: the place for [Node.Handle]. The App may keep n; until Start returns, only
	// Handle, HandleStream and the getters may be used. ctx ends when the node stops.
	Start(ctx context.Context, n *Node) error
	// Score is called in every epoch in which the node is a validator, first when the epoch begins and again at each block until
	// half of it is over, always about the same snapshot. Honest nodes MUST come to the same scores as far as they saw the same.
	// See [Round.Liveness] and [Round.ScoreEach]. It MUST return when ctx ends.
	Score(ctx context.Context, r Round) (Opinion, error)
}

// Stopper is an App that wants to know when the node leaves: Stop is called first, while everything still works, with a context
// that leaves it a few seconds.
type Stopper interface {
	Stop(ctx context.Context) error
}

// Runner is an App that does something by itself, beside serving and scoring: to commit and reveal in each epoch, for example. Run is
// called in a goroutine of its own when the node is online. It MUST return when ctx ends, which is before Stop, while everything still
// works; the node waits for it. An error stops the node, nil does not.
type Runner interface {
	Run(ctx context.Context) error
}

// Opinion is what an App thinks of the nodes in one round; see [consensus.Opinion].
type Opinion = consensus.Opinion

// Peer is a node of the subnet and the peer by which it is reached.
type Peer struct {
	chain.Node
	PeerID peer.ID
}

// Round is an epoch that is to be scored, with its snapshot.
type Round struct {
	consensus.Round
	node *Node
}

// Peers lists the nodes whose scores count, this node among them, sorted by ID. Nodes whose peer ID does not parse are left out.
func (r Round) Peers() []Peer {
	var out []Peer
	for _, n := range r.Scorable() {
		if id, err := peer.Decode(n.Peer.PeerID); err == nil {
			out = append(out, Peer{n, id})
		}
	}
	return out
}

// Liveness gives every node that was alive at the snapshot point the score 1, by its heartbeat in the DHT. Nodes that came or went
// around that moment are in flux.
func (r Round) Liveness(ctx context.Context) (Opinion, error) {
	if err := r.node.beats.refresh(ctx, r.node.beats.look/2); err != nil {
		return Opinion{}, fmt.Errorf("read heartbeats: %w", err)
	}
	return r.node.beats.opinion(r.Peers(), r.Began, r.node.fluxMargin()), nil
}

const scoreParallel = 16 // questions of ScoreEach under way

// ScoreEach asks f about each of Peers, several at a time, and gives the node what f says. A node for which f returns an error gets
// no score. Nodes that came or went around the snapshot point are in flux, see [Round.Liveness].
func (r Round) ScoreEach(ctx context.Context, f func(ctx context.Context, p Peer) (chain.Score, error)) (Opinion, error) {
	live, err := r.Liveness(ctx)
	if err != nil {
		return Opinion{}, err
	}
	flux := make(map[chain.NodeID]bool, len(live.InFlux))
	for _, s := range live.InFlux {
		flux[s.Node] = true
	}
	var mu sync.Mutex // guards out
	var out Opinion
	var g errgroup.Group
	g.SetLimit(scoreParallel)
	for _, p := range r.Peers() {
		g.Go(func() error {
			score, err := f(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				out.Scores = append(out.Scores, chain.NodeScore{Node: p.ID, Score: score})
				if flux[p.ID] {
					out.InFlux = append(out.InFlux, chain.NodeScore{Node: p.ID, Score: score})
				}
			} else {
				r.node.log.Debug("no score", "node", uint32(p.ID), "err", err)
			}
			return nil
		})
	}
	return out, errors.Join(g.Wait(), ctx.Err())
}

// Liveness is the App of a subnet that serves nothing and scores by heartbeat. It is the default, and can be embedded.
type Liveness struct{}

// Start does nothing.
func (Liveness) Start(context.Context, *Node) error { return nil }

// Score is [Round.Liveness].
func (Liveness) Score(ctx context.Context, r Round) (Opinion, error) { return r.Liveness(ctx) }
