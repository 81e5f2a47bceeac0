package network

import (
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// round is a submission being settled.
type round struct {
	Submission
	epoch         uint32 // the subnet epoch that begins with the settlement
	ratio         u128.U128
	minRatio      u128.U128
	superRatio    u128.U128
	minReputation u128.U128
	weightSum     u128.U128
	emergency     []uint32
	isEmergency   bool
	reputation    u128.U128 // of the subnet, before
}

// settle closes the previous epoch of a subnet.
func (x *exec) settle(sid, epoch uint32, emissions, weight u128.U128) {
	s, ok := x.SubnetConsensusSubmission.Find(x, sid, epoch-1)
	if !ok {
		x.punishAbsence(sid, epoch-1)
		return
	}
	r := &round{
		Submission: s, epoch: epoch,
		minRatio: x.MinAttestationPercentage.Get(x), superRatio: x.SuperMajorityAttestationRatio.Get(x),
		minReputation: x.MinSubnetNodeReputation.Get(x, sid), reputation: x.SubnetReputation.Get(x, sid),
	}
	r.weightSum, _ = sumScores(s.Data)
	voters := 0
	if e, ok := x.EmergencySubnetNodeElectionData.Find(x, sid); ok {
		voters = len(e.Nodes)
		r.emergency, r.isEmergency = slices.Clone(e.Nodes), true
		e.TotalEpochs++
		x.EmergencySubnetNodeElectionData.Set(x, sid, e)
	} else {
		for i := range s.Nodes {
			if s.Nodes[i].has(ClassValidator, epoch-1) {
				voters++
			}
		}
	}
	r.ratio = minU128(ratio(len(s.Attests), voters), one())
	if r.ratio.Less(r.minRatio) {
		x.refuse(sid, r)
		return
	}
	x.reward(sid, r, percentMul(emissions, weight))
}

// punishAbsence lowers the reputations of a subnet and of the elected node that
// proposed nothing.
func (x *exec) punishAbsence(sid, epoch uint32) {
	s, ok := x.SubnetsData.Find(x, sid)
	if !ok || s.State != Active || s.StartEpoch > x.epoch() {
		return
	}
	nid, ok := x.SubnetElectedValidator.Find(x, sid, epoch)
	if !ok {
		return
	}
	x.SubnetReputation.Set(x, sid, lower(x.SubnetReputation.Get(x, sid), x.ValidatorAbsentSubnetReputationFactor.Get(x)))
	x.lowerNode(sid, nid, x.SubnetNodeReputation.Get(x, sid, nid), x.ValidatorAbsentDecreaseReputationFactor.Get(x, sid))
}

// refuse settles a submission that found no consensus.
func (x *exec) refuse(sid uint32, r *round) {
	x.slashValidator(sid, r)
	next := lower(r.reputation, x.NotInConsensusSubnetReputationFactor.Get(x))
	x.SubnetReputation.Set(x, sid, next)
	x.emit(evSubnetReputationUpdate, sid, r.reputation, next)
	factor := percentMul(
		x.NonConsensusAttestorDecreaseReputationFactor.Get(x, sid), one().SatSub(percentDiv(r.ratio, r.minRatio)))
	for _, nid := range frame.SortedKeys(r.Attests, frame.CompareU32) {
		hotkey, ok := x.SubnetNodeIdHotkey.Find(x, sid, nid)
		if !ok {
			continue
		}
		reputation := x.lowerNode(sid, nid, x.SubnetNodeReputation.Get(x, sid, nid), factor)
		if reputation.Less(r.minReputation) && x.HotkeyOwner.Has(x, hotkey) {
			x.removeActiveNode(sid, nid)
		}
	}
}

// reward settles a submission that found consensus; all is what the subnet
// shares.
func (x *exec) reward(sid uint32, r *round, all u128.U128) {
	if hotkey, ok := x.SubnetNodeIdHotkey.Find(x, sid, r.Validator); ok {
		if coldkey, ok := x.HotkeyOwner.Find(x, hotkey); ok {
			x.raiseColdkey(coldkey, r)
		}
		x.increaseStake(hotkey, sid, percentMul(x.BaseValidatorReward.Get(x), r.RewardFactor))
	}
	if !r.ratio.Less(r.superRatio) {
		x.grantQueueWishes(sid, r)
	}
	if r.reputation != one() && uint64(len(r.Data)) >= uint64(x.MinSubnetNodes.Get(x)) {
		x.SubnetReputation.Set(x, sid, raise(r.reputation, x.InConsensusSubnetReputationFactor.Get(x)))
	}
	owner := percentMul(all, x.SubnetOwnerPercentage.Get(x))
	rest := all.SatSub(owner)
	delegates := percentMul(rest, x.SubnetDelegateStakeRewardsPercentage.Get(x, sid))
	if who, ok := x.SubnetOwner.Find(x, sid); ok {
		x.balances.Deposit(x, who, owner)
	}
	paid := x.rewardNodes(sid, r, rest.SatSub(delegates))
	if !delegates.IsZero() {
		x.growPool(sid, delegates)
	}
	shares := frame.Vec(frame.PairOf(frame.U32(), frame.U128()), 20)
	gifts := frame.Vec(frame.PairOf(frame.U32(), frame.PairOf(frame.Account(), frame.U128())), 40)
	x.emit(evSubnetRewards, sid,
		encoded(shares, paid.nodes), delegates, encoded(shares, paid.pools), encoded(gifts, paid.accounts))
}

// grantQueueWishes moves a queued node to the front and removes another.
func (x *exec) grantQueueWishes(sid uint32, r *round) {
	if r.Prioritize.OK {
		queue := x.SubnetNodeQueue.Get(x, sid)
		at := slices.IndexFunc(queue, func(n Node) bool { return n.ID == r.Prioritize.V })
		if at >= 0 {
			n := queue[at]
			queue = slices.Insert(slices.Delete(queue, at, at+1), 0, n)
			x.SubnetNodeQueue.Set(x, sid, queue)
			x.emit(evQueuedNodePrioritized, sid, n.ID)
		}
	}
	if !r.Remove.OK {
		return
	}
	hotkey, ok := x.SubnetNodeIdHotkey.Find(x, sid, r.Remove.V)
	if ok && x.HotkeyOwner.Has(x, hotkey) {
		x.removeQueuedNode(sid, r.Remove.V)
		x.emit(evQueuedNodeRemoved, sid, r.Remove.V)
	}
}

// payments are what the event of a settlement lists.
type payments struct {
	nodes, pools []frame.Pair[uint32, u128.U128]
	accounts     []frame.Pair[uint32, frame.Pair[chain.AccountID, u128.U128]]
}

// nodeFactors are a subnet's parameters of a settlement.
type nodeFactors struct {
	idleEpochs, includedEpochs              uint32
	threshold                               u128.U128
	absent, included, lowWeight, notAttests u128.U128
}

// rewardNodes settles each node of the snapshot.
func (x *exec) rewardNodes(sid uint32, r *round, share u128.U128) payments {
	f := &nodeFactors{
		x.IdleClassificationEpochs.Get(x, sid), x.IncludedClassificationEpochs.Get(x, sid),
		x.SubnetNodeMinWeightDecreaseReputationThreshold.Get(x, sid),
		x.AbsentDecreaseReputationFactor.Get(x, sid), x.IncludedIncreaseReputationFactor.Get(x, sid),
		x.BelowMinWeightDecreaseReputationFactor.Get(x, sid), x.NonAttestorDecreaseReputationFactor.Get(x, sid),
	}
	scores := make(map[uint32]u128.U128, len(r.Data))
	for _, s := range slices.Backward(r.Data) { // the first of a node counts
		scores[s.Node] = s.Score
	}
	var paid payments
	for i := range r.Nodes {
		n := &r.Nodes[i]
		score, scored := scores[n.ID]
		if earned, ok := x.judge(sid, r, f, n, score, scored); ok {
			x.payNode(sid, n, percentMul(percentMul(earned.weight, share), earned.factor), &paid)
		}
	}
	return paid
}

type earning struct{ weight, factor u128.U128 }

// judge updates a node's class and reputation and says what part of the rewards
// it earned.
func (x *exec) judge(sid uint32, r *round, f *nodeFactors, n *Node, score u128.U128, scored bool) (earning, bool) {
	reputation := x.SubnetNodeReputation.Get(x, sid, n.ID)
	if reputation.Less(r.minReputation) {
		x.expel(sid, n.ID)
		return earning{}, false
	}
	if n.Class.Class == ClassIdle && !r.isEmergency {
		x.SubnetNodeIdleConsecutiveEpochs.Update(x, sid, n.ID, add1)
		if x.SubnetNodeIdleConsecutiveEpochs.Get(x, sid, n.ID) >= f.idleEpochs {
			x.graduate(sid, n.ID, r.epoch)
		}
		return earning{}, false
	}
	if !scored {
		x.lowerNode(sid, n.ID, reputation, f.absent)
		if n.Class.Class == ClassIncluded {
			x.SubnetNodeConsecutiveIncludedEpochs.Set(x, sid, n.ID, 0)
		}
		return earning{}, false
	}
	if reputation != one() {
		reputation = x.raiseNode(sid, n.ID, reputation, f.included)
	}
	weight := percentDiv(score, r.weightSum)
	if weight.Less(f.threshold) {
		reputation = x.lowerNode(sid, n.ID, reputation, f.lowWeight)
	}
	if n.Class.Class == ClassIncluded && !r.isEmergency {
		x.SubnetNodeConsecutiveIncludedEpochs.Update(x, sid, n.ID, add1)
		seen := x.SubnetNodeConsecutiveIncludedEpochs.Get(x, sid, n.ID)
		if !reputation.Less(one()) && seen >= f.includedEpochs && x.graduate(sid, n.ID, r.epoch) {
			x.insertElectable(sid, n.ID)
			x.SubnetNodeConsecutiveIncludedEpochs.Delete(x, sid, n.ID)
		}
		return earning{}, false
	}
	factor := one()
	switch voted, ok := r.Attests[n.ID]; {
	case r.isEmergency && !slices.Contains(r.emergency, n.ID): // had no vote
	case ok:
		factor = voted.RewardFactor
	case !r.ratio.Less(r.superRatio):
		reputation = x.lowerNode(sid, n.ID, reputation, f.notAttests)
	}
	if factor.IsZero() {
		return earning{}, false
	}
	if reputation.Less(r.minReputation) {
		x.expel(sid, n.ID)
		return earning{}, false
	}
	return earning{weight, factor}, true
}

// expel removes a node whose reputation is gone.
func (x *exec) expel(sid, nid uint32) {
	if hotkey, ok := x.SubnetNodeIdHotkey.Find(x, sid, nid); ok && x.HotkeyOwner.Has(x, hotkey) {
		x.removeActiveNode(sid, nid)
	}
}

// payNode divides a node's reward among its delegators, its delegate account
// and its stake.
func (x *exec) payNode(sid uint32, n *Node, reward u128.U128, paid *payments) {
	if reward.IsZero() {
		return
	}
	if !n.DelegateRewardRate.IsZero() && !x.TotalNodeDelegateStakeShares.Get(x, sid, n.ID).IsZero() {
		part := percentMul(reward, n.DelegateRewardRate)
		reward = reward.SatSub(part)
		x.growNodePool(sid, n.ID, part)
		paid.pools = append(paid.pools, frame.Pair[uint32, u128.U128]{A: n.ID, B: part})
	}
	if a := n.DelegateAccount; a.OK {
		part := percentMul(reward, a.V.Rate)
		reward = reward.SatSub(part)
		x.AccountDelegateStake.Update(x, a.V.Account, plus(part))
		x.TotalAccountDelegateStake.Update(x, plus(part))
		paid.accounts = append(paid.accounts, frame.Pair[uint32, frame.Pair[chain.AccountID, u128.U128]]{
			A: n.ID, B: frame.Pair[chain.AccountID, u128.U128]{A: a.V.Account, B: part},
		})
	}
	x.increaseStake(n.Hotkey, sid, reward)
	paid.nodes = append(paid.nodes, frame.Pair[uint32, u128.U128]{A: n.ID, B: reward})
}
