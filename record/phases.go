package record

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Names of the application's keys that a Hypertensor subnet uses.
const (
	heartbeatName = "heartbeat"
	commitPrefix  = "commit_epoch_"
	revealPrefix  = "reveal_epoch_"
)

// HeartbeatKey returns the key of the nodes' signs of life.
func HeartbeatKey() Key { return KeyOfText(heartbeatName) }

// CommitKey returns the key of the commits of an epoch.
func CommitKey(epoch uint32) Key { return numbered(commitPrefix, epoch) }

// RevealKey returns the key of the reveals of an epoch.
func RevealKey(epoch uint32) Key { return numbered(revealPrefix, epoch) }

func numbered(prefix string, epoch uint32) Key {
	return KeyOfText(prefix + strconv.FormatUint(uint64(epoch), 10))
}

// PhasesConfig holds the rules of a subnet. The zero value of a field is its default.
type PhasesConfig struct {
	// Heartbeats, Commits and Reveals are how many records of each an author may have stored in an epoch.
	// Defaults 100, 1, 1.
	Heartbeats, Commits, Reveals int
	// CommitUntil is the progress of the epoch up to which commits are taken, RevealUntil up to which reveals
	// are, after it. Defaults 500 and 600.
	CommitUntil, RevealUntil Permille
	// HeartbeatHorizon and CommitHorizon are how far ahead the records may expire, CommitHorizon for reveals
	// too. Defaults 1980 s (1.1 epochs) and 3600 s (2 epochs).
	HeartbeatHorizon, CommitHorizon time.Duration
	// Clock is the tolerated difference between clocks. Default 3 s.
	Clock time.Duration
	// Heartbeat checks the content of heartbeats, for example heartbeat.Check. Default: any content.
	Heartbeat Check
	// Binding makes reveals match their commits. Default: none, as in Python subnets, where commits and
	// reveals have no fixed form.
	Binding *Binding
	// Allow admits further keys, on which Phases then has no opinion. Default: none.
	Allow func(Key) bool
	// Vouchers is how many different senders must hand over a commit or reveal whose phase is over before it
	// is taken: then it is held by others already, and no single latecomer's helper can plant it. Default 3;
	// negative: never take one.
	Vouchers int
}

func (c PhasesConfig) withDefaults() PhasesConfig {
	orInt(&c.Heartbeats, 100)
	orInt(&c.Commits, 1)
	orInt(&c.Reveals, 1)
	orInt(&c.Vouchers, 3)
	if c.CommitUntil == 0 {
		c.CommitUntil = Whole / 2
	}
	if c.RevealUntil == 0 {
		c.RevealUntil = Whole * 3 / 5
	}
	if c.HeartbeatHorizon <= 0 {
		c.HeartbeatHorizon = 1980 * time.Second
	}
	if c.CommitHorizon <= 0 {
		c.CommitHorizon = time.Hour
	}
	if c.Clock <= 0 {
		c.Clock = defaultClock
	}
	return c
}

// Validate reports windows in which nothing could ever be committed or revealed.
func (c PhasesConfig) Validate() error {
	d := c.withDefaults()
	if d.CommitUntil >= d.RevealUntil || d.RevealUntil > Whole {
		return fmt.Errorf("record: commits until %d and reveals until %d of %d: the first must end before the second, in the epoch",
			d.CommitUntil, d.RevealUntil, Whole)
	}
	return nil
}

// CommitsAt reports whether commits of the epoch are taken at p.
func (c PhasesConfig) CommitsAt(p Phase) bool {
	return p.Known && p.Progress <= c.withDefaults().CommitUntil
}

// RevealsAt reports whether reveals of the epoch are taken at p.
func (c PhasesConfig) RevealsAt(p Phase) bool {
	c = c.withDefaults()
	return p.Known && p.Progress > c.CommitUntil && p.Progress <= c.RevealUntil
}

func orInt(n *int, or int) {
	if *n == 0 {
		*n = or
	}
}

// class is the sort of a record in a subnet.
type class uint8

const (
	classOther class = iota
	classHeartbeat
	classCommit
	classReveal
)

