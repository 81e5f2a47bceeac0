package substrate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// The client is what the rest of mesh asks for.
var (
	_ chain.HeadSource   = (*Client)(nil)
	_ chain.SubnetReader = (*Client)(nil)
	_ chain.RoundReader  = (*Client)(nil)
)

// bootnode is an entry of SubnetBootnodes. G1 keeps bare addresses.
type bootnode struct {
	PeerID    string
	Multiaddr []byte
}

// Subnet reads a subnet, all of it at one block and in one question.
func (c *Client) Subnet(ctx context.Context, at chain.Hash, id chain.SubnetID) (chain.Subnet, error) {
	rt := c.rt.Load()
	if rt.codecs.subnet == nil {
		return chain.Subnet{}, fmt.Errorf("substrate: Network.SubnetsData: %w", chain.ErrNotOnThisChain)
	}
	sub := []any{id}
	values, err := c.Raw(ctx, at,
		Key{"Network", "SubnetsData", sub}, Key{"Network", "SubnetSlot", sub}, Key{"Network", "SubnetOwner", sub},
		Key{"Network", "SubnetMinStakeBalance", sub}, Key{"Network", "SubnetMaxStakeBalance", sub}, Key{"Network", "SubnetBootnodes", sub})
	if err != nil {
		return chain.Subnet{}, err
	}
	if values[0] == nil {
		return chain.Subnet{}, fmt.Errorf("subnet %d: %w", id, chain.ErrNotFound)
	}
	data, err := rt.codecs.subnet.Decode(values[0])
	if err != nil {
		return chain.Subnet{}, fmt.Errorf("substrate: subnet %d: %w", id, err)
	}
	s := chain.Subnet{
		ID: id, FriendlyID: data.FriendlyID, Name: data.Name, State: data.State, StartEpoch: data.StartEpoch,
		Slot:     chain.Slot(u32Of(values[1])),
		MinStake: u128Of(values[3]),
		MaxStake: u128Of(values[4]),
	}
	copy(s.Owner[:], values[2])
	if s.Bootnodes, err = rt.bootnodes(values[5]); err != nil {
		return s, fmt.Errorf("substrate: subnet %d: bootnodes: %w", id, err)
	}
	return s, nil
}

