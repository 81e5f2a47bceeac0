package msgpack_test

import (
	"fmt"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

func Example() {
	packed, err := msgpack.Marshal(msgpack.Tuple{"validator", 1.0, msgpack.Map{{Key: "version", Value: "1.0.0"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%x\n", packed)

	v, err := msgpack.Unmarshal(packed)
	fmt.Println(v, err)
	// Output:
	// c7234093a976616c696461746f72cb3ff000000000000081a776657273696f6ea5312e302e30
	// [validator 1 [{version 1.0.0}]] <nil>
}
