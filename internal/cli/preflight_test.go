package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoFeeForWhatIsBoundToFail wants calls of somebody else than the owner, and of more than there is, to be refused before they cost
// anything, and those that may succeed to go through.
func TestNoFeeForWhatIsBoundToFail(t *testing.T) {
	c := cmdline{t, devChain(t)}
	c.ok(nil, "subnet", "register", "--dev", "alith", "--name", "echo", "--repo", "https://example.org/echo",
		"--bootnodes", "/ip4/127.0.0.1/tcp/31330/p2p/"+peerOf(t, peerKeyFile(t, "boot.key")),
		"--initial-coldkey", "baltathar=1", "--initial-coldkey", "charleth=1", "--initial-coldkey", "dorothy=2")
	key := filepath.Join(t.TempDir(), "small.json")
	if code, out, errs := c.run("", "account", "new", "--plain", "--path", key); code != 0 {
		t.Fatal(out, errs)
	}
	c.ok(nil, "account", "transfer", key, "5", "--dev", "alith")

	type account struct {
		Free  string
		Nonce uint32
	}
	state := func(who string) account {
		t.Helper()
		var list []account
		if c.ok(&list, "account", "balance", who); len(list) != 1 {
			t.Fatalf("%d accounts", len(list))
		}
		return list[0]
	}
	other, small := state("baltathar"), state(key)
	register := []string{"node", "register", "echo", "--hotkey", "baltathar", "--peer", peerKeyFile(t, "node.key"), "--stake", "100"}
	for _, x := range []struct {
		texts []string
		args  []string
	}{
		{[]string{"is owned by 0xf24F", "--key", "nothing was submitted"}, []string{"subnet", "activate", "echo", "--dev", "baltathar"}},
		{[]string{"is owned by"}, []string{"subnet", "pause", "echo", "--dev", "baltathar"}},
		{[]string{"is owned by"}, []string{"subnet", "update", "echo", "name", "mine", "--dev", "baltathar"}},
		{[]string{"is owned by"}, []string{"subnet", "update", "echo", "owner", "baltathar", "--dev", "baltathar"}},
		{[]string{"has 5 TENSOR free, less than 5 TENSOR and a fee of"}, []string{"account", "transfer", "alith", "5", "--key", key}},
		{[]string{"less than 6 TENSOR"}, []string{"stake", "delegate", "echo", "6", "--key", key}},
		{[]string{"less than 100 TENSOR"}, append(register, "--key", key)},
		{[]string{"less than 6 TENSOR"}, []string{"overwatch", "register", "--hotkey", "baltathar", "--stake", "6", "--key", key}},
	} {
		for _, more := range [][]string{nil, {"--dry-run"}} {
			code, out, errs := c.run("", append(append(x.args, more...), "--rpc", c.rpc)...)
			for _, text := range x.texts {
				if code != 1 || !strings.Contains(strings.ToLower(errs), strings.ToLower(text)) {
					t.Errorf("%v %v: exit %d, %s; want %q", x.args, more, code, errs, text)
				}
			}
			if shown := strings.Contains(out, "would submit"); shown != (more != nil) || strings.Contains(errs, "signed") {
				t.Errorf("%v %v: printed %s%s", x.args, more, out, errs)
			}
		}
	}
	if now := state("baltathar"); now != other {
		t.Errorf("baltathar had %+v and has %+v", other, now)
	}
	if now := state(key); now != small {
		t.Errorf("the small account had %+v and has %+v", small, now)
	}

	// the same call by hand goes to the chain, which knows more
	c.fails(1, []string{"NotSubnetOwner", "its fee is spent"}, "chain", "call", "Network.activate_subnet", fmt.Sprintf("[%d]", 128001), "--dev", "baltathar", "--rpc", c.rpc)
	c.ok(nil, "account", "transfer", "alith", "4.9", "--key", key)
	c.ok(nil, "subnet", "update", "echo", "description", "says it again", "--dev", "alith")
}
