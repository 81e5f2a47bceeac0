package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

func TestSubnetLifeByCommands(t *testing.T) {
	rpc, c := devChainOf(t, &chainDevFlags{epochLength: 20, sudo: "alith", seed: "test"})
	subnetLife(t, cmdline{t, rpc}, func(n int) error { _, err := c.Mine(n); return err })
}

// TestSubnetLifeOnRealRuntimes does the same on the real runtime of a chain, of generation G2 or G1.
func TestSubnetLifeOnRealRuntimes(t *testing.T) {
	for _, variable := range []string{"MESH_CHAIN_SPEC", "MESH_CHAIN_SPEC_G1"} {
		t.Run(variable, func(t *testing.T) {
			path := os.Getenv(variable)
			if path == "" {
				t.Skipf("%s names no raw chain specification", variable)
			}
			rpc, c := devChainOf(t, &chainDevFlags{chainSpec: path, sudo: "alith", blockTime: 6 * time.Second, seal: "instant"})
			subnetLife(t, cmdline{t, rpc}, func(n int) error { _, err := c.Mine(n); return err })
		})
	}
}

// subnetLife takes a subnet from its registration over a round of consensus to its removal, with commands only.
func subnetLife(t *testing.T, c cmdline, mine func(blocks int) error) {
	t.Helper()
	var done submission
	c.ok(&done, "subnet", "register", "--dev", "alith", "--name", "echo", "--repo", "https://example.org/echo", "--max-cost", "100",
		"--bootnodes", "/ip4/127.0.0.1/tcp/31330/p2p/"+peerOf(t, peerKeyFile(t, "boot.key")),
		"--initial-coldkey", "baltathar=1", "--initial-coldkey", "charleth=1", "--initial-coldkey", "dorothy=2")
	if done.Call != "Network.register_subnet" || done.Block == 0 || done.Fee.IsZero() {
		t.Errorf("registration = %+v", done)
	}
	var subnet subnetView
	c.ok(&subnet, "subnet", "info", "echo")
	if subnet.ID == 0 || subnet.FriendlyID != 1 || subnet.State != "registered" || len(subnet.Bootnodes) != 1 {
		t.Errorf("subnet = %+v", subnet)
	}

	id := fmt.Sprint(subnet.ID)
	var hotkeys []string
	owners := []string{"baltathar", "charleth", "dorothy"}
	for i, owner := range owners {
		hotkey := filepath.Join(t.TempDir(), "hotkey.json")
		hotkeys = append(hotkeys, hotkey)
		if code, out, errs := c.run("", "account", "new", "--plain", "--path", hotkey); code != 0 {
			t.Fatal(out, errs)
		}
		c.ok(nil, "account", "transfer", hotkey, "1", "--dev", owner)
		var registered struct {
			Result nodeView `json:"result"`
		}
		c.ok(&registered, "node", "register", "echo", "--dev", owner, "--hotkey", hotkey, "--peer", peerKeyFile(t, "node.key"), "--stake", "100",
			"--bootnode-peer", peerKeyFile(t, "boot.key"), "--client-peer", peerKeyFile(t, "client.key"))
		if registered.Result.Class != "validator" || int(registered.Result.ID) != i+1 || registered.Result.Stake.String() != "100000000000000000000" {
			t.Errorf("node %d = %+v", i+1, registered.Result)
		}
	}
	c.ok(nil, "stake", "add", id, "1", "0.5", "--dev", "baltathar")
	var node struct {
		nodeView
		Admitted bool `json:"proof_of_stake"`
	}
	c.ok(&node, "node", "info", id, "1")
	if node.Stake.String() != "100500000000000000000" || !node.Admitted {
		t.Errorf("node 1 = %+v", node)
	}
	c.ok(nil, "stake", "delegate", "echo", "90000", "--dev", "faith") // early generations want 0.1 % of all there is
	c.ok(nil, "stake", "delegate", "echo", "10", "--dev", "ethan")
	var stake stakeView
	c.ok(&stake, "stake", "info", "ethan")
	if len(stake.Delegated) != 1 || stake.Delegated[0].Subnet != subnet.ID {
		t.Errorf("ethan's stake = %+v", stake)
	}
	c.ok(nil, "stake", "undelegate", "echo", "4", "--dev", "ethan")
	stake = stakeView{}
	c.ok(&stake, "stake", "info", "ethan")
	least := chain.Tensor(4).SatSub(chain.Balance{Lo: 1000}) // whole shares are given back
	if len(stake.Unbonding) != 1 || chain.Tensor(4).Less(stake.Unbonding[0].Amount) || stake.Unbonding[0].Amount.Less(least) {
		t.Errorf("ethan took 4 TENSOR back and has %+v", stake)
	}
	c.ok(nil, "stake", "undelegate", "echo", "all", "--dev", "ethan")
	stake = stakeView{}
	c.ok(&stake, "stake", "info", "ethan")
	if len(stake.Unbonding) == 0 || len(stake.Delegated) != 0 {
		t.Errorf("ethan's stake after taking all back = %+v", stake)
	}
	c.fails(1, []string{"0 shares", "mesh stake info"}, "stake", "undelegate", "echo", "--shares", "5", "--dev", "ethan", "--rpc", c.rpc)
	c.ok(nil, "subnet", "activate", "echo", "--dev", "alith", "--finalized")
	c.ok(&subnet, "subnet", "info", "echo")
	if subnet.State != "active" {
		t.Errorf("subnet after activation = %+v", subnet)
	}
	elected := oneRound(t, c.rpc, subnet.ID, hotkeys, mine)
	c.ok(nil, "subnet", "update", "echo", "description", "says it again", "--dev", "alith")
	c.ok(nil, "node", "update", "echo", "2", "--non-unique", "x", "--unique", "y", "--dev", "charleth")
	code, out, errs := c.run("", "subnet", "pause", "echo", "--dev", "alith", "--rpc", c.rpc)
	switch {
	case code == 0:
		c.ok(nil, "subnet", "unpause", "echo", "--dev", "alith")
	case strings.Contains(errs, "SubnetPauseCooldownActive"):
		t.Log("this runtime pauses no young subnet")
	default:
		t.Fatal(out, errs)
	}
	leaves := int(elected) % len(owners) // not the elected one, which may not
	c.ok(nil, "node", "remove", "echo", fmt.Sprint(leaves+1), "--dev", owners[leaves])
	var nodes []nodeView
	c.ok(&nodes, "node", "list", "echo")
	if len(nodes) != 2 {
		t.Errorf("%d nodes after the removal of one of three", len(nodes))
	}
	c.ok(nil, "subnet", "deactivate", "echo", "--dev", "alith")
	c.fails(1, []string{`no subnet "echo"`, "mesh subnet list"}, "subnet", "info", "echo", "--rpc", c.rpc)
}

