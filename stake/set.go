package stake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/p2p"
)

// Reader is the part of the chain that a [Set] follows.
type Reader interface {
	chain.HeadSource
	chain.SubnetReader
}

// Config describes a [Set]. Subnet is required; every other zero value is a usable default.
type Config struct {
	Subnet chain.SubnetID
	Rule   Rule

	// ConfirmHeads is how many further heads must agree before the loss of more than half of the members is believed; default 10.
	// More keeps a swarm together longer under a lying endpoint, and lets a removed subnet's peers talk that much longer.
	ConfirmHeads int
	// ReadTimeout bounds one look at the chain; default 10 s.
	ReadTimeout time.Duration
	// File keeps the membership across restarts, so that a node that starts while the chain is down knows its peers. Empty: none.
	File string
	// OnChange is called after the membership changed, from the goroutine of Run; it must not block. Optional.
	OnChange func(before, now *Snapshot)
	// Logger gets changes and outages; nil discards them.
	Logger *slog.Logger
}

// Validate names the first field that makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Subnet == 0:
		return errors.New("stake: Subnet is 0")
	case c.Rule.MinClass > chain.ClassValidator:
		return fmt.Errorf("stake: Rule.MinClass is %d, the highest is %d", c.Rule.MinClass, chain.ClassValidator)
	case c.ConfirmHeads < 0 || c.ReadTimeout < 0:
		return errors.New("stake: ConfirmHeads or ReadTimeout is negative")
	}
	return nil
}

// Set is the membership in force. It is a [p2p.Gate] and an auth checker. Admit, Snapshot and Health are safe for concurrent use.
type Set struct {
	cfg     Config
	chain   Reader
	current atomic.Pointer[Snapshot]
	health  atomic.Pointer[Health]

	doubts int // heads in a row that showed most of the members gone; only Run touches it, and the next
	lower  int // heads in a row below the one in force
}

// Health says how fresh the membership is.
type Health struct {
	Answered time.Time // when the chain last answered; zero before the first time
	Block    chain.BlockNumber
	Err      error // of the last read; nil when it worked
	Doubted  int   // heads whose membership was not believed yet
}

var _ p2p.Gate = (*Set)(nil)

// New returns a set that admits nobody yet, or whom its file lists.
func New(cfg Config, r Reader) (*Set, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.ConfirmHeads == 0 {
		cfg.ConfirmHeads = 10
	}
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Set{cfg: cfg, chain: r}
	s.health.Store(&Health{})
	if cfg.File != "" {
		old, err := load(cfg.File, cfg.Subnet)
		if err != nil {
			return nil, fmt.Errorf("stake: %w", err)
		}
		s.current.Store(old)
	}
	return s, nil
}

// Admit says whether a peer belongs to the subnet.
func (s *Set) Admit(id peer.ID) p2p.Decision { return s.current.Load().Admit(id) }

// Snapshot returns the membership in force; nil before the chain has answered for the first time.
func (s *Set) Snapshot() *Snapshot { return s.current.Load() }

// Health returns how fresh the membership is.
func (s *Set) Health() Health { return *s.health.Load() }

// Run follows the heads until ctx ends. It returns an error only when they cannot be followed at all.
func (s *Set) Run(ctx context.Context) error {
	heads, err := s.chain.SubscribeHeads(ctx)
	if err != nil {
		return fmt.Errorf("stake: follow heads: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case h, ok := <-heads:
			if !ok {
				return nil // ctx has ended
			}
			if err := s.Refresh(ctx, h); err != nil && ctx.Err() == nil {
				s.cfg.Logger.Debug("membership not refreshed", "block", uint32(h.Number), "err", err)
			}
		}
	}
}

// Refresh reads the membership at a head and puts it in force, unless it is not believed yet. On an error everything stays as it
// was. Not to be called while Run runs.
func (s *Set) Refresh(ctx context.Context, at chain.Head) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ReadTimeout)
	defer cancel()
	next, err := s.read(ctx, at)
	h := *s.health.Load()
	if err != nil {
		if h.Err == nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("the chain does not tell who belongs to the subnet; members stay, strangers are refused", "err", err)
		}
		h.Err = err
		s.health.Store(&h)
		return err
	}
	s.adopt(next)
	s.health.Store(&Health{Answered: time.Now(), Block: at.Number, Doubted: max(s.doubts, s.lower)})
	return nil
}

func (s *Set) read(ctx context.Context, at chain.Head) (*Snapshot, error) {
	p, err := s.chain.Params(ctx)
	if err != nil {
		return nil, err
	}
	sub, err := s.chain.Subnet(ctx, at.Hash, s.cfg.Subnet)
	if errors.Is(err, chain.ErrNotFound) {
		return NewSnapshot(at, 0, chain.Subnet{ID: s.cfg.Subnet}, nil, s.cfg.Rule), nil
	}
	if err != nil {
		return nil, err
	}
	nodes, err := s.chain.Nodes(ctx, at.Hash, s.cfg.Subnet)
	if err != nil {
		return nil, err
	}
	return NewSnapshot(at, p.EpochAt(at.Number, sub.Slot), sub, nodes, s.cfg.Rule), nil
}

// rollbackHeads is how many further heads must be below the one in force before the chain counts as rolled back. A short reorganisation or
// a lagging endpoint is over by then; and after an endpoint that lied about its height the truth is below, so it must not be many.
const rollbackHeads = 3

// adopt puts next in force, unless it is older or loses most of the members, and was not confirmed yet.
func (s *Set) adopt(next *Snapshot) {
	old := s.current.Load()
	if old == nil || next.At.Number >= old.At.Number {
		s.lower = 0
	} else if s.lower++; s.lower <= rollbackHeads {
		return
	}
	if old != nil && 2*old.lost(next) > old.Len() && old.Len() > 1 {
		if s.doubts++; s.doubts <= s.cfg.ConfirmHeads {
			if s.doubts == 1 {
				s.cfg.Logger.Warn("the chain shows most members gone; waiting for confirmation", "block", uint32(next.At.Number),
					"members", old.Len(), "now", next.Len(), "heads", s.cfg.ConfirmHeads)
			}
			return
		}
	}
	s.doubts, s.lower = 0, 0
	if old.same(next) {
		s.current.Store(next) // a newer block
		return
	}
	s.current.Store(next)
	s.cfg.Logger.Info("membership", "block", uint32(next.At.Number), "members", next.Len(), "before", old.Len())
	if s.cfg.File != "" {
		if err := next.save(s.cfg.File); err != nil {
			s.cfg.Logger.Warn("membership is not kept for the next start", "err", err)
		}
	}
	if s.cfg.OnChange != nil {
		s.cfg.OnChange(old, next)
	}
}
