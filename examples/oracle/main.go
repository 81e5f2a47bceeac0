// Command oracle is a subnet that answers a question in every epoch and pays those of its nodes whose answer is near the median. Copying
// does not pay: a node commits to its answer in the first half of the epoch and reveals it in the second. Commits, reveals and findings
// are records of the DHT: signed by their owner, checked by every node that keeps or reads them, gone when they expire.
//
//	go run ./examples/oracle
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
	"github.com/hypertensor-blockchain/mesh/rpc"
	"github.com/hypertensor-blockchain/mesh/subnet"
)

const (
	ask      rpc.Method      = "Oracle.ask"
	findings                 = "findings" // key of our own, see `oracle dht get findings`
	margin   record.Permille = 100        // of an epoch, until all nodes have seen that a phase began
)

type oracle struct{ node *mesh.Node }

// Start serves the model to members of the subnet, as a stream: the caller sends the number of an epoch and gets what the model makes of
// it, better item by item.
func (o *oracle) Start(_ context.Context, n *mesh.Node) error {
	o.node = n
	n.HandleStream(ask, func(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
		question, err := s.Recv()
		if err != nil {
			return err
		}
		epoch, err := strconv.ParseUint(string(question), 10, 32)
		if err != nil {
			return rpc.Errorf(rpc.InvalidArgument, "the question is the number of an epoch")
		}
		for answer := range think(chain.Epoch(epoch), n.ID()) {
			if err := s.Send(write(answer)); err != nil {
				return err
			}
		}
		return nil
	})
	return nil
}

// PhaseRules binds reveals to commits: a node does not even store a reveal of something else. And it leaves more time for reveals than
// the network does, since they are read in the next epoch only.
func (*oracle) PhaseRules() record.PhasesConfig {
	return record.PhasesConfig{Binding: &record.Binding{}, RevealUntil: 900}
}

// AllowKey admits a key beside those of the network.
func (*oracle) AllowKey(k record.Key) bool { return k == record.KeyOfText(findings) }

// Validators are the rules for what is in our records, held by every node that keeps or reads them.
func (*oracle) Validators(n *mesh.Node) ([]record.Validator, error) {
	owned, err1 := record.ParseShape([]byte(`{"owner": true}`))
	finding, err2 := record.ParseShape([]byte(`{"type": "object", "additionalProperties": false, "required": ["epoch", "answers", "pi"],
		"properties": {"epoch": {"type": "integer"}, "answers": {"type": "integer", "minimum": 1}, "pi": {"type": "float"}}}`))
	schema, err3 := record.NewSchema(record.SchemaConfig{
		Fields:     []record.Field{{Name: findings, Subkey: owned, Value: finding}},
		AllowExtra: true, // the network's keys
	})
	plausible := record.NewPredicate("a reveal holds an answer", func(r record.Record, q record.Request) error {
		if !q.Phase.Known || r.Key != record.RevealKey(q.Phase.Epoch) {
			return nil
		}
		_, body, err := record.ParseReveal(r.Value)
		if err == nil {
			_, err = read(body)
		}
		return err
	})
	return []record.Validator{schema, plausible, n.MembersOnly(record.KeyOfText(findings))}, errors.Join(err1, err2, err3)
}

// Run takes part in one epoch after the other until the node stops.
func (o *oracle) Run(ctx context.Context) error {
	for last := uint32(0); ; {
		now, err := o.node.AwaitEpoch(ctx, func(p record.Phase) bool {
			return p.Epoch > last && p.Progress >= margin && o.PhaseRules().CommitsAt(p)
		})
		if err != nil {
			return err
		}
		last = now.Epoch
		if err := errors.Join(o.report(ctx, chain.Epoch(last-1)), o.answer(ctx, chain.Epoch(last))); err != nil {
			o.node.Logger().Warn("not all of this epoch worked", "epoch", last, "err", err)
		}
	}
}

