// Package subnet turns an App into a program: a binary with all commands of mesh whose nodes run the App.
//
//	func main() { subnet.Main("hello", &hello{}) }
//
// is a whole subnet. The binary runs a node with "hello node run", a bootnode with "hello bootnode", makes keys with "hello keygen",
// and, without any argument, a subnet of itself on this machine, as "hello up" does: embedded chain, bootnode, four nodes as processes
// of this same binary, and a live table.
//
// The App of the other processes is the value that their own main gives to Main: nothing is shared between nodes but the network.
package subnet

import (
	"context"
	"io"
	"os"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/internal/cli"
)

// Main runs the command line of this process with an App and ends the process.
func Main(name string, app mesh.App) {
	os.Exit(Run(context.Background(), name, app, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Run is Main for programs that have something left to do: it returns the exit code, 0 for success, 1 for a failure that was
// reported on stderr, 2 for wrong usage. The command ends when ctx does.
func Run(ctx context.Context, name string, app mesh.App, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return cli.Main(ctx, cli.Program{
		Name: name, Short: name + " runs nodes of a Hypertensor subnet", App: app, Default: []string{"up"},
	}, args, stdin, stdout, stderr)
}