// u32Of reads an optional u32; absent is 0.
func u32Of(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

func u128Of(b []byte) chain.Balance {
	if len(b) != 16 {
		return chain.Balance{}
	}
	return scale.NewDecoder(b).U128()
}

// bootnodes reads SubnetBootnodes in either form.
func (rt *runtime) bootnodes(b []byte) ([]chain.PeerAddr, error) {
	e, err := rt.reg.Storage("Network", "SubnetBootnodes")
	if err != nil || b == nil {
		return nil, nil //nolint:nilerr // a chain without bootnodes has none
	}
	var out []chain.PeerAddr
	if pairs, err := metadata.Bind[[]bootnode](rt.reg, e.Value); err == nil {
		list, err := pairs.Decode(b)
		for _, n := range list {
			out = append(out, chain.PeerAddr(n))
		}
		return out, err
	}
	addrs, err := metadata.Bind[[][]byte](rt.reg, e.Value)
	if err != nil {
		return nil, err
	}
	list, err := addrs.Decode(b)
	for _, a := range list {
		out = append(out, chain.PeerAddr{Multiaddr: a})
	}
	return out, err
}

// Subnets lists the IDs of all subnets at a block, in ascending order.
func (c *Client) Subnets(ctx context.Context, at chain.Hash) ([]chain.SubnetID, error) {
	entries, err := c.Map(ctx, at, "Network", "SubnetsData")
	if err != nil {
		return nil, err
	}
	ids := make([]chain.SubnetID, len(entries))
	for i := range entries {
		ids[i] = chain.SubnetID(u32Of(entries[i].Parts[0]))
	}
	slices.Sort(ids)
	return ids, nil
}

// SubnetByFriendlyID finds the subnet with that small alias, or [chain.ErrNotFound].
func (c *Client) SubnetByFriendlyID(ctx context.Context, at chain.Hash, friendly uint32) (chain.SubnetID, error) {
	return Get[chain.SubnetID](ctx, c, at, "Network", "FriendlyUidSubnetId", friendly)
}

// SubnetByName finds the subnet with that name, or [chain.ErrNotFound].
func (c *Client) SubnetByName(ctx context.Context, at chain.Hash, name string) (chain.SubnetID, error) {
	return Get[chain.SubnetID](ctx, c, at, "Network", "SubnetName", []byte(name))
}

// NodeByPeer finds the node with that peer ID, or [chain.ErrNotFound].
func (c *Client) NodeByPeer(ctx context.Context, at chain.Hash, id chain.SubnetID, peerID string) (chain.NodeID, error) {
	n, err := Get[chain.NodeID](ctx, c, at, "Network", "PeerIdSubnetNodeId", id, []byte(peerID))
	if err == nil && n == 0 {
		err = fmt.Errorf("peer %.80s of subnet %d: %w", peerID, id, chain.ErrNotFound)
	}
	return n, err
}

// Nodes reads all nodes of a subnet at one block, see [chain.SubnetReader]. It asks the runtime API for them in one question;
// where that is missing, or answers in a form that this client does not know, it reads them from storage.
func (c *Client) Nodes(ctx context.Context, at chain.Hash, id chain.SubnetID) ([]chain.Node, error) {
	nodes, err := c.nodesByAPI(ctx, at, id)
	if errors.Is(err, errNoForm) || errors.Is(err, scale.ErrMalformed) || isAnswer(err) {
		c.log.Debug("nodes are read from storage", "subnet", id, "err", err)
		nodes, err = c.nodesByStorage(ctx, at, id)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(nodes, func(a, b chain.Node) int { return int(int64(a.ID) - int64(b.ID)) })
	return nodes, nil
}

var errNoForm = errors.New("the form of the runtime API's answer is unknown on this chain")

// isAnswer reports whether err is an error that the node answered.
func isAnswer(err error) bool {
	var e *RPCError
	return errors.As(err, &e)
}

func (c *Client) nodesByAPI(ctx context.Context, at chain.Hash, id chain.SubnetID) ([]chain.Node, error) {
	rt := c.rt.Load()
	if rt.codecs.infos == nil {
		return nil, errNoForm
	}
	var arg scale.Encoder
	arg.U32(uint32(id))
	b, err := c.StateCall(ctx, at, "NetworkRuntimeApi_get_subnet_nodes_info", arg.Buf)
	if err != nil {
		return nil, err
	}
	d := scale.NewDecoder(b)
	inner := d.BytesView() // the result is opaque bytes, encoded once more
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("substrate: nodes of subnet %d: %w", id, err)
	}
	infos, err := rt.codecs.infos.Decode(inner)
	if err != nil {
		return nil, fmt.Errorf("substrate: nodes of subnet %d: %w", id, err)
	}
	nodes := make([]chain.Node, len(infos))
	for i := range infos {
		if infos[i].SubnetID != id || infos[i].Classification.NodeClass > chain.ClassValidator {
			return nil, fmt.Errorf("substrate: nodes of subnet %d: %w: node %d of subnet %d", id, scale.ErrMalformed, infos[i].SubnetNodeID, infos[i].SubnetID)
		}
		nodes[i] = infos[i].node(rt.generation)
	}
	return nodes, nil
}

// nodesByStorage reads active and queued nodes, and what is kept beside them, from storage alone.
func (c *Client) nodesByStorage(ctx context.Context, at chain.Hash, id chain.SubnetID) ([]chain.Node, error) {
	rt := c.rt.Load()
	if rt.codecs.node == nil {
		return nil, fmt.Errorf("substrate: Network.SubnetNodesData: %w", chain.ErrNotOnThisChain)
	}
	at, err := c.At(ctx, at)
	if err != nil {
		return nil, err
	}
	var nodes []chain.Node
	var stored []storedNode
	for _, item := range []string{"SubnetNodesData", "RegisteredSubnetNodesData"} {
		entries, err := c.Map(ctx, at, "Network", item, id)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			s, err := rt.codecs.node.Decode(e.Value)
			if err != nil {
				return nil, fmt.Errorf("substrate: nodes of subnet %d: %w", id, err)
			}
			stored = append(stored, s)
			nodes = append(nodes, s.node(id))
		}
	}
	if len(nodes) == 0 {
		return nil, nil
	}
	if err := c.complete(ctx, rt, at, nodes, stored); err != nil {
		return nil, err
	}
	return nodes, nil
}

// complete fills in keys, stake and reputation, which are kept in maps of their own.
func (c *Client) complete(ctx context.Context, rt *runtime, at chain.Hash, nodes []chain.Node, stored []storedNode) error {
	if rt.generation == G3 || rt.generation == G3b {
		if err := c.validatorKeys(ctx, at, nodes, stored); err != nil {
			return err
		}
	}
	const perNode = 3
	keys := make([]Key, 0, perNode*len(nodes))
	for i := range nodes {
		n := &nodes[i]
		stake := Key{"Network", "AccountSubnetStake", []any{n.Hotkey, n.Subnet}}
		owner := Key{"Network", "HotkeyOwner", []any{n.Hotkey}}
		if rt.generation == G3 || rt.generation == G3b {
			stake = Key{"Network", "NodeSubnetStake", []any{n.ID, n.Subnet}}
			owner = Key{"Network", "ValidatorColdkey", []any{stored[i].ValidatorID}}
		}
		keys = append(keys, stake, owner, Key{"Network", "SubnetNodeReputation", []any{n.Subnet, n.ID}})
	}
	values, err := c.Raw(ctx, at, keys...)
	if err != nil {
		return err
	}
	for i := range nodes {
		nodes[i].Stake = u128Of(values[perNode*i])
		copy(nodes[i].Coldkey[:], values[perNode*i+1])
		if nodes[i].Reputation = chain.OneTensor(); values[perNode*i+2] != nil { // G3 writes it down when it first changes
			nodes[i].Reputation = u128Of(values[perNode*i+2])
		}
	}
	return nil
}

