package diff_test

import (
	"context"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain/devchain/diff"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
)

// The reference is mostly a wasm engine with the real runtime; here it is a
// native one, so that the example needs no file.
func ExampleNative() {
	report, err := diff.Native(context.Background(), diff.Config{Blocks: 30, Seed: 7}, native.New(native.Config{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Blocks, "blocks, equal:", report.Equal())
	// Output: 30 blocks, equal: true
}
