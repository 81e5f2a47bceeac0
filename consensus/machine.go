package consensus

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// MachineConfig is who takes part and how patiently. The zero value of an optional field is its default.
type MachineConfig struct {
	Subnet chain.SubnetID // required
	Node   chain.NodeID   // required: the own node

	// Reevaluate is up to where in the epoch, in thousandths, the opinion is asked for again at each block; default 500, because
	// attesters earn in full until half of the time is over. After a late proposal it is the same share of what was left then.
	Reevaluate uint32
	// RetryBlocks is how many blocks a submission gets to show on the chain before it is submitted again; default 2. Too few cost
	// a fee for each duplicate, too many cost reward.
	RetryBlocks uint32
	// ReadRetry is how long after a failed read the chain is asked again when no new head comes; default 1 s.
	ReadRetry time.Duration
}

func (c MachineConfig) withDefaults() MachineConfig {
	if c.Reevaluate == 0 {
		c.Reevaluate = 500
	}
	if c.RetryBlocks == 0 {
		c.RetryBlocks = 2
	}
	if c.ReadRetry == 0 {
		c.ReadRetry = time.Second
	}
	return c
}

// Validate names the first field that makes no sense.
func (c MachineConfig) Validate() error {
	switch {
	case c.Subnet == 0:
		return errors.New("consensus: Subnet is 0")
	case c.Node == 0:
		return errors.New("consensus: Node is 0")
	case c.Reevaluate > 1000:
		return fmt.Errorf("consensus: Reevaluate is %d, more than 1000 thousandths", c.Reevaluate)
	case c.ReadRetry < 0:
		return errors.New("consensus: ReadRetry is negative")
	}
	return nil
}

// Machine is one node's part in the rounds. It is not safe for concurrent use.
type Machine struct {
	cfg MachineConfig
	out []Action

	head    chain.Head // newest heard of
	reading bool
	readAt  chain.Head // of the outstanding or last read
	blind   time.Time  // since when reads fail; zero while they work
	lastBad time.Time  // last failed read

	seq      uint64
	r        *round
	waiting  string // last text of a Waiting notice
	doubt    doubt
	decided  map[decision]Entry
	order    []decision // keys of decided, oldest first
	appended bool       // an Append is outstanding
}

type decision struct {
	epoch chain.Epoch
	kind  Kind
}

// doubt is a view that was not believed by itself.
type doubt struct {
	epoch chain.Epoch
	at    chain.Head // zero: there is none
}

// round is all that is known about the current epoch.
type round struct {
	epoch chain.Epoch
	ask   Round
	self  bool // this node is a validator in this epoch
	view  View
	own   []chain.NodeScore // latest opinion, normalised
	last  Opinion
	seen  verdicts
	ids   []chain.NodeID // that count, sorted

	asking   uint64 // Seq of the outstanding Ask, 0 none
	asked    chain.BlockNumber
	scored   bool
	scoreErr error

	pending uint64 // Seq of the outstanding submission, 0 none
	tries   uint32
	tried   chain.BlockNumber // head at which the last submission was made or answered
	failed  error             // of the last submission

	why   string // why this node has not attested, for the Outcome
	said  Code
	words string
}

// NewMachine returns a machine that has decided what journal says, and nothing else. It keeps no reference to journal.
func NewMachine(cfg MachineConfig, journal []Entry) (*Machine, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Machine{cfg: cfg, decided: make(map[decision]Entry, len(journal))}
	for _, e := range journal {
		m.remember(e)
	}
	return m, nil
}

// remember notes a decision. Of two the first counts: it is the one that may have been sent. Old ones are forgotten by their number and
// not by their epoch, so that a chain that lies about the epoch cannot make the machine decide one twice.
func (m *Machine) remember(e Entry) {
	d := decision{e.Epoch, e.Kind}
	if _, dup := m.decided[d]; dup {
		return
	}
	m.decided[d] = e
	m.order = append(m.order, d)
	if len(m.order) > keepDecisions {
		delete(m.decided, m.order[0])
		m.order = m.order[1:]
	}
}

// Step tells the machine what happened at now and returns what to do, in order. The slice is valid until the next Step.
func (m *Machine) Step(now time.Time, ev Event) []Action {
	m.out = m.out[:0]
	switch ev := ev.(type) {
	case NewHead:
		m.head = ev.Head
		m.read()
	case View:
		m.reading = false
		m.onView(now, ev)
		if m.head != m.readAt {
			m.read()
		}
	case ReadFailed:
		m.reading = false
		m.onReadFailed(now, ev)
	case Scored:
		m.onScored(ev)
	case Appended:
		m.onAppended(ev)
	case Submitted:
		m.onSubmitted(ev)
	case Tick:
		if !m.reading && !m.blind.IsZero() && now.Sub(m.lastBad) >= m.cfg.ReadRetry {
			m.read()
		}
	}
	return m.out
}

