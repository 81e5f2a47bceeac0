package wasm_test

import (
	"errors"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain/devchain/wasm"
)

// A specification without a runtime is refused with a reason.
func ExampleParseSpec() {
	_, err := wasm.ParseSpec([]byte(`{"name":"Demo","genesis":{"raw":{"top":{}}}}`))
	fmt.Println(errors.Is(err, wasm.ErrSpec))
	// Output: true
}
