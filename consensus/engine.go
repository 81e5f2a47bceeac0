package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Chain is what an [Engine] reads.
type Chain interface {
	chain.HeadSource
	chain.SubnetReader
	chain.RoundReader
}

// Config is how an [Engine] runs. The zero value of an optional field is its default.
type Config struct {
	MachineConfig

	// ReadTimeout bounds one look at the chain; default 10 s. Shorter than the epoch, or a hanging endpoint costs epochs.
	ReadTimeout time.Duration
	// ScoreTimeout bounds one question to the Scorer; default 30 s.
	ScoreTimeout time.Duration
	// SubmitTimeout bounds the wait for a submission to be in a block; default 60 s. After it the chain is looked at.
	SubmitTimeout time.Duration
	// FlushTimeout is how long Run waits at its end for a submission that is on its way; default 5 s.
	FlushTimeout time.Duration
	// Logger gets notices and outcomes; nil discards them.
	Logger *slog.Logger
	// Observe is called for each notice and outcome from the goroutine of Run; it must return at once. Optional.
	Observe func(Action)
}

func (c Config) withDefaults() Config {
	c.MachineConfig = c.MachineConfig.withDefaults()
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.ReadTimeout, 10 * time.Second}, {&c.ScoreTimeout, 30 * time.Second}, {&c.SubmitTimeout, time.Minute}, {&c.FlushTimeout, 5 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(Action) {}
	}
	return c
}

// Validate names the first field that makes no sense.
func (c Config) Validate() error {
	if c.ReadTimeout < 0 || c.ScoreTimeout < 0 || c.SubmitTimeout < 0 || c.FlushTimeout < 0 {
		return errors.New("consensus: a timeout is negative")
	}
	return c.MachineConfig.withDefaults().Validate()
}

// Engine runs a [Machine] against a chain. Run starts and ends all of its goroutines.
type Engine struct {
	cfg     Config
	chain   Chain
	writer  chain.RoundWriter
	scorer  Scorer
	journal *Journal
	machine *Machine

	events chan Event    // answers of the workers
	done   chan struct{} // closed when nobody reads events any more
	work   sync.WaitGroup
	scores sync.Mutex         // held while the Scorer works: one question at a time
	ask    context.CancelFunc // of the outstanding question
	send   context.CancelFunc // of the outstanding submission
	sent   bool               // a submission is outstanding

	mu     sync.Mutex // guards status
	status Status
}

// Status is what an [Engine] shows to people and tools.
type Status struct {
	Head    chain.Head  `json:"-"`
	Block   uint32      `json:"block"`
	Epoch   chain.Epoch `json:"epoch"`
	Code    Code        `json:"code"`
	Text    string      `json:"text"`
	Silent  bool        `json:"chain_silent"`
	Settled []Outcome   `json:"settled"` // the last epochs, oldest first
}

const keepOutcomes = 16 // in Status

// New returns an engine that has read the journal, which it does not close.
func New(cfg Config, c Chain, w chain.RoundWriter, s Scorer, j *Journal) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	m, err := NewMachine(cfg.MachineConfig, j.Entries())
	if err != nil {
		return nil, err
	}
	return &Engine{cfg: cfg, chain: c, writer: w, scorer: s, journal: j, machine: m, events: make(chan Event, 4), done: make(chan struct{})}, nil
}

// Status returns a copy of the current state. It is safe for concurrent use.
func (e *Engine) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.status
	s.Settled = append([]Outcome(nil), s.Settled...)
	return s
}

// Run takes part until ctx ends, then waits up to FlushTimeout for a submission that is on its way. It returns an error only when
// the heads cannot be followed at all. Run is called once.
func (e *Engine) Run(ctx context.Context) error {
	heads, err := e.chain.SubscribeHeads(ctx)
	if err != nil {
		return fmt.Errorf("consensus: follow heads: %w", err)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	defer e.work.Wait()
	sendCtx, endSend := context.WithCancel(context.WithoutCancel(ctx))
	defer endSend()
	defer close(e.done)
	for {
		var ev Event
		select {
		case <-ctx.Done():
			e.flush()
			return nil
		case h, ok := <-heads:
			if !ok {
				heads = nil // only when ctx ends
				continue
			}
			e.mu.Lock()
			e.status.Head, e.status.Block = h, uint32(h.Number)
			e.mu.Unlock()
			ev = NewHead{Head: h}
		case ev = <-e.events:
		case <-tick.C:
			ev = Tick{}
		}
		e.step(ctx, sendCtx, ev)
	}
}

// flush waits for an outstanding submission.
func (e *Engine) flush() {
	if !e.sent {
		return
	}
	limit := time.NewTimer(e.cfg.FlushTimeout)
	defer limit.Stop()
	for {
		select {
		case ev := <-e.events:
			if _, ok := ev.(Submitted); ok {
				return
			}
		case <-limit.C:
			return
		}
	}
}

// step feeds one event and does what comes of it, including the events that follow at once.
func (e *Engine) step(ctx, sendCtx context.Context, ev Event) {
	for next := []Event{ev}; len(next) > 0; next = next[1:] {
		if _, ok := next[0].(Submitted); ok {
			e.sent = false
		}
		for _, a := range e.machine.Step(time.Now(), next[0]) {
			switch a := a.(type) {
			case Read:
				e.spawn(func() Event { return e.read(ctx, a.At) })
			case Ask:
				e.onAsk(ctx, a)
			case Append:
				next = append(next, Appended{Entry: a.Entry, Err: e.journal.Append(a.Entry)})
			case Propose:
				e.submit(sendCtx, a.Seq, func(ctx context.Context) (chain.Receipt, error) {
					return e.writer.Propose(ctx, e.cfg.Subnet, e.cfg.Node, a.Scores)
				})
			case Attest:
				e.submit(sendCtx, a.Seq, func(ctx context.Context) (chain.Receipt, error) {
					return e.writer.Attest(ctx, e.cfg.Subnet, e.cfg.Node)
				})
			case Notice:
				e.notice(ctx, a)
			case Outcome:
				e.outcome(ctx, a)
			}
		}
	}
}

// spawn runs f beside the loop; Run waits for it.
func (e *Engine) spawn(f func() Event) {
	e.work.Add(1)
	go func() {
		defer e.work.Done()
		ev := f()
		select {
		case e.events <- ev:
		case <-e.done:
		}
	}()
}

func (e *Engine) onAsk(ctx context.Context, a Ask) {
	if e.ask != nil {
		e.ask()
	}
	askCtx, cancel := context.WithTimeout(ctx, e.cfg.ScoreTimeout)
	e.ask = cancel
	e.spawn(func() (ev Event) {
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				e.cfg.Logger.Error("the scorer panicked", "panic", p, "stack", string(debug.Stack()))
				ev = Scored{Seq: a.Seq, Err: fmt.Errorf("the scorer panicked: %v", p)}
			}
		}()
		e.scores.Lock()
		defer e.scores.Unlock()
		o, err := e.scorer.Score(askCtx, a.Round)
		return Scored{Seq: a.Seq, Opinion: o, Err: err}
	})
}

