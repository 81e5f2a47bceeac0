package devchain

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

const maxMine = 100_000 // blocks of one dev_mineBlocks

// devMethods are the methods that a real node does not have. Their errors have
// the code 7000.
func (s *Server) devMethods() map[string]method {
	mine := func(c *call, n int, step time.Duration) (*Block, error) {
		if n < 1 || n > maxMine {
			return nil, paramsError("want 1 to %d blocks", maxMine)
		}
		var last *Block
		for range n {
			if err := c.ctx.Err(); err != nil {
				return nil, err
			}
			if step > 0 {
				s.chain.AdvanceTime(step)
			}
			b, err := s.chain.Mine(1)
			if err != nil {
				return nil, err
			}
			last = b
		}
		return last, nil
	}
	// dev_mineBlocks(n = 1, milliseconds between them = 0) -> hash of the last
	mineBlocks := func(c *call) (any, error) {
		n, ok, err := optArg[int](c, 0, "blocks")
		if err != nil {
			return nil, err
		}
		if !ok {
			n = 1
		}
		step, _, err := optArg[uint32](c, 1, "milliseconds")
		if err != nil {
			return nil, err
		}
		b, err := mine(c, n, time.Duration(step)*time.Millisecond)
		if err != nil {
			return nil, err
		}
		return b.Hash, nil
	}
	return map[string]method{
		"dev_mineBlocks": mineBlocks,
		"dev_mine":       mineBlocks,
		"dev_setTime": func(c *call) (any, error) {
			ms, err := arg[int64](c, 0, "milliseconds since 1970")
			if err != nil {
				return nil, err
			}
			return true, s.chain.SetTime(time.UnixMilli(ms))
		},
		"dev_advanceTime": func(c *call) (any, error) {
			ms, err := arg[uint32](c, 0, "milliseconds")
			if err != nil {
				return nil, err
			}
			s.chain.AdvanceTime(time.Duration(ms) * time.Millisecond)
			return true, nil
		},
		"dev_snapshot": fixed(func() any { return s.chain.Snapshot() }),
		"dev_revert": func(c *call) (any, error) {
			id, err := arg[uint64](c, 0, "snapshot")
			if err != nil {
				return nil, err
			}
			b, err := s.chain.Revert(id)
			if err != nil {
				return nil, err
			}
			return b.Hash, nil
		},
		"dev_reorg": func(c *call) (any, error) {
			depth, err := arg[int](c, 0, "depth")
			if err != nil {
				return nil, err
			}
			b, err := s.chain.Reorg(depth)
			if err != nil {
				return nil, err
			}
			return b.Hash, nil
		},
		"dev_setFinalityLag": func(c *call) (any, error) {
			lag, err := arg[uint32](c, 0, "blocks")
			if err != nil {
				return nil, err
			}
			return true, s.chain.SetFinalityLag(lag)
		},
		"dev_holdTransactions": func(c *call) (any, error) {
			n, err := arg[uint16](c, 0, "blocks")
			if err != nil {
				return nil, err
			}
			s.chain.HoldTransactions(int(n))
			return true, nil
		},
		// dev_setStorage([[key, value or null], ...]) takes effect in the next block
		"dev_setStorage": func(c *call) (any, error) {
			pairs, err := arg[[][2]*hexBytes](c, 0, "pairs")
			if err != nil {
				return nil, err
			}
			changes := make([]Change, len(pairs))
			for i, p := range pairs {
				if p[0] == nil {
					return nil, paramsError("pair %d has no key", i+1)
				}
				changes[i].Key = *p[0]
				if p[1] != nil {
					changes[i].Value = append([]byte{}, *p[1]...)
				}
			}
			return true, s.chain.SetStorage(changes)
		},
		"dev_impersonate":       s.impersonate(true),
		"dev_stopImpersonating": s.impersonate(false),
		"dev_injectFault":       s.injectFault,
		"dev_faults":            fixed(func() any { return s.faults.active() }),
		"dev_clearFaults":       fixed(func() any { return s.faults.clear() }),
		"dev_info": fixed(func() any {
			ready, future := s.chain.PoolSize()
			head := s.chain.Head()
			return map[string]any{
				"engine": s.chain.Engine().Name(), "best": head.Number(), "bestHash": head.Hash,
				"finalized": s.chain.Finalized().Number(), "time": head.Timestamp, "ready": ready, "future": future,
			}
		}),
		"engine_createBlock": func(c *call) (any, error) {
			b, err := mine(c, 1, 0)
			if err != nil {
				return nil, err
			}
			return map[string]any{"hash": b.Hash, "aux": map[string]bool{
				"header_only": false, "clear_justification_requests": false,
				"needs_justification": false, "bad_justification": false, "is_new_best": true,
			}}, nil
		},
		// engine_finalizeBlock cannot do more than tell whether that block is final
		"engine_finalizeBlock": func(c *call) (any, error) {
			h, err := arg[chain.Hash](c, 0, "block hash")
			if err != nil {
				return nil, err
			}
			b, err := s.chain.Block(h)
			if err != nil {
				return nil, err
			}
			if have, ok := s.chain.BlockHash(b.Number()); !ok || have != h || b.Number() > s.chain.Finalized().Number() {
				return nil, &RPCError{Code: codeDev, Message: "the block is not final yet; see dev_setFinalityLag"}
			}
			return true, nil
		},
	}
}

func (s *Server) impersonate(on bool) method {
	return func(c *call) (any, error) {
		who, err := arg[hexBytes](c, 0, "account")
		if err != nil {
			return nil, err
		}
		if err := s.chain.Impersonate(who, on); err != nil {
			return nil, err
		}
		return hexBytes(ImpersonatedSignature()), nil
	}
}

// faultArgs is the object that dev_injectFault takes.
type faultArgs struct {
	Kind     FaultKind `json:"kind"`
	Methods  string    `json:"methods"`
	Count    int       `json:"count"`
	Duration uint32    `json:"durationMs"`
	Delay    uint32    `json:"delayMs"`
}

func (s *Server) injectFault(c *call) (any, error) {
	raw, err := arg[json.RawMessage](c, 0, "fault")
	if err != nil {
		return nil, err
	}
	var f faultArgs
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields() // a misspelt duration would last for ever
	if err := d.Decode(&f); err != nil {
		return nil, paramsError("fault: %v", err)
	}
	id, err := s.faults.add(Fault{
		Kind: f.Kind, Methods: f.Methods, Count: f.Count,
		For: time.Duration(f.Duration) * time.Millisecond, Delay: time.Duration(f.Delay) * time.Millisecond,
	}, s.chain.Head())
	if err != nil {
		return nil, err
	}
	return id, nil
}
