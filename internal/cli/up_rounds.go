package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// epochResult is how a settled epoch ended, as the chain has it.
type epochResult struct {
	Epoch      chain.Epoch  `json:"epoch"`
	Elected    chain.NodeID `json:"elected"`
	Proposed   bool         `json:"proposed"`
	Attests    int          `json:"attests"`
	Validators int          `json:"validators"`
	Consensus  bool         `json:"consensus"`
}

// why says in words why there was no consensus.
func (r epochResult) why() string {
	switch {
	case r.Consensus:
		return ""
	case r.Elected == 0:
		return fmt.Sprintf("epoch %d: nobody was elected", r.Epoch)
	case !r.Proposed:
		return fmt.Sprintf("epoch %d: node %d was elected and did not propose", r.Epoch, r.Elected)
	}
	return fmt.Sprintf("epoch %d: %d of %d validators attested the proposal of node %d", r.Epoch, r.Attests, r.Validators, r.Elected)
}

// minAttestation is the share of validators at which the chain settles in consensus: 66 %.
func minAttestation() u128.U128 { return u128.From64(66e16) }

// rounds follows the epochs of one subnet on the chain.
type rounds struct {
	chain  chainReader
	subnet chain.SubnetID
	next   chain.Epoch // the first epoch that is not settled yet
	began  bool        // an election was seen
}

type chainReader interface {
	chain.HeadSource
	chain.SubnetReader
	chain.RoundReader
}

// round is the current epoch.
type round struct {
	Head       chain.Head
	Epoch      chain.Epoch
	Offset     uint32
	Length     uint32
	Elected    chain.NodeID
	Submission *chain.Submission
	Nodes      []chain.Node
	State      chain.SubnetState
}

// look reads the current round at a head, and the results of the epochs that were settled since the last look.
func (r *rounds) look(ctx context.Context, at chain.Head) (now round, settled []epochResult, err error) {
	p, err := r.chain.Params(ctx)
	if err != nil {
		return now, nil, err
	}
	s, err := r.chain.Subnet(ctx, at.Hash, r.subnet)
	if errors.Is(err, chain.ErrNotFound) {
		return now, nil, failf("a subnet that keeps failing is removed by the chain", "subnet %d is no longer on the chain", r.subnet)
	}
	if err != nil {
		return now, nil, err
	}
	e := p.EpochAt(at.Number, s.Slot)
	now = round{Head: at, Epoch: e, Offset: p.Offset(at.Number, s.Slot), Length: p.EpochLength, State: s.State}
	if now.Nodes, err = r.chain.Nodes(ctx, at.Hash, r.subnet); err != nil {
		return now, nil, err
	}
	if now.Elected, _, err = r.chain.Elected(ctx, at.Hash, r.subnet, e); err != nil {
		return now, nil, err
	}
	if now.Submission, err = r.chain.Submission(ctx, at.Hash, r.subnet, e); err != nil {
		return now, nil, err
	}
	for next := r.next; next < e; next++ {
		x, err := r.result(ctx, at, next)
		if err != nil {
			return now, settled, err
		}
		r.next = next + 1
		if r.began = r.began || x.Elected != 0; r.began {
			settled = append(settled, x)
		}
	}
	return now, settled, nil
}

func (r *rounds) result(ctx context.Context, at chain.Head, e chain.Epoch) (epochResult, error) {
	x := epochResult{Epoch: e}
	var err error
	if x.Elected, _, err = r.chain.Elected(ctx, at.Hash, r.subnet, e); err != nil {
		return x, err
	}
	sub, err := r.chain.Submission(ctx, at.Hash, r.subnet, e)
	if err != nil || sub == nil {
		return x, err
	}
	x.Proposed, x.Attests, x.Validators = true, len(sub.Attests), len(sub.Validators)
	x.Consensus = inConsensus(x.Attests, x.Validators)
	return x, nil
}

// inConsensus computes the share as the chain does, in 1e18ths rounded down.
func inConsensus(attests, validators int) bool {
	if validators == 0 {
		return false
	}
	share := chain.OneTensor().MulDiv(u128.From64(uint64(attests)), u128.From64(uint64(validators)))
	return !share.Less(minAttestation())
}
