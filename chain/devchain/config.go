package devchain

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"
)

// SealMode says when a block is made.
type SealMode uint8

// The seal modes.
const (
	SealInterval SealMode = iota // every BlockTime, also when there is nothing to include
	SealInstant                  // at once when a transaction has become ready
	SealManual                   // only by [Chain.Mine]
)

// String is the word that [ParseSealMode] reads.
func (m SealMode) String() string {
	switch m {
	case SealInterval:
		return "interval"
	case SealInstant:
		return "instant"
	case SealManual:
		return "manual"
	}
	return fmt.Sprintf("SealMode(%d)", uint8(m))
}

// ParseSealMode reads "interval", "instant" or "manual".
func ParseSealMode(s string) (SealMode, error) {
	for m := SealInterval; m <= SealManual; m++ {
		if strings.EqualFold(s, m.String()) {
			return m, nil
		}
	}
	return 0, fmt.Errorf("unknown seal mode %q: want interval, instant or manual", s)
}

// Config configures a [Chain]. The zero value is a chain in memory with a block
// every 6 seconds.
type Config struct {
	// DataDir is the folder that keeps the chain; it is made when it does not
	// exist and locked while the chain is open. Empty: the chain lives in memory
	// and ends with the process.
	DataDir string
	// Genesis is the state of block 0. A data folder is only opened with the
	// genesis it was made with.
	Genesis Genesis
	// Spec is anything else that decides what the chain computes, such as the name
	// of a specification file; a data folder is bound to it.
	Spec string

	Seal SealMode
	// BlockTime is the time between two blocks of SealInterval; default 6 s, at
	// least 10 ms.
	BlockTime time.Duration
	// FinalityLag is how many blocks the finalized block is behind the best one. 0
	// finalizes every block at once, and then no reorganisation is possible.
	FinalityLag uint32

	// History is for how many blocks the state can be queried; default 256, as a
	// pruning Substrate node. Each costs the memory of what its block changed.
	History int
	// KeepBlocks is how many block bodies and headers are kept, on disk or in
	// memory; default 16,384. The genesis is always kept.
	KeepBlocks int
	// MaxBlockBytes bounds the extrinsics of a block; default 3.75 MiB, what a
	// normal dispatch class has.
	MaxBlockBytes int
	// MaxBlockTxs bounds the number of transactions in a block; default 4096.
	MaxBlockTxs int
	// Pool bounds the transaction pool.
	Pool PoolConfig

	// Now is the clock; default time.Now. With a clock of its own and the same
	// submissions, a chain is the same again.
	Now func() time.Time
	// Logger receives one line for each block and for what goes wrong; nil: none.
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	if c.BlockTime == 0 {
		c.BlockTime = 6 * time.Second
	}
	if c.History == 0 {
		c.History = 256
	}
	if c.KeepBlocks == 0 {
		c.KeepBlocks = 16_384
	}
	if c.MaxBlockBytes == 0 {
		c.MaxBlockBytes = 3840 << 10
	}
	if c.MaxBlockTxs == 0 {
		c.MaxBlockTxs = 4096
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Validate reports what cannot work.
func (c Config) Validate() error {
	c.setDefaults()
	switch {
	case c.Seal > SealManual:
		return fmt.Errorf("devchain: unknown seal mode %d", c.Seal)
	case c.BlockTime < 10*time.Millisecond:
		return fmt.Errorf("devchain: block time %v is below 10ms", c.BlockTime)
	case c.History < 1 || c.History > math.MaxInt32:
		return fmt.Errorf("devchain: history of %d blocks: want 1 or more", c.History)
	case c.KeepBlocks < c.History:
		return fmt.Errorf("devchain: keeping %d blocks is less than the history of %d", c.KeepBlocks, c.History)
	case uint64(c.FinalityLag) >= uint64(c.History):
		return fmt.Errorf("devchain: finality lag %d must be below the history of %d blocks", c.FinalityLag, c.History)
	}
	return nil
}
