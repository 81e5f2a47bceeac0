package substrate

import (
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

// sample is a call with the generations that have it.
type sample struct {
	call        Call
	generations string // "G1 G2 G3"
}

func (s sample) has(g Generation) bool { return strings.Contains(s.generations, string(g)) }

// sampleCalls is one of every call that this package offers.
func sampleCalls() []sample {
	const all, old, recent, third = "G1 G2 G3", "G1 G2", "G2 G3", "G3"
	who, other := chain.AccountID{1}, chain.AccountID{2}
	one := chain.OneTensor()
	peer := chain.PeerAddr{PeerID: "12D3KooWGmub3LXuKQixhBD5XwNW4PtSfnrysYzqs1oj19HxMUCF", Multiaddr: []byte{4, 127, 0, 0, 1, 6, 0x98, 0x30}}
	name := "0x00 is text here"
	registration := SubnetRegistration{
		Name: "subnet-1", Repo: "github.com/subnet-1", Description: "desc", Misc: "misc",
		MinStake: chain.Tensor(100), MaxStake: chain.Tensor(1000), DelegateStakePercentage: one,
		InitialColdkeys: map[chain.AccountID]uint32{who: 1, other: 2}, InitialValidators: map[uint32]uint32{1: 1, 2: 1},
		Bootnodes: map[string][]byte{peer.PeerID: peer.Multiaddr},
	}
	var out []sample
	add := func(generations string, calls ...Call) {
		for _, c := range calls {
			out = append(out, sample{c, generations})
		}
	}
	add(all, Transfer(who, one), TransferKeepAlive(who, one), TransferAll(who, true), Remark([]byte("hello")),
		Batch(ActivateSubnet(1), ClaimUnbondings()), BatchAll(Transfer(who, one)), Sudo(PauseSubnet(1)),
		RegisterSubnet(one, registration), ActivateSubnet(1), PauseSubnet(1), UnpauseSubnet(1), DeactivateSubnet(1),
		UpdateSubnetText(1, SubnetName, name), UpdateSubnetText(1, SubnetRepo, name),
		UpdateSubnetText(1, SubnetDescription, name), UpdateSubnetText(1, SubnetMisc, name),
		UpdateSubnetNumber(1, ChurnLimit, 1), UpdateSubnetNumber(1, RegistrationQueueEpochs, 1),
		UpdateSubnetNumber(1, IdleClassificationEpochs, 1), UpdateSubnetNumber(1, IncludedClassificationEpochs, 1),
		UpdateSubnetNumber(1, MaxRegisteredNodes, 1), UpdateSubnetNumber(1, TargetNodeRegistrations, 1),
		UpdateSubnetNumber(1, QueueImmunityEpochs, 1),
		UpdateSubnetShare(1, DelegateStakePercentage, one), UpdateSubnetShare(1, NodeBurnRateAlpha, one),
		UpdateSubnetShare(1, MinNodeReputation, one), UpdateSubnetShare(1, MinWeightThreshold, one),
		UpdateStakeRange(1, one, one), SetEmergencyValidators(1, []chain.NodeID{1, 2, 3}), RevertEmergencyValidators(1),
		TransferSubnetOwnership(1, who), AcceptSubnetOwnership(1), AddBootnodeAccess(1, who), RemoveBootnodeAccess(1, who),
		UpdateBootnodes(1, registration.Bootnodes, []string{"b", "a"}),
		RegisterSubnetNode(NodeRegistration{Subnet: 1, Hotkey: who, Validator: 1, Peer: peer, Bootnode: &peer, Stake: one, Unique: []byte("u"), MaxBurn: one}),
		RemoveSubnetNode(1, 2), UpdateNodePeer(1, 2, peer), UpdateNodeUnique(1, 2, []byte("x")), UpdateNodeNonUnique(1, 2, nil),
		AddStake(1, 2, who, one), RemoveStake(1, 2, who, one), ClaimUnbondings(), AddDelegateStake(1, one),
		SwapDelegateStake(1, 2, one), TransferDelegateStake(1, who, one), RemoveDelegateStake(1, one), DonateDelegateStake(1, one),
		Propose(1, 2, []chain.NodeScore{{Node: 1, Score: one}}),
		ProposeWith(1, 2, nil, ProposalExtras{Prioritize: new(chain.NodeID), Args: []byte("a"), AttestData: []byte("b")}),
		Attest(1, 2, []byte("x")),
		RegisterOverwatchNode(who, one), RemoveOverwatchNode(1), SetOverwatchPeer(1, 2, peer.PeerID),
		CommitWeights(1, []OverwatchCommit{{1, CommitHash(one, []byte("salt"))}}), RevealWeights(1, []OverwatchReveal{{1, one, []byte("salt")}}),
		AddOverwatchStake(1, who, one), RemoveOverwatchStake(1, who, one))
	add(recent, UpdateSubnetNumber(1, ChurnLimitMultiplier, 1), UpdateNodeBootnode(1, 2, &peer), UpdateNodeClient(1, 2, nil),
		RemoveDelegateAccountBalance(one))
	add("G2", RegisterSubnetNode(NodeRegistration{Subnet: 1, Hotkey: who, Peer: peer, DelegateAccount: &DelegateAccount{who, one}}),
		UpdateDelegateAccount(1, 2, &who, nil))
	out[len(out)-2].generations = all // without the delegate account where there is none
	add(old, AddInitialColdkeys(1, registration.InitialColdkeys), RemoveInitialColdkeys(1, []chain.AccountID{other, who}),
		UpdateNodeRewardRate(1, 2, one), UpdateHotkey(who, other), UpdateColdkey(who, other),
		AddNodeDelegateStake(1, 2, one), RemoveNodeDelegateStake(1, 2, one), SwapNodeDelegateStake(1, 2, 3, 4, one),
		TransferNodeDelegateStake(1, 2, who, one), DonateNodeDelegateStake(1, 2, one), SwapFromNodeToSubnet(1, 2, 3, one),
		SwapFromSubnetToNode(1, 2, 3, one), UpdateIdentity(who, Identity{Name: &name}), RemoveIdentity(), AnyoneRemoveOverwatchNode(1),
		UpdateSubnetShare(1, AbsentDecrease, one), UpdateSubnetShare(1, IncludedIncrease, one), UpdateSubnetShare(1, BelowMinWeightDecrease, one),
		UpdateSubnetShare(1, NonAttestorDecrease, one), UpdateSubnetShare(1, NonConsensusAttestorDecrease, one),
		UpdateSubnetShare(1, ValidatorAbsentDecrease, one), UpdateSubnetShare(1, ValidatorNonConsensusDecrease, one),
		UpdateSwapQueue(1, metadata.Enum{Name: "SwapToSubnetDelegateStake", Value: metadata.Fields{
			{Name: "account_id", Value: who[:]}, {Name: "to_subnet_id", Value: uint64(1)}, {Name: "balance", Value: one}}}))
	add(third, AddInitialValidators(1, registration.InitialValidators), RemoveInitialValidators(1, []uint32{2, 1}),
		UpdateNodeHotkey(1, 2, nil), RegisterValidator(who, one, &DelegateAccount{who, one}, &Identity{Name: &name}),
		UpdateValidatorColdkey(1, who), UpdateValidatorHotkey(1, who), UpdateValidatorRewardRate(1, one),
		UpdateValidatorDelegateAccount(1, &who, &one), UpdateValidatorIdentity(1, nil), AddValidatorDelegateStake(1, one),
		RemoveValidatorDelegateStake(1, one), TransferValidatorDelegateStake(1, who, one), SwapValidatorDelegateStake(1, 2, one),
		DonateValidatorDelegateStake(1, one), SwapFromValidatorToSubnet(1, 2, one), SwapFromSubnetToValidator(1, 2, one),
		UpdateOverwatchHotkey(1, &who), UpdateReputationFactors(1, metadata.Fields{}))
	return out
}
