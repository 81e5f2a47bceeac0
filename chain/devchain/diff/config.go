package diff

import (
	"log/slog"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Config says what to run. The zero value runs 300 blocks of seed 0.
type Config struct {
	Seed   uint64
	Blocks int // default 300
	// PerBlock is how many random calls a block has at most; default 3. 0 < 0 is
	// none: only the script runs.
	PerBlock int
	// Pallets whose storage is compared; default those of a subnet's life.
	Pallets []string
	// Ignore lists items, "Pallet.Item", that may differ; default the one that
	// cannot be equal: no log of an EVM is written.
	Ignore []string
	// Leave lists calls, "Pallet.name", that are not drawn; default those in which a
	// development chain is stricter than the real one.
	Leave []string
	// Fund is what the accounts of the run get; default 1,000,000 TENSOR.
	Fund chain.Balance
	// Logger gets what could not be done; nil: none.
	Logger *slog.Logger
	// Progress is called after each block with the report so far; nil: not.
	Progress func(*Report)
	// Record is filled with the run, for [Recording.Replay]; nil: not.
	Record *Recording
}

func (c *Config) setDefaults() {
	if c.Blocks == 0 {
		c.Blocks = 300
	}
	if c.PerBlock == 0 {
		c.PerBlock = 3
	}
	if c.Pallets == nil {
		c.Pallets = []string{"System", "Timestamp", "Balances", "TransactionPayment", "Sudo", "Treasury", "Network"}
	}
	if c.Ignore == nil {
		c.Ignore = []string{"System.Digest"}
	}
	if c.Leave == nil {
		c.Leave = []string{"Network.transfer_delegate_stake", "Network.transfer_node_delegate_stake"}
	}
	if c.Fund.IsZero() {
		c.Fund = chain.Tensor(1_000_000)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}