func (m *Machine) do(a Action) { m.out = append(m.out, a) }

func (m *Machine) read() {
	if m.reading || m.head == (chain.Head{}) {
		return
	}
	m.reading, m.readAt = true, m.head
	m.do(Read{At: m.head})
}

func (m *Machine) onReadFailed(now time.Time, ev ReadFailed) {
	m.lastBad = now
	if m.blind.IsZero() {
		m.blind = now
		m.do(Notice{Epoch: m.epoch(), Code: Blind, Text: fmt.Sprintf("the chain does not answer: %v", ev.Err), Bad: true})
	}
	if m.head != m.readAt {
		m.read()
	}
}

func (m *Machine) onView(now time.Time, v View) {
	if !m.blind.IsZero() {
		m.do(Notice{Epoch: m.epoch(), Code: Sighted, Text: fmt.Sprintf("the chain answers again after %v", now.Sub(m.blind).Round(time.Millisecond))})
		m.blind = time.Time{}
	}
	if why := m.idle(v); why != "" {
		m.leave(now)
		if why != m.waiting {
			m.waiting = why
			m.do(Notice{Epoch: v.Epoch, Code: Waiting, Text: why})
		}
		return
	}
	m.waiting = ""
	if m.doubts(v) {
		return
	}
	switch {
	case m.r != nil && v.Epoch < m.r.epoch:
		// What the left epoch came to is not known: the chain never got there. Its decisions stand, should it come again.
		m.do(Notice{Epoch: v.Epoch, Code: Returned, Text: fmt.Sprintf("back in epoch %d from epoch %d, which the chain does not show any more", v.Epoch, m.r.epoch), Bad: true})
		m.r = nil
		m.enter(now, v)
	case m.r == nil || v.Epoch > m.r.epoch:
		m.leave(now)
		m.enter(now, v)
	default:
		m.r.view = v
	}
	m.decide()
}

// doubts reports whether a view is to be left aside. Time goes on by one epoch; a view of any other epoch may be of an endpoint that lies
// or lags, and is believed when the view of another block confirms it.
func (m *Machine) doubts(v View) bool {
	if m.r == nil || v.Epoch == m.r.epoch || v.Epoch == m.r.epoch+1 {
		m.doubt = doubt{}
		return false
	}
	before := m.doubt
	m.doubt = doubt{v.Epoch, v.At}
	if before.at != (chain.Head{}) && before.at.Hash != v.At.Hash && (v.Epoch == before.epoch || v.Epoch == before.epoch+1) {
		m.doubt = doubt{}
		return false
	}
	if v.Epoch > m.r.epoch && before.epoch != v.Epoch {
		m.do(Notice{Epoch: m.r.epoch, Code: Doubted, Text: fmt.Sprintf("block %d is of epoch %d, after epoch %d: waiting for another block that confirms it", v.At.Number, v.Epoch, m.r.epoch), Bad: true})
	}
	return true
}

// idle says why there is no round at all in this view, "" when there is.
func (m *Machine) idle(v View) string {
	switch {
	case !v.Exists:
		return fmt.Sprintf("subnet %d is not on the chain", m.cfg.Subnet)
	case v.Subnet.Slot == 0 || v.Params.EpochLength == 0:
		return fmt.Sprintf("subnet %d has no slot yet", m.cfg.Subnet)
	case v.Subnet.State != chain.SubnetActive:
		return fmt.Sprintf("subnet %d is %v, not active", m.cfg.Subnet, v.Subnet.State)
	case v.Subnet.StartEpoch > v.Params.GeneralEpoch(v.At.Number):
		return fmt.Sprintf("subnet %d starts in epoch %d", m.cfg.Subnet, v.Subnet.StartEpoch)
	}
	return ""
}

// leave ends the current round and reports it.
func (m *Machine) leave(now time.Time) {
	r := m.r
	if r == nil {
		return
	}
	m.r = nil
	o := Outcome{Epoch: r.epoch, Elected: r.view.Elected, Duty: r.self, Why: r.why, Ended: now}
	if s := r.view.Submission; s != nil {
		o.Proposed, o.Attests, o.Validators = true, len(s.Attests), len(s.Validators)
		o.Attested = attestedBy(s, m.cfg.Node)
	}
	if o.Attested {
		o.Why = ""
	} else if o.Why == "" && !o.Proposed {
		o.Why = "nothing was proposed"
	}
	m.do(o)
}

