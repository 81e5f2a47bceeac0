package network

import (
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/libm"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// removalReason is why a subnet was removed; the values are those of the event.
type removalReason uint8

const (
	removedMinReputation removalReason = iota
	removedMinNodes
	removedMinDelegateStake
	removedCouncil
	removedEnactment
	removedMaxSubnets
	removedOwner
	removedPauseExpired
)

func subnetCalls() map[string]handler {
	return map[string]handler{
		"register_subnet": func(d *scale.Decoder) action {
			cost, data := d.U128(), registration(d)
			return signed(func(x *exec, who chain.AccountID) error { return x.registerSubnet(who, cost, data) })
		},
		"activate_subnet": func(d *scale.Decoder) action {
			sid := d.U32()
			return signed(func(x *exec, who chain.AccountID) error {
				if err := x.ensureOwner(who, sid); err != nil {
					return err
				}
				return x.activateSubnet(sid)
			})
		},
		"update_bootnodes": func(d *scale.Decoder) action {
			sid, add, remove := d.U32(), bootnodes().Dec(d), peerSet().Dec(d)
			return signed(func(x *exec, who chain.AccountID) error { return x.updateBootnodes(who, sid, add, remove) })
		},
	}
}

// subnetRegistration is what the owner says about a new subnet.
type subnetRegistration struct {
	name, repo, description, misc          string
	minStake, maxStake, delegatePercentage u128.U128
	coldkeys                               map[chain.AccountID]uint32
	bootnodes                              map[string]string
}

func registration(d *scale.Decoder) subnetRegistration {
	text := frame.Bytes().Dec
	return subnetRegistration{
		text(d), text(d), text(d), text(d), d.U128(), d.U128(), d.U128(), accountCounts().Dec(d), bootnodes().Dec(d),
	}
}

func (x *exec) registerSubnet(owner chain.AccountID, maxCost u128.U128, r subnetRegistration) error {
	if err := x.checkRegistration(&r); err != nil {
		return err
	}
	cost := x.registrationCost()
	if maxCost.Less(cost) {
		return fail(ErrCostGreaterThanMaxCost)
	}
	x.LastRegistrationCost.Set(x, percentMul(cost, x.NewRegistrationCostMultiplier.Get(x)))
	x.LastSubnetRegistrationBlock.Set(x, x.block)
	if !cost.IsZero() {
		if !x.canPay(owner, cost) {
			return fail(ErrNotEnoughBalanceToRegisterSubnet)
		}
		if err := x.balances.Transfer(x, owner, x.treasury, cost, frame.Preserve); err != nil {
			return err
		}
	}
	sid := x.TotalSubnetUids.Get(x) + 1
	x.TotalSubnetUids.Set(x, sid)
	slot, err := x.assignSlot(sid)
	if err != nil {
		return err
	}
	friendly := slot - reservedSlots + 1
	x.SubnetIdFriendlyUid.Set(x, sid, friendly)
	x.FriendlyUidSubnetId.Set(x, friendly, sid)
	x.SubnetsData.Set(x, sid, Subnet{
		ID: sid, FriendlyID: friendly, Name: r.name, Repo: r.repo, Description: r.description, Misc: r.misc,
		State: Registered, StartEpoch: ^uint32(0),
	})
	x.SubnetOwner.Set(x, sid, owner)
	x.SubnetMinStakeBalance.Set(x, sid, r.minStake)
	x.SubnetMaxStakeBalance.Set(x, sid, r.maxStake)
	x.SubnetDelegateStakeRewardsPercentage.Set(x, sid, r.delegatePercentage)
	x.SubnetRegistrationInitialColdkeys.Set(x, sid, r.coldkeys)
	x.SubnetBootnodes.Set(x, sid, r.bootnodes)
	x.SubnetName.Set(x, r.name, sid)
	x.SubnetRepo.Set(x, r.repo, sid)
	x.SubnetRegistrationEpoch.Set(x, sid, x.epoch())
	x.TotalSubnets.Update(x, add1)
	x.emit(evSubnetRegistered, owner, r.name, sid)
	return nil
}

func (x *exec) checkRegistration(r *subnetRegistration) error {
	if x.SubnetName.Has(x, r.name) {
		return fail(ErrSubnetNameExist)
	}
	if uint32(len(x.SubnetsData.All(x))) > x.MaxSubnets.Get(x) {
		return fail(ErrMaxSubnets)
	}
	if err := first(
		ensure(!x.SubnetRepo.Has(x, r.repo), ErrSubnetRepoExist),
		ensure(len(r.bootnodes) > 0, ErrBootnodesEmpty),
		ensure(uint64(len(r.bootnodes)) <= uint64(x.MaxBootnodes.Get(x)), ErrTooManyBootnodes),
	); err != nil {
		return err
	}
	for _, id := range frame.SortedKeys(r.bootnodes, frame.CompareBytes) {
		if err := checkMultiaddr(r.bootnodes[id]); err != nil {
			return err
		}
		if !validPeerID(id) {
			return fail(ErrInvalidBootnodePeerId)
		}
	}
	enough := uint64(len(r.coldkeys)) >= uint64(x.MinSubnetNodes.Get(x))
	for _, n := range r.coldkeys {
		enough = enough && n >= 1
	}
	return first(
		ensure(within(r.minStake, x.MinSubnetMinStake.Get(x), x.MaxSubnetMinStake.Get(x)), ErrInvalidSubnetMinStake),
		ensure(!x.NetworkMaxStakeBalance.Get(x).Less(r.maxStake), ErrInvalidSubnetMaxStake),
		ensure(!r.maxStake.Less(r.minStake), ErrInvalidSubnetStakeParameters),
		ensure(x.validDelegatePercentage(r.delegatePercentage), ErrInvalidMinDelegateStakePercentage),
		ensure(enough, ErrInvalidSubnetRegistrationInitialColdkeys),
	)
}

func within(v, low, high u128.U128) bool { return !v.Less(low) && !high.Less(v) }

func (x *exec) validDelegatePercentage(v u128.U128) bool {
	return within(v, x.MinDelegateStakePercentage.Get(x), minU128(x.MaxDelegateStakePercentage.Get(x), one()))
}

// registrationCost falls from twice the last cost to the least cost.
func (x *exec) registrationCost() u128.U128 {
	last, least := x.LastRegistrationCost.Get(x), x.MinRegistrationCost.Get(x)
	decay := x.RegistrationCostDecayBlocks.Get(x)
	passed := x.block - min(x.LastSubnetRegistrationBlock.Get(x), x.block)
	switch {
	case decay == 0 || !least.Less(last):
		return maxU128(last, least)
	case passed >= decay:
		return least
	}
	left := toFloat(ratio(decay-passed, decay))
	factor := libm.Pow(left, toFloat(x.RegistrationCostAlpha.Get(x)))
	diff := min(last.SatSub(least).Float64(), u128.Max().Float64()/factor)
	return maxU128(least.SatAdd(u128.FromFloat64(clamp(float64(diff*factor), 0, u128.Max().Float64()))), least)
}

// assignSlot gives a subnet the lowest free slot.
func (x *exec) assignSlot(sid uint32) (uint32, error) {
	taken := x.AssignedSlots.Get(x)
	if taken == nil {
		taken = map[uint32]struct{}{}
	}
	for slot := uint32(reservedSlots); slot < x.cfg.EpochLength; slot++ {
		if _, ok := taken[slot]; ok {
			continue
		}
		taken[slot] = struct{}{}
		x.AssignedSlots.Set(x, taken)
		x.SubnetSlot.Set(x, sid, slot)
		x.SlotAssignment.Set(x, slot, sid)
		return slot, nil
	}
	return 0, fail(ErrNoAvailableSlots)
}

func (x *exec) freeSlot(sid uint32) {
	slot, ok := x.SubnetSlot.Take(x, sid)
	if !ok {
		return
	}
	x.SlotAssignment.Delete(x, slot)
	taken := x.AssignedSlots.Get(x)
	delete(taken, slot)
	x.AssignedSlots.Set(x, taken)
}

func (x *exec) isOwner(who chain.AccountID, sid uint32) bool {
	owner, ok := x.SubnetOwner.Find(x, sid)
	return ok && owner == who
}

func (x *exec) ensureOwner(who chain.AccountID, sid uint32) error {
	return ensure(x.isOwner(who, sid), ErrNotSubnetOwner)
}

// periods says whether a registered subnet is in its registration or enactment
// period.
func (x *exec) periods(s *Subnet) (registering, enactment bool) {
	registered, ok := x.SubnetRegistrationEpoch.Find(x, s.ID)
	if s.State != Registered || !ok {
		return false, false
	}
	epoch := uint64(x.epoch())
	end := uint64(registered) + uint64(x.SubnetRegistrationEpochs.Get(x))
	return epoch <= end, epoch > end && epoch <= end+uint64(x.SubnetEnactmentEpochs.Get(x))
}

// unready is why a subnet cannot be active.
func (x *exec) unready(sid uint32) (removalReason, bool) {
	switch {
	case x.SubnetReputation.Get(x, sid).Less(x.MinSubnetReputation.Get(x)):
		return removedMinReputation, true
	case x.TotalActiveSubnetNodes.Get(x, sid) < x.MinSubnetNodes.Get(x):
		return removedMinNodes, true
	case x.TotalSubnetDelegateStakeBalance.Get(x, sid).Less(x.minDelegateStake(sid)):
		return removedMinDelegateStake, true
	}
	return 0, false
}

// minDelegateStake is the delegated stake that a subnet must have.
func (x *exec) minDelegateStake(sid uint32) u128.U128 {
	base := percentMul(x.issuance(), x.MinSubnetDelegateStakeFactor.Get(x))
	nodes := uint32(len(x.SubnetNodeElectionSlots.Get(x, sid)))
	low, high := x.MinSubnetNodes.Get(x), x.MaxSubnetNodes.Get(x)
	multiplier, most := one(), x.MaxMinDelegateStakeMultiplier.Get(x)
	switch {
	case nodes <= low:
	case nodes >= high:
		multiplier = most
	default:
		multiplier = multiplier.SatAdd(percentMul(ratio(nodes-low, high-low), most.SatSub(multiplier)))
	}
	return percentMul(base, multiplier)
}

// issuance is all that exists, staked or not.
func (x *exec) issuance() u128.U128 {
	return x.balances.TotalIssuance.Get(x).
		SatAdd(x.TotalStake.Get(x)).
		SatAdd(x.TotalDelegateStake.Get(x)).
		SatAdd(x.TotalNodeDelegateStake.Get(x)).
		SatAdd(x.TotalUnbondingBalance.Get(x)).
		SatAdd(x.TotalAccountDelegateStake.Get(x))
}

func (x *exec) activateSubnet(sid uint32) error {
	s, ok := x.SubnetsData.Find(x, sid)
	if !ok {
		return fail(ErrInvalidSubnetId)
	}
	if s.State != Registered {
		return fail(ErrSubnetActivatedAlready)
	}
	registered, ok := x.SubnetRegistrationEpoch.Find(x, sid)
	if !ok || uint64(registered)+uint64(x.MinSubnetRegistrationEpochs.Get(x)) > uint64(x.epoch()) {
		return fail(ErrMinSubnetRegistrationEpochsNotMet)
	}
	registering, enactment := x.periods(&s)
	reason, unready := x.unready(sid)
	switch {
	case !registering && !enactment:
		x.removeSubnet(sid, removedEnactment)
		return nil
	case unready && registering:
		return fail(ErrSubnetActivationConditionsNotMetYet)
	case unready:
		x.removeSubnet(sid, reason)
		return nil
	}
	s.State = Active
	s.StartEpoch = x.epoch() + 1
	x.SubnetsData.Set(x, sid, s)
	x.TotalActiveSubnets.Update(x, add1)
	x.SubnetRegistrationEpoch.Delete(x, sid)
	x.SubnetRegistrationInitialColdkeys.Delete(x, sid)
	x.InitialColdkeyData.Delete(x, sid)
	x.LastSubnetDelegateStakeRewardsUpdate.Set(x, sid, x.block)
	x.PreviousSubnetPauseEpoch.Set(x, sid, x.epoch())
	x.PrevSubnetActivationEpoch.Set(x, x.epoch())
	x.emit(evSubnetActivated, sid)
	return nil
}

func (x *exec) updateBootnodes(who chain.AccountID, sid uint32, add map[string]string, remove map[string]struct{}) error {
	if !x.SubnetsData.Has(x, sid) {
		return fail(ErrInvalidSubnetId)
	}
	if _, ok := x.SubnetBootnodeAccess.Get(x, sid)[who]; !ok && !x.isOwner(who, sid) {
		return fail(ErrInvalidAccess)
	}
	all := x.SubnetBootnodes.Get(x, sid)
	if all == nil {
		all = map[string]string{}
	}
	for id := range remove {
		delete(all, id)
	}
	for id, addr := range add {
		if checkMultiaddr(addr) != nil {
			return fail(ErrInvalidMultiaddr)
		}
		all[id] = addr
	}
	if uint64(len(all)) > uint64(x.MaxBootnodes.Get(x)) {
		return fail(ErrTooManyBootnodes)
	}
	x.SubnetBootnodes.Set(x, sid, all)
	x.emit(evBootnodesUpdated, sid, encoded(bootnodes(), add), encoded(peerSet(), remove))
	return nil
}

// removeSubnet removes a subnet and all that belongs to it but stakes,
// delegations and submissions.
func (x *exec) removeSubnet(sid uint32, reason removalReason) {
	s, ok := x.SubnetsData.Find(x, sid)
	if !ok {
		return
	}
	x.SubnetName.Delete(x, s.Name)
	x.SubnetRepo.Delete(x, s.Repo)
	x.SubnetsData.Delete(x, sid)
	x.SubnetOwner.Delete(x, sid)
	x.PendingSubnetOwner.Delete(x, sid)
	for _, m := range []*frame.Map[uint32, uint32]{
		x.SubnetRegistrationEpoch, x.PreviousSubnetPauseEpoch, x.ChurnLimit, x.ChurnLimitMultiplier, x.SubnetNodeQueueEpochs,
		x.IdleClassificationEpochs, x.IncludedClassificationEpochs, x.LastSubnetDelegateStakeRewardsUpdate, x.MaxRegisteredNodes,
		x.TargetNodeRegistrationsPerEpoch, x.QueueImmunityEpochs, x.NodeRegistrationsThisEpoch,
	} {
		m.Delete(x, sid)
	}
	for _, m := range []*frame.Map[uint32, u128.U128]{
		x.SubnetMinStakeBalance, x.SubnetMaxStakeBalance, x.SubnetDelegateStakeRewardsPercentage, x.NodeBurnRateAlpha,
		x.CurrentNodeBurnRate, x.SubnetReputation, x.MinSubnetNodeReputation, x.SubnetNodeMinWeightDecreaseReputationThreshold,
		x.AbsentDecreaseReputationFactor, x.IncludedIncreaseReputationFactor, x.BelowMinWeightDecreaseReputationFactor,
		x.NonAttestorDecreaseReputationFactor, x.NonConsensusAttestorDecreaseReputationFactor,
		x.ValidatorAbsentDecreaseReputationFactor, x.ValidatorNonConsensusSubnetNodeReputationFactor,
	} {
		m.Delete(x, sid)
	}
	x.SubnetRegistrationInitialColdkeys.Delete(x, sid)
	x.InitialColdkeyData.Delete(x, sid)
	x.SubnetBootnodeAccess.Delete(x, sid)
	x.SubnetBootnodes.Delete(x, sid)
	x.EmergencySubnetNodeElectionData.Delete(x, sid)
	if friendly, ok := x.SubnetIdFriendlyUid.Take(x, sid); ok {
		x.FriendlyUidSubnetId.Delete(x, friendly)
	}
	x.freeSlot(sid)
	if s.State == Active {
		x.TotalActiveSubnets.Update(x, sub1)
	}
	x.TotalSubnets.Update(x, sub1)
	x.clearNodes(sid)
	x.emit(evSubnetDeactivated, sid, uint8(reason))
}

// clearNodes removes all nodes of a subnet.
func (x *exec) clearNodes(sid uint32) {
	x.SubnetNodesData.Clear(x, sid)
	active, _ := x.TotalActiveSubnetNodes.Take(x, sid)
	x.TotalActiveNodes.Update(x, func(n uint32) uint32 { return n - min(n, active) })
	x.TotalSubnetNodes.Delete(x, sid)
	x.TotalSubnetNodeUids.Delete(x, sid)
	x.PeerIdSubnetNodeId.Clear(x, sid)
	x.BootnodePeerIdSubnetNodeId.Clear(x, sid)
	x.ClientPeerIdSubnetNodeId.Clear(x, sid)
	x.MultiaddrSubnetNodeId.Clear(x, sid)
	x.UniqueParamSubnetNodeId.Clear(x, sid)
	x.HotkeySubnetNodeId.Clear(x, sid)
	x.SubnetNodeIdHotkey.Clear(x, sid)
	x.SubnetNodeReputation.Clear(x, sid)
	x.SubnetNodeConsecutiveIncludedEpochs.Clear(x, sid)
	x.RegisteredSubnetNodesData.Clear(x, sid)
	x.SubnetElectedValidator.Clear(x, sid)
	x.NodeSlotIndex.Clear(x, sid)
	x.SubnetNodeElectionSlots.Delete(x, sid)
	x.SubnetNodeQueue.Delete(x, sid)
	x.TotalSubnetElectableNodes.Delete(x, sid)
	// The chain forgets to take the nodes off the total.
	x.TotalElectableNodes.Update(x, func(n uint32) uint32 { return n })
}
