package chain

import "fmt"

// Class is the standing of a node in its subnet; each class may do what those below it may.
type Class uint8

// The classes, in the order in which a node passes through them.
const (
	ClassRegistered Class = iota // waits in the queue
	ClassIdle                    // active, not scored
	ClassIncluded                // scored
	ClassValidator               // scored, elected, attests
)

// String is the class in lower case.
func (c Class) String() string {
	switch c {
	case ClassRegistered:
		return "registered"
	case ClassIdle:
		return "idle"
	case ClassIncluded:
		return "included"
	case ClassValidator:
		return "validator"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// SubnetState is where a subnet is in its life.
type SubnetState uint8

// The states of a subnet.
const (
	SubnetRegistered SubnetState = iota // gathers nodes and stake, not yet running
	SubnetActive                        // elects, settles, earns
	SubnetPaused                        // stopped by its owner
)

// String is the state in lower case.
func (s SubnetState) String() string {
	switch s {
	case SubnetRegistered:
		return "registered"
	case SubnetActive:
		return "active"
	case SubnetPaused:
		return "paused"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Head is a block of the best chain.
type Head struct {
	Number BlockNumber
	Hash   Hash
	Parent Hash
}

// PeerAddr is a peer as the chain knows it.
type PeerAddr struct {
	PeerID    string // base58 text, as registered; the chain does not check it, so neither may a reader assume it parses
	Multiaddr []byte // binary multiaddr ending in /p2p; nil when none was given
}

// Subnet is a registered subnet.
type Subnet struct {
	ID         SubnetID
	FriendlyID uint32 // small alias; 0 when it has none
	Name       string
	State      SubnetState
	StartEpoch Epoch // general epoch from which it is active; the largest number while it is not
	Slot       Slot  // 0 when it has none
	Owner      AccountID
	MinStake   Balance
	MaxStake   Balance
	Bootnodes  []PeerAddr // official entry points, sorted by peer ID
}

// Node is a registered node of a subnet, active or queued.
type Node struct {
	Subnet     SubnetID
	ID         NodeID
	Coldkey    AccountID // owns the stake
	Hotkey     AccountID // signs proposals and attestations
	Peer       PeerAddr
	Bootnode   *PeerAddr // optional further identity of the same operator, as Client
	Client     *PeerAddr
	Class      Class
	StartEpoch Epoch // subnet epoch from which Class counts
	Stake      Balance
	Reputation Balance // 1e18 is untarnished
}

// Holds reports whether n has at least class c in epoch e.
func (n Node) Holds(c Class, e Epoch) bool { return n.Class >= c && n.StartEpoch <= e }

// NodeScore is one line of a proposal.
type NodeScore struct {
	Node  NodeID
	Score Score
}

// Attest is one vote for a submission.
type Attest struct {
	Node  NodeID
	Block BlockNumber
}

// Submission is what the elected validator proposed for an epoch, and who attested it so far.
type Submission struct {
	Proposer        NodeID
	Block           BlockNumber
	Scores          []NodeScore // sorted by node
	Attests         []Attest    // sorted by node; the proposer's own comes with the proposal
	Validators      []NodeID    // who may attest, sorted
	PrioritizeQueue NodeID      // queued node to be moved to the front; 0 is none
	RemoveQueue     NodeID      // queued node to be removed; 0 is none
}

// Receipt says where a submitted extrinsic ended up.
type Receipt struct {
	Extrinsic Hash
	Block     Head
	Finalized bool
	Fee       Balance // what the signer paid; 0 for a call that was free
}
