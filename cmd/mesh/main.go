// Command mesh runs nodes of Hypertensor subnets, and whole subnets for development. Called by a
// link with the name of one of the Python mesh's commands, such as mesh-dht or register-node, it takes that command's flags.
package main

import (
	"context"
	"os"

	"github.com/hypertensor-blockchain/mesh/internal/cli"
)

var version string // set by the linker

func main() {
	os.Exit(cli.Main(context.Background(), cli.Program{
		Name: "mesh", Short: "mesh runs nodes of Hypertensor subnets", Version: version, Alias: os.Args[0],
	}, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
