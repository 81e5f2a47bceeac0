package network

import (
	"cmp"
	"math/big"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/libm"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// OnInitialize does what is due at the start of a block.
func (p *Pallet) OnInitialize(s frame.State) {
	x := p.on(s)
	if x.TxPause.Get(x) {
		return
	}
	length, overwatch := x.cfg.EpochLength, x.overwatchLength()
	switch b := x.block; {
	case b >= length && b%length == 0:
		x.preliminaries()
	case b >= 1 && b-1 >= overwatch && (b-1)%overwatch == 0:
		x.settleOverwatch()
	case b >= 2 && b-2 >= length && (b-2)%length == 0:
		x.distribute()
	default:
		if sid, ok := x.SlotAssignment.Find(x, b%length); ok {
			x.emissionStep(sid)
		}
	}
	x.runSwaps()
}

// emissionStep settles a subnet's epoch and begins the next, if the subnet has
// a share of this epoch's emissions.
func (x *exec) emissionStep(sid uint32) {
	d := x.FinalSubnetEmissionWeights.Get(x, x.epoch())
	weight, ok := d.Weights[sid]
	epoch := x.subnetEpoch(sid)
	if !ok || epoch == 0 {
		return
	}
	x.settle(sid, epoch, d.Emissions, weight)
	x.elect(sid, epoch)
	x.runQueue(sid, epoch)
	x.updateBurnRate(sid)
}

// elect draws the validator of an epoch.
func (x *exec) elect(sid, epoch uint32) {
	if x.SubnetElectedValidator.Has(x, sid, epoch) {
		return
	}
	candidates := x.SubnetNodeElectionSlots.Get(x, sid)
	if e, ok := x.EmergencySubnetNodeElectionData.Find(x, sid); ok {
		if e.TotalEpochs > e.TargetEpochs || epoch > e.MaxEpoch {
			x.EmergencySubnetNodeElectionData.Delete(x, sid)
		} else {
			candidates = e.Nodes
		}
	}
	if len(candidates) == 0 {
		return
	}
	if i := x.cfg.Elect(sid, epoch, x.block, candidates); i >= 0 && i < len(candidates) {
		x.SubnetElectedValidator.Set(x, sid, epoch, candidates[i])
	}
}

// runQueue activates nodes from the front of the queue.
func (x *exec) runQueue(sid, epoch uint32) {
	if epoch%max(x.ChurnLimitMultiplier.Get(x, sid), 1) != 0 {
		return
	}
	most, active := x.MaxSubnetNodes.Get(x), x.TotalActiveSubnetNodes.Get(x, sid)
	take := min(most-min(most, active), x.ChurnLimit.Get(x, sid))
	wait := x.SubnetNodeQueueEpochs.Get(x, sid)
	queue := x.SubnetNodeQueue.Get(x, sid)
	done := 0
	for _, n := range queue[:min(len(queue), int(take))] {
		if n.Class.StartEpoch+wait >= epoch {
			break
		}
		if n.Class.Class == ClassRegistered {
			x.activateNode(sid, n, ClassIdle, epoch)
		}
		done++
	}
	if done > 0 {
		x.SubnetNodeQueue.Set(x, sid, queue[done:])
	}
}

// updateBurnRate moves the price of a registration towards demand.
func (x *exec) updateBurnRate(sid uint32) {
	registrations := x.NodeRegistrationsThisEpoch.Get(x, sid)
	target := x.TargetNodeRegistrationsPerEpoch.Get(x, sid)
	alpha := x.NodeBurnRateAlpha.Get(x, sid)
	low, high := x.MinNodeBurnRate.Get(x), x.MaxNodeBurnRate.Get(x)
	goal := low
	switch {
	case registrations == 0:
	case registrations >= target:
		goal = high
	default:
		goal = low.SatAdd(percentMul(high.SatSub(low), ratio(registrations, target)))
	}
	rate := percentMul(goal, alpha).SatAdd(percentMul(x.CurrentNodeBurnRate.Get(x, sid), one().SatSub(alpha)))
	x.CurrentNodeBurnRate.Set(x, sid, minU128(maxU128(rate, low), high))
	x.NodeRegistrationsThisEpoch.Set(x, sid, 0)
}

// distribute fixes what each subnet gets of this epoch's emissions.
func (x *exec) distribute() {
	weights := x.subnetWeights()
	if len(weights) == 0 {
		return
	}
	subnets, foundation := x.emissions()
	x.balances.Deposit(x, x.treasury, foundation)
	x.FinalSubnetEmissionWeights.Set(x, x.epoch(), Distribution{subnets, weights})
}

// emissions is what all subnets, and the treasury, get in one epoch.
func (x *exec) emissions() (subnets, foundation u128.U128) {
	// Variables, so that the arithmetic below rounds at each step.
	least, most, share := 75_000e18, 100_000e18, 0.2
	places := float64(x.MaxSubnets.Get(x) * x.MaxSubnetNodes.Get(x))
	used := clamp(float64(x.TotalActiveNodes.Get(x))/places, 0, 1)
	s := sigmoidDecreasing(
		used, toFloat(x.InflationSigmoidMidpoint.Get(x)), x.InflationSigmoidSteepness.Get(x).Float64())
	yearly := least + float64((most-least)*s)
	epochs := float64(EpochsPerYear(x.cfg.EpochLength))
	part := float64(yearly * share)
	return u128.FromFloat64((yearly - part) / epochs), u128.FromFloat64(part / epochs)
}

// subnetWeights divides one whole among the subnets.
func (x *exec) subnetWeights() map[uint32]u128.U128 {
	var subnets []uint32
	flows := map[uint32]*big.Int{}
	for _, e := range x.SubnetsData.All(x) {
		flow, _ := x.SubnetNetFlow.Take(x, e.A)
		if e.B.StartEpoch > x.epoch() && e.B.State != Active {
			continue
		}
		subnets = append(subnets, e.A)
		flows[e.A] = flow
	}
	slices.Sort(subnets)
	factors := x.SubnetWeightFactors.Get(x)
	stakeFactor, nodesFactor, flowFactor := toFloat(factors.DelegateStake), toFloat(factors.NodeCount), toFloat(factors.NetFlow)
	power := toFloat(x.SubnetDistributionPower.Get(x))
	totalStake := x.TotalDelegateStake.Get(x).Float64()
	totalNodes := float64(x.TotalElectableNodes.Get(x))
	last := x.overwatchEpoch() - min(x.overwatchEpoch(), 1)
	inflow := flowWeights(flows)
	sum, weights := 0.0, make([]float64, len(subnets))
	for i, sid := range subnets {
		stake := clamp(x.TotalSubnetDelegateStakeBalance.Get(x, sid).Float64()/totalStake, 0, 1)
		nodes := float64(x.TotalSubnetElectableNodes.Get(x, sid)) / totalNodes
		opinion := 1.0
		if w, ok := x.OverwatchSubnetWeights.Find(x, last, sid); ok {
			opinion = min(float64(toFloat(w)*toFloat(x.OverwatchWeightFactor.Get(x))), 1)
		}
		w := float64(stake*stakeFactor) + float64(nodes*nodesFactor) + float64(toFloat(inflow[sid])*flowFactor)
		weights[i] = libm.Pow(clamp(float64(w*opinion), 0, 1), power)
		sum += weights[i]
	}
	out := map[uint32]u128.U128{}
	for i, sid := range subnets {
		out[sid] = u128.FromFloat64(float64(weights[i] / sum * oneFloat))
	}
	return out
}

// flowWeights divides one whole among the subnets by how much more stake they
// drew than the one that drew least.
func flowWeights(flows map[uint32]*big.Int) map[uint32]u128.U128 {
	var least *big.Int
	for _, f := range flows {
		if least == nil || f.Cmp(least) < 0 {
			least = f
		}
	}
	shifted, sum := map[uint32]u128.U128{}, u128.U128{}
	for sid, f := range flows {
		shifted[sid], _ = u128.FromBig(new(big.Int).Sub(f, least))
		sum = sum.SatAdd(shifted[sid])
	}
	for sid, v := range shifted {
		shifted[sid] = percentDiv(v, sum)
	}
	return shifted
}

// preliminaries removes subnets that must not go on.
func (x *exec) preliminaries() {
	all := x.SubnetsData.All(x)
	epoch := x.epoch()
	excess := uint64(len(all)) > uint64(x.MaxSubnets.Get(x))
	weakest := excess && epoch%max(x.MaxSubnetRemovalInterval.Get(x), 1) == 0 &&
		epoch >= x.PrevSubnetActivationEpoch.Get(x)+x.MinSubnetRemovalInterval.Get(x)
	var stakes []frame.Pair[uint32, u128.U128]
	for i := range all {
		s := &all[i].B
		var reason removalReason
		var remove bool
		switch {
		case s.State == Registered:
			reason, remove = x.overdue(s)
		case s.State == Paused:
			reason, remove = x.pausedTooLong(s)
		case s.StartEpoch <= epoch:
			if reason, remove = x.failing(s.ID); !remove && weakest {
				stakes = append(stakes, frame.Pair[uint32, u128.U128]{A: s.ID, B: x.TotalSubnetDelegateStakeBalance.Get(x, s.ID)})
			}
		}
		if remove {
			x.removeSubnet(s.ID, reason)
		}
	}
	if len(stakes) > 0 {
		slices.SortStableFunc(stakes, func(a, b frame.Pair[uint32, u128.U128]) int { return a.B.Cmp(b.B) })
		x.removeSubnet(stakes[0].A, removedMaxSubnets)
	}
}

// overdue says whether a registered subnet has missed its activation.
func (x *exec) overdue(s *Subnet) (removalReason, bool) {
	if !x.SubnetRegistrationEpoch.Has(x, s.ID) {
		return 0, false
	}
	registering, enactment := x.periods(s)
	switch {
	case registering:
		return 0, false
	case enactment:
		return removedMinNodes, x.TotalActiveSubnetNodes.Get(x, s.ID) < x.MinSubnetNodes.Get(x)
	}
	return removedEnactment, true
}

// pausedTooLong lowers the reputation of a subnet that is paused too long.
func (x *exec) pausedTooLong(s *Subnet) (removalReason, bool) {
	if cmp.Compare(uint64(s.StartEpoch)+uint64(x.MaxSubnetPauseEpochs.Get(x)), uint64(x.epoch())) >= 0 {
		return 0, false
	}
	next := lower(x.SubnetReputation.Get(x, s.ID), x.MaxPauseEpochsSubnetReputationFactor.Get(x))
	x.SubnetReputation.Set(x, s.ID, next)
	return removedPauseExpired, next.Less(x.MinSubnetReputation.Get(x))
}

// failing says why an active subnet must go.
func (x *exec) failing(sid uint32) (removalReason, bool) {
	if x.TotalSubnetDelegateStakeBalance.Get(x, sid).Less(x.minDelegateStake(sid)) &&
		x.epoch()%max(x.DelegateStakeSubnetRemovalInterval.Get(x), 1) == 0 {
		return removedMinDelegateStake, true
	}
	if x.TotalSubnetElectableNodes.Get(x, sid) < x.MinSubnetNodes.Get(x) {
		next := lower(x.SubnetReputation.Get(x, sid), x.LessThanMinNodesSubnetReputationFactor.Get(x))
		x.SubnetReputation.Set(x, sid, next)
	}
	return removedMinReputation, x.SubnetReputation.Get(x, sid).Less(x.MinSubnetReputation.Get(x))
}
