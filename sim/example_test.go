package sim_test

import (
	"context"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/sim"
)

// One node in five lies, three in ten die, and every value is still found.
func ExampleRunDHT() {
	report, err := sim.RunDHT(context.Background(), sim.Config{
		Nodes: 1_000, Lookups: 100, Seed: 1, Dead: 0.3, Forging: 0.2, Paths: 8,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d of %d found\n", report.Found, report.Lookups)
	// Output: 100 of 100 found
}
