package substrate_test

import (
	"context"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// devChain starts an embedded chain whose first account is rich, and returns the URL of its RPC.
func devChain(ctx context.Context, rich chain.AccountID) (string, error) {
	c, err := devchain.New(devchain.Config{
		Seal:    devchain.SealInstant,
		Genesis: devchain.Genesis{Accounts: map[chain.AccountID]chain.Balance{rich: chain.Tensor(1000)}},
	}, native.New(native.Config{}))
	if err != nil {
		return "", err
	}
	srv := devchain.NewServer(c, devchain.ServerConfig{Listen: "127.0.0.1:0"})
	addr, err := srv.Listen()
	if err != nil {
		return "", err
	}
	go func() { _ = c.Run(ctx) }()
	go func() { _ = srv.Serve(ctx) }()
	return "ws://" + addr.String(), nil
}

// A transfer on an embedded chain: dial, submit, read back.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	alith, err := account.Dev("Alith")
	if err != nil {
		panic(err)
	}
	url, err := devChain(ctx, alith.ID())
	if err != nil {
		panic(err)
	}
	client, err := substrate.Dial(ctx, substrate.Config{Endpoints: []string{url}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()

	to := chain.AccountID{19: 7}
	receipt, err := client.Submit(ctx, alith, substrate.Transfer(to, chain.Tensor(5)))
	if err != nil {
		panic(err)
	}
	info, err := client.AccountInfo(ctx, receipt.Block.Hash, to)
	if err != nil {
		panic(err)
	}
	fmt.Println("block", receipt.Block.Number, "generation", client.Generation(), "balance", chain.FormatTensor(info.Free))
	// Output: block 1 generation G2 balance 5 TENSOR
}
