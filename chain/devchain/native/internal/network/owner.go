package network

import (
	"math"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// ownerCall is a call on a subnet by its owner.
func ownerCall[T any](arg func(*scale.Decoder) T, f func(x *exec, owner chain.AccountID, sid uint32, v T) error) handler {
	return func(d *scale.Decoder) action {
		sid, v := d.U32(), arg(d)
		return signed(func(x *exec, who chain.AccountID) error {
			if err := x.ensureOwner(who, sid); err != nil {
				return err
			}
			return f(x, who, sid, v)
		})
	}
}

// ownerU32 sets a number that check accepts.
func ownerU32(item *frame.Map[uint32, uint32], e Error, ev event, check func(x *exec, sid, v uint32) bool) handler {
	return ownerCall((*scale.Decoder).U32, func(x *exec, who chain.AccountID, sid, v uint32) error {
		if !check(x, sid, v) {
			return fail(e)
		}
		item.Set(x, sid, v)
		x.emit(ev, sid, who, v)
		return nil
	})
}

// between accepts numbers between two values of the network.
func between(low, high *frame.Value[uint32]) func(x *exec, sid, v uint32) bool {
	return func(x *exec, _, v uint32) bool { return v >= low.Get(x) && v <= high.Get(x) }
}

// ownerFactor sets a reputation factor, which may not change while an emergency
// set of validators is in force, unless always.
func ownerFactor(item *frame.Map[uint32, u128.U128], e Error, ev event, always bool) handler {
	return ownerCall((*scale.Decoder).U128, func(x *exec, who chain.AccountID, sid uint32, v u128.U128) error {
		if err := first(
			ensure(!one().Less(v), ErrInvalidPercent),
			ensure(within(v, x.MinNodeReputationFactor.Get(x), x.MaxNodeReputationFactor.Get(x)), e),
			ensure(always || !x.EmergencySubnetNodeElectionData.Has(x, sid), ErrEmergencyValidatorsSet),
		); err != nil {
			return err
		}
		item.Set(x, sid, v)
		x.emit(ev, sid, who, v)
		return nil
	})
}

// ownerText sets a text of the subnet; unique, when not nil, is its index.
func ownerText(
	unique *frame.Map[string, uint32], taken Error, ev event, field func(s *Subnet) *string,
) handler {
	return ownerCall(frame.Bytes().Dec, func(x *exec, who chain.AccountID, sid uint32, v string) error {
		if unique != nil && unique.Has(x, v) {
			return fail(taken)
		}
		s, ok := x.SubnetsData.Find(x, sid)
		if !ok {
			return fail(ErrInvalidSubnetId)
		}
		old := *field(&s)
		*field(&s) = v
		x.SubnetsData.Set(x, sid, s)
		if unique != nil {
			unique.Delete(x, old)
			unique.Set(x, v, sid)
		}
		x.emit(ev, sid, who, old, v)
		return nil
	})
}

func (p *Pallet) ownerCalls() map[string]handler {
	calls := map[string]handler{
		"owner_update_name": ownerText(p.SubnetName,
			ErrSubnetNameExist, evSubnetNameUpdate, func(s *Subnet) *string { return &s.Name }),
		"owner_update_repo": ownerText(p.SubnetRepo,
			ErrSubnetRepoExist, evSubnetRepoUpdate, func(s *Subnet) *string { return &s.Repo }),
		"owner_update_description": ownerText(nil, 0, evSubnetDescriptionUpdate, func(s *Subnet) *string { return &s.Description }),
		"owner_update_misc":        ownerText(nil, 0, evSubnetMiscUpdate, func(s *Subnet) *string { return &s.Misc }),

		"owner_update_churn_limit": ownerU32(p.ChurnLimit, ErrInvalidChurnLimit, evChurnLimitUpdate,
			between(p.MinChurnLimit, p.MaxChurnLimit)),
		"owner_update_churn_limit_multiplier": ownerU32(p.ChurnLimitMultiplier,
			ErrInvalidChurnLimitMultiplier, evChurnLimitMultiplierUpdate,
			between(p.MinChurnLimitMultiplier, p.MaxChurnLimitMultiplier)),
		"owner_update_registration_queue_epochs": ownerU32(p.SubnetNodeQueueEpochs,
			ErrInvalidRegistrationQueueEpochs, evRegistrationQueueEpochsUpdate,
			between(p.MinQueueEpochs, p.MaxQueueEpochs)),
		"owner_update_idle_classification_epochs": ownerU32(p.IdleClassificationEpochs,
			ErrInvalidIdleClassificationEpochs, evIdleClassificationEpochsUpdate,
			between(p.MinIdleClassificationEpochs,
				p.MaxIdleClassificationEpochs)),
		"owner_update_included_classification_epochs": ownerU32(p.IncludedClassificationEpochs,
			ErrInvalidIncludedClassificationEpochs, evIncludedClassificationEpochsUpdate,
			between(p.MinIncludedClassificationEpochs,
				p.MaxIncludedClassificationEpochs)),
		"owner_update_max_registered_nodes": ownerU32(p.MaxRegisteredNodes,
			ErrInvalidMaxRegisteredNodes, evMaxRegisteredNodesUpdate, func(x *exec, sid, v uint32) bool {
				return v >= x.MinMaxRegisteredNodes.Get(x) && v <= x.MaxMaxRegisteredNodes.Get(x) &&
					v <= x.TargetNodeRegistrationsPerEpoch.Get(x, sid)
			}),
		"owner_update_target_node_registrations_per_epoch": ownerU32(
			p.TargetNodeRegistrationsPerEpoch,
			ErrInvalidTargetNodeRegistrationsPerEpoch, evTargetNodeRegistrationsPerEpochUpdate,
			func(x *exec, sid, v uint32) bool { return v > 0 && v <= x.MaxRegisteredNodes.Get(x, sid) }),
		"owner_update_queue_immunity_epochs": ownerU32(p.QueueImmunityEpochs,
			0, evQueueImmunityEpochsUpdate, func(*exec, uint32, uint32) bool { return true }),

		"owner_update_absent_decrease_reputation_factor": ownerFactor(
			p.AbsentDecreaseReputationFactor,
			ErrInvalidAbsentDecreaseReputationFactor, evAbsentDecreaseReputationFactorUpdate, false),
		"owner_update_included_increase_reputation_factor": ownerFactor(
			p.IncludedIncreaseReputationFactor,
			ErrInvalidIncludedIncreaseReputationFactor, evIncludedIncreaseReputationFactorUpdate, true),
		"owner_update_below_min_weight_decrease_reputation_factor": ownerFactor(
			p.BelowMinWeightDecreaseReputationFactor,
			ErrInvalidBelowMinWeightDecreaseReputationFactor, evBelowMinWeightDecreaseReputationFactorUpdate, false),
		"owner_update_non_attestor_decrease_reputation_factor": ownerFactor(
			p.NonAttestorDecreaseReputationFactor,
			ErrInvalidNonAttestorDecreaseReputationFactor, evNonAttestorDecreaseReputationFactorUpdate, false),
		"owner_update_non_consensus_attestor_decrease_reputation_factor": ownerFactor(
			p.NonConsensusAttestorDecreaseReputationFactor,
			ErrInvalidNonConsensusAttestorDecreaseReputationFactor, evNonConsensusAttestorDecreaseReputationFactorUpdate, false),
		"owner_update_validator_absent_decrease_reputation_factor": ownerFactor(
			p.ValidatorAbsentDecreaseReputationFactor,
			ErrInvalidNonValidatorAbsentDecreaseReputationFactor, evValidatorAbsentDecreaseReputationFactorUpdate, false),
		"owner_update_validator_non_consensus_decrease_reputation_factor": ownerFactor(
			p.ValidatorNonConsensusSubnetNodeReputationFactor,
			ErrInvalidValidatorNonConsensusSubnetNodeReputationFactor, evValidatorNonConsensusSubnetNodeReputationFactorUpdate, false),
	}
	for name, h := range ownerLifeCalls() {
		calls[name] = h
	}
	for name, h := range ownerSettingCalls() {
		calls[name] = h
	}
	return calls
}

// ownerLifeCalls are about the life of a subnet.
func ownerLifeCalls() map[string]handler {
	return map[string]handler{
		"owner_pause_subnet":   ownerCall(nothing, func(x *exec, who chain.AccountID, sid uint32, _ struct{}) error { return x.pauseSubnet(who, sid) }),
		"owner_unpause_subnet": ownerCall(nothing, func(x *exec, who chain.AccountID, sid uint32, _ struct{}) error { return x.unpauseSubnet(who, sid) }),
		"owner_deactivate_subnet": ownerCall(nothing, func(x *exec, _ chain.AccountID, sid uint32, _ struct{}) error {
			x.removeSubnet(sid, removedOwner)
			return nil
		}),
		"owner_set_emergency_validator_set": ownerCall(frame.Vec(frame.U32(), 4).Dec, (*exec).setEmergency),
		"owner_revert_emergency_validator_set": ownerCall(nothing, func(x *exec, who chain.AccountID, sid uint32, _ struct{}) error {
			x.EmergencySubnetNodeElectionData.Delete(x, sid)
			x.emit(evSubnetForkRevert, sid, who)
			return nil
		}),
		"transfer_subnet_ownership": ownerCall(frame.Account().Dec, func(x *exec, who chain.AccountID, sid uint32, to chain.AccountID) error {
			x.PendingSubnetOwner.Set(x, sid, to)
			x.emit(evTransferPendingSubnetOwner, sid, who, to)
			return nil
		}),
		"accept_subnet_ownership": func(d *scale.Decoder) action {
			sid := d.U32()
			return signed(func(x *exec, who chain.AccountID) error {
				pending, ok := x.PendingSubnetOwner.Find(x, sid)
				if err := first(
					ensure(ok, ErrNoPendingSubnetOwner),
					ensure(pending == who, ErrNotPendingSubnetOwner),
					ensure(x.SubnetOwner.Has(x, sid), ErrInvalidSubnetId),
				); err != nil {
					return err
				}
				x.SubnetOwner.Set(x, sid, who)
				x.PendingSubnetOwner.Delete(x, sid)
				x.emit(evAcceptPendingSubnetOwner, sid, who)
				return nil
			})
		},
	}
}

func (x *exec) stateOf(sid uint32) (Subnet, State, bool) {
	s, ok := x.SubnetsData.Find(x, sid)
	return s, s.State, ok
}

func (x *exec) pauseSubnet(owner chain.AccountID, sid uint32) error {
	s, state, ok := x.stateOf(sid)
	rested := uint64(x.PreviousSubnetPauseEpoch.Get(x, sid)) + uint64(x.SubnetPauseCooldownEpochs.Get(x))
	if err := first(
		ensure(ok && state == Active, ErrSubnetMustBeActive),
		ensure(rested <= uint64(x.epoch()), ErrSubnetPauseCooldownActive),
	); err != nil {
		return err
	}
	s.State, s.StartEpoch = Paused, x.epoch()
	x.SubnetsData.Set(x, sid, s)
	x.emit(evSubnetPaused, sid, owner)
	return nil
}

func (x *exec) unpauseSubnet(owner chain.AccountID, sid uint32) error {
	s, state, ok := x.stateOf(sid)
	if !ok || state != Paused {
		return fail(ErrSubnetMustBePaused)
	}
	epoch := x.epoch()
	delta := epoch - min(epoch, s.StartEpoch) + 1
	// The chain moves the queued nodes of every subnet.
	for _, e := range x.RegisteredSubnetNodesData.All(x) {
		n := e.B
		n.Class.StartEpoch += delta
		x.RegisteredSubnetNodesData.Set(x, e.A.A, e.A.B, n)
	}
	s.State, s.StartEpoch = Active, epoch+1
	x.SubnetsData.Set(x, sid, s)
	x.PreviousSubnetPauseEpoch.Set(x, sid, epoch)
	if e, ok := x.EmergencySubnetNodeElectionData.Find(x, sid); ok {
		more := percentMul(u128.From64(uint64(e.TargetEpochs)), x.MaxEmergencyValidatorEpochsMultiplier.Get(x))
		e.MaxEpoch = x.subnetEpoch(sid) + uint32(more.Uint64())
		x.EmergencySubnetNodeElectionData.Set(x, sid, e)
	}
	x.emit(evSubnetUnpaused, sid, owner)
	return nil
}

func (x *exec) setEmergency(owner chain.AccountID, sid uint32, set []uint32) error {
	if _, state, ok := x.stateOf(sid); !ok || state != Paused {
		return fail(ErrSubnetMustBePaused)
	}
	epoch := x.subnetEpoch(sid)
	set = slices.DeleteFunc(slices.Compact(set), func(nid uint32) bool {
		n, ok := x.SubnetNodesData.Find(x, sid, nid)
		return !ok || !n.has(ClassValidator, epoch)
	})
	if err := first(
		ensure(uint64(len(set)) >= uint64(x.MinSubnetNodes.Get(x)), ErrInvalidMinEmergencySubnetNodes),
		ensure(uint64(len(set)) <= uint64(x.MaxEmergencySubnetNodes.Get(x)), ErrInvalidMaxEmergencySubnetNodes),
	); err != nil {
		return err
	}
	x.EmergencySubnetNodeElectionData.Set(x, sid, Emergency{Nodes: set, TargetEpochs: min(
		removalSteps(x.MinMinSubnetNodeReputation.Get(x), x.MinNodeReputationFactor.Get(x)),
		removalSteps(x.MinSubnetNodeReputation.Get(x, sid), x.AbsentDecreaseReputationFactor.Get(x, sid)),
	)})
	x.emit(evSubnetForked, sid, owner, encoded(ids(), set))
	return nil
}

// removalSteps is how many decreases by factor bring a reputation below least.
func removalSteps(least, factor u128.U128) uint32 {
	steps := math.Ceil(math.Log(toFloat(least)) / math.Log(1-toFloat(factor)))
	return uint32(min(max(steps, 0), 1<<31)) + 1
}

// ownerSettingCalls are settings with rules of their own.
func ownerSettingCalls() map[string]handler {
	pair := func(d *scale.Decoder) [2]u128.U128 { return [2]u128.U128{d.U128(), d.U128()} }
	return map[string]handler{
		"owner_update_min_max_stake": ownerCall(pair, func(x *exec, who chain.AccountID, sid uint32, v [2]u128.U128) error {
			low, high := v[0], v[1]
			if err := first(
				ensure(!high.Less(low), ErrInvalidValues),
				ensure(within(low, x.MinSubnetMinStake.Get(x), x.MaxSubnetMinStake.Get(x)), ErrInvalidSubnetMinStake),
				ensure(!x.NetworkMaxStakeBalance.Get(x).Less(high), ErrInvalidSubnetMaxStake),
			); err != nil {
				return err
			}
			x.SubnetMinStakeBalance.Set(x, sid, low)
			x.SubnetMaxStakeBalance.Set(x, sid, high)
			x.emit(evSubnetMinMaxStakeBalanceUpdate, sid, who, low, high)
			return nil
		}),
		"owner_update_delegate_stake_percentage": ownerCall((*scale.Decoder).U128, (*exec).setDelegatePercentage),
		"owner_update_node_burn_rate_alpha": ownerCall((*scale.Decoder).U128,
			func(x *exec, who chain.AccountID, sid uint32, v u128.U128) error {
				if one().Less(v) {
					return fail(ErrInvalidPercent)
				}
				x.NodeBurnRateAlpha.Set(x, sid, v)
				x.emit(evNodeBurnRateAlphaUpdate, sid, who, v)
				return nil
			}),
		"owner_update_min_subnet_node_reputation": ownerCall((*scale.Decoder).U128,
			func(x *exec, who chain.AccountID, sid uint32, v u128.U128) error {
				if err := first(
					ensure(!one().Less(v), ErrInvalidPercent),
					ensure(within(v, x.MinMinSubnetNodeReputation.Get(x), x.MaxMinSubnetNodeReputation.Get(x)), ErrMinSubnetNodeReputation),
				); err != nil {
					return err
				}
				x.MinSubnetNodeReputation.Set(x, sid, v)
				x.emit(evMinSubnetNodeReputationUpdate, sid, who, v)
				return nil
			}),
		"owner_update_subnet_node_min_weight_decrease_reputation_threshold": ownerCall((*scale.Decoder).U128,
			func(x *exec, who chain.AccountID, sid uint32, v u128.U128) error {
				if x.MaxSubnetNodeMinWeightDecreaseReputationThreshold.Get(x).Less(v) {
					return fail(ErrInvalidPercent)
				}
				x.SubnetNodeMinWeightDecreaseReputationThreshold.Set(x, sid, v)
				x.emit(evSubnetNodeMinWeightDecreaseReputationThresholdUpdate, sid, who, v)
				return nil
			}),
		"owner_add_or_update_initial_coldkeys": ownerCall(accountCounts().Dec, (*exec).addColdkeys),
		"owner_remove_initial_coldkeys":        ownerCall(accountSet().Dec, (*exec).removeColdkeys),
		"owner_add_bootnode_access":            ownerCall(frame.Account().Dec, (*exec).addBootnodeAccess),
		"owner_remove_bootnode_access":         ownerCall(frame.Account().Dec, (*exec).removeBootnodeAccess),
	}
}

func (x *exec) setDelegatePercentage(owner chain.AccountID, sid uint32, v u128.U128) error {
	due := uint64(x.LastSubnetDelegateStakeRewardsUpdate.Get(x, sid)) + uint64(x.SubnetDelegateStakeRewardsUpdatePeriod.Get(x))
	change := absDiff(x.SubnetDelegateStakeRewardsPercentage.Get(x, sid), v)
	if err := first(
		ensure(due < uint64(x.block), ErrDelegateStakePercentageUpdateTooSoon),
		ensure(!x.MaxSubnetDelegateStakeRewardsPercentageChange.Get(x).Less(change), ErrDelegateStakePercentageAbsDiffTooLarge),
		ensure(x.validDelegatePercentage(v), ErrInvalidDelegateStakePercentage),
	); err != nil {
		return err
	}
	x.LastSubnetDelegateStakeRewardsUpdate.Set(x, sid, x.block)
	x.SubnetDelegateStakeRewardsPercentage.Set(x, sid, v)
	x.emit(evSubnetDelegateStakeRewardsPercentageUpdate, sid, owner, v)
	return nil
}

func (x *exec) ensureRegistered(sid uint32) error {
	_, state, ok := x.stateOf(sid)
	return ensure(ok && state == Registered, ErrSubnetMustBeRegistering)
}

func (x *exec) addColdkeys(owner chain.AccountID, sid uint32, add map[chain.AccountID]uint32) error {
	if err := x.ensureRegistered(sid); err != nil {
		return err
	}
	list := x.SubnetRegistrationInitialColdkeys.Get(x, sid)
	if list == nil {
		list = map[chain.AccountID]uint32{}
	}
	for who, n := range add {
		if n < 1 {
			return fail(ErrInvalidSubnetRegistrationInitialColdkeys)
		}
		list[who] = n
	}
	x.SubnetRegistrationInitialColdkeys.Set(x, sid, list)
	x.emit(evAddSubnetRegistrationInitialColdkeys, sid, owner, encoded(accountCounts(), add))
	return nil
}

func (x *exec) removeColdkeys(owner chain.AccountID, sid uint32, remove map[chain.AccountID]struct{}) error {
	if err := x.ensureRegistered(sid); err != nil {
		return err
	}
	if list, ok := x.SubnetRegistrationInitialColdkeys.Find(x, sid); ok {
		for who := range remove {
			delete(list, who)
		}
		if len(list) == 0 {
			x.SubnetRegistrationInitialColdkeys.Delete(x, sid)
		} else {
			x.SubnetRegistrationInitialColdkeys.Set(x, sid, list)
		}
	}
	x.emit(evRemoveSubnetRegistrationInitialColdkeys, sid, owner, encoded(accountSet(), remove))
	return nil
}

func (x *exec) addBootnodeAccess(owner chain.AccountID, sid uint32, who chain.AccountID) error {
	list := x.SubnetBootnodeAccess.Get(x, sid)
	if list == nil {
		list = map[chain.AccountID]struct{}{}
	}
	if _, ok := list[who]; ok {
		return fail(ErrInBootnodeAccessList)
	}
	list[who] = struct{}{}
	if uint64(len(list)) > uint64(x.MaxSubnetBootnodeAccess.Get(x)) {
		return fail(ErrMaxSubnetBootnodeAccess)
	}
	x.SubnetBootnodeAccess.Set(x, sid, list)
	x.emit(evAddSubnetBootnodeAccess, sid, owner, who)
	return nil
}

func (x *exec) removeBootnodeAccess(owner chain.AccountID, sid uint32, who chain.AccountID) error {
	list := x.SubnetBootnodeAccess.Get(x, sid)
	if _, ok := list[who]; !ok {
		return fail(ErrNotInAccessList)
	}
	delete(list, who)
	x.SubnetBootnodeAccess.Set(x, sid, list)
	x.emit(evRemoveSubnetBootnodeAccess, sid, owner, who)
	return nil
}
