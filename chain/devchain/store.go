package devchain

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Errors of the data folder.
var (
	ErrLocked       = errors.New("data folder is in use by another process")
	ErrDamaged      = errors.New("data folder is damaged")
	ErrOtherGenesis = errors.New("data folder holds another chain")
)

const (
	storeFile   = "chain.db"
	storeFormat = 1
	lockWait    = 500 * time.Millisecond // a process that is just ending gives the lock back within this time
)

// identity is what a data folder was made with. A folder is only opened with
// the same.
type identity struct {
	Format  int        `json:"format"`
	Engine  string     `json:"engine"`
	Genesis chain.Hash `json:"genesis"`
	Spec    string     `json:"spec"` // runtime and parameters that no state shows
}

// store keeps the canonical chain on disk:
//
//	meta    identity, head (number), finalized (number)
//	blocks  number -> checksum, block
//	hashes  block hash -> number
//	state   key -> value, of the head
//	undo    number -> checksum, what the block's changes replaced
//
// One bolt transaction, fsynced, takes the folder from one head to the next, so
// that a crash leaves it at either. The history window is rebuilt from the undo
// records when the folder is opened.
type store struct {
	db *bolt.DB
}

type bucketName string

const (
	bucketMeta   bucketName = "meta"
	bucketBlocks bucketName = "blocks"
	bucketHashes bucketName = "hashes"
	bucketState  bucketName = "state"
	bucketUndo   bucketName = "undo"
)

func (n bucketName) in(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket([]byte(n)) }

// openStore opens or creates the folder and takes its lock.
func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	db, err := bolt.Open(filepath.Join(dir, storeFile), 0o600, &bolt.Options{
		Timeout:      lockWait,
		FreelistType: bolt.FreelistMapType,
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s (stop that process, or choose another folder)", ErrLocked, dir)
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, dir, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, n := range []bucketName{bucketMeta, bucketBlocks, bucketHashes, bucketState, bucketUndo} {
			if _, err := tx.CreateBucketIfNotExists([]byte(n)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("data folder %s: %w", dir, err), db.Close())
	}
	return &store{db: db}, nil
}

func (s *store) close() error { return s.db.Close() }

// identity returns what the folder was made with, nil for a new one.
func (s *store) identity() (id *identity, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		b := bucketMeta.in(tx).Get([]byte("identity"))
		if b == nil {
			return nil
		}
		id = new(identity)
		return json.Unmarshal(b, id)
	})
	if err != nil {
		return nil, fmt.Errorf("%w: identity: %w", ErrDamaged, err)
	}
	return id, nil
}

// create writes the genesis into a new folder.
func (s *store) create(id identity, genesis *Block) error {
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		if err := bucketMeta.in(tx).Put([]byte("identity"), text); err != nil {
			return err
		}
		return putBlock(tx, genesis)
	})
}

// step is one atomic change of the folder.
type step struct {
	rewind    []Change // applied first: from the head's state to that of the block `to`
	to        *Block   // nil: no rewind
	blocks    []*Block // then these are put on top
	finalized chain.BlockNumber
	keepUndo  chain.BlockNumber // undo records below are deleted
	keepBlock chain.BlockNumber // blocks below are deleted, except the genesis
}

// write makes a step durable.
func (s *store) write(st step) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		if st.to != nil {
			if err := rewindTo(tx, st.to.Number(), st.rewind); err != nil {
				return err
			}
		}
		for _, b := range st.blocks {
			if err := putBlock(tx, b); err != nil {
				return err
			}
		}
		if err := putNumber(tx, "finalized", st.finalized); err != nil {
			return err
		}
		if err := deleteBelow(bucketUndo.in(tx), st.keepUndo, nil); err != nil {
			return err
		}
		hashes := bucketHashes.in(tx)
		return deleteBelow(bucketBlocks.in(tx), st.keepBlock, func(rec []byte) error {
			if len(rec) < 36 {
				return nil
			}
			return hashes.Delete(rec[4:36])
		})
	})
}

func putNumber(tx *bolt.Tx, name string, n chain.BlockNumber) error {
	return bucketMeta.in(tx).Put([]byte(name), numberKey(n))
}

