package devchain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// FaultKind is a way in which the RPC front misbehaves.
type FaultKind string

// The kinds of faults.
const (
	FaultDelay       FaultKind = "delay"       // answer late by Delay
	FaultHang        FaultKind = "hang"        // never answer
	FaultDrop        FaultKind = "drop"        // close the connection instead of an answer
	FaultGarbage     FaultKind = "garbage"     // answer with bytes that are no JSON
	FaultError       FaultKind = "error"       // answer with an internal error
	FaultStaleHead   FaultKind = "staleHead"   // hide every block after the present one
	FaultRejectNonce FaultKind = "rejectNonce" // refuse extrinsics as outdated
)

// Fault is a misbehaviour that ends by itself: after Count uses, or after For,
// whichever comes first. One of them must be set. The dev_ methods are exempt.
type Fault struct {
	ID      uint64        `json:"id"`
	Kind    FaultKind     `json:"kind"`
	Methods string        `json:"methods"` // a pattern with *, such as "state_*"; empty: all
	Count   int           `json:"count"`   // uses; for staleHead, hidden blocks
	For     time.Duration `json:"-"`
	Delay   time.Duration `json:"-"`

	until  time.Time
	frozen *Block
}

const (
	maxFaults = 64
	devPrefix = "dev_"
)

// faults holds the active ones.
type faults struct {
	now func() time.Time

	mu   sync.Mutex
	next uint64
	list []*Fault
}

func newFaults(now func() time.Time) *faults { return &faults{now: now} }

// add activates a fault and returns its number.
func (f *faults) add(x Fault, head *Block) (uint64, error) {
	switch x.Kind {
	case FaultDelay, FaultHang, FaultDrop, FaultGarbage, FaultError, FaultStaleHead, FaultRejectNonce:
	default:
		return 0, fmt.Errorf("unknown fault %q", x.Kind)
	}
	if x.Count <= 0 && x.For <= 0 {
		return 0, fmt.Errorf("fault %q needs a count or a duration, so that it ends", x.Kind)
	}
	if _, err := path.Match(x.Methods, ""); err != nil {
		return 0, fmt.Errorf("method pattern %q: %w", x.Methods, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire()
	if len(f.list) >= maxFaults {
		return 0, fmt.Errorf("%d faults are active already", maxFaults)
	}
	f.next++
	x.ID = f.next
	if x.For > 0 {
		x.until = f.now().Add(x.For)
	}
	x.frozen = head
	f.list = append(f.list, &x)
	return x.ID, nil
}

// active lists the faults.
func (f *faults) active() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire()
	out := []Fault{}
	for _, x := range f.list {
		out = append(out, *x)
	}
	return out
}

// clear ends all faults and returns how many there were.
func (f *faults) clear() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire()
	n := len(f.list)
	f.list = nil
	return n
}

func (f *faults) expire() {
	if len(f.list) == 0 {
		return
	}
	now := f.now()
	f.list = slices.DeleteFunc(f.list, func(x *Fault) bool { return !x.until.IsZero() && now.After(x.until) })
}

// take uses up one of the first fault of these kinds that fits the method.
func (f *faults) take(method string, kinds ...FaultKind) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire()
	for i, x := range f.list {
		if !slices.Contains(kinds, x.Kind) || !x.covers(method) {
			continue
		}
		if x.Count > 0 {
			if x.Count--; x.Count == 0 {
				f.list = slices.Delete(f.list, i, i+1)
			}
		}
		return *x, true
	}
	return Fault{}, false
}

func (x *Fault) covers(method string) bool {
	if len(method) >= len(devPrefix) && method[:len(devPrefix)] == devPrefix {
		return false
	}
	if x.Methods == "" {
		return true
	}
	ok, err := path.Match(x.Methods, method)
	return ok && err == nil
}

// before delays, hangs or fails a call.
func (f *faults) before(ctx context.Context, method string) *RPCError {
	x, ok := f.take(method, FaultDelay, FaultHang, FaultError)
	if !ok {
		return nil
	}
	late := &RPCError{Code: codeInternal, Message: "Internal error", Data: "injected fault: " + string(x.Kind)}
	switch x.Kind {
	case FaultDelay:
		t := time.NewTimer(x.Delay)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
		}
	case FaultHang:
		<-ctx.Done()
	}
	return late
}

// spoil says whether the answer to a message is to be replaced: by raw bytes, or
// by nothing and the end of the connection.
func (f *faults) spoil(msg []byte) (raw []byte, broken bool) {
	f.mu.Lock()
	idle := len(f.list) == 0
	f.mu.Unlock()
	if idle {
		return nil, false
	}
	for _, name := range methodsIn(msg) {
		x, ok := f.take(name, FaultDrop, FaultGarbage)
		if ok && x.Kind == FaultDrop {
			return nil, true
		}
		if ok {
			return []byte(`{"jsonrpc":"2.0","id":` + "\x00\xff garbage }{"), true
		}
	}
	return nil, false
}

// methodsIn lists the methods of a message that handle has accepted.
func methodsIn(msg []byte) []string {
	type named struct {
		Method string `json:"method"`
	}
	var many []named
	var one named
	if bytes.HasPrefix(bytes.TrimSpace(msg), []byte("[")) {
		if json.Unmarshal(msg, &many) != nil {
			return nil
		}
	} else if json.Unmarshal(msg, &one) == nil {
		many = []named{one}
	}
	names := make([]string, len(many))
	for i, m := range many {
		names[i] = m.Method
	}
	return names
}

// refuse is asked for each submitted extrinsic.
func (f *faults) refuse() error {
	if _, ok := f.take("author_submitExtrinsic", FaultRejectNonce); ok {
		return poolError(NewTxError(TxStale))
	}
	return nil
}

// frozenHead returns the block at which a stale head stands, nil when there is
// none. head is the real best block.
func (f *faults) frozenHead(head chain.BlockNumber) *Block {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire()
	for i, x := range f.list {
		if x.Kind != FaultStaleHead {
			continue
		}
		if x.Count > 0 && head > x.frozen.Number()+chain.BlockNumber(x.Count) {
			f.list = slices.Delete(f.list, i, i+1)
			return nil
		}
		return x.frozen
	}
	return nil
}

// stale reports whether a block is hidden.
func (f *faults) stale(n chain.BlockNumber) bool {
	frozen := f.frozenHead(n)
	return frozen != nil && n > frozen.Number()
}

// best is the best block as clients see it.
func (s *Server) best() *Block {
	head := s.chain.Head()
	if b := s.faults.frozenHead(head.Number()); b != nil {
		return b
	}
	return head
}

// finalized is the final block as clients see it.
func (s *Server) finalized() *Block {
	final := s.chain.Finalized()
	if b := s.faults.frozenHead(s.chain.Head().Number()); b != nil && b.Number() < final.Number() {
		return b
	}
	return final
}
