package network

import (
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

func args() frame.Codec[frame.Opt[string]] { return frame.Option(frame.BoundedBytes(maxArgs)) }

func consensusCalls() map[string]handler {
	return map[string]handler{
		"propose_attestation": func(d *scale.Decoder) action {
			id := frame.Option(frame.U32())
			p := proposal{
				subnet: d.U32(), data: frame.Vec(score(), 20).Dec(d), prioritize: id.Dec(d), remove: id.Dec(d),
				args: args().Dec(d), attest: args().Dec(d),
			}
			return waived(func(x *exec, who chain.AccountID) error { return x.propose(who, p) })
		},
		"attest": func(d *scale.Decoder) action {
			sid, data := d.U32(), args().Dec(d)
			return waived(func(x *exec, who chain.AccountID) error { return x.attest(who, sid, data) })
		},
	}
}

type proposal struct {
	subnet             uint32
	data               []Score
	prioritize, remove frame.Opt[uint32]
	args, attest       frame.Opt[string]
}

func (x *exec) propose(hotkey chain.AccountID, p proposal) error {
	sid := p.subnet
	epoch, progress, ok := x.subnetProgress(sid)
	if !ok {
		return fail(ErrSubnetEpochDataIsNone)
	}
	winner, ok := x.SubnetElectedValidator.Find(x, sid, epoch)
	if !ok {
		return fail(ErrNoElectedValidator)
	}
	if key, ok := x.SubnetNodeIdHotkey.Find(x, sid, winner); !ok || key != hotkey {
		return fail(ErrInvalidValidator)
	}
	if x.SubnetConsensusSubmission.Has(x, sid, epoch) {
		return fail(ErrSubnetRewardsAlreadySubmitted)
	}
	data := slices.CompactFunc(p.data, func(a, b Score) bool { return a.Node == b.Node })
	data = slices.DeleteFunc(data, func(s Score) bool {
		n, ok := x.SubnetNodesData.Find(x, sid, s.Node)
		return !ok || !n.has(ClassIncluded, epoch)
	})
	if _, over := sumScores(data); over {
		return fail(ErrScoreOverflow)
	}
	prioritize, remove := x.queueWishes(sid, epoch, p.prioritize, p.remove)
	x.SubnetConsensusSubmission.Set(x, sid, epoch, Submission{
		Validator: winner, Block: x.block, Progress: progress, RewardFactor: x.validatorFactor(progress),
		Attests:    map[uint32]Attest{winner: {Block: x.block, RewardFactor: one(), Data: p.attest}},
		Nodes:      x.nodesOf(sid, ClassIdle, epoch),
		Prioritize: prioritize, Remove: remove, Data: data, Args: p.args,
	})
	x.emit(evValidatorSubmission, sid, hotkey, epoch)
	return nil
}

// sumScores adds scores and reports whether the sum overflows.
func sumScores(data []Score) (sum u128.U128, over bool) {
	for _, s := range data {
		next, o := sum.Add(s.Score)
		if o {
			return u128.Max(), true
		}
		sum = next
	}
	return sum, false
}

// nodesOf returns the active nodes of at least a class in storage order.
func (x *exec) nodesOf(sid uint32, class Class, epoch uint32) []Node {
	var out []Node
	for _, e := range x.SubnetNodesData.Under(x, sid) {
		if e.B.has(class, epoch) {
			out = append(out, e.B)
		}
	}
	return out
}

// queueWishes drops a wish about the queue that cannot be granted.
func (x *exec) queueWishes(sid, epoch uint32, prioritize, remove frame.Opt[uint32]) (p, r frame.Opt[uint32]) {
	if !prioritize.OK && !remove.OK {
		return prioritize, remove
	}
	immunity := x.QueueImmunityEpochs.Get(x, sid)
	for _, n := range x.SubnetNodeQueue.Get(x, sid) {
		if prioritize.OK && n.ID == prioritize.V {
			p = prioritize
		}
		if remove.OK && n.ID == remove.V && n.Class.StartEpoch+immunity <= epoch {
			r = remove
		}
	}
	return p, r
}

func (x *exec) attest(hotkey chain.AccountID, sid uint32, data frame.Opt[string]) error {
	epoch := x.subnetEpoch(sid)
	nid, ok := x.HotkeySubnetNodeId.Find(x, sid, hotkey)
	if !ok {
		return fail(ErrInvalidHotkeySubnetNodeId)
	}
	n, ok := x.SubnetNodesData.Find(x, sid, nid)
	if !ok {
		return fail(ErrInvalidSubnetNodeId)
	}
	if !n.has(ClassValidator, epoch) {
		return fail(ErrInvalidSubnetNodeClassification)
	}
	if e, ok := x.EmergencySubnetNodeElectionData.Find(x, sid); ok && !slices.Contains(e.Nodes, nid) {
		return fail(ErrInvalidEmergencySubnetNodeId)
	}
	s, ok := x.SubnetConsensusSubmission.Find(x, sid, epoch)
	if !ok {
		return fail(ErrInvalidSubnetConsensusSubmission)
	}
	if !slices.ContainsFunc(s.Nodes, func(n Node) bool { return n.ID == nid }) {
		return fail(ErrInvalidSubnetNodeId)
	}
	progress, ok := x.attestProgress(sid, s.Block)
	if !ok {
		return fail(ErrSubnetEpochDataIsNone)
	}
	if _, twice := s.Attests[nid]; twice {
		return fail(ErrAlreadyAttested)
	}
	s.Attests[nid] = Attest{x.block, progress, x.attestorFactor(progress), data}
	x.SubnetConsensusSubmission.Set(x, sid, epoch, s)
	x.emit(evAttestation, sid, nid, epoch)
	return nil
}

// attestProgress is how much of the time between the proposal and the end of
// the epoch has passed.
func (x *exec) attestProgress(sid, proposed uint32) (u128.U128, bool) {
	slot, ok := x.SubnetSlot.Find(x, sid)
	if !ok || slot == 0 || x.block < proposed {
		return u128.U128{}, false
	}
	passed := x.block - proposed
	left := x.cfg.EpochLength - (proposed-min(slot, proposed))%x.cfg.EpochLength
	if passed >= left {
		return one(), true
	}
	return ratio(passed, left), true
}

// validatorFactor is the part of the base reward that a proposal at this
// progress of the epoch earns.
func (x *exec) validatorFactor(progress u128.U128) u128.U128 {
	f := sigmoidDecreasing(
		toFloat(progress), toFloat(x.ValidatorRewardMidpoint.Get(x)), float64(x.ValidatorRewardK.Get(x)))
	return minU128(fromFloat(f), one())
}

// attestorFactor is the part of its reward that a node keeps when it attests
// at this progress.
func (x *exec) attestorFactor(progress u128.U128) u128.U128 {
	f := concaveDecreasing(
		toFloat(progress), toFloat(x.AttestorMinRewardFactor.Get(x)), float64(x.AttestorRewardExponent.Get(x)))
	return minU128(fromFloat(f), one())
}

// slashValidator punishes the proposer of a submission that found no consensus.
func (x *exec) slashValidator(sid uint32, r *round) {
	nid := r.Validator
	hotkey, ok := x.SubnetNodeIdHotkey.Find(x, sid, nid)
	if !ok {
		return
	}
	delta := one().SatSub(percentDiv(r.ratio, r.minRatio))
	base := percentMul(x.AccountSubnetStake.Get(x, hotkey, sid), x.BaseSlashPercentage.Get(x))
	slash := minU128(percentMul(base, delta), x.MaxSlashAmount.Get(x))
	if !slash.IsZero() {
		x.decreaseStake(hotkey, sid, slash)
	}
	factor := percentMul(x.ValidatorNonConsensusSubnetNodeReputationFactor.Get(x, sid), delta)
	reputation := x.lowerNode(sid, nid, x.SubnetNodeReputation.Get(x, sid, nid), factor)
	if coldkey, ok := x.HotkeyOwner.Find(x, hotkey); ok {
		x.lowerColdkey(coldkey, r)
		if reputation.Less(r.minReputation) {
			x.removeActiveNode(sid, nid)
		}
	}
	x.emit(evSlashing, sid, hotkey, slash)
}

// raiseNode raises a node's reputation if one is recorded, and returns the new
// one either way.
func (x *exec) raiseNode(sid, nid uint32, current, factor u128.U128) u128.U128 {
	next := raise(current, factor)
	if _, ok := x.SubnetNodeReputation.Find(x, sid, nid); ok {
		x.SubnetNodeReputation.Set(x, sid, nid, next)
		x.emit(evNodeReputationUpdate, sid, nid, current, next)
	}
	return next
}

func (x *exec) lowerNode(sid, nid uint32, current, factor u128.U128) u128.U128 {
	next := lower(current, factor)
	x.SubnetNodeReputation.Set(x, sid, nid, next)
	x.emit(evNodeReputationUpdate, sid, nid, current, next)
	return next
}

// coldkeyDelta is difference*factor*(1/score), with the chain's saturating
// products.
func coldkeyDelta(difference, factor, score u128.U128) u128.U128 {
	weight := one().SatMul(one()).Div(score.SatAdd(u128.From64(1)))
	return difference.SatMul(factor).SatMul(weight).Div(one()).Div(one())
}

// raiseColdkey rewards the coldkey of a proposer that found consensus.
func (x *exec) raiseColdkey(coldkey chain.AccountID, r *round) {
	rep, ok := x.ColdkeyReputation.Find(x, coldkey)
	if !ok || r.ratio.Less(r.minRatio) || !rep.Score.Less(one()) {
		return
	}
	up := coldkeyDelta(r.ratio.SatSub(r.minRatio), x.ColdkeyReputationIncreaseFactor.Get(x), rep.Score)
	next := minU128(rep.Score.SatAdd(up), one())
	if next == rep.Score {
		return
	}
	rep.Score = next
	rep.Increases++
	x.recordColdkey(coldkey, rep, r.ratio)
}

// lowerColdkey punishes the coldkey of a proposer that did not.
func (x *exec) lowerColdkey(coldkey chain.AccountID, r *round) {
	rep, ok := x.ColdkeyReputation.Find(x, coldkey)
	if !ok || !r.ratio.Less(r.minRatio) || rep.Score.IsZero() {
		return
	}
	down := coldkeyDelta(r.minRatio.SatSub(r.ratio), x.ColdkeyReputationDecreaseFactor.Get(x), rep.Score)
	next := rep.Score.SatSub(down)
	if next == rep.Score {
		return
	}
	rep.Score = next
	rep.Decreases++
	x.recordColdkey(coldkey, rep, r.ratio)
}

func (x *exec) recordColdkey(coldkey chain.AccountID, rep Reputation, attestation u128.U128) {
	rep.LastValidatorEpoch = x.epoch()
	if rep.StartEpoch == 0 {
		rep.StartEpoch = x.epoch()
	}
	if before := uint64(rep.Increases) + uint64(rep.Decreases) - 1; before == 0 {
		rep.AverageAttestation = attestation
	} else {
		sum := rep.AverageAttestation.SatMul(u128.From64(before)).SatAdd(attestation)
		rep.AverageAttestation = sum.Div(u128.From64(before + 1))
	}
	x.ColdkeyReputation.Set(x, coldkey, rep)
}
