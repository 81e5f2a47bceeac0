package devchain

import (
	"container/heap"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Errors of the transaction pool. A *[TxError] says that the runtime refused.
var (
	ErrTxBanned    = errors.New("transaction is temporarily banned")
	ErrTxImported  = errors.New("transaction already imported")
	ErrTxDropped   = errors.New("immediately dropped: the pool is full")
	ErrTxCycle     = errors.New("transaction requires what it provides")
	ErrTxMalformed = errors.New("extrinsic has an invalid length prefix")
)

// PriorityError says that a pending transaction of at least the same priority
// holds the place.
type PriorityError struct{ Old, New uint64 }

// Error implements error.
func (e *PriorityError) Error() string {
	return fmt.Sprintf("priority is too low: (%d vs %d)", e.Old, e.New)
}

// PoolConfig bounds the transaction pool. Zero fields take the default.
type PoolConfig struct {
	ReadyCount  int           // transactions that could go into the next block; default 8192
	ReadyBytes  int           // default 20 MiB
	FutureCount int           // transactions that wait for an earlier nonce; default 1024
	FutureBytes int           // default 4 MiB
	MaxTx       int           // bytes of one transaction; default 3.75 MiB, what fits into a block
	BanTime     time.Duration // for which an included or invalid transaction is refused; default 30 min, on the chain's clock
	BanCount    int           // remembered bans; default 4096
}

func (c *PoolConfig) setDefaults() {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&c.ReadyCount, 8192)
	def(&c.ReadyBytes, 20<<20)
	def(&c.FutureCount, 1024)
	def(&c.FutureBytes, 4<<20)
	def(&c.MaxTx, 3840<<10)
	def(&c.BanCount, 4096)
	if c.BanTime == 0 {
		c.BanTime = 30 * time.Minute
	}
}

// poolTx is a validated transaction. It does not change once it is in the pool.
type poolTx struct {
	hash      chain.Hash
	bytes     []byte
	validity  Validity
	validTill uint64 // last block at which the validity holds
	seq       uint64 // order of arrival
}

// statusKind is a step in the life of a watched transaction.
type statusKind uint8

const (
	statusFuture statusKind = iota
	statusReady
	statusBroadcast
	statusInBlock
	statusRetracted
	statusFinalized
	statusUsurped
	statusDropped
	statusInvalid
)

// terminal reports whether nothing can follow.
func (k statusKind) terminal() bool { return k >= statusFinalized }

// txStatus is one notice: hash is that of the block, or of the transaction that
// took the place.
type txStatus struct {
	tx   chain.Hash
	kind statusKind
	hash chain.Hash
}

// pool is the transaction pool: transactions that depend on each other by tags,
// as the runtime gives them. It is a value for one owner: it starts nothing,
// reads no clock and calls nobody; what happened to transactions is collected
// in notices until the owner takes them.
type pool struct {
	cfg      PoolConfig
	txs      map[chain.Hash]*poolTx
	ready    map[chain.Hash]*poolTx
	provided map[string]*poolTx // by tag, ready ones only
	future   map[chain.Hash]*poolTx
	recheck  map[chain.Hash]bool // must be validated again
	bans     map[chain.Hash]time.Time
	banQueue []chain.Hash
	seq      uint64
	readyLen int // bytes
	futLen   int // bytes
	notices  []txStatus
}

func newPool(cfg PoolConfig) *pool {
	cfg.setDefaults()
	return &pool{
		cfg:      cfg,
		txs:      map[chain.Hash]*poolTx{},
		ready:    map[chain.Hash]*poolTx{},
		provided: map[string]*poolTx{},
		future:   map[chain.Hash]*poolTx{},
		recheck:  map[chain.Hash]bool{},
		bans:     map[chain.Hash]time.Time{},
	}
}

func (p *pool) note(tx chain.Hash, kind statusKind, h chain.Hash) {
	p.notices = append(p.notices, txStatus{tx, kind, h})
}

// takeNotices returns what happened since the last call.
func (p *pool) takeNotices() []txStatus {
	n := p.notices
	p.notices = nil
	return n
}

// check refuses what needs no validation to be refused.
func (p *pool) check(hash chain.Hash, size int, now time.Time) error {
	if until, ok := p.bans[hash]; ok {
		if now.Before(until) {
			return ErrTxBanned
		}
		delete(p.bans, hash)
	}
	if p.txs[hash] != nil {
		return ErrTxImported
	}
	if size > p.cfg.MaxTx {
		return NewTxError(TxExhausted)
	}
	return nil
}

