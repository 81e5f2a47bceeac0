package devchain_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
)

// counter is a runtime that counts its blocks and knows no transactions.
type counter struct{}

func (counter) Name() string                                   { return "counter" }
func (counter) Metadata(uint32) ([]byte, error)                { return []byte("meta\x0e"), nil }
func (counter) Version() devchain.RuntimeVersion               { return devchain.RuntimeVersion{SpecName: "counter"} }
func (counter) Genesis(devchain.State, devchain.Genesis) error { return nil }
func (counter) InitBlock(st devchain.State, h devchain.BlockHeader) error {
	st.Set([]byte("number"), []byte{byte(h.Number)})
	return nil
}
func (counter) Inherents(devchain.State, uint64) ([][]byte, error) { return nil, nil }
func (counter) ValidateTx(devchain.State, []byte) (devchain.Validity, error) {
	return devchain.Validity{}, devchain.NewTxError(devchain.TxCall)
}
func (counter) ApplyExtrinsic(devchain.State, []byte) ([]byte, error) { return []byte{1, 0, 0}, nil }
func (counter) FinalizeBlock(devchain.State) (devchain.Header, error) { return devchain.Header{}, nil }
func (counter) Call(devchain.State, string, []byte) ([]byte, error) {
	return nil, devchain.ErrUnknownMethod
}

// A chain in memory with its RPC front, three blocks, and a query by HTTP.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c, err := devchain.New(devchain.Config{Seal: devchain.SealManual}, counter{})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := devchain.NewServer(c, devchain.ServerConfig{Listen: "127.0.0.1:0"})
	addr, err := srv.Listen()
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error, 2)
	go func() { done <- c.Run(ctx) }()
	go func() { done <- srv.Serve(ctx) }()

	if _, err := c.Mine(3); err != nil {
		fmt.Println(err)
	}
	st, err := c.StateAt(chain.Hash{}) // of the best block
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("block", c.Head().Number(), "state", int(st.Get([]byte("number"))[0]))

	res, err := http.Post("http://"+addr.String(), "application/json",
		strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"state_getStorage","params":["0x6e756d626572"]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	var answer [64]byte
	n, _ := res.Body.Read(answer[:])
	fmt.Println(string(answer[:n]))

	http.DefaultClient.CloseIdleConnections()
	cancel()
	fmt.Println(<-done, <-done, res.Body.Close(), c.Close())
	// Output:
	// block 3 state 3
	// {"jsonrpc":"2.0","id":1,"result":"0x03"}
	// <nil> <nil> <nil> <nil>
}
