package substrate

import (
	"context"
	"sync"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// nonces hands out transaction numbers. The zero value is ready.
type nonces struct {
	mu       sync.Mutex
	accounts map[chain.AccountID]*nonceLine
}

// nonceLine is the line of transactions of one account. Whoever holds turn is the only one who signs for it.
type nonceLine struct {
	turn    chan struct{} // capacity 1: full while somebody signs
	mu      sync.Mutex
	next    uint32 // after the last one handed out
	pending int    // accepted by a node, or perhaps so, and not decided yet
}

// line returns the line of an account and waits for its turn. The caller calls release once.
func (n *nonces) line(ctx context.Context, id chain.AccountID) (*nonceLine, error) {
	n.mu.Lock()
	if n.accounts == nil {
		n.accounts = map[chain.AccountID]*nonceLine{}
	}
	l := n.accounts[id]
	if l == nil {
		l = &nonceLine{turn: make(chan struct{}, 1)}
		n.accounts[id] = l
	}
	n.mu.Unlock()
	select {
	case l.turn <- struct{}{}:
		return l, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *nonceLine) release() { <-l.turn }

// choose picks the nonce to sign with, given what the node expects next. Ours counts while transactions of ours are on the
// way that this node may not have seen; otherwise the node's, which also closes gaps.
func (l *nonceLine) choose(node uint32) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending > 0 && l.next > node {
		return l.next
	}
	return node
}

// taken notes that a transaction with the nonce is on its way.
func (l *nonceLine) taken(nonce uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending++
	l.next = nonce + 1
}

// decided notes that one of the transactions on the way has an outcome.
func (l *nonceLine) decided() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending--
}

// busy reports whether transactions of this process are on their way.
func (l *nonceLine) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending > 0
}