func (p *pool) ban(hash chain.Hash, now time.Time) {
	if _, again := p.bans[hash]; !again {
		p.banQueue = append(p.banQueue, hash)
	}
	p.bans[hash] = now.Add(p.cfg.BanTime)
	for len(p.banQueue) > p.cfg.BanCount {
		delete(p.bans, p.banQueue[0])
		p.banQueue = p.banQueue[1:]
	}
}

func (p *pool) unban(hash chain.Hash) {
	if _, ok := p.bans[hash]; ok {
		delete(p.bans, hash)
		p.banQueue = slices.DeleteFunc(p.banQueue, func(h chain.Hash) bool { return h == hash })
	}
}

// add takes a transaction that check let pass and the runtime found valid at
// block.
func (p *pool) add(hash chain.Hash, xt []byte, v Validity, block chain.BlockNumber) error {
	if p.txs[hash] != nil {
		return ErrTxImported
	}
	for _, tag := range v.Requires {
		if slices.ContainsFunc(v.Provides, func(t []byte) bool { return string(t) == string(tag) }) {
			return ErrTxCycle
		}
	}
	p.seq++
	tx := &poolTx{hash: hash, bytes: xt, validity: v, validTill: uint64(block) + v.Longevity, seq: p.seq}
	if tx.validTill < v.Longevity {
		tx.validTill = math.MaxUint64
	}
	if !p.satisfied(tx) {
		p.future[hash], p.txs[hash] = tx, tx
		p.futLen += len(xt)
		p.note(hash, statusFuture, chain.Hash{})
	} else if err := p.makeReady(tx); err != nil {
		return err
	}
	p.enforce(hash)
	if p.txs[hash] == nil {
		return ErrTxDropped
	}
	return nil
}

// satisfied reports whether every tag that tx requires is provided by a ready
// transaction.
func (p *pool) satisfied(tx *poolTx) bool {
	for _, tag := range tx.validity.Requires {
		if p.provided[string(tag)] == nil {
			return false
		}
	}
	return true
}

// makeReady moves tx and then whatever waited for it into the ready set.
func (p *pool) makeReady(first *poolTx) error {
	queue := []*poolTx{first}
	for len(queue) > 0 {
		tx := queue[0]
		queue = queue[1:]
		if err := p.replace(tx); err != nil {
			if tx == first {
				return err
			}
			p.remove(tx, statusDropped, chain.Hash{})
			continue
		}
		if p.future[tx.hash] != nil {
			delete(p.future, tx.hash)
			p.futLen -= len(tx.bytes)
		}
		p.txs[tx.hash], p.ready[tx.hash] = tx, tx
		p.readyLen += len(tx.bytes)
		for _, tag := range tx.validity.Provides {
			p.provided[string(tag)] = tx
		}
		p.note(tx.hash, statusReady, chain.Hash{})
		queue = append(queue, p.promotable(queue)...)
	}
	return nil
}

// promotable lists the future transactions that have become ready and are not
// queued yet, in order of arrival.
func (p *pool) promotable(queued []*poolTx) []*poolTx {
	var list []*poolTx
	for _, tx := range p.future {
		if p.satisfied(tx) && !slices.Contains(queued, tx) {
			list = append(list, tx)
		}
	}
	slices.SortFunc(list, func(a, b *poolTx) int { return compareUint(a.seq, b.seq) })
	return list
}

// replace removes the ready transactions that provide the same tags as tx, if
// tx has a higher priority than all of them together.
func (p *pool) replace(tx *poolTx) error {
	var old []*poolTx
	var sum uint64
	for _, tag := range tx.validity.Provides {
		if other := p.provided[string(tag)]; other != nil && !slices.Contains(old, other) {
			old = append(old, other)
			sum += other.validity.Priority
			if sum < other.validity.Priority {
				sum = math.MaxUint64
			}
		}
	}
	if len(old) == 0 {
		return nil
	}
	if tx.validity.Priority <= sum {
		return &PriorityError{Old: sum, New: tx.validity.Priority}
	}
	for _, other := range old {
		p.remove(other, statusUsurped, tx.hash)
	}
	p.demote(func(t *poolTx) bool { return provides(tx, t) })
	return nil
}

// provides reports whether tx gives any tag that dependent requires.
func provides(tx, dependent *poolTx) bool {
	for _, need := range dependent.validity.Requires {
		for _, have := range tx.validity.Provides {
			if string(need) == string(have) {
				return true
			}
		}
	}
	return false
}

