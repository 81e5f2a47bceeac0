package consensus

import (
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Event is something that happened: one of [NewHead], [View], [ReadFailed], [Scored], [Appended], [Submitted], [Tick].
type Event interface{ event() }

// NewHead is a new best block.
type NewHead struct{ Head chain.Head }

// View answers [Read]: all of it is read at one block. The slices belong to the machine from then on.
type View struct {
	At         chain.Head
	Params     chain.Params
	Exists     bool // the subnet is on the chain
	Subnet     chain.Subnet
	Nodes      []chain.Node // sorted by ID
	Epoch      chain.Epoch  // of which Elected and Submission were read
	Elected    chain.NodeID // 0 while nobody is
	Submission *chain.Submission
}

// ReadFailed answers [Read] when the chain did not.
type ReadFailed struct {
	At  chain.Head
	Err error
}

// Scored answers [Ask].
type Scored struct {
	Seq     uint64
	Opinion Opinion
	Err     error
}

// Appended answers [Append]: with a nil Err the entry is on disk.
type Appended struct {
	Entry Entry
	Err   error
}

// Result is how a submission ended.
type Result uint8

// The ways in which a submission ends.
const (
	Landed  Result = iota // in a block, and the call succeeded
	Refused               // in a block where the call failed, or not taken in at all
	Unknown               // no answer: it may be in the pool, in a block, or nowhere
)

// Submitted answers [Propose] and [Attest].
type Submitted struct {
	Seq     uint64
	Result  Result
	Receipt chain.Receipt // of Landed
	Err     error         // of the others
}

// Tick says that time passed. One per second is enough.
type Tick struct{}

func (NewHead) event()    {}
func (View) event()       {}
func (ReadFailed) event() {}
func (Scored) event()     {}
func (Appended) event()   {}
func (Submitted) event()  {}
func (Tick) event()       {}

// Action is something to do: one of [Read], [Ask], [Append], [Propose], [Attest], [Notice], [Outcome]. At most one of each of the
// first three, and one of Propose and Attest together, are outstanding at any time; each MUST be answered by its event.
type Action interface{ action() }

// Read asks for a [View] at a block.
type Read struct{ At chain.Head }

// Ask asks the [Scorer]. It overrides an older question that is not yet answered.
type Ask struct {
	Seq   uint64
	Round Round
}

// Append asks to make an entry durable.
type Append struct{ Entry Entry }

// Propose asks to submit a proposal, which is in the journal.
type Propose struct {
	Seq    uint64
	Epoch  chain.Epoch
	Scores []chain.NodeScore
}

// Attest asks to submit an attestation, which is in the journal.
type Attest struct {
	Seq   uint64
	Epoch chain.Epoch
}

// Code names a [Notice] for programs.
type Code string

// The notices.
const (
	Waiting         Code = "waiting"           // the subnet or this node cannot take part yet; Text says why
	Began           Code = "epoch"             // an epoch began
	WaitingElected  Code = "waiting_elected"   // nobody elected yet
	ElectedSelf     Code = "elected_self"      // this node proposes
	WaitingProposal Code = "waiting_proposal"  // somebody else proposes
	Proposing       Code = "proposing"         // submitted
	Proposed        Code = "proposed"          // seen on the chain
	Attesting       Code = "attesting"         // submitted
	Attested        Code = "attested"          // seen on the chain
	Disagrees       Code = "disagrees"         // the proposal differs from the own opinion
	RefusesQueue    Code = "refuses_queue"     // the proposal touches the queue
	RefusesChanged  Code = "refuses_changed"   // another proposal than the one that was attested
	NotEligible     Code = "not_eligible"      // the chain does not list this node among the validators of the round
	Foreign         Code = "foreign_proposal"  // a proposal by this node that this process did not make
	ScoreFailed     Code = "score_failed"      // the Scorer
	SubmitFailed    Code = "submission_failed" // the chain
	JournalFailed   Code = "journal_failed"    // the disk
	Doubted         Code = "epoch_doubted"     // a view of an epoch far ahead, not confirmed yet
	Returned        Code = "epoch_returned"    // the chain went back to an earlier epoch
	Blind           Code = "chain_silent"      // reads fail
	Sighted         Code = "chain_answers"     // reads work again
)

// Notice is a line for people. The machine repeats itself only when something changed.
type Notice struct {
	Epoch chain.Epoch
	Code  Code
	Text  string
	Bad   bool // somebody should look at it
}

// Outcome is how an epoch ended, as seen in its last view. It comes with the first view of a later epoch; again for an
// epoch that the chain returned to, and not at all for one that it took back.
type Outcome struct {
	Epoch      chain.Epoch  `json:"epoch"`
	Elected    chain.NodeID `json:"elected"`
	Duty       bool         `json:"duty"` // this node was a validator
	Proposed   bool         `json:"proposed"`
	Attested   bool         `json:"attested"` // this node's attestation or proposal is on the chain
	Attests    int          `json:"attests"`
	Validators int          `json:"validators"`
	Why        string       `json:"why,omitempty"` // why Attested is false
	Ended      time.Time    `json:"ended"`
}

func (Read) action()    {}
func (Ask) action()     {}
func (Append) action()  {}
func (Propose) action() {}
func (Attest) action()  {}
func (Notice) action()  {}
func (Outcome) action() {}
