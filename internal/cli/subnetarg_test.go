package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCommandsThatLookAtASubnet wants each of them to take an ID, a friendly ID and a name alike, and to refuse what is none in the
// same words.
func TestCommandsThatLookAtASubnet(t *testing.T) {
	c := cmdline{t, devChain(t)}
	c.ok(nil, "subnet", "register", "--dev", "alith", "--name", "echo", "--repo", "https://example.org/echo",
		"--bootnodes", "/ip4/127.0.0.1/tcp/31330/p2p/"+peerOf(t, peerKeyFile(t, "boot.key")),
		"--initial-coldkey", "baltathar=1", "--initial-coldkey", "charleth=1", "--initial-coldkey", "dorothy=2")
	var subnet subnetView
	c.ok(&subnet, "subnet", "info", "echo")
	c.ok(nil, "node", "register", "echo", "--dev", "baltathar", "--hotkey", "0x00000000000000000000000000000000000000aa", "--peer", peerKeyFile(t, "node.key"), "--stake", "100")
	for _, command := range [][]string{{"subnet", "info"}, {"subnet", "bootnodes"}, {"node", "list"}, {"node", "info", "", "1"}} {
		on := func(subnet string) []string {
			args := append([]string(nil), command...)
			if len(args) < 3 {
				return append(args, subnet)
			}
			args[2] = subnet
			return args
		}
		var want any
		c.ok(&want, on("echo")...)
		for _, same := range []string{fmt.Sprint(subnet.ID), fmt.Sprint(subnet.FriendlyID)} {
			var got any
			c.ok(&got, on(same)...)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%v: by name and by ID: %s", on(same), diff)
			}
		}
		if want == nil || !strings.Contains(fmt.Sprint(want), "12D3KooW") {
			t.Errorf("%v printed %v", command, want)
		}
		for _, none := range []string{"7", "ohce"} {
			c.fails(1, []string{fmt.Sprintf("no subnet %q on this chain", none), "mesh subnet list"}, append(on(none), "--rpc", c.rpc)...)
		}
	}
	c.fails(1, []string{`no node "9" in subnet`, "mesh node list"}, "node", "info", "echo", "9", "--rpc", c.rpc)
}
