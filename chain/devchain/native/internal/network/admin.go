package network

import (
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// check accepts or refuses the new value of a setting.
type check[T any] func(x *exec, v T) error

// setting is a governance call that sets one value.
func setting[T any](item *frame.Value[T], c frame.Codec[T], ev event, ok check[T]) handler {
	return func(d *scale.Decoder) action {
		v := c.Dec(d)
		return root(func(x *exec) error {
			if ok != nil {
				if err := ok(x, v); err != nil {
					return err
				}
			}
			item.Set(x, v)
			x.emit(ev, encoded(c, v))
			return nil
		})
	}
}

func setU32(item *frame.Value[uint32], ev event, ok check[uint32]) handler {
	return setting(item, frame.U32(), ev, ok)
}

func setU64(item *frame.Value[uint64], ev event, ok check[uint64]) handler {
	return setting(item, frame.U64(), ev, ok)
}

func setU128(item *frame.Value[u128.U128], ev event, ok check[u128.U128]) handler {
	return setting(item, frame.U128(), ev, ok)
}

// limits is a governance call that sets a least and a greatest value.
func limits[T any](low, high *frame.Value[T], c frame.Codec[T], ev event, ok func(low, high T) error) handler {
	return func(d *scale.Decoder) action {
		a, b := c.Dec(d), c.Dec(d)
		return root(func(x *exec) error {
			if err := ok(a, b); err != nil {
				return err
			}
			low.Set(x, a)
			high.Set(x, b)
			x.emit(ev, encoded(c, a), encoded(c, b))
			return nil
		})
	}
}

func limits32(low, high *frame.Value[uint32], ev event) handler {
	return limits(low, high, frame.U32(), ev, func(a, b uint32) error { return ensure(a < b, ErrInvalidValues) })
}

func limits128(low, high *frame.Value[u128.U128], ev event, most bool) handler {
	return limits(low, high, frame.U128(), ev, func(a, b u128.U128) error {
		return first(ensure(a.Less(b), ErrInvalidValues), ensure(!most || !one().Less(b), ErrInvalidPercent))
	})
}

// Checks.

func percent(_ *exec, v u128.U128) error { return ensure(!one().Less(v), ErrInvalidPercent) }

func atLeastOne(_ *exec, v u128.U128) error { return ensure(!v.Less(one()), ErrInvalidPercent) }

func atMost(limit uint32, e Error) check[uint32] {
	return func(_ *exec, v uint32) error { return ensure(v <= limit, e) }
}

func positive[T uint32 | uint64](e Error) check[T] {
	return func(_ *exec, v T) error { return ensure(v > 0, e) }
}

func (p *Pallet) adminCalls() map[string]handler {
	calls := p.adminActions()
	for _, table := range []map[string]handler{p.subnetSettings(), p.nodeSettings(), p.rewardSettings(), p.overwatchSettings()} {
		for name, h := range table {
			calls[name] = h
		}
	}
	return calls
}

// adminActions do something at once.
func (p *Pallet) adminActions() map[string]handler {
	pause := func(on bool, ev event) handler {
		return func(*scale.Decoder) action {
			return root(func(x *exec) error {
				x.TxPause.Set(x, on)
				x.emit(ev)
				return nil
			})
		}
	}
	return map[string]handler{
		"pause":   pause(true, evSetTxPause),
		"unpause": pause(false, evSetTxUnpause),
		"collective_remove_subnet": func(d *scale.Decoder) action {
			sid := d.U32()
			return root(func(x *exec) error { x.removeSubnet(sid, removedCouncil); return nil })
		},
		"collective_remove_subnet_node": func(d *scale.Decoder) action {
			sid, nid := d.U32(), d.U32()
			return root(func(x *exec) error {
				x.emit(evCollectiveRemoveSubnetNode, sid, nid)
				x.removeNode(sid, nid)
				return nil
			})
		},
		"collective_remove_overwatch_node": func(d *scale.Decoder) action {
			oid := d.U32()
			return root(func(x *exec) error {
				x.removeOverwatch(oid)
				x.emit(evCollectiveRemoveOverwatchNode, oid)
				return nil
			})
		},
		"collective_set_coldkey_overwatch_node_eligibility": func(d *scale.Decoder) action {
			coldkey, barred := frame.Account().Dec(d), d.Bool()
			return root(func(x *exec) error {
				x.OverwatchNodeBlacklist.Set(x, coldkey, barred)
				x.emit(evOverwatchNodeBlacklist, coldkey, barred)
				return nil
			})
		},
		"set_maximum_hooks_weight": func(d *scale.Decoder) action { // weight is not metered
			v := d.U32()
			return root(func(x *exec) error {
				if v == 0 || v > 100 {
					return fail(ErrInvalidPerbillPercent)
				}
				x.emit(evSetMaximumHooksWeight, v)
				return nil
			})
		},
	}
}

func (p *Pallet) subnetSettings() map[string]handler {
	return map[string]handler{
		"set_min_subnet_delegate_stake_factor": setU128(p.MinSubnetDelegateStakeFactor, evSetMinSubnetDelegateStakeFactor, percent),
		"set_subnet_owner_percentage": setU128(p.SubnetOwnerPercentage, evSetSubnetOwnerPercentage,
			func(_ *exec, v u128.U128) error { return ensure(v.Cmp(u128.From64(5e17)) <= 0, ErrInvalidPercent) }),
		"set_max_subnets":                 setU32(p.MaxSubnets, evSetMaxSubnets, atMost(p.cfg.EpochLength-reservedSlots, ErrInvalidMaxSubnets)),
		"set_max_bootnodes":               setU32(p.MaxBootnodes, evSetMaxBootnodes, atMost(256, ErrInvalidMaxBootnodes)),
		"set_max_subnet_bootnodes_access": setU32(p.MaxSubnetBootnodeAccess, evSetMaxSubnetBootnodeAccess, atMost(256, ErrInvalidMaxSubnetBootnodeAccess)),
		"set_max_pause_epochs":            setU32(p.MaxSubnetPauseEpochs, evSetMaxSubnetPauseEpochs, positive[uint32](ErrInvalidMaxSubnetPauseEpochs)),
		"set_delegate_stake_subnet_removal_interval": setU32(p.DelegateStakeSubnetRemovalInterval,
			evSetDelegateStakeSubnetRemovalInterval, positive[uint32](ErrInvalidDelegateStakeSubnetRemovalInterval)),
		"set_subnet_removal_intervals":           limits32(p.MinSubnetRemovalInterval, p.MaxSubnetRemovalInterval, evSetSubnetRemovalIntervals),
		"set_subnet_pause_cooldown_epochs":       setU32(p.SubnetPauseCooldownEpochs, evSetSubnetPauseCooldownEpochs, nil),
		"set_min_registration_cost":              setU128(p.MinRegistrationCost, evSetMinRegistrationCost, nil),
		"set_registration_cost_delay_blocks":     setU32(p.RegistrationCostDecayBlocks, evSetRegistrationCostDecayBlocks, nil),
		"set_registration_cost_alpha":            setU128(p.RegistrationCostAlpha, evSetRegistrationCostAlpha, percent),
		"set_new_registration_cost_multiplier":   setU128(p.NewRegistrationCostMultiplier, evSetNewRegistrationCostMultiplier, nil),
		"set_max_min_delegate_stake_multiplier":  setU128(p.MaxMinDelegateStakeMultiplier, evSetMaxMinDelegateStakeMultiplier, atLeastOne),
		"set_subnet_activation_enactment_epochs": setU32(p.SubnetEnactmentEpochs, evSetSubnetEnactmentEpochs, nil),
		"set_subnet_stakes":                      limits128(p.MinSubnetMinStake, p.MaxSubnetMinStake, evSetSubnetStakesLimits, false),
		"set_delegate_stake_percentages":         limits128(p.MinDelegateStakePercentage, p.MaxDelegateStakePercentage, evSetDelegateStakePercentages, true),
		"set_max_subnet_delegate_stake_rewards_percentage_change": setU128(
			p.MaxSubnetDelegateStakeRewardsPercentageChange, evSetMaxSubnetDelegateStakeRewardsPercentageChange, nil),
		"set_subnet_delegate_stake_rewards_update_period": setU32(
			p.SubnetDelegateStakeRewardsUpdatePeriod, evSetSubnetDelegateStakeRewardsUpdatePeriod, nil),
		"set_min_subnet_registration_epochs": setU32(p.MinSubnetRegistrationEpochs, evSetMinSubnetRegistrationEpochs,
			func(x *exec, v uint32) error {
				return ensure(v < x.SubnetRegistrationEpochs.Get(x), ErrInvalidMinSubnetRegistrationEpochs)
			}),
		"set_subnet_registration_epochs": setU32(p.SubnetRegistrationEpochs, evSetSubnetRegistrationEpochs,
			func(x *exec, v uint32) error {
				return ensure(v > x.MinSubnetRegistrationEpochs.Get(x), ErrInvalidSubnetRegistrationEpochs)
			}),
		"set_max_emergency_validator_epochs_multiplier": setU128(
			p.MaxEmergencyValidatorEpochsMultiplier, evSetMaxEmergencyValidatorEpochsMultiplier, atLeastOne),
		"set_max_emergency_subnet_nodes": setU32(p.MaxEmergencySubnetNodes, evSetMaxEmergencySubnetNodes,
			func(x *exec, v uint32) error {
				return ensure(v >= x.MinSubnetNodes.Get(x), ErrInvalidMaxEmergencySubnetNodes)
			}),
		"set_min_subnet_reputation": setU128(p.MinSubnetReputation, evSetMinSubnetReputation, percent),
		"set_not_in_consensus_subnet_reputation_factor": setU128(
			p.NotInConsensusSubnetReputationFactor, evSetNotInConsensusSubnetReputationFactor, percent),
		"set_max_pause_epochs_subnet_reputation_factor": setU128(
			p.MaxPauseEpochsSubnetReputationFactor, evSetMaxPauseEpochsSubnetReputationFactor, percent),
		"set_less_than_min_nodes_subnet_reputation_factor": setU128(
			p.LessThanMinNodesSubnetReputationFactor, evSetLessThanMinNodesSubnetReputationFactor, percent),
		"set_validator_proposal_absent_subnet_reputation_factor": setU128(
			p.ValidatorAbsentSubnetReputationFactor, evSetValidatorAbsentSubnetReputationFactor, percent),
		"set_in_consensus_subnet_reputation_factor": setU128(
			p.InConsensusSubnetReputationFactor, evSetInConsensusSubnetReputationFactor, percent),
	}
}

func (p *Pallet) nodeSettings() map[string]handler {
	return map[string]handler{
		"set_churn_limits":                   limits32(p.MinChurnLimit, p.MaxChurnLimit, evSetChurnLimits),
		"set_churn_limit_multipliers":        limits32(p.MinChurnLimitMultiplier, p.MaxChurnLimitMultiplier, evSetChurnLimitMultipliers),
		"set_queue_epochs":                   limits32(p.MinQueueEpochs, p.MaxQueueEpochs, evSetQueueEpochs),
		"set_min_idle_classification_epochs": setU32(p.MinIdleClassificationEpochs, evSetMinIdleClassificationEpochs, nil),
		"set_max_idle_classification_epochs": setU32(p.MaxIdleClassificationEpochs, evSetMaxIdleClassificationEpochs, nil),
		"set_included_classification_epochs": limits32(
			p.MinIncludedClassificationEpochs, p.MaxIncludedClassificationEpochs, evSetIncludedClassificationEpochs),
		"set_min_max_registered_nodes": limits32(p.MinMaxRegisteredNodes, p.MaxMaxRegisteredNodes, evSetMinMaxRegisteredNodes),
		"set_min_max_subnet_node": limits(p.MinSubnetNodes, p.MaxSubnetNodes, frame.U32(), evSetMinMaxSubnetNodes,
			func(a, b uint32) error { return ensure(0 < a && a < b, ErrInvalidValues) }),
		"set_network_max_stake_balance":    setU128(p.NetworkMaxStakeBalance, evSetNetworkMaxStakeBalance, nil),
		"set_min_active_node_stake_epochs": setU32(p.MinActiveNodeStakeEpochs, evSetMinActiveNodeStakeEpochs, nil),
		"set_min_stake_cooldown_epochs":    setU32(p.StakeCooldownEpochs, evSetStakeCooldownEpochs, positive[uint32](ErrInvalidStakeCooldownEpochs)),
		"set_delegate_stake_cooldown_epochs": setU32(p.DelegateStakeCooldownEpochs, evSetDelegateStakeCooldownEpochs,
			positive[uint32](ErrInvalidDelegateStakeCooldownEpochs)),
		"set_node_delegate_stake_cooldown_epochs": setU32(p.NodeDelegateStakeCooldownEpochs, evSetNodeDelegateStakeCooldownEpochs,
			positive[uint32](ErrInvalidNodeDelegateStakeCooldownEpochs)),
		"set_max_unbondings": setU32(p.MaxUnbondings, evSetMaxUnbondings, atMost(256, ErrInvalidMaxUnbondings)),
		"set_min_delegate_stake_deposit": setU128(p.MinDelegateStakeDeposit, evSetMinDelegateStakeDeposit,
			func(_ *exec, v u128.U128) error {
				return ensure(!v.Less(u128.From64(1000)), ErrInvalidMinDelegateStakeDeposit)
			}),
		"set_node_reward_rate_update_period": setU32(p.NodeRewardRateUpdatePeriod, evSetNodeRewardRateUpdatePeriod, nil),
		"set_max_reward_rate_decrease":       setU128(p.MaxRewardRateDecrease, evSetMaxRewardRateDecrease, nil),
		"set_max_swap_queue_calls_per_block": setU32(p.MaxSwapQueueCallsPerBlock, evSetMaxSwapQueueCallsPerBlock, nil),
		"set_tx_rate_limit":                  setU32(p.TxRateLimit, evSetTxRateLimit, nil),
		"set_base_node_burn_amount":          setU128(p.BaseNodeBurnAmount, evSetBaseNodeBurnAmount, nil),
		"set_node_burn_rates": limits(p.MinNodeBurnRate, p.MaxNodeBurnRate, frame.U128(), evSetNodeBurnRates,
			func(a, b u128.U128) error {
				return first(
					ensure(a.Less(b) && !a.IsZero(), ErrInvalidValues), ensure(!one().Less(b), ErrInvalidPercent))
			}),
		"set_max_subnet_node_min_weight_decrease_reputation_threshold": setU128(
			p.MaxSubnetNodeMinWeightDecreaseReputationThreshold, evSetMaxSubnetNodeMinWeightDecreaseReputationThreshold, percent),
		"set_min_max_node_reputation":        limits128(p.MinMinSubnetNodeReputation, p.MaxMinSubnetNodeReputation, evSetNodeReputationLimits, true),
		"set_min_max_node_reputation_factor": limits128(p.MinNodeReputationFactor, p.MaxNodeReputationFactor, evSetNodeReputationFactors, true),
		"set_reputation_increase_factor":     setU128(p.ColdkeyReputationIncreaseFactor, evSetColdkeyReputationIncreaseFactor, percent),
		"set_reputation_decrease_factor":     setU128(p.ColdkeyReputationDecreaseFactor, evSetColdkeyReputationDecreaseFactor, percent),
	}
}

func (p *Pallet) rewardSettings() map[string]handler {
	return map[string]handler{
		"set_min_attestation_percentage": setU128(p.MinAttestationPercentage, evSetMinAttestationPercentage,
			func(_ *exec, v u128.U128) error {
				return ensure(u128.From64(5e17).Less(v) && !one().Less(v), ErrInvalidPercent)
			}),
		"set_super_majority_attestation_ratio": setU128(p.SuperMajorityAttestationRatio, evSetSuperMajorityAttestationRatio,
			func(x *exec, v u128.U128) error {
				return first(percent(x, v), ensure(!v.Less(x.MinAttestationPercentage.Get(x)), ErrInvalidSuperMajorityAttestationRatio))
			}),
		"set_base_validator_reward":        setU128(p.BaseValidatorReward, evSetBaseValidatorReward, nil),
		"set_base_slash_percentage":        setU128(p.BaseSlashPercentage, evSetBaseSlashPercentage, nil),
		"set_max_slash_amount":             setU128(p.MaxSlashAmount, evSetMaxSlashAmount, nil),
		"set_subnet_distribution_power":    setU128(p.SubnetDistributionPower, evSetSubnetDistributionPower, nil),
		"set_delegate_stake_weight_factor": setU128(p.DelegateStakeWeightFactor, evSetDelegateStakeWeightFactor, percent),
		"set_inflation_sigmoid_steepness":  setU128(p.InflationSigmoidSteepness, evSetSigmoidSteepness, nil),
		"set_sigmoid_midpoint":             setU128(p.InflationSigmoidMidpoint, evSetInflationSigmoidMidpoint, percent),
		"set_validator_reward_k":           setU64(p.ValidatorRewardK, evSetValidatorRewardK, positive[uint64](ErrInvalidValidatorRewardK)),
		"set_validator_reward_midpoint":    setU128(p.ValidatorRewardMidpoint, evSetValidatorRewardMidpoint, percent),
		"set_attestor_reward_exponent":     setU64(p.AttestorRewardExponent, evSetAttestorRewardExponent, positive[uint64](ErrInvalidAttestorRewardExponent)),
		"set_attestor_min_reward_factor":   setU128(p.AttestorMinRewardFactor, evSetAttestorMinRewardFactor, percent),
		"set_subnet_weight_factors": setting(p.SubnetWeightFactors, weightFactors(), evSetSubnetWeightFactors,
			func(_ *exec, v WeightFactors) error {
				return ensure(!one().Less(v.DelegateStake.SatAdd(v.NodeCount).SatAdd(v.NetFlow)), ErrInvalidPercent)
			}),
	}
}

func (p *Pallet) overwatchSettings() map[string]handler {
	return map[string]handler{
		"set_max_overwatch_nodes": setU32(p.MaxOverwatchNodes, evSetMaxOverwatchNodes, nil),
		"set_overwatch_epoch_length_multiplier": setU32(p.OverwatchEpochLengthMultiplier, evSetOverwatchEpochLengthMultiplier,
			positive[uint32](ErrInvalidOverwatchEpochLengthMultiplier)),
		"set_overwatch_commit_cutoff_percent": setU128(p.OverwatchCommitCutoffPercent, evSetOverwatchCommitCutoffPercent,
			func(_ *exec, v u128.U128) error { return ensure(v.Cmp(u128.From64(95e16)) <= 0, ErrInvalidPercent) }),
		"set_overwatch_min_diversification_ratio": setU128(p.OverwatchMinDiversificationRatio, evSetOverwatchMinDiversificationRatio, nil),
		"set_overwatch_min_rep_score":             setU128(p.OverwatchMinRepScore, evSetOverwatchMinRepScore, nil),
		"set_overwatch_min_avg_attestation_ratio": setU128(p.OverwatchMinAvgAttestationRatio, evSetOverwatchMinAvgAttestationRatio, nil),
		"set_overwatch_min_age":                   setU32(p.OverwatchMinAge, evSetOverwatchMinAge, nil),
		"set_overwatch_min_stake_balance":         setU128(p.OverwatchMinStakeBalance, evSetOverwatchMinStakeBalance, nil),
		"set_overwatch_weight_factor":             setU128(p.OverwatchWeightFactor, evSetOverwatchWeightFactor, percent),
		"set_overwatch_stake_weight_factor":       setU128(p.OverwatchStakeWeightFactor, evSetOverwatchStakeWeightFactor, atLeastOne),
	}
}