// remove takes tx out of the pool and tells its watchers why.
func (p *pool) remove(tx *poolTx, why statusKind, h chain.Hash) {
	if p.txs[tx.hash] == nil {
		return
	}
	p.detach(tx)
	delete(p.txs, tx.hash)
	delete(p.recheck, tx.hash)
	p.note(tx.hash, why, h)
}

// detach takes tx out of its set and leaves it in txs.
func (p *pool) detach(tx *poolTx) {
	if p.ready[tx.hash] != nil {
		delete(p.ready, tx.hash)
		p.readyLen -= len(tx.bytes)
		for _, tag := range tx.validity.Provides {
			if p.provided[string(tag)] == tx {
				delete(p.provided, string(tag))
			}
		}
	} else if p.future[tx.hash] != nil {
		delete(p.future, tx.hash)
		p.futLen -= len(tx.bytes)
	}
}

// demote moves ready transactions whose requirements are gone back to the future
// set, except those that keep says will be satisfied at once.
func (p *pool) demote(keep func(*poolTx) bool) {
	for changed := true; changed; {
		changed = false
		for _, tx := range sorted(p.ready) {
			if p.satisfied(tx) || keep(tx) {
				continue
			}
			p.detach(tx)
			p.future[tx.hash] = tx
			p.futLen += len(tx.bytes)
			p.note(tx.hash, statusFuture, chain.Hash{})
			changed = true
		}
	}
}

// enforce drops the worst transactions until the bounds hold: lowest priority
// first among the ready, latest first among the future ones.
func (p *pool) enforce(newest chain.Hash) {
	drop := func(tx *poolTx) {
		if tx.hash == newest {
			p.detach(tx)
			delete(p.txs, tx.hash)
			p.notices = slices.DeleteFunc(p.notices, func(n txStatus) bool { return n.tx == newest })
		} else {
			p.remove(tx, statusDropped, chain.Hash{})
		}
	}
	for len(p.ready) > p.cfg.ReadyCount || p.readyLen > p.cfg.ReadyBytes {
		var worst *poolTx
		for _, tx := range p.ready {
			if worst == nil || better(worst, tx) {
				worst = tx
			}
		}
		drop(worst)
		p.demote(func(*poolTx) bool { return false })
	}
	for len(p.future) > p.cfg.FutureCount || p.futLen > p.cfg.FutureBytes {
		var last *poolTx
		for _, tx := range p.future {
			if last == nil || tx.seq > last.seq {
				last = tx
			}
		}
		drop(last)
	}
}

// better is the order in which transactions go into a block: priority, then the
// one that expires sooner, then the older one.
func better(a, b *poolTx) bool {
	if a.validity.Priority != b.validity.Priority {
		return a.validity.Priority > b.validity.Priority
	}
	if a.validTill != b.validTill {
		return a.validTill < b.validTill
	}
	return a.seq < b.seq
}

func compareUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// sorted lists a set by arrival, so that nothing depends on map order.
func sorted(set map[chain.Hash]*poolTx) []*poolTx {
	list := make([]*poolTx, 0, len(set))
	for _, tx := range set {
		list = append(list, tx)
	}
	slices.SortFunc(list, func(a, b *poolTx) int { return compareUint(a.seq, b.seq) })
	return list
}

// included takes out what a new best block contains, and what cannot be valid
// any more because the block provided the same tags. What required those tags is
// marked to be validated again.
func (p *pool) included(block chain.Hash, txs []includedTx, now time.Time) {
	gone := map[string]bool{}
	for _, in := range txs {
		p.ban(in.hash, now)
		if tx := p.txs[in.hash]; tx != nil {
			p.remove(tx, statusInBlock, block)
		}
		for _, tag := range in.provides {
			gone[string(tag)] = true
		}
	}
	if len(gone) == 0 || len(p.txs) == 0 {
		return
	}
	has := func(tags [][]byte) bool {
		return slices.ContainsFunc(tags, func(t []byte) bool { return gone[string(t)] })
	}
	for _, tx := range sorted(p.txs) {
		switch {
		case has(tx.validity.Provides):
			p.remove(tx, statusInvalid, chain.Hash{})
		case has(tx.validity.Requires):
			p.recheck[tx.hash] = true
		}
	}
}

// includedTx is a transaction of a block with the tags that it provided.
type includedTx struct {
	hash     chain.Hash
	provides [][]byte
}

