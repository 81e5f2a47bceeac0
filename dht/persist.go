package dht

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/journal"
)

const (
	maxUnwritten  = 16 << 20 // bytes of records that wait for the disk; beyond it the file is written anew instead
	minCompaction = 4 << 20  // bytes of a file below which nothing is gained by writing it anew
	wasteFactor   = 4        // a file so many times as large as what is live is written anew
)

// Recovery says what Persist found in a file.
type Recovery struct {
	Records int   // kept
	Expired int   // whose time had passed, or that a newer one had replaced
	Refused int   // that the validators or the storage refuse now
	Damaged int64 // bytes that belong to no intact record
}

// Persist keeps the records that this node holds for the swarm in a file, and takes back what an earlier run left there: each record is
// validated again, as one that came as an answer, and what has expired stays away. A missing file is made. Copies in the cache are not kept.
//
// Call it once, after New and before Run. Records reach the file moments after they were acknowledged, in the background: a swarm that is
// shut down as a whole keeps all of them, and for a node that crashes in between the other replicas are there. After a write error the
// node goes on without the file and reports it once.
func (n *Node) Persist(path string) (Recovery, error) {
	var r Recovery
	now := n.now()
	j, report, err := journal.Open(path, journal.Config{}, func(h record.Held) { n.takeBack(&r, h, now) })
	if err != nil {
		return r, fmt.Errorf("dht: persist: %w", err)
	}
	r.Damaged = report.Damaged + report.Torn
	k := &keeper{file: j, shelves: &n.shelves, now: n.now, log: n.cfg.Logger, wake: make(chan struct{}, 1)}
	if !n.shelves.attach(k) {
		return r, errors.Join(errors.New("dht: persist: there is a file already"), j.Close())
	}
	k.rewrite() // what came before the file did, and without what has expired
	if !n.group.start(func() { k.run(n.life.Done()) }) {
		return r, errors.Join(ErrClosed, j.Close())
	}
	return r, nil
}

// takeBack takes one record of an earlier run back.
func (n *Node) takeBack(r *Recovery, h record.Held, now time.Time) {
	if h.Expiration.Expired(now) {
		r.Expired++
		return
	}
	q := record.Request{Kind: record.Get, Now: now}
	if n.cfg.Phase != nil {
		q.Phase = n.cfg.Phase()
	}
	if err := n.rules().Validate(h.Record, q); err != nil {
		r.Refused++
		return
	}
	switch err := n.shelves.put(h.Record, n.rules().Author(h.Record, h.Author), false, now); record.CodeOf(err) {
	case 0:
		r.Records++
	case record.CodeStale, record.CodeDuplicate, record.CodeExpired:
		r.Expired++
	default:
		r.Refused++
	}
}

// keeper writes accepted records to a file. Its goroutine owns the file.
type keeper struct {
	file    *journal.Journal
	shelves *shelves
	now     func() time.Time
	log     *slog.Logger
	wake    chan struct{} // something waits

	mu      sync.Mutex // guards the fields below
	waiting []record.Held
	bytes   int
	missed  bool // more came than may wait: the file is to be written anew
	broken  bool // the disk failed: nothing is written any more
}

// add queues a stored record; it never blocks. r shares no memory with anything that changes.
func (k *keeper) add(h record.Held) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch size := len(h.Subkey) + len(h.Value) + 128; {
	case k.broken || k.missed:
		return
	case k.bytes+size > maxUnwritten:
		k.waiting, k.bytes, k.missed = nil, 0, true
	default:
		k.waiting = append(k.waiting, h)
		k.bytes += size
	}
	select {
	case k.wake <- struct{}{}:
	default: // it is awake
	}
}

// run writes until done, and then what is left.
func (k *keeper) run(done <-chan struct{}) {
	for {
		select {
		case <-k.wake:
			k.write()
		case <-done:
			k.write()
			if err := k.file.Close(); err != nil {
				k.fail(err)
			}
			return
		}
	}
}

// write empties the queue.
func (k *keeper) write() {
	k.mu.Lock()
	list, missed, broken := k.waiting, k.missed, k.broken
	k.waiting, k.bytes, k.missed = nil, 0, false
	k.mu.Unlock()
	if broken {
		return
	}
	if missed {
		k.rewrite()
		return
	}
	if len(list) > 0 {
		if err := k.file.Append(list...); err != nil {
			k.fail(err)
			return
		}
	}
	storage, _ := k.shelves.stats()
	if size := k.file.Size(); size > minCompaction && size > wasteFactor*storage.Bytes {
		k.rewrite()
	}
}

// rewrite leaves only what is live in the file.
func (k *keeper) rewrite() {
	if err := k.file.Compact(slices.Values(k.shelves.all(k.now()))); err != nil {
		k.fail(err)
	}
}

func (k *keeper) fail(err error) {
	k.mu.Lock()
	again := k.broken
	k.broken, k.waiting, k.bytes = true, nil, 0
	k.mu.Unlock()
	if !again {
		k.log.Error("records are not kept on disk any more", "err", err)
	}
}
