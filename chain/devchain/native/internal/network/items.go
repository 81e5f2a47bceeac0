package network

import (
	"math/big"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// items are the storage items of the pallet, under the chain's own names.
// Their hashers and defaults come from the metadata.
type items struct {
	TotalSubnetUids                                   *frame.Value[uint32]
	SubnetNetFlow                                     *frame.Map[uint32, *big.Int]
	SubnetIdFriendlyUid                               *frame.Map[uint32, uint32]
	FriendlyUidSubnetId                               *frame.Map[uint32, uint32]
	TotalSubnets                                      *frame.Value[uint32]
	TotalActiveSubnets                                *frame.Value[uint32]
	SubnetsData                                       *frame.Map[uint32, Subnet]
	SubnetRegistrationEpoch                           *frame.Map[uint32, uint32]
	SubnetOwner                                       *frame.Map[uint32, chain.AccountID]
	SubnetPauseCooldownEpochs                         *frame.Value[uint32]
	PreviousSubnetPauseEpoch                          *frame.Map[uint32, uint32]
	PrevSubnetActivationEpoch                         *frame.Value[uint32]
	LastRegistrationCost                              *frame.Value[u128.U128]
	MinRegistrationCost                               *frame.Value[u128.U128]
	LastSubnetRegistrationBlock                       *frame.Value[uint32]
	SubnetSlot                                        *frame.Map[uint32, uint32]
	SlotAssignment                                    *frame.Map[uint32, uint32]
	AssignedSlots                                     *frame.Value[map[uint32]struct{}]
	SubnetNodeElectionSlots                           *frame.Map[uint32, []uint32]
	EmergencySubnetNodeElectionData                   *frame.Map[uint32, Emergency]
	MaxEmergencySubnetNodes                           *frame.Value[uint32]
	MaxEmergencyValidatorEpochsMultiplier             *frame.Value[u128.U128]
	TotalSubnetElectableNodes                         *frame.Map[uint32, uint32]
	TotalElectableNodes                               *frame.Value[uint32]
	NodeSlotIndex                                     *frame.Map2[uint32, uint32, uint32]
	TotalNodes                                        *frame.Value[uint32]
	TotalActiveNodes                                  *frame.Value[uint32]
	TotalSubnetNodes                                  *frame.Map[uint32, uint32]
	TotalActiveSubnetNodes                            *frame.Map[uint32, uint32]
	RegistrationCostDecayBlocks                       *frame.Value[uint32]
	RegistrationCostAlpha                             *frame.Value[u128.U128]
	NewRegistrationCostMultiplier                     *frame.Value[u128.U128]
	MaxSubnetPauseEpochs                              *frame.Value[uint32]
	MinSubnetRemovalInterval                          *frame.Value[uint32]
	MaxSubnetRemovalInterval                          *frame.Value[uint32]
	DelegateStakeSubnetRemovalInterval                *frame.Value[uint32]
	SubnetRegistrationEpochs                          *frame.Value[uint32]
	MinSubnetRegistrationEpochs                       *frame.Value[uint32]
	SubnetEnactmentEpochs                             *frame.Value[uint32]
	MaxSubnetBootnodeAccess                           *frame.Value[uint32]
	MaxSubnets                                        *frame.Value[uint32]
	MaxBootnodes                                      *frame.Value[uint32]
	MinSubnetNodes                                    *frame.Value[uint32]
	MaxSubnetNodes                                    *frame.Value[uint32]
	MaxMinDelegateStakeMultiplier                     *frame.Value[u128.U128]
	MinChurnLimit                                     *frame.Value[uint32]
	MaxChurnLimit                                     *frame.Value[uint32]
	MinChurnLimitMultiplier                           *frame.Value[uint32]
	MaxChurnLimitMultiplier                           *frame.Value[uint32]
	MinQueueEpochs                                    *frame.Value[uint32]
	MaxQueueEpochs                                    *frame.Value[uint32]
	MinIdleClassificationEpochs                       *frame.Value[uint32]
	MaxIdleClassificationEpochs                       *frame.Value[uint32]
	MinIncludedClassificationEpochs                   *frame.Value[uint32]
	MaxIncludedClassificationEpochs                   *frame.Value[uint32]
	MaxSubnetNodeMinWeightDecreaseReputationThreshold *frame.Value[u128.U128]
	MinSubnetMinStake                                 *frame.Value[u128.U128]
	MaxSubnetMinStake                                 *frame.Value[u128.U128]
	NetworkMaxStakeBalance                            *frame.Value[u128.U128]
	MinDelegateStakePercentage                        *frame.Value[u128.U128]
	MaxDelegateStakePercentage                        *frame.Value[u128.U128]
	MinMaxRegisteredNodes                             *frame.Value[uint32]
	MaxMaxRegisteredNodes                             *frame.Value[uint32]
	MaxSubnetDelegateStakeRewardsPercentageChange     *frame.Value[u128.U128]
	SubnetDelegateStakeRewardsUpdatePeriod            *frame.Value[uint32]
	DelegateStakeCooldownEpochs                       *frame.Value[uint32]
	NodeDelegateStakeCooldownEpochs                   *frame.Value[uint32]
	StakeCooldownEpochs                               *frame.Value[uint32]
	MaxUnbondings                                     *frame.Value[uint32]
	BaseValidatorReward                               *frame.Value[u128.U128]
	ValidatorRewardK                                  *frame.Value[uint64]
	ValidatorRewardMidpoint                           *frame.Value[u128.U128]
	AttestorRewardExponent                            *frame.Value[uint64]
	AttestorMinRewardFactor                           *frame.Value[u128.U128]
	BaseSlashPercentage                               *frame.Value[u128.U128]
	MaxSlashAmount                                    *frame.Value[u128.U128]
	SubnetDistributionPower                           *frame.Value[u128.U128]
	DelegateStakeWeightFactor                         *frame.Value[u128.U128]
	SubnetWeightFactors                               *frame.Value[WeightFactors]
	InflationSigmoidMidpoint                          *frame.Value[u128.U128]
	InflationSigmoidSteepness                         *frame.Value[u128.U128]
	SubnetOwnerPercentage                             *frame.Value[u128.U128]
	PendingSubnetOwner                                *frame.Map[uint32, chain.AccountID]
	SubnetBootnodes                                   *frame.Map[uint32, map[string]string]
	SubnetBootnodeAccess                              *frame.Map[uint32, map[chain.AccountID]struct{}]
	SubnetName                                        *frame.Map[string, uint32]
	SubnetRepo                                        *frame.Map[string, uint32]
	ChurnLimit                                        *frame.Map[uint32, uint32]
	ChurnLimitMultiplier                              *frame.Map[uint32, uint32]
	SubnetNodeQueueEpochs                             *frame.Map[uint32, uint32]
	IdleClassificationEpochs                          *frame.Map[uint32, uint32]
	IncludedClassificationEpochs                      *frame.Map[uint32, uint32]
	SubnetNodeIdleConsecutiveEpochs                   *frame.Map2[uint32, uint32, uint32]
	SubnetNodeConsecutiveIncludedEpochs               *frame.Map2[uint32, uint32, uint32]
	QueueImmunityEpochs                               *frame.Map[uint32, uint32]
	SubnetRegistrationInitialColdkeys                 *frame.Map[uint32, map[chain.AccountID]uint32]
	SubnetMinStakeBalance                             *frame.Map[uint32, u128.U128]
	SubnetMaxStakeBalance                             *frame.Map[uint32, u128.U128]
	SubnetDelegateStakeRewardsPercentage              *frame.Map[uint32, u128.U128]
	LastSubnetDelegateStakeRewardsUpdate              *frame.Map[uint32, uint32]
	InitialColdkeyData                                *frame.Map[uint32, map[chain.AccountID]uint32]
	MaxRegisteredNodes                                *frame.Map[uint32, uint32]
	SubnetNodeMinWeightDecreaseReputationThreshold    *frame.Map[uint32, u128.U128]
	TotalSubnetNodeUids                               *frame.Map[uint32, uint32]
	ColdkeyIdentity                                   *frame.Map[chain.AccountID, Identity]
	ColdkeyIdentityNameOwner                          *frame.Map[string, chain.AccountID]
	HotkeyOwner                                       *frame.Map[chain.AccountID, chain.AccountID]
	HotkeySubnetId                                    *frame.Map[chain.AccountID, uint32]
	ColdkeyHotkeys                                    *frame.Map[chain.AccountID, map[chain.AccountID]struct{}]
	ColdkeySubnetNodes                                *frame.Map[chain.AccountID, map[uint32]map[uint32]struct{}]
	HotkeySubnetNodeId                                *frame.Map2[uint32, chain.AccountID, uint32]
	SubnetNodeIdHotkey                                *frame.Map2[uint32, uint32, chain.AccountID]
	SubnetNodesData                                   *frame.Map2[uint32, uint32, Node]
	RegisteredSubnetNodesData                         *frame.Map2[uint32, uint32, Node]
	SubnetNodeQueue                                   *frame.Map[uint32, []Node]
	PeerIdSubnetNodeId                                *frame.Map2[uint32, string, uint32]
	BootnodePeerIdSubnetNodeId                        *frame.Map2[uint32, string, uint32]
	ClientPeerIdSubnetNodeId                          *frame.Map2[uint32, string, uint32]
	MultiaddrSubnetNodeId                             *frame.Map2[uint32, string, uint32]
	UniqueParamSubnetNodeId                           *frame.Map2[uint32, string, uint32]
	CurrentNodeBurnRate                               *frame.Map[uint32, u128.U128]
	BaseNodeBurnAmount                                *frame.Value[u128.U128]
	MinNodeBurnRate                                   *frame.Value[u128.U128]
	MaxNodeBurnRate                                   *frame.Value[u128.U128]
	NodeBurnRateAlpha                                 *frame.Map[uint32, u128.U128]
	TargetNodeRegistrationsPerEpoch                   *frame.Map[uint32, uint32]
	NodeRegistrationsThisEpoch                        *frame.Map[uint32, uint32]
	TxRateLimit                                       *frame.Value[uint32]
	LastTxBlock                                       *frame.Map[chain.AccountID, uint32]
	TxPause                                           *frame.Value[bool]
	SubnetElectedValidator                            *frame.Map2[uint32, uint32, uint32]
	SubnetConsensusSubmission                         *frame.Map2[uint32, uint32, Submission]
	MinAttestationPercentage                          *frame.Value[u128.U128]
	SuperMajorityAttestationRatio                     *frame.Value[u128.U128]
	FinalSubnetEmissionWeights                        *frame.Map[uint32, Distribution]
	MinNodeReputationFactor                           *frame.Value[u128.U128]
	MaxNodeReputationFactor                           *frame.Value[u128.U128]
	MinMinSubnetNodeReputation                        *frame.Value[u128.U128]
	MaxMinSubnetNodeReputation                        *frame.Value[u128.U128]
	MinSubnetNodeReputation                           *frame.Map[uint32, u128.U128]
	SubnetNodeReputation                              *frame.Map2[uint32, uint32, u128.U128]
	AbsentDecreaseReputationFactor                    *frame.Map[uint32, u128.U128]
	IncludedIncreaseReputationFactor                  *frame.Map[uint32, u128.U128]
	BelowMinWeightDecreaseReputationFactor            *frame.Map[uint32, u128.U128]
	NonAttestorDecreaseReputationFactor               *frame.Map[uint32, u128.U128]
	NonConsensusAttestorDecreaseReputationFactor      *frame.Map[uint32, u128.U128]
	ValidatorAbsentDecreaseReputationFactor           *frame.Map[uint32, u128.U128]
	ValidatorNonConsensusSubnetNodeReputationFactor   *frame.Map[uint32, u128.U128]
	SubnetReputation                                  *frame.Map[uint32, u128.U128]
	MinSubnetReputation                               *frame.Value[u128.U128]
	NotInConsensusSubnetReputationFactor              *frame.Value[u128.U128]
	MaxPauseEpochsSubnetReputationFactor              *frame.Value[u128.U128]
	LessThanMinNodesSubnetReputationFactor            *frame.Value[u128.U128]
	ValidatorAbsentSubnetReputationFactor             *frame.Value[u128.U128]
	InConsensusSubnetReputationFactor                 *frame.Value[u128.U128]
	ColdkeyReputationIncreaseFactor                   *frame.Value[u128.U128]
	ColdkeyReputationDecreaseFactor                   *frame.Value[u128.U128]
	ColdkeyReputation                                 *frame.Map[chain.AccountID, Reputation]
	TotalStake                                        *frame.Value[u128.U128]
	TotalSubnetStake                                  *frame.Map[uint32, u128.U128]
	AccountSubnetStake                                *frame.Map2[chain.AccountID, uint32, u128.U128]
	TotalAccountDelegateStake                         *frame.Value[u128.U128]
	AccountDelegateStake                              *frame.Map[chain.AccountID, u128.U128]
	StakeUnbondingLedger                              *frame.Map[chain.AccountID, map[uint32]u128.U128]
	TotalUnbondingBalance                             *frame.Value[u128.U128]
	MinActiveNodeStakeEpochs                          *frame.Value[uint32]
	MinSubnetDelegateStakeFactor                      *frame.Value[u128.U128]
	MinDelegateStakeDeposit                           *frame.Value[u128.U128]
	TotalDelegateStake                                *frame.Value[u128.U128]
	TotalSubnetDelegateStakeShares                    *frame.Map[uint32, u128.U128]
	TotalSubnetDelegateStakeBalance                   *frame.Map[uint32, u128.U128]
	AccountSubnetDelegateStakeShares                  *frame.Map2[chain.AccountID, uint32, u128.U128]
	NodeRewardRateUpdatePeriod                        *frame.Value[uint32]
	MaxRewardRateDecrease                             *frame.Value[u128.U128]
	TotalNodeDelegateStake                            *frame.Value[u128.U128]
	TotalNodeDelegateStakeShares                      *frame.Map2[uint32, uint32, u128.U128]
	TotalNodeDelegateStakeBalance                     *frame.Map2[uint32, uint32, u128.U128]
	AccountNodeDelegateStakeShares                    *frame.Map3[chain.AccountID, uint32, uint32, u128.U128]
	OverwatchNodeBlacklist                            *frame.Map[chain.AccountID, bool]
	MaxOverwatchNodes                                 *frame.Value[uint32]
	TotalOverwatchNodes                               *frame.Value[uint32]
	TotalOverwatchNodeUids                            *frame.Value[uint32]
	OverwatchEpochLengthMultiplier                    *frame.Value[uint32]
	OverwatchCommitCutoffPercent                      *frame.Value[u128.U128]
	OverwatchNodes                                    *frame.Map[uint32, OverwatchNode]
	OverwatchNodeIdHotkey                             *frame.Map[uint32, chain.AccountID]
	HotkeyOverwatchNodeId                             *frame.Map[chain.AccountID, uint32]
	PeerIdOverwatchNodeId                             *frame.Map2[uint32, string, uint32]
	OverwatchNodeIndex                                *frame.Map[uint32, map[uint32]string]
	OverwatchCommits                                  *frame.Map3[uint32, uint32, uint32, chain.Hash]
	OverwatchReveals                                  *frame.Map3[uint32, uint32, uint32, u128.U128]
	OverwatchWeightFactor                             *frame.Value[u128.U128]
	OverwatchStakeWeightFactor                        *frame.Value[u128.U128]
	OverwatchSubnetWeights                            *frame.Map2[uint32, uint32, u128.U128]
	OverwatchNodeWeights                              *frame.Map2[uint32, uint32, u128.U128]
	OverwatchMinDiversificationRatio                  *frame.Value[u128.U128]
	OverwatchMinRepScore                              *frame.Value[u128.U128]
	OverwatchMinAvgAttestationRatio                   *frame.Value[u128.U128]
	OverwatchMinAge                                   *frame.Value[uint32]
	TotalOverwatchStake                               *frame.Value[u128.U128]
	AccountOverwatchStake                             *frame.Map[chain.AccountID, u128.U128]
	OverwatchMinStakeBalance                          *frame.Value[u128.U128]
	SwapQueueOrder                                    *frame.Value[[]uint32]
	SwapCallQueue                                     *frame.Map[uint32, QueuedSwap]
	NextSwapQueueId                                   *frame.Value[uint32]
	MaxSwapQueueCallsPerBlock                         *frame.Value[uint32]
}

func newItems(m *metadata.Metadata) items {
	it := frame.NewItems(m, "Network")
	u32, amount, account, text := frame.U32(), frame.U128(), frame.Account(), frame.Bytes()
	return items{
		TotalSubnetUids:                       frame.NewValue(it, "TotalSubnetUids", u32),
		SubnetNetFlow:                         frame.NewMap(it, "SubnetNetFlow", u32, i128()),
		SubnetIdFriendlyUid:                   frame.NewMap(it, "SubnetIdFriendlyUid", u32, u32),
		FriendlyUidSubnetId:                   frame.NewMap(it, "FriendlyUidSubnetId", u32, u32),
		TotalSubnets:                          frame.NewValue(it, "TotalSubnets", u32),
		TotalActiveSubnets:                    frame.NewValue(it, "TotalActiveSubnets", u32),
		SubnetsData:                           frame.NewMap(it, "SubnetsData", u32, subnet()),
		SubnetRegistrationEpoch:               frame.NewMap(it, "SubnetRegistrationEpoch", u32, u32),
		SubnetOwner:                           frame.NewMap(it, "SubnetOwner", u32, account),
		SubnetPauseCooldownEpochs:             frame.NewValue(it, "SubnetPauseCooldownEpochs", u32),
		PreviousSubnetPauseEpoch:              frame.NewMap(it, "PreviousSubnetPauseEpoch", u32, u32),
		PrevSubnetActivationEpoch:             frame.NewValue(it, "PrevSubnetActivationEpoch", u32),
		LastRegistrationCost:                  frame.NewValue(it, "LastRegistrationCost", amount),
		MinRegistrationCost:                   frame.NewValue(it, "MinRegistrationCost", amount),
		LastSubnetRegistrationBlock:           frame.NewValue(it, "LastSubnetRegistrationBlock", u32),
		SubnetSlot:                            frame.NewMap(it, "SubnetSlot", u32, u32),
		SlotAssignment:                        frame.NewMap(it, "SlotAssignment", u32, u32),
		AssignedSlots:                         frame.NewValue(it, "AssignedSlots", idSet()),
		SubnetNodeElectionSlots:               frame.NewMap(it, "SubnetNodeElectionSlots", u32, ids()),
		EmergencySubnetNodeElectionData:       frame.NewMap(it, "EmergencySubnetNodeElectionData", u32, emergency()),
		MaxEmergencySubnetNodes:               frame.NewValue(it, "MaxEmergencySubnetNodes", u32),
		MaxEmergencyValidatorEpochsMultiplier: frame.NewValue(it, "MaxEmergencyValidatorEpochsMultiplier", amount),
		TotalSubnetElectableNodes:             frame.NewMap(it, "TotalSubnetElectableNodes", u32, u32),
		TotalElectableNodes:                   frame.NewValue(it, "TotalElectableNodes", u32),
		NodeSlotIndex:                         frame.NewMap2(it, "NodeSlotIndex", u32, u32, u32),
		TotalNodes:                            frame.NewValue(it, "TotalNodes", u32),
		TotalActiveNodes:                      frame.NewValue(it, "TotalActiveNodes", u32),
		TotalSubnetNodes:                      frame.NewMap(it, "TotalSubnetNodes", u32, u32),
		TotalActiveSubnetNodes:                frame.NewMap(it, "TotalActiveSubnetNodes", u32, u32),
		RegistrationCostDecayBlocks:           frame.NewValue(it, "RegistrationCostDecayBlocks", u32),
		RegistrationCostAlpha:                 frame.NewValue(it, "RegistrationCostAlpha", amount),
		NewRegistrationCostMultiplier:         frame.NewValue(it, "NewRegistrationCostMultiplier", amount),
		MaxSubnetPauseEpochs:                  frame.NewValue(it, "MaxSubnetPauseEpochs", u32),
		MinSubnetRemovalInterval:              frame.NewValue(it, "MinSubnetRemovalInterval", u32),
		MaxSubnetRemovalInterval:              frame.NewValue(it, "MaxSubnetRemovalInterval", u32),
		DelegateStakeSubnetRemovalInterval:    frame.NewValue(it, "DelegateStakeSubnetRemovalInterval", u32),
		SubnetRegistrationEpochs:              frame.NewValue(it, "SubnetRegistrationEpochs", u32),
		MinSubnetRegistrationEpochs:           frame.NewValue(it, "MinSubnetRegistrationEpochs", u32),
		SubnetEnactmentEpochs:                 frame.NewValue(it, "SubnetEnactmentEpochs", u32),
		MaxSubnetBootnodeAccess:               frame.NewValue(it, "MaxSubnetBootnodeAccess", u32),
		MaxSubnets:                            frame.NewValue(it, "MaxSubnets", u32),
		MaxBootnodes:                          frame.NewValue(it, "MaxBootnodes", u32),
		MinSubnetNodes:                        frame.NewValue(it, "MinSubnetNodes", u32),
		MaxSubnetNodes:                        frame.NewValue(it, "MaxSubnetNodes", u32),
		MaxMinDelegateStakeMultiplier:         frame.NewValue(it, "MaxMinDelegateStakeMultiplier", amount),
		MinChurnLimit:                         frame.NewValue(it, "MinChurnLimit", u32),
		MaxChurnLimit:                         frame.NewValue(it, "MaxChurnLimit", u32),
		MinChurnLimitMultiplier:               frame.NewValue(it, "MinChurnLimitMultiplier", u32),
		MaxChurnLimitMultiplier:               frame.NewValue(it, "MaxChurnLimitMultiplier", u32),
		MinQueueEpochs:                        frame.NewValue(it, "MinQueueEpochs", u32),
		MaxQueueEpochs:                        frame.NewValue(it, "MaxQueueEpochs", u32),
		MinIdleClassificationEpochs:           frame.NewValue(it, "MinIdleClassificationEpochs", u32),
		MaxIdleClassificationEpochs:           frame.NewValue(it, "MaxIdleClassificationEpochs", u32),
		MinIncludedClassificationEpochs:       frame.NewValue(it, "MinIncludedClassificationEpochs", u32),
		MaxIncludedClassificationEpochs:       frame.NewValue(it, "MaxIncludedClassificationEpochs", u32),
		MaxSubnetNodeMinWeightDecreaseReputationThreshold: frame.NewValue(it, "MaxSubnetNodeMinWeightDecreaseReputationThreshold", amount),
		MinSubnetMinStake:                               frame.NewValue(it, "MinSubnetMinStake", amount),
		MaxSubnetMinStake:                               frame.NewValue(it, "MaxSubnetMinStake", amount),
		NetworkMaxStakeBalance:                          frame.NewValue(it, "NetworkMaxStakeBalance", amount),
		MinDelegateStakePercentage:                      frame.NewValue(it, "MinDelegateStakePercentage", amount),
		MaxDelegateStakePercentage:                      frame.NewValue(it, "MaxDelegateStakePercentage", amount),
		MinMaxRegisteredNodes:                           frame.NewValue(it, "MinMaxRegisteredNodes", u32),
		MaxMaxRegisteredNodes:                           frame.NewValue(it, "MaxMaxRegisteredNodes", u32),
		MaxSubnetDelegateStakeRewardsPercentageChange:   frame.NewValue(it, "MaxSubnetDelegateStakeRewardsPercentageChange", amount),
		SubnetDelegateStakeRewardsUpdatePeriod:          frame.NewValue(it, "SubnetDelegateStakeRewardsUpdatePeriod", u32),
		DelegateStakeCooldownEpochs:                     frame.NewValue(it, "DelegateStakeCooldownEpochs", u32),
		NodeDelegateStakeCooldownEpochs:                 frame.NewValue(it, "NodeDelegateStakeCooldownEpochs", u32),
		StakeCooldownEpochs:                             frame.NewValue(it, "StakeCooldownEpochs", u32),
		MaxUnbondings:                                   frame.NewValue(it, "MaxUnbondings", u32),
		BaseValidatorReward:                             frame.NewValue(it, "BaseValidatorReward", amount),
		ValidatorRewardK:                                frame.NewValue(it, "ValidatorRewardK", frame.U64()),
		ValidatorRewardMidpoint:                         frame.NewValue(it, "ValidatorRewardMidpoint", amount),
		AttestorRewardExponent:                          frame.NewValue(it, "AttestorRewardExponent", frame.U64()),
		AttestorMinRewardFactor:                         frame.NewValue(it, "AttestorMinRewardFactor", amount),
		BaseSlashPercentage:                             frame.NewValue(it, "BaseSlashPercentage", amount),
		MaxSlashAmount:                                  frame.NewValue(it, "MaxSlashAmount", amount),
		SubnetDistributionPower:                         frame.NewValue(it, "SubnetDistributionPower", amount),
		DelegateStakeWeightFactor:                       frame.NewValue(it, "DelegateStakeWeightFactor", amount),
		SubnetWeightFactors:                             frame.NewValue(it, "SubnetWeightFactors", weightFactors()),
		InflationSigmoidMidpoint:                        frame.NewValue(it, "InflationSigmoidMidpoint", amount),
		InflationSigmoidSteepness:                       frame.NewValue(it, "InflationSigmoidSteepness", amount),
		SubnetOwnerPercentage:                           frame.NewValue(it, "SubnetOwnerPercentage", amount),
		PendingSubnetOwner:                              frame.NewMap(it, "PendingSubnetOwner", u32, account),
		SubnetBootnodes:                                 frame.NewMap(it, "SubnetBootnodes", u32, bootnodes()),
		SubnetBootnodeAccess:                            frame.NewMap(it, "SubnetBootnodeAccess", u32, accountSet()),
		SubnetName:                                      frame.NewMap(it, "SubnetName", text, u32),
		SubnetRepo:                                      frame.NewMap(it, "SubnetRepo", text, u32),
		ChurnLimit:                                      frame.NewMap(it, "ChurnLimit", u32, u32),
		ChurnLimitMultiplier:                            frame.NewMap(it, "ChurnLimitMultiplier", u32, u32),
		SubnetNodeQueueEpochs:                           frame.NewMap(it, "SubnetNodeQueueEpochs", u32, u32),
		IdleClassificationEpochs:                        frame.NewMap(it, "IdleClassificationEpochs", u32, u32),
		IncludedClassificationEpochs:                    frame.NewMap(it, "IncludedClassificationEpochs", u32, u32),
		SubnetNodeIdleConsecutiveEpochs:                 frame.NewMap2(it, "SubnetNodeIdleConsecutiveEpochs", u32, u32, u32),
		SubnetNodeConsecutiveIncludedEpochs:             frame.NewMap2(it, "SubnetNodeConsecutiveIncludedEpochs", u32, u32, u32),
		QueueImmunityEpochs:                             frame.NewMap(it, "QueueImmunityEpochs", u32, u32),
		SubnetRegistrationInitialColdkeys:               frame.NewMap(it, "SubnetRegistrationInitialColdkeys", u32, accountCounts()),
		SubnetMinStakeBalance:                           frame.NewMap(it, "SubnetMinStakeBalance", u32, amount),
		SubnetMaxStakeBalance:                           frame.NewMap(it, "SubnetMaxStakeBalance", u32, amount),
		SubnetDelegateStakeRewardsPercentage:            frame.NewMap(it, "SubnetDelegateStakeRewardsPercentage", u32, amount),
		LastSubnetDelegateStakeRewardsUpdate:            frame.NewMap(it, "LastSubnetDelegateStakeRewardsUpdate", u32, u32),
		InitialColdkeyData:                              frame.NewMap(it, "InitialColdkeyData", u32, accountCounts()),
		MaxRegisteredNodes:                              frame.NewMap(it, "MaxRegisteredNodes", u32, u32),
		SubnetNodeMinWeightDecreaseReputationThreshold:  frame.NewMap(it, "SubnetNodeMinWeightDecreaseReputationThreshold", u32, amount),
		TotalSubnetNodeUids:                             frame.NewMap(it, "TotalSubnetNodeUids", u32, u32),
		ColdkeyIdentity:                                 frame.NewMap(it, "ColdkeyIdentity", account, identity()),
		ColdkeyIdentityNameOwner:                        frame.NewMap(it, "ColdkeyIdentityNameOwner", text, account),
		HotkeyOwner:                                     frame.NewMap(it, "HotkeyOwner", account, account),
		HotkeySubnetId:                                  frame.NewMap(it, "HotkeySubnetId", account, u32),
		ColdkeyHotkeys:                                  frame.NewMap(it, "ColdkeyHotkeys", account, accountSet()),
		ColdkeySubnetNodes:                              frame.NewMap(it, "ColdkeySubnetNodes", account, nodeSets()),
		HotkeySubnetNodeId:                              frame.NewMap2(it, "HotkeySubnetNodeId", u32, account, u32),
		SubnetNodeIdHotkey:                              frame.NewMap2(it, "SubnetNodeIdHotkey", u32, u32, account),
		SubnetNodesData:                                 frame.NewMap2(it, "SubnetNodesData", u32, u32, node()),
		RegisteredSubnetNodesData:                       frame.NewMap2(it, "RegisteredSubnetNodesData", u32, u32, node()),
		SubnetNodeQueue:                                 frame.NewMap(it, "SubnetNodeQueue", u32, nodes()),
		PeerIdSubnetNodeId:                              frame.NewMap2(it, "PeerIdSubnetNodeId", u32, text, u32),
		BootnodePeerIdSubnetNodeId:                      frame.NewMap2(it, "BootnodePeerIdSubnetNodeId", u32, text, u32),
		ClientPeerIdSubnetNodeId:                        frame.NewMap2(it, "ClientPeerIdSubnetNodeId", u32, text, u32),
		MultiaddrSubnetNodeId:                           frame.NewMap2(it, "MultiaddrSubnetNodeId", u32, text, u32),
		UniqueParamSubnetNodeId:                         frame.NewMap2(it, "UniqueParamSubnetNodeId", u32, text, u32),
		CurrentNodeBurnRate:                             frame.NewMap(it, "CurrentNodeBurnRate", u32, amount),
		BaseNodeBurnAmount:                              frame.NewValue(it, "BaseNodeBurnAmount", amount),
		MinNodeBurnRate:                                 frame.NewValue(it, "MinNodeBurnRate", amount),
		MaxNodeBurnRate:                                 frame.NewValue(it, "MaxNodeBurnRate", amount),
		NodeBurnRateAlpha:                               frame.NewMap(it, "NodeBurnRateAlpha", u32, amount),
		TargetNodeRegistrationsPerEpoch:                 frame.NewMap(it, "TargetNodeRegistrationsPerEpoch", u32, u32),
		NodeRegistrationsThisEpoch:                      frame.NewMap(it, "NodeRegistrationsThisEpoch", u32, u32),
		TxRateLimit:                                     frame.NewValue(it, "TxRateLimit", u32),
		LastTxBlock:                                     frame.NewMap(it, "LastTxBlock", account, u32),
		TxPause:                                         frame.NewValue(it, "TxPause", frame.Bool()),
		SubnetElectedValidator:                          frame.NewMap2(it, "SubnetElectedValidator", u32, u32, u32),
		SubnetConsensusSubmission:                       frame.NewMap2(it, "SubnetConsensusSubmission", u32, u32, submission()),
		MinAttestationPercentage:                        frame.NewValue(it, "MinAttestationPercentage", amount),
		SuperMajorityAttestationRatio:                   frame.NewValue(it, "SuperMajorityAttestationRatio", amount),
		FinalSubnetEmissionWeights:                      frame.NewMap(it, "FinalSubnetEmissionWeights", u32, distribution()),
		MinNodeReputationFactor:                         frame.NewValue(it, "MinNodeReputationFactor", amount),
		MaxNodeReputationFactor:                         frame.NewValue(it, "MaxNodeReputationFactor", amount),
		MinMinSubnetNodeReputation:                      frame.NewValue(it, "MinMinSubnetNodeReputation", amount),
		MaxMinSubnetNodeReputation:                      frame.NewValue(it, "MaxMinSubnetNodeReputation", amount),
		MinSubnetNodeReputation:                         frame.NewMap(it, "MinSubnetNodeReputation", u32, amount),
		SubnetNodeReputation:                            frame.NewMap2(it, "SubnetNodeReputation", u32, u32, amount),
		AbsentDecreaseReputationFactor:                  frame.NewMap(it, "AbsentDecreaseReputationFactor", u32, amount),
		IncludedIncreaseReputationFactor:                frame.NewMap(it, "IncludedIncreaseReputationFactor", u32, amount),
		BelowMinWeightDecreaseReputationFactor:          frame.NewMap(it, "BelowMinWeightDecreaseReputationFactor", u32, amount),
		NonAttestorDecreaseReputationFactor:             frame.NewMap(it, "NonAttestorDecreaseReputationFactor", u32, amount),
		NonConsensusAttestorDecreaseReputationFactor:    frame.NewMap(it, "NonConsensusAttestorDecreaseReputationFactor", u32, amount),
		ValidatorAbsentDecreaseReputationFactor:         frame.NewMap(it, "ValidatorAbsentDecreaseReputationFactor", u32, amount),
		ValidatorNonConsensusSubnetNodeReputationFactor: frame.NewMap(it, "ValidatorNonConsensusSubnetNodeReputationFactor", u32, amount),
		SubnetReputation:                                frame.NewMap(it, "SubnetReputation", u32, amount),
		MinSubnetReputation:                             frame.NewValue(it, "MinSubnetReputation", amount),
		NotInConsensusSubnetReputationFactor:            frame.NewValue(it, "NotInConsensusSubnetReputationFactor", amount),
		MaxPauseEpochsSubnetReputationFactor:            frame.NewValue(it, "MaxPauseEpochsSubnetReputationFactor", amount),
		LessThanMinNodesSubnetReputationFactor:          frame.NewValue(it, "LessThanMinNodesSubnetReputationFactor", amount),
		ValidatorAbsentSubnetReputationFactor:           frame.NewValue(it, "ValidatorAbsentSubnetReputationFactor", amount),
		InConsensusSubnetReputationFactor:               frame.NewValue(it, "InConsensusSubnetReputationFactor", amount),
		ColdkeyReputationIncreaseFactor:                 frame.NewValue(it, "ColdkeyReputationIncreaseFactor", amount),
		ColdkeyReputationDecreaseFactor:                 frame.NewValue(it, "ColdkeyReputationDecreaseFactor", amount),
		ColdkeyReputation:                               frame.NewMap(it, "ColdkeyReputation", account, reputation()),
		TotalStake:                                      frame.NewValue(it, "TotalStake", amount),
		TotalSubnetStake:                                frame.NewMap(it, "TotalSubnetStake", u32, amount),
		AccountSubnetStake:                              frame.NewMap2(it, "AccountSubnetStake", account, u32, amount),
		TotalAccountDelegateStake:                       frame.NewValue(it, "TotalAccountDelegateStake", amount),
		AccountDelegateStake:                            frame.NewMap(it, "AccountDelegateStake", account, amount),
		StakeUnbondingLedger:                            frame.NewMap(it, "StakeUnbondingLedger", account, amounts()),
		TotalUnbondingBalance:                           frame.NewValue(it, "TotalUnbondingBalance", amount),
		MinActiveNodeStakeEpochs:                        frame.NewValue(it, "MinActiveNodeStakeEpochs", u32),
		MinSubnetDelegateStakeFactor:                    frame.NewValue(it, "MinSubnetDelegateStakeFactor", amount),
		MinDelegateStakeDeposit:                         frame.NewValue(it, "MinDelegateStakeDeposit", amount),
		TotalDelegateStake:                              frame.NewValue(it, "TotalDelegateStake", amount),
		TotalSubnetDelegateStakeShares:                  frame.NewMap(it, "TotalSubnetDelegateStakeShares", u32, amount),
		TotalSubnetDelegateStakeBalance:                 frame.NewMap(it, "TotalSubnetDelegateStakeBalance", u32, amount),
		AccountSubnetDelegateStakeShares:                frame.NewMap2(it, "AccountSubnetDelegateStakeShares", account, u32, amount),
		NodeRewardRateUpdatePeriod:                      frame.NewValue(it, "NodeRewardRateUpdatePeriod", u32),
		MaxRewardRateDecrease:                           frame.NewValue(it, "MaxRewardRateDecrease", amount),
		TotalNodeDelegateStake:                          frame.NewValue(it, "TotalNodeDelegateStake", amount),
		TotalNodeDelegateStakeShares:                    frame.NewMap2(it, "TotalNodeDelegateStakeShares", u32, u32, amount),
		TotalNodeDelegateStakeBalance:                   frame.NewMap2(it, "TotalNodeDelegateStakeBalance", u32, u32, amount),
		AccountNodeDelegateStakeShares:                  frame.NewMap3(it, "AccountNodeDelegateStakeShares", account, u32, u32, amount),
		OverwatchNodeBlacklist:                          frame.NewMap(it, "OverwatchNodeBlacklist", account, frame.Bool()),
		MaxOverwatchNodes:                               frame.NewValue(it, "MaxOverwatchNodes", u32),
		TotalOverwatchNodes:                             frame.NewValue(it, "TotalOverwatchNodes", u32),
		TotalOverwatchNodeUids:                          frame.NewValue(it, "TotalOverwatchNodeUids", u32),
		OverwatchEpochLengthMultiplier:                  frame.NewValue(it, "OverwatchEpochLengthMultiplier", u32),
		OverwatchCommitCutoffPercent:                    frame.NewValue(it, "OverwatchCommitCutoffPercent", amount),
		OverwatchNodes:                                  frame.NewMap(it, "OverwatchNodes", u32, overwatchNode()),
		OverwatchNodeIdHotkey:                           frame.NewMap(it, "OverwatchNodeIdHotkey", u32, account),
		HotkeyOverwatchNodeId:                           frame.NewMap(it, "HotkeyOverwatchNodeId", account, u32),
		PeerIdOverwatchNodeId:                           frame.NewMap2(it, "PeerIdOverwatchNodeId", u32, text, u32),
		OverwatchNodeIndex:                              frame.NewMap(it, "OverwatchNodeIndex", u32, peerIDs()),
		OverwatchCommits:                                frame.NewMap3(it, "OverwatchCommits", u32, u32, u32, frame.Hash()),
		OverwatchReveals:                                frame.NewMap3(it, "OverwatchReveals", u32, u32, u32, amount),
		OverwatchWeightFactor:                           frame.NewValue(it, "OverwatchWeightFactor", amount),
		OverwatchStakeWeightFactor:                      frame.NewValue(it, "OverwatchStakeWeightFactor", amount),
		OverwatchSubnetWeights:                          frame.NewMap2(it, "OverwatchSubnetWeights", u32, u32, amount),
		OverwatchNodeWeights:                            frame.NewMap2(it, "OverwatchNodeWeights", u32, u32, amount),
		OverwatchMinDiversificationRatio:                frame.NewValue(it, "OverwatchMinDiversificationRatio", amount),
		OverwatchMinRepScore:                            frame.NewValue(it, "OverwatchMinRepScore", amount),
		OverwatchMinAvgAttestationRatio:                 frame.NewValue(it, "OverwatchMinAvgAttestationRatio", amount),
		OverwatchMinAge:                                 frame.NewValue(it, "OverwatchMinAge", u32),
		TotalOverwatchStake:                             frame.NewValue(it, "TotalOverwatchStake", amount),
		AccountOverwatchStake:                           frame.NewMap(it, "AccountOverwatchStake", account, amount),
		OverwatchMinStakeBalance:                        frame.NewValue(it, "OverwatchMinStakeBalance", amount),
		SwapQueueOrder:                                  frame.NewValue(it, "SwapQueueOrder", ids()),
		SwapCallQueue:                                   frame.NewMap(it, "SwapCallQueue", u32, queuedSwap()),
		NextSwapQueueId:                                 frame.NewValue(it, "NextSwapQueueId", u32),
		MaxSwapQueueCallsPerBlock:                       frame.NewValue(it, "MaxSwapQueueCallsPerBlock", u32),
	}
}
