package wire_test

import (
	"fmt"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
)

func Example() {
	ping := wire.PingRequest{Validate: true} // from a client: no node ID
	b := ping.Append(nil)
	var got wire.PingRequest
	if err := got.Decode(b); err != nil {
		panic(err)
	}
	fmt.Printf("%x, validate %v\n", b, got.Validate)
	// Output: 12001801, validate true
}
