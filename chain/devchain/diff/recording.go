package diff

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// Recording is a run in which the native engine was equal to a reference, so
// that it can be repeated without the reference: what went in, what came out,
// and a hash of the state after each block.
type Recording struct {
	EpochLength uint32
	Authorities [][32]byte
	Sudo        chain.AccountID
	Accounts    [][2][]byte // storage pairs of the genesis under System.Account
	Pallets     []string
	Ignore      []string
	Blocks      []RecordedBlock
}

// RecordedBlock is one block of a [Recording].
type RecordedBlock struct {
	Parent       chain.Hash
	Elected      []RecordedElection
	Transactions []RecordedTransaction
	State        [32]byte // blake2b over the pairs of the pallets at its end
}

// RecordedElection is whom the reference elected.
type RecordedElection struct {
	Subnet chain.SubnetID
	Epoch  chain.Epoch
	Node   chain.NodeID
}

// RecordedTransaction is an extrinsic with what the engines said about it.
type RecordedTransaction struct {
	Name      string
	Extrinsic []byte
	Validity  []byte // 0 and what it offers, or 1 and why the pool refuses it
	Result    []byte // nil when the pool refuses it
}

// Write saves a recording.
func (r *Recording) Write(w io.Writer) error {
	z := gzip.NewWriter(w)
	return errors.Join(json.NewEncoder(z).Encode(r), z.Close())
}

const maxRecording = 256 << 20 // bytes when unpacked

// ReadRecording loads a recording.
func ReadRecording(src io.Reader) (*Recording, error) {
	z, err := gzip.NewReader(src)
	if err != nil {
		return nil, fmt.Errorf("diff: recording: %w", err)
	}
	r := &Recording{}
	if err := json.NewDecoder(io.LimitReader(z, maxRecording)).Decode(r); err != nil {
		return nil, fmt.Errorf("diff: recording: %w", err)
	}
	return r, nil
}

// Replay repeats the run with a fresh native engine. The error says at what it
// is no longer equal.
func (r *Recording) Replay(ctx context.Context) error {
	var elected []RecordedElection
	e := native.New(native.Config{EpochLength: r.EpochLength, Authorities: r.Authorities, Elect: func(e native.Election) int {
		for _, x := range elected {
			if x.Subnet == e.Subnet && x.Epoch == e.Epoch {
				return slices.Index(e.Candidates, x.Node)
			}
		}
		return -1
	}})
	st := devchain.NewState()
	g := devchain.Genesis{Accounts: map[chain.AccountID]chain.Balance{}, Sudo: r.Sudo}
	for _, p := range r.Accounts {
		if id, amount, ok := balanceOf(p[0], p[1]); ok {
			g.Accounts[id] = amount
		}
	}
	if err := e.Genesis(st, g); err != nil {
		return fmt.Errorf("diff: genesis: %w", err)
	}
	for _, p := range r.Accounts {
		st.Set(p[0], p[1])
	}
	for i, b := range r.Blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		elected = b.Elected
		if err := r.replayBlock(e, st, chain.BlockNumber(i+1), b); err != nil { //nolint:gosec // few
			return fmt.Errorf("diff: block %d: %w", i+1, err)
		}
	}
	return nil
}

func (r *Recording) replayBlock(e devchain.Engine, st *devchain.Overlay, number chain.BlockNumber, b RecordedBlock) error {
	ms := uint64(number) * slotMillis
	if err := e.InitBlock(st, devchain.BlockHeader{Number: number, Parent: b.Parent, Timestamp: ms, Slot: uint64(number)}); err != nil {
		return err
	}
	inherents, err := e.Inherents(st, ms)
	if err != nil {
		return err
	}
	for _, xt := range inherents {
		if out, err := e.ApplyExtrinsic(st, xt); err != nil || !bytes.Equal(out, []byte{0, 0}) {
			return fmt.Errorf("inherent: 0x%x, %w", out, err)
		}
	}
	for i, x := range b.Transactions {
		answer, err := validity(side{e, st}, x.Extrinsic)
		if err != nil {
			return fmt.Errorf("transaction %d, %s: %w", i, x.Name, err)
		}
		if !bytes.Equal(answer, x.Validity) {
			return fmt.Errorf("transaction %d, %s: validity is 0x%x, was 0x%x", i, x.Name, answer, x.Validity)
		}
		if x.Result == nil {
			continue
		}
		st.Begin()
		out, err := e.ApplyExtrinsic(st, x.Extrinsic)
		if err != nil {
			return fmt.Errorf("transaction %d, %s: %w", i, x.Name, err)
		}
		if len(out) > 0 && out[0] == 1 {
			st.Rollback()
		} else {
			st.Commit()
		}
		if !bytes.Equal(out, x.Result) {
			return fmt.Errorf("transaction %d, %s: result is 0x%x, was 0x%x", i, x.Name, out, x.Result)
		}
	}
	if _, err := e.FinalizeBlock(st); err != nil {
		return err
	}
	if sum := stateHash(st, r.Pallets, r.Ignore); sum != b.State {
		return errors.New("its storage at the end is another")
	}
	return nil
}

// balanceOf reads the free balance out of a pair of System.Account.
func balanceOf(key, value []byte) (id chain.AccountID, free chain.Balance, ok bool) {
	if len(key) != 68 || len(value) < 32 {
		return id, free, false
	}
	d := scale.NewDecoder(value[16:32])
	return chain.AccountID(key[48:]), d.U128(), true
}

// stateHash is over all pairs of the pallets, without those of ignored items.
func stateHash(st *devchain.Overlay, pallets, ignore []string) (sum [32]byte) {
	var skip [][]byte
	for _, name := range ignore {
		if pallet, item, ok := bytes.Cut([]byte(name), []byte(".")); ok {
			skip = append(skip, StorageKey(string(pallet), string(item)))
		}
	}
	h := mustBlake2()
	for _, pallet := range pallets {
		prefix := StorageKey(pallet)
		for k := st.Next(prefix); bytes.HasPrefix(k, prefix); k = st.Next(k) {
			if slices.ContainsFunc(skip, func(p []byte) bool { return bytes.HasPrefix(k, p) }) {
				continue
			}
			var e scale.Encoder
			e.Bytes(k)
			e.Bytes(st.Get(k))
			_, _ = h.Write(e.Buf) // a hash never fails
		}
	}
	h.Sum(sum[:0])
	return sum
}

func mustBlake2() hash.Hash {
	h, err := blake2b.New256(nil)
	if err != nil {
		panic(err) // only a key can be wrong
	}
	return h
}
