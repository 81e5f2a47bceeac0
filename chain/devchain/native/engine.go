package native

import (
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
)

// Config says how an [Engine] deviates from the public chain.
type Config struct {
	// EpochLength is the number of blocks of an epoch; 0 means 20, as on the
	// public chain. At least 4, because slots 0 to 2 are reserved. It is part of
	// the metadata and must not change over the life of a chain.
	EpochLength uint32
	// Seed of the election. Two chains with the same seed and the same
	// transactions elect the same validators.
	Seed [32]byte
	// Elect replaces the election, for scripted runs; nil means drawing from
	// Seed. It must be deterministic.
	Elect func(Election) (winner int)
}

// Election is one draw of a validator.
type Election struct {
	Subnet     chain.SubnetID
	Epoch      chain.Epoch // subnet epoch
	Block      chain.BlockNumber
	Candidates []chain.NodeID // never empty; the winner is an index into it
}

// Engine is the native engine. It implements devchain.Engine and is safe for
// concurrent use.
type Engine struct {
	cfg Config
}

// New returns an engine.
func New(cfg Config) *Engine {
	if cfg.EpochLength == 0 {
		cfg.EpochLength = 20
	}
	return &Engine{cfg: cfg}
}

// Name implements devchain.Engine.
func (e *Engine) Name() string { return "native" }

var _ = devchain.Genesis{}