// oneRound has the elected node propose and the others attest.
func oneRound(t *testing.T, rpc string, subnet chain.SubnetID, hotkeys []string, mine func(blocks int) error) (elected chain.NodeID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := substrate.Dial(ctx, substrate.Config{Endpoints: []string{rpc}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := c.Subnet(ctx, chain.Hash{}, subnet)
	if err != nil {
		t.Fatal(err)
	}
	params, err := c.Params(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var epoch chain.Epoch
	for mined, found := 0, false; !found; mined++ {
		if mined > 5*int(params.EpochLength) {
			t.Fatal("nobody was elected in five epochs")
		}
		if err := mine(1); err != nil {
			t.Fatal(err)
		}
		head, err := c.Head(ctx, chain.Hash{})
		if err != nil {
			t.Fatal(err)
		}
		epoch = params.EpochAt(head.Number, s.Slot)
		if elected, found, err = c.Elected(ctx, head.Hash, subnet, epoch); err != nil {
			t.Fatal(err)
		}
	}
	writers := make([]chain.RoundWriter, len(hotkeys))
	for i, path := range hotkeys {
		a, err := account.LoadFile(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		writers[i] = c.Writer(a)
	}
	var scores []chain.NodeScore
	for i := range hotkeys {
		scores = append(scores, chain.NodeScore{Node: chain.NodeID(i + 1), Score: chain.OneTensor()})
	}
	if _, err := writers[elected-1].Propose(ctx, subnet, elected, scores); err != nil {
		t.Fatalf("node %d, elected for epoch %d, cannot propose: %v", elected, epoch, err)
	}
	for i, w := range writers {
		if node := chain.NodeID(i + 1); node != elected {
			if _, err := w.Attest(ctx, subnet, node); err != nil {
				t.Fatalf("node %d cannot attest: %v", node, err)
			}
		}
	}
	got, err := c.Submission(ctx, chain.Hash{}, subnet, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if got == nil || got.Proposer != elected || len(got.Scores) != len(hotkeys) || len(got.Attests) != len(hotkeys) {
		t.Errorf("submission of epoch %d = %+v, want %d scores and attestations", epoch, got, len(hotkeys))
	}
	return elected
}
