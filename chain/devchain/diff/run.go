package diff

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

// Elected returns a function that tells the subject whom the reference has
// elected. It is to be called before the engines are made: the subject asks it in
// its InitBlock, when the reference has already begun the same block.
func Elected() (elect func(chain.SubnetID, chain.Epoch) (chain.NodeID, bool), link func(reference devchain.State)) {
	var st devchain.State
	elect = func(subnet chain.SubnetID, epoch chain.Epoch) (chain.NodeID, bool) {
		if st == nil {
			return 0, false
		}
		k := StorageKey("Network", "SubnetElectedValidator")
		k = binary.LittleEndian.AppendUint32(k, uint32(subnet))
		k = binary.LittleEndian.AppendUint32(k, uint32(epoch))
		v := st.Get(k)
		if len(v) != 4 {
			return 0, false
		}
		return chain.NodeID(binary.LittleEndian.Uint32(v)), true
	}
	return elect, func(reference devchain.State) { st = reference }
}

// ErrOtherChain is in the chain of errors of a run whose engines have different
// calls: they are not of one generation.
var ErrOtherChain = errors.New("the engines are of different chains")

const slotMillis = 6000 // of the real chain

// side is one engine with its state.
type side struct {
	engine devchain.Engine
	st     *devchain.Overlay
}

// run is one comparison under way.
type run struct {
	cfg      Config
	ref, sub side
	reg      *metadata.Registry // of the reference
	items    map[string]string  // "Pallet.Item" by the first 32 bytes of a key
	ignore   map[string]bool
	rng      *rand.Rand
	report   *Report
	number   chain.BlockNumber
	parent   chain.Hash
	genesis  chain.Hash
	cast     cast
	calls    []choice
	script   script
	focus    int  // whose call it is: a coldkey, its hotkey, and likely its node
	root     bool // the call being made is for root
	settled  bool // the first subnet is active; random calls before that would only hinder it
}

// Run compares subject with reference. link is what [Elected] returned; nil when
// the subject elects by itself. The report is also returned with an error, which
// says that an engine failed.
func Run(ctx context.Context, cfg Config, reference, subject devchain.Engine, link func(devchain.State)) (*Report, error) {
	cfg.setDefaults()
	r := &run{
		cfg: cfg, ref: side{reference, devchain.NewState()}, sub: side{subject, devchain.NewState()},
		items: map[string]string{}, ignore: map[string]bool{},
		rng:    rand.New(rand.NewPCG(cfg.Seed, 0x6d657368)), //nolint:gosec // wanted: the same run again
		report: &Report{Calls: map[string]int{}, Done: map[string]int{}, Results: map[string]int{}, Ignored: map[string]int{}, Unmetered: map[string]int{}, Unsupported: map[string]int{}},
	}
	r.report.Left = cfg.Leave
	for _, name := range cfg.Ignore {
		r.ignore[name] = true
	}
	if link == nil {
		link = func(devchain.State) {}
	}
	link(r.ref.st)
	if err := r.prepare(); err != nil {
		return r.report, fmt.Errorf("diff: %w", err)
	}
	for r.report.Blocks < cfg.Blocks && r.report.Equal() {
		if err := ctx.Err(); err != nil {
			return r.report, fmt.Errorf("diff: %w", err)
		}
		if err := r.block(); err != nil {
			return r.report, fmt.Errorf("diff: block %d: %w", r.number, err)
		}
	}
	return r.report, nil
}

