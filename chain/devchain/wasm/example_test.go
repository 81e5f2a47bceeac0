package wasm

import (
	"context"
	"fmt"
)

// A runtime that is assembled by hand stands for what [LoadSpec] would read from
// a file.
func Example() {
	spec, err := ParseSpec(toyRuntime())
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, err := New(context.Background(), Config{Spec: spec})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("runtime:", engine.Version().SpecName)
	fmt.Println("missing host functions:", engine.Missing())
	if err := engine.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// runtime: toy
	// missing host functions: [ext_unheard_of_version_9]
}
