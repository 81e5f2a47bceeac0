package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
)

// preflight refuses a call that the chain would certainly take a fee for and then refuse: it wants the subnet's owner and somebody else
// signs, or it moves more than the signer has left after the fee. It knows no other rule of the chain and is silent in doubt; what it
// lets pass may still fail. (system_dryRun would know all rules, but public nodes do not offer it.)
func preflight(ctx context.Context, c *substrate.Client, from chain.AccountID, call substrate.Call) error {
	fee, err := c.FeeEstimate(ctx, from, call)
	if err != nil {
		return err
	}
	decoded, err := c.Describe(call)
	if err != nil {
		return err
	}
	args, ok := decoded.Args.(metadata.Fields)
	if !ok {
		return nil
	}
	at, err := c.At(ctx, chain.Hash{})
	if err != nil {
		return err
	}
	if id, ok := args.Get("subnet_id").(uint64); ok && ownersOnly(decoded) {
		s, err := c.Subnet(ctx, at, chain.SubnetID(id))
		if err != nil && !errors.Is(err, chain.ErrNotFound) {
			return err
		}
		if err == nil && s.Owner != from {
			return failf("nothing was submitted; give the owner's key with --key", "%s: subnet %d is owned by %s, not by %s", call, id, s.Owner, from)
		}
	}
	info, err := c.AccountInfo(ctx, at, from)
	if err != nil {
		return err
	}
	amount := moved(decoded)
	switch {
	case info.Free.Less(fee):
		return cannotPay(from, call)
	case info.Free.SatSub(fee).Less(amount):
		return failf("nothing was submitted; send the account more TENSOR, or give a smaller amount", "%s: account %s has %s free, less than %s and a fee of %s",
			call, from, chain.FormatTensor(info.Free), chain.FormatTensor(amount), chain.FormatTensor(fee))
	}
	return nil
}

// cannotPay is the same whether we or the chain's pool notice it.
func cannotPay(from chain.AccountID, call substrate.Call) error {
	return failf("send it some TENSOR first, for instance with `mesh account transfer`", "%s: account %s cannot pay the fee", call, from)
}

// ownersOnly reports whether a call is for the owner of the subnet that it names, in every generation of the chain.
func ownersOnly(c substrate.DecodedCall) bool {
	return c.Pallet == "Network" && (strings.HasPrefix(c.Name, "owner_") || c.Name == "activate_subnet" || c.Name == "transfer_subnet_ownership")
}

// moved is what a call takes from the free balance of its signer; zero where that is not for sure.
func moved(c substrate.DecodedCall) (amount chain.Balance) {
	args, _ := c.Args.(metadata.Fields) // nil has no fields
	for _, a := range args {
		v, ok := a.Value.(chain.Balance)
		switch {
		case !ok:
		case c.Pallet == "Balances" && strings.HasPrefix(c.Name, "transfer_") && a.Name == "value",
			c.Pallet == "Network" && strings.HasSuffix(a.Name, "stake_to_be_added"),
			c.Pallet == "Network" && strings.HasPrefix(c.Name, "donate_") && a.Name == "amount":
			amount = v
		}
	}
	return amount
}
