package native_test

import (
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// An engine makes blocks on any State; package devchain brings one with
// snapshots and persistence.
func Example() {
	alith, err := account.Dev("alith")
	if err != nil {
		panic(err)
	}
	engine := native.New(native.Config{EpochLength: 20})
	st := newMemState()
	err = engine.Genesis(st, devchain.Genesis{
		Accounts: map[chain.AccountID]chain.Balance{alith.ID(): chain.OneTensor()},
		Sudo:     alith.ID(),
	})
	if err != nil {
		panic(err)
	}
	if err := engine.InitBlock(st, devchain.BlockHeader{Number: 1, Slot: 1}); err != nil {
		panic(err)
	}
	xts, err := engine.Inherents(st, 6000)
	if err != nil {
		panic(err)
	}
	for _, xt := range xts {
		result, err := engine.ApplyExtrinsic(st, xt)
		fmt.Printf("%x -> %x %v\n", xt, result, err)
	}
	header, err := engine.FinalizeBlock(st)
	fmt.Println(header.Number, err)
	// Output:
	// 14050100c15d -> 0000 <nil>
	// 1 <nil>
}
