package diff

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
)

// Native compares the native engine with a reference of its generation: it is
// made with the epoch length and the authorities of the reference, and elects
// whom the reference has elected.
func Native(ctx context.Context, cfg Config, reference devchain.Engine) (*Report, error) {
	st := devchain.NewState()
	if err := reference.Genesis(st, devchain.Genesis{}); err != nil {
		return nil, fmt.Errorf("diff: genesis of the reference: %w", err)
	}
	reg, err := registry(reference)
	if err != nil {
		return nil, fmt.Errorf("diff: metadata of the reference: %w", err)
	}
	elect, link := Elected()
	nc := native.Config{Elect: func(e native.Election) int {
		id, ok := elect(e.Subnet, e.Epoch)
		if !ok {
			return -1
		}
		if rec := cfg.Record; rec != nil && len(rec.Blocks) > 0 {
			b := &rec.Blocks[len(rec.Blocks)-1]
			b.Elected = append(b.Elected, RecordedElection{e.Subnet, e.Epoch, id})
		}
		return slices.Index(e.Candidates, id)
	}}
	if c, err := reg.Constant("Network", "EpochLength"); err == nil && len(c.Value) == 4 {
		nc.EpochLength = binary.LittleEndian.Uint32(c.Value)
	}
	if keys := st.Get(StorageKey("Aura", "Authorities")); len(keys) > 0 {
		for _, k := range slices.Collect(slices.Chunk(keys[1:], 32)) {
			if len(k) == 32 {
				nc.Authorities = append(nc.Authorities, [32]byte(k))
			}
		}
	}
	if rec := cfg.Record; rec != nil {
		rec.EpochLength, rec.Authorities = nc.EpochLength, nc.Authorities
	}
	return Run(ctx, cfg, reference, native.New(nc), link)
}