// stale lists up to limit transactions that must be validated again at block:
// those whose longevity has run out, those marked, and ready ones whose
// requirements are gone; oldest first.
func (p *pool) stale(block chain.BlockNumber, limit int) []*poolTx {
	var list []*poolTx
	for _, tx := range p.txs {
		if uint64(block) > tx.validTill || p.recheck[tx.hash] || p.ready[tx.hash] != nil && !p.satisfied(tx) {
			list = append(list, tx)
		}
	}
	slices.SortFunc(list, func(a, b *poolTx) int { return compareUint(a.seq, b.seq) })
	return list[:min(len(list), limit)]
}

// revalidated stores the outcome of a new validation of a transaction that is
// still in the pool.
func (p *pool) revalidated(tx *poolTx, v Validity, err error, block chain.BlockNumber, now time.Time) {
	if p.txs[tx.hash] != tx {
		return
	}
	delete(p.recheck, tx.hash)
	if err != nil {
		p.ban(tx.hash, now)
		p.remove(tx, statusInvalid, chain.Hash{})
		return
	}
	wasReady := p.ready[tx.hash] != nil
	fresh := *tx
	fresh.validity = v
	fresh.validTill = uint64(block) + v.Longevity
	if fresh.validTill < v.Longevity {
		fresh.validTill = math.MaxUint64
	}
	before := len(p.notices)
	p.detach(tx)
	p.txs[tx.hash] = &fresh
	if p.satisfied(&fresh) {
		if err := p.makeReady(&fresh); err != nil {
			p.remove(&fresh, statusDropped, chain.Hash{})
		} else if wasReady { // nothing new for the watchers of this one
			news := slices.DeleteFunc(p.notices[before:], func(n txStatus) bool {
				return n.tx == tx.hash && n.kind == statusReady
			})
			p.notices = p.notices[:before+len(news)]
		}
		return
	}
	p.future[fresh.hash] = &fresh
	p.futLen += len(fresh.bytes)
	if wasReady {
		p.note(fresh.hash, statusFuture, chain.Hash{})
	}
}

// pending lists the ready transactions in block order.
func (p *pool) pending() []*poolTx {
	it := p.best()
	list := make([]*poolTx, 0, len(p.ready))
	for tx := it.next(); tx != nil; tx = it.next() {
		list = append(list, tx)
		it.accept(tx)
	}
	return list
}

// best iterates over the ready transactions: the best one whose requirements
// have been accepted comes first. The iterator works on its own copy.
func (p *pool) best() *bestTxs {
	it := &bestTxs{waiting: map[string][]*waitingTx{}}
	for _, tx := range p.ready {
		w := &waitingTx{tx: tx}
		for _, tag := range tx.validity.Requires {
			if p.provided[string(tag)] != nil {
				w.missing++
				it.waiting[string(tag)] = append(it.waiting[string(tag)], w)
			}
		}
		if w.missing == 0 {
			it.heap = append(it.heap, tx)
		}
	}
	heap.Init(&it.heap)
	return it
}

type waitingTx struct {
	tx      *poolTx
	missing int
}

type bestTxs struct {
	heap    txHeap
	waiting map[string][]*waitingTx
}

// next returns the best available transaction, nil at the end.
func (it *bestTxs) next() *poolTx {
	if len(it.heap) == 0 {
		return nil
	}
	tx, _ := heap.Pop(&it.heap).(*poolTx)
	return tx
}

// accept unlocks what depends on tx. Without it dependents stay out.
func (it *bestTxs) accept(tx *poolTx) {
	for _, tag := range tx.validity.Provides {
		for _, w := range it.waiting[string(tag)] {
			if w.missing--; w.missing == 0 {
				heap.Push(&it.heap, w.tx)
			}
		}
		delete(it.waiting, string(tag))
	}
}

type txHeap []*poolTx

func (h txHeap) Len() int           { return len(h) }
func (h txHeap) Less(i, j int) bool { return better(h[i], h[j]) }
func (h txHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *txHeap) Push(x any) {
	if tx, ok := x.(*poolTx); ok {
		*h = append(*h, tx)
	}
}

// Pop implements heap.Interface.
func (h *txHeap) Pop() any {
	last := len(*h) - 1
	tx := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return tx
}

// forgetBans lets everything in again and marks all transactions, after the
// chain has been set back.
func (p *pool) forgetBans() {
	clear(p.bans)
	p.banQueue = nil
	for h := range p.txs {
		p.recheck[h] = true
	}
}