// validatorKeys finds the hotkeys of nodes that belong to validators: the node's own, else the validator's.
func (c *Client) validatorKeys(ctx context.Context, at chain.Hash, nodes []chain.Node, stored []storedNode) error {
	keys := make([]Key, 0, 2*len(nodes))
	for i := range nodes {
		keys = append(keys, Key{"Network", "SubnetNodeIdHotkey", []any{nodes[i].Subnet, nodes[i].ID}},
			Key{"Network", "ValidatorIdHotkey", []any{stored[i].ValidatorID}})
	}
	values, err := c.Raw(ctx, at, keys...)
	if err != nil {
		return err
	}
	for i := range nodes {
		if copy(nodes[i].Hotkey[:], values[2*i]) == 0 {
			copy(nodes[i].Hotkey[:], values[2*i+1])
		}
	}
	return nil
}

// Elected reads the validator of an epoch, see [chain.RoundReader].
func (c *Client) Elected(ctx context.Context, at chain.Hash, id chain.SubnetID, e chain.Epoch) (chain.NodeID, bool, error) {
	n, err := Get[chain.NodeID](ctx, c, at, "Network", "SubnetElectedValidator", id, e)
	if errors.Is(err, chain.ErrNotFound) {
		return 0, false, nil
	}
	return n, err == nil, err
}

// Submission reads what was proposed for an epoch, see [chain.RoundReader].
func (c *Client) Submission(ctx context.Context, at chain.Hash, id chain.SubnetID, e chain.Epoch) (*chain.Submission, error) {
	rt := c.rt.Load()
	if rt.codecs.consensus == nil {
		return nil, fmt.Errorf("substrate: Network.SubnetConsensusSubmission: %w", chain.ErrNotOnThisChain)
	}
	values, err := c.Raw(ctx, at, Key{"Network", "SubnetConsensusSubmission", []any{id, e}})
	if err != nil || values[0] == nil {
		return nil, err
	}
	d, err := rt.codecs.consensus.Decode(values[0])
	if err != nil {
		return nil, fmt.Errorf("substrate: submission of subnet %d for epoch %d: %w", id, e, err)
	}
	return d.submission(e), nil
}

func (d *consensusData) submission(e chain.Epoch) *chain.Submission {
	s := &chain.Submission{Proposer: d.Proposer, Block: d.Block, Validators: d.Validators}
	for _, x := range d.Data {
		s.Scores = append(s.Scores, chain.NodeScore(x))
	}
	for _, a := range d.Attests {
		s.Attests = append(s.Attests, chain.Attest{Node: a.Node, Block: a.Entry.Block})
	}
	if d.Prioritize != nil {
		s.PrioritizeQueue = *d.Prioritize
	}
	if d.Remove != nil {
		s.RemoveQueue = *d.Remove
	}
	if s.Validators == nil { // before G3 the validators of the snapshot attest
		for _, n := range d.SubnetNodes {
			if (chain.Node{Class: n.Classification.NodeClass, StartEpoch: n.Classification.StartEpoch}).Holds(chain.ClassValidator, e) {
				s.Validators = append(s.Validators, n.ID)
			}
		}
		slices.Sort(s.Validators)
	}
	return s
}

// ProofOfStake asks the chain whether a peer belongs to a subnet with at least the given class, as a node's main, bootnode or
// client identity, as an overwatch node or as an official bootnode. Queued nodes count for [chain.ClassRegistered] only.
func (c *Client) ProofOfStake(ctx context.Context, at chain.Hash, id chain.SubnetID, peerID string, least chain.Class) (bool, error) {
	var e scale.Encoder
	e.U32(uint32(id))
	e.Text(peerID)
	e.U8(uint8(least))
	if c.Generation() != G1 {
		e.None() // the subnet's own minimum stake
	}
	b, err := c.StateCall(ctx, at, "NetworkRuntimeApi_proof_of_stake", e.Buf)
	if err != nil {
		return false, err
	}
	d := scale.NewDecoder(b)
	ok := d.Bool()
	if err := d.Finish(); err != nil {
		return false, fmt.Errorf("substrate: proof of stake: %w", err)
	}
	return ok, nil
}
