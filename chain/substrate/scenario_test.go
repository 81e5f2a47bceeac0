package substrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// rig is a chain whose blocks a test makes, with a client of it.
type rig struct {
	t    *testing.T
	c    *Client
	mine func(n int)
}

// submit sends a call and makes the block that includes it.
func (r *rig) submit(s Signer, call Call) (chain.Receipt, []Event, error) {
	r.t.Helper()
	type result struct {
		receipt chain.Receipt
		err     error
	}
	done := make(chan result, 1)
	signed := make(chan struct{}, 1)
	var events []Event
	go func() {
		receipt, err := r.c.Submit(r.t.Context(), s, call, WithEvents(&events), WithProgress(func(p Progress) {
			if p.Stage == Signed {
				signed <- struct{}{}
			}
		}))
		done <- result{receipt, err}
	}()
	select {
	case <-signed:
	case x := <-done:
		return x.receipt, events, x.err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case x := <-done: // refused
			return x.receipt, events, x.err
		case <-tick.C:
		}
		var pending []hexBytes
		b, err := r.c.Call(r.t.Context(), "author_pendingExtrinsics")
		if err == nil {
			err = json.Unmarshal(b, &pending)
		}
		if err != nil {
			r.t.Fatal(err)
		}
		if len(pending) > 0 {
			r.mine(1)
			x := <-done
			return x.receipt, events, x.err
		}
	}
}

func (r *rig) must(s Signer, call Call) []Event {
	r.t.Helper()
	_, events, err := r.submit(s, call)
	if err != nil {
		r.t.Fatalf("%s: %v", call, err)
	}
	return events
}

// fails checks that a call fails in its block with that error of pallet Network.
func (r *rig) fails(s Signer, call Call, name string) {
	r.t.Helper()
	receipt, _, err := r.submit(s, call)
	var d *chain.DispatchError
	if !errors.As(err, &d) || d.Pallet != "Network" || d.Name != name || receipt.Fee.IsZero() {
		r.t.Errorf("%s: %v with fee %v, want Network.%s", call, err, receipt.Fee, name)
	}
}

