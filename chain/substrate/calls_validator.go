package substrate

import "github.com/hypertensor-blockchain/mesh/chain"

// Identity is what an operator says about itself; nil fields are not given. The chain checks nothing of it.
type Identity struct {
	Name, URL, Image, Discord, X, Telegram, Github, HuggingFace, Description, Misc *string
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// RegisterValidator makes the signer's coldkey a validator (G3). There is no event: the ID is ColdkeyValidatorId of the coldkey.
func RegisterValidator(hotkey chain.AccountID, rewardRate chain.Balance, delegate *DelegateAccount, identity *Identity) Call {
	return network("register_validator", "hotkey", hotkey, "delegate_reward_rate", rewardRate,
		"delegate_account", delegate, "identity", identity)
}

// UpdateValidatorColdkey moves a validator to another coldkey (G3).
func UpdateValidatorColdkey(validator uint32, coldkey chain.AccountID) Call {
	return network("update_validator_coldkey", "validator_id", validator, "new_coldkey", coldkey)
}

// UpdateValidatorHotkey replaces a validator's hotkey (G3).
func UpdateValidatorHotkey(validator uint32, hotkey chain.AccountID) Call {
	return network("update_validator_hotkey", "validator_id", validator, "new_hotkey", hotkey)
}

// UpdateValidatorRewardRate changes the delegators' share of a validator's rewards (G3).
func UpdateValidatorRewardRate(validator uint32, rate chain.Balance) Call {
	return network("update_validator_delegate_reward_rate", "validator_id", validator, "new_delegate_reward_rate", rate)
}

// UpdateValidatorDelegateAccount changes who receives a share of a validator's rewards (G3).
func UpdateValidatorDelegateAccount(validator uint32, who *chain.AccountID, rate *chain.Balance) Call {
	return network("update_validator_delegate_account", "validator_id", validator, "delegate_account_id", who, "delegate_rate", rate)
}

// UpdateValidatorIdentity changes what a validator says about itself (G3).
func UpdateValidatorIdentity(validator uint32, identity *Identity) Call {
	return network("update_validator_identity", "validator_id", validator, "identity", identity)
}

// UpdateIdentity changes what the signer's coldkey says about itself (G1, G2).
func UpdateIdentity(hotkey chain.AccountID, i Identity) Call {
	return network("register_or_update_identity", "hotkey", hotkey, "name", text(i.Name), "url", text(i.URL), "image", text(i.Image),
		"discord", text(i.Discord), "x", text(i.X), "telegram", text(i.Telegram), "github", text(i.Github),
		"hugging_face", text(i.HuggingFace), "description", text(i.Description), "misc", text(i.Misc))
}

// RemoveIdentity removes what the signer's coldkey says about itself (G1, G2).
func RemoveIdentity() Call { return network("remove_identity") }

// AddValidatorDelegateStake gives an amount to the pool of a validator (G3).
func AddValidatorDelegateStake(validator uint32, amount chain.Balance) Call {
	return network("add_validator_delegate_stake", "validator_id", validator, "delegate_stake_to_be_added", amount)
}

// RemoveValidatorDelegateStake gives shares of a validator's pool back (G3).
func RemoveValidatorDelegateStake(validator uint32, shares chain.Balance) Call {
	return network("remove_validator_delegate_stake", "validator_id", validator, "validator_delegate_stake_shares_to_be_removed", shares)
}

// TransferValidatorDelegateStake gives shares of a validator's pool to another account (G3).
func TransferValidatorDelegateStake(validator uint32, to chain.AccountID, shares chain.Balance) Call {
	return network("transfer_validator_delegate_stake", "validator_id", validator, "to_account_id", to,
		"validator_delegate_stake_shares_to_transfer", shares)
}

// SwapValidatorDelegateStake moves shares from one validator's pool to another's (G3).
func SwapValidatorDelegateStake(from, to uint32, shares chain.Balance) Call {
	return network("swap_from_validator_to_validator", "from_validator_id", from, "to_validator_id", to, "stake_to_be_removed", shares)
}

// DonateValidatorDelegateStake gives an amount to a validator's pool without taking shares (G3).
func DonateValidatorDelegateStake(validator uint32, amount chain.Balance) Call {
	return network("donate_validator_delegate_stake", "validator_id", validator, "amount", amount)
}

// SwapFromValidatorToSubnet moves shares of a validator's pool to a subnet's (G3).
func SwapFromValidatorToSubnet(from uint32, to chain.SubnetID, shares chain.Balance) Call {
	return network("swap_from_validator_to_subnet", "from_validator_id", from, "to_subnet_id", to, "node_delegate_stake_shares_to_swap", shares)
}

// SwapFromSubnetToValidator moves shares of a subnet's pool to a validator's (G3).
func SwapFromSubnetToValidator(from chain.SubnetID, to uint32, shares chain.Balance) Call {
	return network("swap_from_subnet_to_validator", "from_subnet_id", from, "to_validator_id", to, "subnet_delegate_stake_shares_to_swap", shares)
}