func (e *Engine) submit(ctx context.Context, seq uint64, call func(context.Context) (chain.Receipt, error)) {
	if e.send != nil {
		e.send() // of an epoch that is over
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.SubmitTimeout)
	e.send, e.sent = cancel, true
	e.spawn(func() Event {
		defer cancel()
		r, err := call(ctx)
		return Submitted{Seq: seq, Result: ResultOf(err), Receipt: r, Err: err}
	})
}

// ResultOf tells a refusal by the chain from an answer that never came.
func ResultOf(err error) Result {
	var d *chain.DispatchError
	var i *chain.InvalidTxError
	switch {
	case err == nil:
		return Landed
	case errors.As(err, &d), errors.As(err, &i):
		return Refused
	}
	return Unknown
}

// read gathers a View at one block.
func (e *Engine) read(ctx context.Context, at chain.Head) Event {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.ReadTimeout)
	defer cancel()
	v, err := readView(ctx, e.chain, e.cfg.Subnet, at)
	if err != nil {
		return ReadFailed{At: at, Err: err}
	}
	return v
}

func readView(ctx context.Context, c Chain, id chain.SubnetID, at chain.Head) (View, error) {
	v := View{At: at}
	var err error
	if v.Params, err = c.Params(ctx); err != nil {
		return View{}, err
	}
	v.Subnet, err = c.Subnet(ctx, at.Hash, id)
	if errors.Is(err, chain.ErrNotFound) {
		return v, nil
	}
	if err != nil {
		return View{}, err
	}
	v.Exists = true
	v.Epoch = v.Params.EpochAt(at.Number, v.Subnet.Slot)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		v.Nodes, err = c.Nodes(ctx, at.Hash, id)
		return err
	})
	g.Go(func() (err error) {
		n, ok, err := c.Elected(ctx, at.Hash, id, v.Epoch)
		if ok {
			v.Elected = n
		}
		return err
	})
	g.Go(func() (err error) {
		v.Submission, err = c.Submission(ctx, at.Hash, id, v.Epoch)
		return err
	})
	if err := g.Wait(); err != nil {
		return View{}, err
	}
	return v, nil
}

func (e *Engine) notice(ctx context.Context, n Notice) {
	level := slog.LevelInfo
	if n.Bad {
		level = slog.LevelWarn
	}
	e.cfg.Logger.Log(ctx, level, n.Text, "epoch", uint32(n.Epoch), "code", string(n.Code)) //nolint:sloglint // the machine words its notices
	e.mu.Lock()
	e.status.Epoch, e.status.Code, e.status.Text = n.Epoch, n.Code, n.Text
	switch n.Code {
	case Blind:
		e.status.Silent = true
	case Sighted:
		e.status.Silent = false
	default:
	}
	e.mu.Unlock()
	e.cfg.Observe(n)
}

func (e *Engine) outcome(ctx context.Context, o Outcome) {
	level := slog.LevelInfo
	if o.Duty && !o.Attested && o.Elected != 0 {
		level = slog.LevelWarn
	}
	e.cfg.Logger.Log(ctx, level, "epoch over", "voted", o.Attested, "epoch", uint32(o.Epoch), "elected", uint32(o.Elected),
		"attests", o.Attests, "validators", o.Validators, "why", o.Why)
	e.mu.Lock()
	e.status.Settled = append(e.status.Settled, o)
	if n := len(e.status.Settled); n > keepOutcomes {
		e.status.Settled = append([]Outcome(nil), e.status.Settled[n-keepOutcomes:]...)
	}
	e.mu.Unlock()
	e.cfg.Observe(o)
}