func (r *rig) head() chain.Head {
	r.t.Helper()
	h, err := r.c.Head(r.t.Context(), chain.Hash{})
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

// mineTo makes blocks up to that number.
func (r *rig) mineTo(n chain.BlockNumber) {
	r.t.Helper()
	if h := r.head(); h.Number < n {
		r.mine(int(n - h.Number))
	}
}

func find(events []Event, name string) (Event, bool) {
	i := slices.IndexFunc(events, func(e Event) bool { return e.Pallet+"."+e.Name == name })
	if i < 0 {
		return Event{}, false
	}
	return events[i], true
}

type devNode struct {
	cold, hot *account.Account
	id        chain.NodeID
	peer      string
}

// lifecycle takes a subnet of four nodes from its registration through two epochs, as a node operator would, and checks what
// the client reads on the way.
func lifecycle(t *testing.T, r *rig) {
	ctx := t.Context()
	peers := []string{
		"12D3KooWMwW1VqH7uWtVc3UGoyMJp1dG26Nkosc6kRkJ7RNiW6Cb", "12D3KooWM5J4zS17XR2LHGZgRpmzbeqg4Eibyq8sbRLwRuWxJqsV",
		"12D3KooWKxAhu5U8SreEZpokVkN66cTBbsHxteo3Vmq6Cpuf8KEt", "12D3KooWD1BgwEJGUXz3DsKVXFG4q3VcmHRjeX56NKpyEa1QAP6u",
	}
	nodes := make([]devNode, 4)
	coldkeys := map[chain.AccountID]uint32{}
	for i, name := range account.DevNames()[:4] {
		cold, err := account.Dev(name)
		if err != nil {
			t.Fatal(err)
		}
		hot, err := account.FromMnemonic(account.DevMnemonic, uint32(100+i))
		if err != nil {
			t.Fatal(err)
		}
		nodes[i] = devNode{cold: cold, hot: hot, peer: peers[i]}
		coldkeys[cold.ID()] = 1
		r.must(cold, Transfer(hot.ID(), chain.Tensor(10)))
	}
	owner := nodes[0].cold
	registration := SubnetRegistration{
		Name: "subnet-1", Repo: "github.com/subnet-1", Description: "desc", Misc: "misc",
		MinStake: chain.Tensor(100), MaxStake: chain.Tensor(1000), DelegateStakePercentage: u128.From64(1e17),
		InitialColdkeys: coldkeys,
		Bootnodes:       map[string][]byte{"12D3KooWGmub3LXuKQixhBD5XwNW4PtSfnrysYzqs1oj19HxMUCF": {4, 127, 0, 0, 1, 6, 0x98, 0x30, 0xa5, 3, 3, 1, 2, 3}},
	}
	events := r.must(owner, RegisterSubnet(chain.Tensor(100), registration))
	e, ok := find(events, "Network.SubnetRegistered")
	raw, isID := e.Field("subnet_id", 2).(uint64)
	if !ok || !isID {
		t.Fatalf("no SubnetRegistered with an ID among %v", events)
	}
	id := chain.SubnetID(raw)
	r.fails(nodes[1].cold, ActivateSubnet(id), "NotSubnetOwner")

	for i := range nodes {
		n := &nodes[i]
		x := NodeRegistration{Subnet: id, Hotkey: n.hot.ID(), Peer: chain.PeerAddr{PeerID: n.peer}, Stake: chain.Tensor(100), MaxBurn: chain.Tensor(1)}
		if r.c.Generation() == G1 {
			x.Bootnode, x.Client = &chain.PeerAddr{PeerID: n.peer + "b"}, &chain.PeerAddr{PeerID: n.peer + "c"}
		}
		r.must(n.cold, RegisterSubnetNode(x))
		found, err := r.c.NodeByPeer(ctx, chain.Hash{}, id, n.peer)
		if err != nil {
			t.Fatal(err)
		}
		n.id = found
	}
	least := chain.Tensor(1000)
	if r.c.Generation() == G1 { // a thousandth of all money, and more with each node
		issuance, err := Get[chain.Balance](ctx, r.c, chain.Hash{}, "Balances", "TotalIssuance")
		if err != nil {
			t.Fatal(err)
		}
		least = issuance.Div(u128.From64(500))
	}
	r.must(owner, AddDelegateStake(id, least))
	if _, ok := find(r.must(owner, ActivateSubnet(id)), "Network.SubnetActivated"); !ok {
		t.Error("no SubnetActivated")
	}
	r.fails(owner, ActivateSubnet(id), "SubnetActivatedAlready")
	checkReads(t, r, id, nodes, registration)
	round(t, r, id, nodes)
}

// checkReads compares what the client reads of the subnet with what was registered, by all ways that there are.
func checkReads(t *testing.T, r *rig, id chain.SubnetID, nodes []devNode, registration SubnetRegistration) {
	t.Helper()
	ctx := t.Context()
	s, err := r.c.Subnet(ctx, chain.Hash{}, id)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != registration.Name || s.State != chain.SubnetActive || s.Owner != nodes[0].cold.ID() || s.Slot == 0 || s.FriendlyID == 0 ||
		s.MinStake != registration.MinStake || len(s.Bootnodes) != 1 || len(s.Bootnodes[0].Multiaddr) == 0 ||
		r.c.Generation() != G1 && !slices.Equal(s.Bootnodes[0].Multiaddr, registration.Bootnodes[s.Bootnodes[0].PeerID]) {
		t.Errorf("subnet %+v", s)
	}
	if ids, err := r.c.Subnets(ctx, chain.Hash{}); err != nil || !slices.Contains(ids, id) {
		t.Errorf("Subnets = %v, %v", ids, err)
	}
	if got, err := r.c.SubnetByFriendlyID(ctx, chain.Hash{}, s.FriendlyID); err != nil || got != id {
		t.Errorf("SubnetByFriendlyID = %v, %v", got, err)
	}
	if got, err := r.c.SubnetByName(ctx, chain.Hash{}, s.Name); err != nil || got != id {
		t.Errorf("SubnetByName = %v, %v", got, err)
	}
	if _, err := r.c.Subnet(ctx, chain.Hash{}, id+1); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("a subnet that is not there: %v", err)
	}
	list, err := r.c.Nodes(ctx, chain.Hash{}, id)
	if err != nil || len(list) != len(nodes) {
		t.Fatalf("Nodes = %v, %v", list, err)
	}
	for i, n := range list {
		if n.ID != nodes[i].id || n.Coldkey != nodes[i].cold.ID() || n.Hotkey != nodes[i].hot.ID() || n.Peer.PeerID != nodes[i].peer ||
			n.Class != chain.ClassValidator || n.Stake != chain.Tensor(100) || n.Reputation != chain.OneTensor() {
			t.Errorf("node %+v", n)
		}
	}
	stored, err := r.c.nodesByStorage(ctx, chain.Hash{}, id)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(stored, func(a, b chain.Node) int { return int(a.ID) - int(b.ID) })
	if diff := cmp.Diff(list, stored); diff != "" {
		t.Errorf("the storage says otherwise than the runtime API: %s", diff)
	}
	for function, args := range map[string][]any{
		"get_subnet_info": {id}, "get_all_subnets_info": nil, "get_subnet_node_info": {id, nodes[0].id}, "get_subnet_nodes_info": {id},
		"get_all_subnet_nodes_info": nil, "get_bootnodes": {id}, "get_coldkey_subnet_nodes_info": {nodes[0].cold.ID()},
		"get_coldkey_stakes": {nodes[0].cold.ID()}, "get_delegate_stakes": {nodes[0].cold.ID()}, "get_node_delegate_stakes": {nodes[0].cold.ID()},
		"get_overwatch_commits_for_epoch_and_node": {uint32(1), uint32(1)}, "get_overwatch_reveals_for_epoch_and_node": {uint32(1), uint32(1)},
		"get_elected_validator_info": {id, uint32(1)}, "get_validators_and_attestors": {id}, "get_all_overwatch_nodes_info": nil,
	} {
		v, err := r.c.Network(ctx, chain.Hash{}, function, args...)
		if err != nil && (function != "get_all_overwatch_nodes_info" || r.c.Generation() != G1) {
			t.Errorf("%s: %v", function, err)
		}
		if _, err := metadata.AppendJSON(nil, v); err != nil {
			t.Errorf("%s: %v", function, err)
		}
	}
	for class, want := range map[chain.Class]bool{0: true, 1: true, 2: true, 3: true, 4: false} {
		if got, err := r.c.ProofOfStake(ctx, chain.Hash{}, id, nodes[1].peer, class); err != nil || got != want {
			t.Errorf("ProofOfStake of class %d = %v, %v", class, got, err)
		}
	}
}