func (c class) String() string { return [...]string{"other", "heartbeat", "commit", "reveal"}[c] }

// Phases is the predicate of a Hypertensor subnet. It admits three keys, "heartbeat", "commit_epoch_E" and
// "reveal_epoch_E" for the current epoch E, and only records that name their owner in the subkey:
//
//   - heartbeats at any time, one subkey per node: its peer ID followed by its owner marker
//   - commits while at most half of the epoch has passed
//   - reveals after that until 60 % have, matching their commit if Binding is set
//
// each within its horizon and with a quota per author and epoch, charged when the record has been stored. It belongs
// behind a Signature: without one it knows no authors and charges senders.
//
// Answers (Get) may be of any key and epoch; they must name an owner, and heartbeats and reveals must be well formed.
type Phases struct {
	config    PhasesConfig
	heartbeat Key
	ledger    ledger
	vouchers  vouchers
}

// NewPhases returns a Phases.
func NewPhases(config PhasesConfig) *Phases {
	config = config.withDefaults()
	p := &Phases{config: config, heartbeat: HeartbeatKey()}
	p.vouchers.need, p.vouchers.seen.size = config.Vouchers, lateRecords
	return p
}

// Priority returns PriorityPredicate.
func (*Phases) Priority() int { return PriorityPredicate }

// Sign returns the value unchanged.
func (*Phases) Sign(r Record) ([]byte, error) { return r.Value, nil }

// Strip returns the value unchanged.
func (*Phases) Strip(r Record) []byte { return r.Value }

// Merge returns false: two Phases in one chain both hold, and so do predicates beside it.
func (*Phases) Merge(Validator) (Validator, bool) { return nil, false }

// Validate applies the rules.
func (p *Phases) Validate(r Record, q Request) error {
	c, epoch := p.classify(r.Key, q.Phase)
	if c == classOther && p.config.Allow != nil && p.config.Allow(r.Key) {
		return nil
	}
	owner, err := q.Owner(r)
	if err != nil || owner == nil {
		return &Fault{Side: q.blame(r), Code: CodeRefused, Reason: "the subkey names no owner", Err: err}
	}
	if q.Kind == Post {
		if err := p.timing(c, epoch, r, q, owner); err != nil {
			return err
		}
	}
	if err := p.content(c, epoch, r, q, owner); err != nil {
		return err
	}
	return p.Admits(r, q)
}

// Admits refuses what exceeds its author's quota.
func (p *Phases) Admits(r Record, q Request) error {
	if q.Kind != Post {
		return nil
	}
	c, epoch := p.classify(r.Key, q.Phase)
	if c != classOther && !p.ledger.admits(period(c, epoch, q.Phase), c, q.Author(r), r, p.quota(c)) {
		return fault(q.blame(r), CodeQuota, "%d %ss in epoch %d", p.quota(c), c, epoch)
	}
	return nil
}

// period is what a quota counts in. Heartbeats have no business with the epoch: when the chain falls silent, and the epoch with it, nodes
// are alive all the same.
func period(c class, epoch uint32, phase Phase) uint64 {
	if c == classHeartbeat {
		return uint64(epoch) + uint64(phase.Overtime)
	}
	return uint64(epoch)
}

// Accepted charges the author for a stored record.
func (p *Phases) Accepted(r Record, q Request) {
	c, epoch := p.classify(r.Key, q.Phase)
	if q.Kind == Post && c != classOther {
		p.ledger.charge(period(c, epoch, q.Phase), c, q.Author(r), r)
	}
}

// Used returns how many heartbeats, commits and reveals an author was charged for in an epoch.
func (p *Phases) Used(epoch uint32, author peer.ID) (heartbeats, commits, reveals int) {
	return p.ledger.used(uint64(epoch), classHeartbeat, author),
		p.ledger.used(uint64(epoch), classCommit, author),
		p.ledger.used(uint64(epoch), classReveal, author)
}

