package diff

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// Config says what to run. The zero value runs 300 blocks of seed 0.
type Config struct {
	Seed   uint64
	Blocks int // default 300
	// PerBlock is how many random calls a block has at most; default 3. 0 < 0 is
	// none: only the script runs.
	PerBlock int
	// Pallets whose storage is compared; default those of a subnet's life.
	Pallets []string
	// Ignore lists items, "Pallet.Item", that may differ; default the one that
	// cannot be equal: no log of an EVM is written.
	Ignore []string
	// Leave lists calls, "Pallet.name", that are not drawn; default those in which a
	// development chain is stricter than the real one.
	Leave []string
	// Fund is what the accounts of the run get; default 1,000,000 TENSOR.
	Fund chain.Balance
	// Logger gets what could not be done; nil: none.
	Logger *slog.Logger
	// Progress is called after each block with the report so far; nil: not.
	Progress func(*Report)
	// Record is filled with the run, for [Recording.Replay]; nil: not.
	Record *Recording
}

func (c *Config) setDefaults() {
	if c.Blocks == 0 {
		c.Blocks = 300
	}
	if c.PerBlock == 0 {
		c.PerBlock = 3
	}
	if c.Pallets == nil {
		c.Pallets = []string{"System", "Timestamp", "Balances", "TransactionPayment", "Sudo", "Treasury", "Network"}
	}
	if c.Ignore == nil {
		c.Ignore = []string{"System.Digest"}
	}
	if c.Leave == nil {
		c.Leave = []string{"Network.transfer_delegate_stake", "Network.transfer_node_delegate_stake"}
	}
	if c.Fund.IsZero() {
		c.Fund = chain.Tensor(1_000_000)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// ErrOtherChain is in the chain of errors of a run whose engines have different
// calls: they are not of one generation.
var ErrOtherChain = errors.New("the engines are of different chains")

// Difference is one thing in which the engines are not equal.
type Difference struct {
	Block     chain.BlockNumber
	When      string // "validity of Network.attest", "storage at the end", ...
	What      string // "Network.SubnetsData(128001)", "result"
	Key       []byte // of a storage pair; nil for what is none
	Reference []byte
	Subject   []byte
	// The two as JSON, from shortly before where they begin to differ; hex where
	// they do not decode.
	ReferenceText, SubjectText string
}

// String is one line.
func (d Difference) String() string {
	return fmt.Sprintf("block %d, %s: %s: reference %s, subject %s", d.Block, d.When, d.What, d.ReferenceText, d.SubjectText)
}

// Report is the outcome of a run.
type Report struct {
	Blocks       int
	Transactions int            // that the pool takes
	Succeeded    int            // of those
	Refused      int            // by both pools alike
	Answers      int            // validity answers and dispatch results compared
	Events       int            // events compared
	Pairs        int            // storage pairs compared
	Calls        map[string]int // transactions by call
	Done         map[string]int // of those, the ones that succeeded
	Results      map[string]int // dispatch results: "ok", or the error's name
	Ignored      map[string]int // differences in ignored items
	Unmetered    map[string]int // calls left out because the subject gives them another weight
	Unsupported  map[string]int // calls left out because the subject filters them
	Left         []string       // calls that are never drawn
	Differences  []Difference   // at most maxDifferences, all of one block
}

const (
	maxDifferences = 20
	slotMillis     = 6000 // of the real chain
)

// Equal reports whether nothing differed.
func (r *Report) Equal() bool { return len(r.Differences) == 0 }

// Write prints the report.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d blocks, %d transactions (%d succeeded), %d refused; compared: %d answers, %d events, %d storage pairs; %d differences\n",
		r.Blocks, r.Transactions, r.Succeeded, r.Refused, r.Answers, r.Events, r.Pairs, len(r.Differences))
	fmt.Fprintf(&b, "%d different calls; results:", len(r.Calls))
	for _, name := range slices.SortedFunc(maps.Keys(r.Results), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Results[b], r.Results[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(&b, " %s %d", name, r.Results[name])
	}
	fmt.Fprintln(&b)
	if len(r.Unmetered) > 0 {
		fmt.Fprintf(&b, "left out for their weight: %s\n", strings.Join(slices.Sorted(maps.Keys(r.Unmetered)), " "))
	}
	if len(r.Unsupported) > 0 {
		fmt.Fprintf(&b, "left out, not offered by the subject: %s\n", strings.Join(slices.Sorted(maps.Keys(r.Unsupported)), " "))
	}
	for _, d := range r.Differences {
		fmt.Fprintln(&b, d)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

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

// StorageKey is the prefix of a pallet, or of one of its items.
func StorageKey(names ...string) (key []byte) {
	for _, n := range names {
		key = metadata.Twox128.Append(key, []byte(n))
	}
	return key
}

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

// validity is what an engine's pool answers.
func validity(s side, xt []byte) ([]byte, error) {
	s.st.Begin()
	v, err := s.engine.ValidateTx(s.st, xt)
	s.st.Rollback()
	var refused *devchain.TxError
	switch {
	case errors.As(err, &refused):
		return append([]byte{1}, refused.Raw...), nil
	case err != nil:
		return nil, err
	}
	return encodeValidity(v), nil
}

// transact signs a call and gives it to both.
func (r *run) transact(t transaction) error {
	xt, err := r.sign(t)
	if err != nil {
		return err
	}
	name := t.name
	var answers [2][]byte
	for i, s := range []side{r.ref, r.sub} {
		if answers[i], err = validity(s, xt); err != nil {
			return fmt.Errorf("validity of %s: %w", name, err)
		}
	}
	r.report.Answers++
	if !bytes.Equal(answers[0], answers[1]) {
		if !strings.HasPrefix(name, "Network.") && onlyPriority(answers) {
			r.report.Unmetered[name]++ // so the fee differs as well
			return nil
		}
		r.differ("validity of "+name, "answer", answers[0], answers[1])
		return nil
	}
	if answers[0][0] == 1 {
		r.report.Refused++
		r.record(name, xt, answers[0], nil)
		return nil
	}
	r.report.Transactions++
	r.report.Calls[name]++
	return r.apply(name, xt, answers[0])
}

// record adds a transaction to the recording.
func (r *run) record(name string, xt, answer, result []byte) {
	if b := r.recorded(); b != nil && answer != nil {
		b.Transactions = append(b.Transactions, RecordedTransaction{name, xt, answer, result})
	}
}

// onlyPriority reports whether two valid answers differ in the priority alone,
// which follows from the weight of the call.
func onlyPriority(answers [2][]byte) bool {
	a, b := answers[0], answers[1]
	return a[0] == 0 && b[0] == 0 && bytes.Equal(a[9:], b[9:])
}

func encodeValidity(v devchain.Validity) []byte {
	e := scale.Encoder{Buf: []byte{0}}
	e.U64(v.Priority)
	for _, tags := range [][][]byte{v.Requires, v.Provides} {
		e.Len(len(tags))
		for _, t := range tags {
			e.Bytes(t)
		}
	}
	e.U64(v.Longevity)
	e.Bool(v.Propagate)
	return e.Buf
}

// apply executes an extrinsic in both; answer is what the pools said, nil for an
// inherent.
func (r *run) apply(name string, xt, answer []byte) error {
	var results [2][]byte
	for i, s := range []side{r.ref, r.sub} {
		var err error
		s.st.Begin()
		if results[i], err = s.engine.ApplyExtrinsic(s.st, xt); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	equal := bytes.Equal(results[0], results[1])
	missing := !equal && r.resultName(results[1]) == "System.CallFiltered"
	for _, s := range []side{r.ref, r.sub} {
		if missing || len(results[0]) > 0 && results[0][0] == 1 { // as a block builder does it
			s.st.Rollback()
		} else {
			s.st.Commit()
		}
	}
	switch {
	case missing:
		r.report.Unsupported[name]++
		return nil
	case !equal:
		r.differ(name, "result", results[0], results[1])
		return nil
	}
	r.report.Answers++
	r.record(name, xt, answer, results[0])
	text := r.resultName(results[0])
	if name != "inherent" {
		r.report.Results[text]++
		if text == "ok" {
			r.report.Succeeded++
			r.report.Done[name]++
		}
	}
	r.compare(name + " (" + text + ")")
	return nil
}

// resultName is the name of a module error, or "ok", or hex.
func (r *run) resultName(res []byte) string {
	if bytes.Equal(res, []byte{0, 0}) {
		return "ok"
	}
	if len(res) >= 5 && res[0] == 0 && res[1] == 1 && res[2] == 3 {
		if p, v, err := r.reg.Error(res[3], res[4]); err == nil {
			return p.Name + "." + v.Name
		}
	}
	return fmt.Sprintf("0x%x", res)
}

// differ notes a difference that is no storage pair.
func (r *run) differ(when, what string, a, b []byte) {
	r.add(Difference{When: when, What: what, Reference: a, Subject: b}, r.answerText(a), r.answerText(b))
}

// answerText is a dispatch result by name, where it is one.
func (r *run) answerText(b []byte) string {
	if name := r.resultName(b); b != nil && !strings.HasPrefix(name, "0x") {
		return name
	}
	return r.text(metadata.NoType, b)
}

func (r *run) add(d Difference, a, b string) {
	if len(r.report.Differences) == maxDifferences {
		return
	}
	d.Block, d.Key, d.Reference, d.Subject = r.number, bytes.Clone(d.Key), bytes.Clone(d.Reference), bytes.Clone(d.Subject)
	d.ReferenceText, d.SubjectText = excerpts(a, b)
	r.report.Differences = append(r.report.Differences, d)
}

// compare walks both states in key order.
func (r *run) compare(when string) {
	if !r.report.Equal() {
		return
	}
	for _, pallet := range r.cfg.Pallets {
		prefix := metadata.Twox128.Append(nil, []byte(pallet))
		next := func(s side, k []byte) []byte {
			if k = s.st.Next(k); bytes.HasPrefix(k, prefix) {
				return k
			}
			return nil
		}
		a, b := next(r.ref, prefix), next(r.sub, prefix)
		for a != nil || b != nil {
			order := bytes.Compare(a, b)
			switch {
			case b == nil || a != nil && order < 0:
				r.pair(when, a, r.ref.st.Get(a), nil)
				a = next(r.ref, a)
			case a == nil || order > 0:
				r.pair(when, b, nil, r.sub.st.Get(b))
				b = next(r.sub, b)
			default:
				r.report.Pairs++
				if x, y := r.ref.st.Get(a), r.sub.st.Get(b); !bytes.Equal(x, y) {
					r.pair(when, a, x, y)
				}
				a, b = next(r.ref, a), next(r.sub, b)
			}
		}
	}
}

// pair notes a storage pair that differs; nil is one that is not there.
func (r *run) pair(when string, key, a, b []byte) {
	item, name, entry := r.name(key)
	if r.ignore[item] {
		r.report.Ignored[item]++
		return
	}
	id := metadata.NoType
	if entry != nil {
		id = entry.Value
	}
	r.add(Difference{When: when, What: name, Key: key, Reference: a, Subject: b}, r.text(id, a), r.text(id, b))
}

// transaction is a call that somebody is to sign.
type transaction struct {
	who   *account.Account
	name  string // "Network.attest"
	call  []byte
	nonce int // added to the account's next nonce
}

// sign makes an immortal extrinsic of the fourth format.
func (r *run) sign(t transaction) ([]byte, error) {
	id := t.who.ID()
	out, err := r.ref.engine.Call(r.ref.st, "AccountNonceApi_account_nonce", id[:])
	if err != nil {
		return nil, fmt.Errorf("nonce: %w", err)
	}
	v := r.ref.engine.Version()
	hash := r.genesis[:]
	nonce := uint64(max(int64(scale.NewDecoder(out).U32())+int64(t.nonce), 0)) //nolint:gosec // not negative
	var extra scale.Encoder
	extra.U8(0)
	extra.Compact(nonce)
	extra.Compact(0)
	payload := scale.Encoder{Buf: bytes.Clone(t.call)}
	payload.Raw(extra.Buf)
	payload.U32(v.SpecVersion)
	payload.U32(v.TransactionVersion)
	payload.Raw(hash)
	payload.Raw(hash)
	sig, err := t.who.Sign(payload.Buf)
	if err != nil {
		return nil, err
	}
	body := scale.Encoder{Buf: []byte{0x84}}
	body.Raw(id[:])
	body.Raw(sig)
	body.Raw(extra.Buf)
	body.Raw(t.call)
	var xt scale.Encoder
	xt.Bytes(body.Buf)
	return xt.Buf, nil
}