// round plays one epoch: election, proposal, attestations, settlement.
func round(t *testing.T, r *rig, id chain.SubnetID, nodes []devNode) {
	t.Helper()
	ctx := t.Context()
	p, err := r.c.Params(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.c.Subnet(ctx, chain.Hash{}, id)
	if err != nil {
		t.Fatal(err)
	}
	epoch := p.EpochAt(r.head().Number, s.Slot) + 1
	if s.StartEpoch > epoch {
		epoch = s.StartEpoch
	}
	if _, ok, err := r.c.Elected(ctx, chain.Hash{}, id, epoch); ok || err != nil {
		t.Errorf("elected before the epoch: %v, %v", ok, err)
	}
	r.mineTo(p.FirstBlock(epoch, s.Slot))
	elected, ok, err := r.c.Elected(ctx, chain.Hash{}, id, epoch)
	if err != nil || !ok {
		t.Fatalf("Elected(%d) at block %d = %v, %v", epoch, r.head().Number, ok, err)
	}
	if sub, err := r.c.Submission(ctx, chain.Hash{}, id, epoch); sub != nil || err != nil {
		t.Errorf("submission before the proposal: %v, %v", sub, err)
	}
	var scores []chain.NodeScore
	var proposer *devNode
	for i := range nodes {
		scores = append(scores, chain.NodeScore{Node: nodes[i].id, Score: chain.OneTensor()})
		if nodes[i].id == elected {
			proposer = &nodes[i]
		}
	}
	r.must(proposer.hot, Propose(id, proposer.id, scores))
	r.fails(proposer.hot, Propose(id, proposer.id, scores), "SubnetRewardsAlreadySubmitted")
	for _, n := range nodes {
		if n.id != elected {
			r.must(n.hot, Attest(id, n.id, nil))
		}
	}
	r.fails(proposer.hot, Attest(id, proposer.id, nil), "AlreadyAttested")
	sub, err := r.c.Submission(ctx, chain.Hash{}, id, epoch)
	if err != nil || sub == nil {
		t.Fatalf("Submission = %v, %v", sub, err)
	}
	if sub.Proposer != elected || len(sub.Attests) != 4 || len(sub.Validators) != 4 || !slices.Equal(sub.Scores, scores) {
		t.Errorf("submission %+v", sub)
	}
	r.mineTo(p.FirstBlock(epoch+1, s.Slot))
	after, err := r.c.Nodes(ctx, chain.Hash{}, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range after {
		if !chain.Tensor(100).Less(n.Stake) {
			t.Errorf("node %d was not rewarded: %s", n.ID, chain.FormatTensor(n.Stake))
		}
	}
	if events, err := r.c.Events(ctx, chain.Hash{}); err != nil {
		t.Error(err)
	} else if _, ok := find(events, "Network.SubnetRewards"); !ok {
		t.Errorf("no SubnetRewards among %v", events)
	}
}

// TestRealRuntime plays the lifecycle on a real runtime behind a node that makes blocks on demand (dev_newBlock, as Chopsticks
// has it). MESH_REAL_RUNTIME is its URL; the development accounts must hold money and the subnet's name must be free.
func TestRealRuntime(t *testing.T) {
	url := os.Getenv("MESH_REAL_RUNTIME")
	if url == "" {
		t.Skip("MESH_REAL_RUNTIME names no node; the test runs with one")
	}
	c, err := Dial(t.Context(), Config{Endpoints: []string{url}, CallTimeout: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	mine := func(n int) {
		for n > 0 {
			k := min(n, 10)
			if _, err := c.Call(context.WithoutCancel(t.Context()), "dev_newBlock", map[string]int{"count": k}); err != nil {
				t.Fatal(fmt.Errorf("dev_newBlock: %w", err))
			}
			n -= k
		}
	}
	lifecycle(t, &rig{t, c, mine})
}