func (p *Phases) quota(c class) int {
	switch c {
	case classHeartbeat:
		return p.config.Heartbeats
	case classCommit:
		return p.config.Commits
	case classReveal:
		return p.config.Reveals
	}
	return 0
}

// classify finds the class and epoch of a key among the current epoch and the one before. A heartbeat belongs to the
// current epoch, to epoch 0 while that is unknown.
func (p *Phases) classify(key Key, phase Phase) (class, uint32) {
	if key == p.heartbeat {
		return classHeartbeat, phase.Epoch
	}
	if !phase.Known {
		return classOther, 0
	}
	epochs := []uint32{phase.Epoch, phase.Epoch - 1}
	if phase.Epoch == 0 {
		epochs = epochs[:1]
	}
	for _, e := range epochs {
		switch key {
		case CommitKey(e):
			return classCommit, e
		case RevealKey(e):
			return classReveal, e
		}
	}
	return classOther, 0
}

// timing refuses what may not be stored now.
func (p *Phases) timing(c class, epoch uint32, r Record, q Request, owner *Owner) error {
	horizon := p.config.CommitHorizon
	switch c {
	case classOther:
		if !q.Phase.Known {
			return fault(SideOurs, CodePhase, "the epoch is unknown")
		}
		return fault(SideSender, CodeRefused, "not a key of this subnet in epoch %d", q.Phase.Epoch)
	case classHeartbeat:
		horizon = p.config.HeartbeatHorizon
	case classCommit, classReveal:
		if !p.open(c, epoch, q.Phase) && !p.vouched(c, epoch, r, q, owner) {
			return fault(SideSender, CodePhase, "a %s for epoch %d at %s", c, epoch, q.Phase)
		}
	}
	if r.Expiration > expirationAfter(q.Now, horizon+p.config.Clock) {
		return fault(q.blame(r), CodeHorizon, "a %s may expire %s ahead", c, horizon)
	}
	return nil
}

// open reports whether commits or reveals of an epoch are taken now.
func (p *Phases) open(c class, epoch uint32, now Phase) bool {
	if epoch != now.Epoch {
		return false
	}
	if c == classCommit {
		return p.config.CommitsAt(now)
	}
	return p.config.RevealsAt(now)
}

// vouched counts the senders that hand over a record whose phase is over.
func (p *Phases) vouched(c class, epoch uint32, r Record, q Request, owner *Owner) bool {
	early := epoch == q.Phase.Epoch && c == classReveal && q.Phase.Progress <= p.config.CommitUntil
	if early || q.Sender == "" || q.Sender == owner.Peer {
		return false
	}
	return p.vouchers.add(r, q.Sender)
}

func (p *Phases) content(c class, epoch uint32, r Record, q Request, owner *Owner) error {
	switch c {
	case classHeartbeat:
		if err := onlySubkey(r.Subkey, owner); err != nil {
			return &Fault{Side: q.blame(r), Code: CodeRefused, Reason: "heartbeat", Err: err}
		}
		if p.config.Heartbeat != nil {
			return namedCheck{"heartbeat", p.config.Heartbeat}.run(r, q)
		}
	case classCommit:
		if p.config.Binding != nil {
			if _, err := ParseCommit(r.Value); err != nil {
				return &Fault{Side: q.blame(r), Code: CodeBinding, Reason: "commit", Err: err}
			}
		}
	case classReveal:
		if p.config.Binding != nil {
			return p.config.Binding.check(epoch, r, q, owner)
		}
	}
	return nil
}

// vouchers remembers who handed over which late record.
type vouchers struct {
	need int

	mu   sync.Mutex
	seen generations[[16]byte, []peer.ID]
}

const lateRecords = 2048 // late records watched at once; commits and reveals of 512 nodes, twice

func (v *vouchers) add(r Record, sender peer.ID) bool {
	if v.need < 0 {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	id := versionOf(r).digest
	senders, _ := v.seen.get(id)
	for _, s := range senders {
		if s == sender {
			return len(senders) >= v.need
		}
	}
	if len(senders) < v.need {
		senders = append(senders, sender)
		v.seen.put(id, senders)
	}
	return len(senders) >= v.need
}