func numberKey(n chain.BlockNumber) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// deleteBelow removes numbered records under n. Number 0 stays.
func deleteBelow(b *bolt.Bucket, n chain.BlockNumber, each func(record []byte) error) error {
	limit := numberKey(n)
	var keys [][]byte
	c := b.Cursor()
	for k, v := c.Seek(numberKey(1)); k != nil && bytes.Compare(k, limit) < 0; k, v = c.Next() {
		if each != nil {
			if err := each(v); err != nil {
				return err
			}
		}
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func putChanges(tx *bolt.Tx, changes []Change) error {
	state := bucketState.in(tx)
	for _, c := range changes {
		var err error
		if c.Value == nil {
			err = state.Delete(stateKey(c.Key))
		} else {
			err = state.Put(stateKey(c.Key), c.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stateKey prefixes a key, because bolt has no empty keys.
func stateKey(key []byte) []byte { return append([]byte{'k'}, key...) }

func putBlock(tx *bolt.Tx, b *Block) error {
	key := numberKey(b.Number())
	if err := putChanges(tx, b.changes); err != nil {
		return err
	}
	if err := bucketBlocks.in(tx).Put(key, sealRecord(encodeBlock(b))); err != nil {
		return err
	}
	if err := bucketHashes.in(tx).Put(b.Hash[:], key); err != nil {
		return err
	}
	if b.Number() > 0 {
		if err := bucketUndo.in(tx).Put(key, sealRecord(encodeChanges(b.changes))); err != nil {
			return err
		}
	}
	return putNumber(tx, "head", b.Number())
}

func rewindTo(tx *bolt.Tx, n chain.BlockNumber, changes []Change) error {
	if err := putChanges(tx, changes); err != nil {
		return err
	}
	blocks, hashes, undos := bucketBlocks.in(tx), bucketHashes.in(tx), bucketUndo.in(tx)
	var keys [][]byte
	c := blocks.Cursor()
	for k, v := c.Seek(numberKey(n + 1)); k != nil; k, v = c.Next() {
		if len(v) >= 36 {
			if err := hashes.Delete(v[4:36]); err != nil {
				return err
			}
		}
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := errors.Join(blocks.Delete(k), undos.Delete(k)); err != nil {
			return err
		}
	}
	return putNumber(tx, "head", n)
}

// loaded is what openStore finds in an existing folder.
type loaded struct {
	window    []*Block // ascending, the last one is the head; each has its state
	finalized chain.BlockNumber
}

// load reads the head, its state, and up to history older blocks with theirs.
func (s *store) load(history int) (l loaded, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		l, err = loadTx(tx, history)
		return err
	})
	if err != nil {
		return l, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return l, nil
}

func loadTx(tx *bolt.Tx, history int) (l loaded, err error) {
	number := func(name string) (chain.BlockNumber, error) {
		b := bucketMeta.in(tx).Get([]byte(name))
		if len(b) != 4 {
			return 0, fmt.Errorf("no %s", name)
		}
		return chain.BlockNumber(binary.BigEndian.Uint32(b)), nil
	}
	head, err := number("head")
	if err != nil {
		return l, err
	}
	if l.finalized, err = number("finalized"); err != nil {
		l.finalized = 0
	}
	state := newTree()
	err = bucketState.in(tx).ForEach(func(k, v []byte) error {
		state.Load(pair{key: bytes.Clone(k[1:]), value: append([]byte{}, v...)})
		return nil
	})
	if err != nil {
		return l, err
	}
	set := hashTree(state)
	for n := head; ; n-- {
		b, err := readBlock(tx, n)
		if err != nil {
			return l, err
		}
		if b.set != set {
			return l, fmt.Errorf("state of block %d does not match its checksum", n)
		}
		b.state = state
		l.window = append(l.window, b)
		rec := bucketUndo.in(tx).Get(numberKey(n))
		if n == 0 || rec == nil || len(l.window) > history {
			break
		}
		body, err := openRecord(rec)
		if err == nil {
			b.changes, err = decodeChanges(body)
		}
		if err != nil {
			return l, fmt.Errorf("undo record %d: %w", n, err)
		}
		for i := range b.changes {
			p, _ := state.Get(pair{key: b.changes[i].Key})
			b.changes[i].Value = p.value
		}
		prev := undo(state, b.changes)
		set = inverse(set, b.changes)
		state = prev
	}
	for i, j := 0, len(l.window)-1; i < j; i, j = i+1, j-1 {
		l.window[i], l.window[j] = l.window[j], l.window[i]
	}
	return l, nil
}

func inverse(s setHash, changes []Change) setHash {
	for _, c := range changes {
		if c.Value != nil {
			s.sub(c.Key, c.Value)
		}
		if c.prev != nil {
			s.add(c.Key, c.prev)
		}
	}
	return s
}

// block reads a block without its state; nil when there is none.
func (s *store) block(n chain.BlockNumber) (b *Block, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		if bucketBlocks.in(tx).Get(numberKey(n)) == nil {
			return nil
		}
		b, err = readBlock(tx, n)
		return err
	})
	return b, err
}

// numberOf finds a block of the canonical chain by its hash.
func (s *store) numberOf(h chain.Hash) (n chain.BlockNumber, ok bool) {
	err := s.db.View(func(tx *bolt.Tx) error {
		if k := bucketHashes.in(tx).Get(h[:]); len(k) == 4 {
			n, ok = chain.BlockNumber(binary.BigEndian.Uint32(k)), true
		}
		return nil
	})
	return n, ok && err == nil
}

func readBlock(tx *bolt.Tx, n chain.BlockNumber) (*Block, error) {
	body, err := openRecord(bucketBlocks.in(tx).Get(numberKey(n)))
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", n, err)
	}
	b, err := decodeBlock(body)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", n, err)
	}
	if b.Number() != n || b.Header.Hash() != b.Hash {
		return nil, fmt.Errorf("block %d: header does not match", n)
	}
	return b, nil
}

// sealRecord puts a checksum before a record.
func sealRecord(body []byte) []byte {
	rec := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(body)), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return append(rec, body...)
}

func openRecord(rec []byte) ([]byte, error) {
	if len(rec) < 4 {
		return nil, errors.New("record is missing")
	}
	if binary.LittleEndian.Uint32(rec) != crc32.Checksum(rec[4:], crc32.MakeTable(crc32.Castagnoli)) {
		return nil, errors.New("checksum is wrong")
	}
	return bytes.Clone(rec[4:]), nil
}
