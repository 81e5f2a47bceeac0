package substrate

import (
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

// Generation is one of the incompatible generations of the chain.
type Generation string

// The generations known here. An unknown one is used as far as names and types agree.
const (
	G1      Generation = "G1"  // December 2025: peer IDs beside the node, key types
	G2      Generation = "G2"  // February 2026: PeerInfo
	G3      Generation = "G3"  // June 2026: validators own nodes
	G3b     Generation = "G3b" // as G3, with stake-weighted attestation
	Unknown Generation = "?"
)

// fingerprint tells the generations apart by what their metadata contains.
func fingerprint(r *metadata.Registry) Generation {
	has := func(call string) bool {
		_, _, err := r.Call("Network", call)
		return err == nil
	}
	_, weights := r.Storage("Network", "ValidatorNodeDelegateStakeWeights")
	switch {
	case has("add_subnet_delegate_stake") || weights == nil:
		return G3b
	case has("register_validator"):
		return G3
	case !has("register_subnet_node"):
		return Unknown
	}
	if _, ok := r.TypeByName("PeerInfo"); ok {
		return G2
	}
	if _, ok := r.TypeByName("KeyType"); ok {
		return G1
	}
	return Unknown
}

// The Go forms of what the generations keep. Fields that only some have are optional.

type accountInfo struct {
	Nonce uint32
	Data  struct {
		Free, Reserved, Frozen chain.Balance
	}
}

type peerInfo struct {
	PeerID    string `scale:"peer_id"`
	Multiaddr *[]byte
}

func (p *peerInfo) addr() *chain.PeerAddr {
	if p == nil || p.PeerID == "" {
		return nil
	}
	a := &chain.PeerAddr{PeerID: p.PeerID}
	if p.Multiaddr != nil {
		a.Multiaddr = *p.Multiaddr
	}
	return a
}

type classification struct {
	NodeClass  chain.Class
	StartEpoch chain.Epoch
}

type subnetData struct {
	ID         chain.SubnetID
	FriendlyID uint32 `scale:"friendly_id,optional"`
	Name       string
	State      chain.SubnetState
	StartEpoch chain.Epoch
}

// storedNode is a node in storage. G1 has bare peer IDs and one address; G3 has no hotkey here.
type storedNode struct {
	ID             chain.NodeID
	ValidatorID    uint32          `scale:"validator_id,optional"`
	Hotkey         chain.AccountID `scale:"hotkey,optional"`
	PeerInfo       peerInfo        `scale:"peer_info,optional"`
	BootnodeInfo   *peerInfo       `scale:"bootnode_peer_info,optional"`
	ClientInfo     *peerInfo       `scale:"client_peer_info,optional"`
	PeerID         string          `scale:"peer_id,optional"`
	BootnodePeerID string          `scale:"bootnode_peer_id,optional"`
	ClientPeerID   string          `scale:"client_peer_id,optional"`
	Bootnode       *[]byte         `scale:"bootnode,optional"`
	Classification classification
}

func (s *storedNode) node(id chain.SubnetID) chain.Node {
	n := chain.Node{
		Subnet: id, ID: s.ID, Hotkey: s.Hotkey, Bootnode: s.BootnodeInfo.addr(), Client: s.ClientInfo.addr(),
		Class: s.Classification.NodeClass, StartEpoch: s.Classification.StartEpoch,
	}
	if a := s.PeerInfo.addr(); a != nil {
		n.Peer = *a
	}
	barePeers(&n, s.PeerID, s.BootnodePeerID, s.ClientPeerID, s.Bootnode)
	return n
}

// barePeers fills in the peers as G1 has them; elsewhere peer is empty.
func barePeers(n *chain.Node, peer, bootnode, client string, address *[]byte) {
	if peer == "" {
		return
	}
	n.Peer.PeerID = peer
	n.Bootnode = (&peerInfo{PeerID: bootnode, Multiaddr: address}).addr()
	n.Client = (&peerInfo{PeerID: client}).addr()
}

// nodeInfo is a node as the runtime API returns it.
type nodeInfo struct {
	SubnetID       chain.SubnetID
	SubnetNodeID   chain.NodeID
	Coldkey        chain.AccountID
	Hotkey         chain.AccountID
	PeerInfo       peerInfo  `scale:"peer_info,optional"`
	BootnodeInfo   *peerInfo `scale:"bootnode_peer_info,optional"`
	ClientInfo     *peerInfo `scale:"client_peer_info,optional"`
	PeerID         string    `scale:"peer_id,optional"` // from here to Bootnode: G1
	BootnodePeerID string    `scale:"bootnode_peer_id,optional"`
	ClientPeerID   string    `scale:"client_peer_id,optional"`
	Bootnode       *[]byte   `scale:"bootnode,optional"`
	Classification classification
	StakeBalance   chain.Balance
	Reputation     chain.Balance  `scale:"subnet_node_reputation,optional"` // G1, G2
	ReputationG3   *chain.Balance `scale:"reputation,optional"`
}

func (n *nodeInfo) node(g Generation) chain.Node {
	out := chain.Node{
		Subnet: n.SubnetID, ID: n.SubnetNodeID, Coldkey: n.Coldkey, Hotkey: n.Hotkey,
		Bootnode: n.BootnodeInfo.addr(), Client: n.ClientInfo.addr(),
		Class: n.Classification.NodeClass, StartEpoch: n.Classification.StartEpoch,
		Stake: n.StakeBalance, Reputation: n.Reputation,
	}
	if a := n.PeerInfo.addr(); a != nil {
		out.Peer = *a
	}
	barePeers(&out, n.PeerID, n.BootnodePeerID, n.ClientPeerID, n.Bootnode)
	switch {
	case n.ReputationG3 != nil:
		out.Reputation = *n.ReputationG3
	case g == G3 || g == G3b:
		out.Reputation = chain.OneTensor() // written down when it first changes
	}
	return out
}

type consensusData struct {
	Proposer    chain.NodeID `scale:"validator_id"` // of the node, in spite of its name
	Block       chain.BlockNumber
	Validators  []chain.NodeID `scale:"validator_ids,optional"`
	Attests     []attestEntry
	SubnetNodes []snapshotNode
	Prioritize  *chain.NodeID `scale:"prioritize_queue_node_id"`
	Remove      *chain.NodeID `scale:"remove_queue_node_id"`
	Data        []nodeScore
}

type attestEntry struct {
	Node  chain.NodeID
	Entry struct{ Block chain.BlockNumber }
}

type snapshotNode struct {
	ID             chain.NodeID
	Classification classification
}

type nodeScore struct {
	Node  chain.NodeID `scale:"subnet_node_id"`
	Score chain.Score
}

// codecs are the bound types. One that is nil could not be bound on this chain.
type codecs struct {
	account    *metadata.Codec[accountInfo]
	subnet     *metadata.Codec[subnetData]
	node       *metadata.Codec[storedNode]
	consensus  *metadata.Codec[consensusData]
	infos      *metadata.Codec[[]nodeInfo]
	infosError error // why infos is nil
}

// bindCodecs binds what it can, and adds the definitions of the generation to the registry where its types allow.
func bindCodecs(r *metadata.Registry, g Generation) (*metadata.Registry, codecs) {
	var k codecs
	if defs := g.definitions(); defs != nil {
		with, err := metadata.NewRegistry(r.Metadata(), append(defs, functionDefinitions()...)...)
		if err == nil {
			r = with
			id, _ := r.TypeByName(resultPrefix + "get_subnet_nodes_info")
			k.infos, err = metadata.Bind[[]nodeInfo](r, id)
		}
		k.infosError = err
	}
	k.account = bindStorage[accountInfo](r, "System", "Account")
	k.subnet = bindStorage[subnetData](r, "Network", "SubnetsData")
	k.node = bindStorage[storedNode](r, "Network", "SubnetNodesData")
	k.consensus = bindStorage[consensusData](r, "Network", "SubnetConsensusSubmission")
	return r, k
}

// bindStorage binds the value of a storage entry; nil if the chain lacks it or has it in another form.
func bindStorage[T any](r *metadata.Registry, pallet, item string) *metadata.Codec[T] {
	e, err := r.Storage(pallet, item)
	if err != nil {
		return nil
	}
	c, err := metadata.Bind[T](r, e.Value)
	if err != nil {
		return nil
	}
	return c
}
