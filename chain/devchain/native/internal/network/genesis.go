package network

import (
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// Genesis writes what the chain sets in block 0.
func (p *Pallet) Genesis(s frame.State) {
	p.MinSubnetRegistrationEpochs.Set(s, 0)
	p.OverwatchEpochLengthMultiplier.Set(s, 1)
	p.OverwatchMinDiversificationRatio.Set(s, u128.U128{})
	p.OverwatchMinRepScore.Set(s, u128.U128{})
	p.OverwatchMinAvgAttestationRatio.Set(s, u128.U128{})
	p.OverwatchMinAge.Set(s, 0)
	p.DelegateStakeCooldownEpochs.Set(s, 1)
	p.NodeDelegateStakeCooldownEpochs.Set(s, 1)
	p.StakeCooldownEpochs.Set(s, 1)
	p.MinActiveNodeStakeEpochs.Set(s, 1)
	p.SubnetDelegateStakeRewardsUpdatePeriod.Set(s, 0)
	p.NodeRewardRateUpdatePeriod.Set(s, 0)
	p.MinSubnetDelegateStakeFactor.Set(s, u128.U128{})
	p.MaxMinDelegateStakeMultiplier.Set(s, one())
	p.SubnetPauseCooldownEpochs.Set(s, 0)
}