// prepare makes both genesis states from that of the reference.
func (r *run) prepare() error {
	var err error
	if r.cast, err = newCast(); err != nil {
		return err
	}
	g := devchain.Genesis{Accounts: map[chain.AccountID]chain.Balance{}, Sudo: r.cast.people[0].ID()}
	for _, a := range r.cast.people {
		g.Accounts[a.ID()] = r.cfg.Fund
	}
	if err := r.ref.engine.Genesis(r.ref.st, g); err != nil {
		return fmt.Errorf("genesis of the reference: %w", err)
	}
	// the subject gets every account that the reference has
	accounts := StorageKey("System", "Account")
	for k := r.ref.st.Next(accounts); k != nil && bytes.HasPrefix(k, accounts); k = r.ref.st.Next(k) {
		if id, free, ok := balanceOf(k, r.ref.st.Get(k)); ok {
			g.Accounts[id] = free
		}
	}
	if err := r.sub.engine.Genesis(r.sub.st, g); err != nil {
		return fmt.Errorf("genesis of the subject: %w", err)
	}
	for k := r.ref.st.Next(accounts); k != nil && bytes.HasPrefix(k, accounts); k = r.ref.st.Next(k) {
		r.sub.st.Set(k, r.ref.st.Get(k)) // contracts count references
		if rec := r.cfg.Record; rec != nil {
			rec.Accounts = append(rec.Accounts, [2][]byte{bytes.Clone(k), bytes.Clone(r.ref.st.Get(k))})
		}
	}
	if r.reg, err = registry(r.ref.engine); err != nil {
		return fmt.Errorf("metadata of the reference: %w", err)
	}
	other, err := registry(r.sub.engine)
	if err != nil {
		return fmt.Errorf("metadata of the subject: %w", err)
	}
	for _, p := range r.reg.Metadata().Pallets {
		if p.Storage == nil {
			continue
		}
		for _, e := range p.Storage.Entries {
			r.items[string(StorageKey(p.Storage.Prefix, e.Name))] = p.Name + "." + e.Name
		}
	}
	if r.calls, err = choices(r.reg, other, r.cfg.Leave); err != nil {
		return err
	}
	if rec := r.cfg.Record; rec != nil {
		rec.Sudo, rec.Pallets, rec.Ignore = g.Sudo, r.cfg.Pallets, r.cfg.Ignore
	}
	r.genesis = chain.Hash{0x6d}
	r.parent = r.genesis
	r.compare("genesis")
	return nil
}

func registry(e devchain.Engine) (*metadata.Registry, error) {
	b, err := e.Metadata(14)
	if err != nil {
		return nil, err
	}
	m, err := metadata.Decode(b)
	if err != nil {
		return nil, err
	}
	return metadata.NewRegistry(m)
}

// both calls f for each side; an error names the side.
func (r *run) both(f func(s side) error) error {
	if err := f(r.ref); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	if err := f(r.sub); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	return nil
}

// block runs one block through both engines.
func (r *run) block() error {
	r.number++
	ms := uint64(r.number) * slotMillis
	if rec := r.cfg.Record; rec != nil {
		rec.Blocks = append(rec.Blocks, RecordedBlock{Parent: r.parent})
	}
	h := devchain.BlockHeader{Number: r.number, Parent: r.parent, Timestamp: ms, Slot: uint64(r.number)}
	if err := r.both(func(s side) error { return s.engine.InitBlock(s.st, h) }); err != nil {
		return err
	}
	r.compare("storage after the hooks")
	var inherents [][]byte
	for _, s := range []side{r.ref, r.sub} {
		list, err := s.engine.Inherents(s.st, ms)
		if err != nil {
			return err
		}
		if inherents != nil && !slices.EqualFunc(inherents, list, bytes.Equal) {
			r.differ("inherents", "bytes", bytes.Join(inherents, nil), bytes.Join(list, nil))
		}
		inherents = list
	}
	for _, xt := range inherents {
		if err := r.apply("inherent", xt, nil); err != nil {
			return err
		}
	}
	for _, t := range r.plan() {
		if !r.report.Equal() {
			break
		}
		if err := r.transact(t); err != nil {
			return err
		}
	}
	var headers [2]devchain.Header
	for i, s := range []side{r.ref, r.sub} {
		var err error
		if headers[i], err = s.engine.FinalizeBlock(s.st); err != nil {
			return err
		}
		if s.st.Depth() != 0 {
			return errors.New("an engine left a transaction open")
		}
	}
	headers[0].Number, headers[0].Parent = h.Number, h.Parent
	r.parent = headers[0].Hash() // both go on from the same hash
	r.compare("storage at the end")
	r.report.Blocks++
	if v := r.ref.st.Get(StorageKey("System", "EventCount")); len(v) == 4 {
		r.report.Events += int(binary.LittleEndian.Uint32(v))
	}
	if b := r.recorded(); b != nil {
		b.State = stateHash(r.ref.st, r.cfg.Pallets, r.cfg.Ignore)
	}
	if r.cfg.Progress != nil {
		r.cfg.Progress(r.report)
	}
	return nil
}

// recorded is the present block of the recording, nil without one.
func (r *run) recorded() *RecordedBlock {
	if rec := r.cfg.Record; rec != nil && len(rec.Blocks) > 0 {
		return &rec.Blocks[len(rec.Blocks)-1]
	}
	return nil
}