// answer commits to an answer, awaits the time for reveals, and reveals it.
func (o *oracle) answer(ctx context.Context, epoch chain.Epoch) error {
	var body []byte
	for a := range think(epoch, o.node.ID()) {
		body = write(a)
	}
	var salt record.Salt // without it, anybody could try all answers until one fits the commit
	if _, err := rand.Read(salt[:]); err != nil {
		return err
	}
	commit := record.Commit(uint32(epoch), o.node.PeerID(), salt, body)
	if err := o.store(ctx, record.CommitKey(uint32(epoch)), msgpack.Raw(commit.Value())); err != nil {
		return err
	}
	if _, err := o.node.AwaitEpoch(ctx, func(p record.Phase) bool {
		return p.Progress >= 500+margin || p.Epoch != uint32(epoch) // then it is too late, and refused
	}); err != nil {
		return err
	}
	return o.store(ctx, record.RevealKey(uint32(epoch)), msgpack.Raw(record.RevealValue(salt, body)))
}

// report tells what the subnet found in an epoch, each node under its own subkey.
func (o *oracle) report(ctx context.Context, epoch chain.Epoch) error {
	answers, median, err := o.answers(ctx, epoch)
	if err != nil || len(answers) == 0 {
		return err
	}
	pi := float64(median) / whole
	o.node.Logger().Info("the oracle has spoken", "epoch", uint32(epoch), "answers", len(answers), "pi", pi)
	finding := msgpack.Map{{Key: "epoch", Value: uint32(epoch)}, {Key: "answers", Value: len(answers)}, {Key: "pi", Value: pi}}
	return o.store(ctx, record.KeyOfText(findings), finding)
}

// store signs and stores a record of this node. It lives until it has been judged, in the first half of the next epoch.
func (o *oracle) store(ctx context.Context, key record.Key, value any) error {
	expires := time.Now().Add(o.node.EpochTime() * 7 / 4)
	_, err := o.node.DHT().Store(ctx, dht.StoreRequest{Key: key, Subkey: o.node.OwnSubkey(), Value: value, Expiration: expires})
	return err
}

// answers reads who revealed what in an epoch, and the median.
func (o *oracle) answers(ctx context.Context, epoch chain.Epoch) (answers map[peer.ID]int64, median int64, err error) {
	revealed, err := o.node.Revealed(ctx, epoch)
	var sorted []int64
	answers = make(map[peer.ID]int64)
	for author, body := range revealed {
		if a, err := read(body); err == nil {
			answers[author] = a
			sorted = append(sorted, a)
		}
	}
	if slices.Sort(sorted); len(sorted) > 0 {
		median = sorted[len(sorted)/2]
	}
	return answers, median, err
}

// Score gives 1 to those whose answer of the last epoch is near the median, and who tell callers the same. That epoch is over, so honest
// nodes read the same records and come to the same scores.
func (o *oracle) Score(ctx context.Context, r mesh.Round) (mesh.Opinion, error) {
	answers, median, err := o.answers(ctx, r.Epoch-1)
	if err != nil {
		return mesh.Opinion{}, err
	}
	if len(answers) == 0 { // at the subnet's begin
		return r.Liveness(ctx)
	}
	return r.ScoreEach(ctx, func(ctx context.Context, p mesh.Peer) (chain.Score, error) {
		answer, ok := answers[p.PeerID]
		if !ok {
			return chain.Score{}, errors.New("revealed nothing")
		}
		if answer < median-tolerance || answer > median+tolerance {
			return chain.Score{}, fmt.Errorf("revealed %d, the median is %d", answer, median)
		}
		told, err := o.ask(ctx, p.PeerID, r.Epoch-1)
		if err == nil && told != answer {
			err = fmt.Errorf("revealed %d and tells callers %d", answer, told)
		}
		return chain.OneTensor(), err
	})
}

// ask returns the last item that a node streams.
func (o *oracle) ask(ctx context.Context, to peer.ID, epoch chain.Epoch) (answer int64, err error) {
	s, err := o.node.RPC().Stream(ctx, to, ask)
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.Close() }()
	if err := s.Send(write(int64(epoch))); err != nil {
		return 0, err
	}
	for item, err := s.Recv(); ; item, err = s.Recv() {
		if errors.Is(err, io.EOF) {
			return answer, nil
		}
		if err == nil {
			answer, err = read(item)
		}
		if err != nil {
			return 0, err
		}
	}
}

func main() { subnet.Main("oracle", &oracle{}) }