// enter begins the round of the view's epoch.
func (m *Machine) enter(now time.Time, v View) {
	offset := v.Params.Offset(v.At.Number, v.Subnet.Slot)
	r := &round{epoch: v.Epoch, view: v}
	r.ask = Round{
		Subnet: m.cfg.Subnet, Epoch: v.Epoch, At: v.At, Nodes: v.Nodes,
		Began: now.Add(-time.Duration(offset) * v.Params.BlockTime), // a node that comes late asks about the same moment
	}
	class := "not registered"
	for _, n := range v.Nodes {
		if n.Holds(chain.ClassIncluded, v.Epoch) {
			r.ids = append(r.ids, n.ID)
		}
		if n.ID == m.cfg.Node {
			class = n.Class.String()
			if n.StartEpoch > v.Epoch {
				class += fmt.Sprintf(" from epoch %d", n.StartEpoch)
			}
			r.self = n.Holds(chain.ClassValidator, v.Epoch)
		}
	}
	r.seen = newVerdicts(r.ids)
	for _, k := range []Kind{Proposal, Attestation} {
		if _, ok := m.decided[decision{v.Epoch, k}]; ok { // from before a restart: it may be on its way
			r.tries, r.tried = 1, v.At.Number
		}
	}
	m.r = r
	if !r.self {
		r.why = "this node is " + class
		m.say(Waiting, false, "epoch %d: this node is %s, only validators take part", v.Epoch, class)
		return
	}
	m.say(Began, false, "epoch %d, block %d of %d", v.Epoch, offset, v.Params.EpochLength)
}

func (m *Machine) append(e Entry) {
	if m.appended {
		return
	}
	m.appended = true
	m.do(Append{Entry: e})
}

func (m *Machine) onAppended(ev Appended) {
	m.appended = false
	if ev.Err != nil {
		if r := m.r; r != nil {
			r.why = fmt.Sprintf("the journal could not be written: %v", ev.Err)
			m.say(JournalFailed, true, "epoch %d: nothing is submitted that is not in the journal: %v", r.epoch, ev.Err)
		}
		return // decided again at the next view
	}
	m.remember(ev.Entry)
	m.decide()
}

func (m *Machine) onScored(ev Scored) {
	r := m.r
	if r == nil || ev.Seq != r.asking {
		return
	}
	r.asking = 0
	err := ev.Err
	var own, flux []chain.NodeScore
	if err == nil {
		counts := func(id chain.NodeID) bool { _, ok := slices.BinarySearch(r.ids, id); return ok }
		if own, err = normalise(ev.Opinion.Scores, counts); err == nil {
			flux, err = normalise(ev.Opinion.InFlux, counts)
		}
	}
	if err != nil {
		r.scoreErr = err
		m.say(ScoreFailed, true, "epoch %d: scoring failed: %v", r.epoch, err)
		return // asked again at the next view
	}
	r.scoreErr, r.scored, r.own, r.last = nil, true, own, ev.Opinion
	r.seen.add(own, flux)
	m.decide()
}

func (m *Machine) onSubmitted(ev Submitted) {
	r := m.r
	if r == nil || ev.Seq != r.pending {
		return
	}
	r.pending = 0
	r.tried = max(r.tried, r.view.At.Number)
	r.failed = ev.Err
	if ev.Result == Landed {
		r.tried = max(r.tried, ev.Receipt.Block.Number)
		return // believed when a view shows it
	}
	how := "refused"
	if ev.Result == Unknown {
		how = "unanswered"
	}
	r.why = fmt.Sprintf("submission %s: %v", how, ev.Err)
	m.say(SubmitFailed, true, "epoch %d: submission %s: %v", r.epoch, how, ev.Err)
	m.read() // a lost receipt or a duplicate: the chain knows
}

// say emits a notice unless it is the one that was said last in this round.
func (m *Machine) say(c Code, bad bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if m.r.said == c && m.r.words == text {
		return
	}
	m.r.said, m.r.words = c, text
	m.do(Notice{Epoch: m.r.epoch, Code: c, Text: text, Bad: bad})
}

func (m *Machine) epoch() chain.Epoch {
	if m.r == nil {
		return 0
	}
	return m.r.epoch
}
