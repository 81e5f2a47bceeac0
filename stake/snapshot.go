package stake

import (
	"fmt"
	"maps"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/p2p"
)

// Kind is by which of its identities a peer is known.
type Kind uint8

// The kinds of identity.
const (
	Main         Kind = iota // a node's own peer
	Bootnode                 // a node's second peer, that others join by
	Client                   // a node's third peer, that only asks
	OfficialBoot             // listed in the subnet itself
)

const maxPeerIDLength = 128 // as the chain

// String is the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Main:
		return "node"
	case Bootnode:
		return "bootnode of node"
	case Client:
		return "client of node"
	case OfficialBoot:
		return "official bootnode"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Member is a peer that the chain lists.
type Member struct {
	Node  chain.NodeID `json:"node"` // 0 for an official bootnode
	Kind  Kind         `json:"kind"`
	Class chain.Class  `json:"class"`
}

// The reasons of refusals: fixed texts, because peers decide how often they are counted. [Snapshot.Explain] has the details.
const (
	ReasonStranger = "not registered in this subnet"
	ReasonClass    = "class too low"
	ReasonEarly    = "start epoch not reached"
	ReasonStake    = "stake below the subnet's minimum"
	ReasonUnknown  = "the chain has not yet told who belongs to the subnet"
)

// Snapshot is the membership at one block. It is immutable and safe for concurrent use; a nil Snapshot admits nobody.
type Snapshot struct {
	At     chain.Head
	Epoch  chain.Epoch
	Subnet chain.SubnetID

	members map[peer.ID]Member
	refused map[peer.ID]refusal // listed, but not admitted
}

type refusal struct {
	reason string
	detail string
}

// Rule is what a node must have to be a member.
type Rule struct {
	MinClass chain.Class // default: everything that is registered
}

// NewSnapshot computes the membership of s from its nodes at block at. Peer IDs that do not parse are left out.
func NewSnapshot(at chain.Head, epoch chain.Epoch, s chain.Subnet, nodes []chain.Node, rule Rule) *Snapshot {
	m := &Snapshot{
		At: at, Epoch: epoch, Subnet: s.ID,
		members: make(map[peer.ID]Member, len(nodes)+len(s.Bootnodes)), refused: make(map[peer.ID]refusal),
	}
	for _, b := range s.Bootnodes {
		if id, ok := decode(b.PeerID); ok {
			m.members[id] = Member{Kind: OfficialBoot}
		}
	}
	for _, n := range nodes {
		why := rule.objection(n, epoch, s)
		m.add(n.Peer.PeerID, Member{n.ID, Main, n.Class}, why)
		if n.Bootnode != nil {
			m.add(n.Bootnode.PeerID, Member{n.ID, Bootnode, n.Class}, why)
		}
		if n.Client != nil {
			m.add(n.Client.PeerID, Member{n.ID, Client, n.Class}, why)
		}
	}
	return m
}

func decode(text string) (peer.ID, bool) {
	if len(text) > maxPeerIDLength {
		return "", false
	}
	id, err := peer.Decode(text)
	return id, err == nil
}

// objection is the zero refusal when n fulfils the rule.
func (r Rule) objection(n chain.Node, e chain.Epoch, s chain.Subnet) refusal {
	switch {
	case n.Class < r.MinClass:
		return refusal{ReasonClass, fmt.Sprintf("node %d is %v, %v is wanted", n.ID, n.Class, r.MinClass)}
	case n.StartEpoch > e:
		return refusal{ReasonEarly, fmt.Sprintf("node %d starts in epoch %d, now is %d", n.ID, n.StartEpoch, e)}
	case n.Stake.Less(s.MinStake):
		return refusal{ReasonStake, fmt.Sprintf("node %d has %s at stake, %s is wanted", n.ID, chain.FormatTensor(n.Stake), chain.FormatTensor(s.MinStake))}
	}
	return refusal{}
}

func (m *Snapshot) add(text string, as Member, why refusal) {
	id, ok := decode(text)
	if !ok {
		return
	}
	if old, dup := m.members[id]; dup && (old.Kind == OfficialBoot && as.Kind != Main || old.Kind < as.Kind && old.Kind != OfficialBoot) {
		return // the strongest identity counts
	}
	if why.reason == "" {
		m.members[id] = as
		return
	}
	if _, admitted := m.members[id]; !admitted {
		m.refused[id] = why
	}
}

// Len is the number of peers that are admitted.
func (m *Snapshot) Len() int {
	if m == nil {
		return 0
	}
	return len(m.members)
}

// Member returns how the chain lists a peer, and false when it is not admitted.
func (m *Snapshot) Member(id peer.ID) (Member, bool) {
	if m == nil {
		return Member{}, false
	}
	x, ok := m.members[id]
	return x, ok
}

// Peers lists the admitted peers, sorted.
func (m *Snapshot) Peers() []peer.ID {
	if m == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(m.members))
}

// Admit answers for one peer without allocating.
func (m *Snapshot) Admit(id peer.ID) p2p.Decision {
	if m == nil {
		return p2p.Decision{Reason: ReasonUnknown}
	}
	if _, ok := m.members[id]; ok {
		return p2p.Decision{OK: true}
	}
	if r, ok := m.refused[id]; ok {
		return p2p.Decision{Reason: r.reason}
	}
	return p2p.Decision{Reason: ReasonStranger}
}

// Explain says in one sentence what the chain has on a peer.
func (m *Snapshot) Explain(id peer.ID) string {
	if m == nil {
		return ReasonUnknown
	}
	if x, ok := m.members[id]; ok {
		if x.Kind == OfficialBoot {
			return fmt.Sprintf("official bootnode of subnet %d", m.Subnet)
		}
		return fmt.Sprintf("%v %d of subnet %d, %v", x.Kind, x.Node, m.Subnet, x.Class)
	}
	if r, ok := m.refused[id]; ok {
		return r.detail
	}
	return fmt.Sprintf("%s %d, block %d", ReasonStranger, m.Subnet, m.At.Number)
}

// same reports whether both admit the same peers in the same way, whatever their blocks.
func (m *Snapshot) same(o *Snapshot) bool {
	return m != nil && o != nil && maps.Equal(m.members, o.members) && maps.Equal(m.refused, o.refused)
}

// lost counts the members of m that next does not have.
func (m *Snapshot) lost(next *Snapshot) int {
	n := 0
	for id := range m.members {
		if _, ok := next.members[id]; !ok {
			n++
		}
	}
	return n
}
