package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

const (
	hostModule   = "env"
	sparePages   = 32   // of 64 KiB, which most calls do with
	defaultPages = 2048 // 128 MiB, what a node gives
	maxRuntimes  = 4    // compiled at the same time; more than one only after an upgrade
)

// Config configures an [Engine].
type Config struct {
	Spec Spec
	// CacheDir keeps compiled runtimes between processes; empty: none. Compiling
	// takes one to two seconds.
	CacheDir string
	// MaxPages bounds the memory of a runtime in pages of 64 KiB; default 2048.
	MaxPages uint32
	// Logger receives the runtime's own log lines at debug level; nil: none.
	Logger *slog.Logger
}

// Engine runs a real runtime. It implements [devchain.Engine] and is safe for
// concurrent use.
type Engine struct {
	ctx      context.Context //nolint:containedctx // wazero ties the runtime to it
	wz       wazero.Runtime
	cache    wazero.CompilationCache
	log      *slog.Logger
	spec     Spec
	maxPages uint32
	current  atomic.Pointer[runtime]

	mu       sync.Mutex
	runtimes []*runtime // most recently compiled last
	hosted   map[string]bool
}

var (
	_ devchain.Engine    = (*Engine)(nil)
	_ devchain.SlotTimer = (*Engine)(nil)
)

// New compiles the runtime of a specification. The caller must Close the engine.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.MaxPages == 0 {
		cfg.MaxPages = defaultPages
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	rc := wazero.NewRuntimeConfig().WithMemoryLimitPages(cfg.MaxPages).WithDebugInfoEnabled(false)
	e := &Engine{ctx: context.WithoutCancel(ctx), log: cfg.Logger, spec: cfg.Spec, maxPages: cfg.MaxPages}
	if cfg.CacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(cfg.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("wasm: cache: %w", err)
		}
		e.cache = cache
		rc = rc.WithCompilationCache(cache)
	}
	e.wz = wazero.NewRuntimeWithConfig(e.ctx, rc) //nolint:contextcheck // it outlives the caller's context, until Close
	code := cfg.Spec.Top[codeKey]
	if len(code) == 0 {
		return nil, errors.Join(fmt.Errorf("%w: it has no runtime", ErrSpec), e.Close())
	}
	st := devchain.NewState()
	e.fill(st)
	rt, err := e.compile(code, st) //nolint:contextcheck // as above
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	e.runtimes = []*runtime{rt}
	e.current.Store(rt)
	return e, nil
}

// Close frees the compiled code.
func (e *Engine) Close() error {
	err := e.wz.Close(e.ctx)
	if e.cache != nil {
		err = errors.Join(err, e.cache.Close(e.ctx))
	}
	return err
}

// Missing lists the host functions that the runtime imports and this package
// does not have. The runtime works until it calls one.
func (e *Engine) Missing() []string { return slices.Clone(e.current.Load().missing) }

// Spec returns the specification.
func (e *Engine) Spec() Spec { return e.spec }

// Name implements [devchain.Engine].
func (e *Engine) Name() string { return "wasm" }

// Version implements [devchain.Engine]: that of the runtime that made the last
// block.
func (e *Engine) Version() devchain.RuntimeVersion { return e.current.Load().version }

// SlotDuration implements [devchain.SlotTimer].
func (e *Engine) SlotDuration() uint64 { return e.current.Load().slot }

// Metadata implements [devchain.Engine].
func (e *Engine) Metadata(version uint32) ([]byte, error) {
	if b := e.current.Load().meta[version]; b != nil {
		return b, nil
	}
	return nil, devchain.ErrNoMetadata
}

// runtimeOf returns the compiled form of the code in a state.
func (e *Engine) runtimeOf(st devchain.State) (*runtime, error) {
	code := st.Get([]byte(codeKey))
	if len(code) == 0 {
		return nil, fmt.Errorf("%w: the state has no runtime", ErrSpec)
	}
	if rt := e.current.Load(); rt.first.Load() == &code[0] {
		return rt, nil
	}
	hash := chain.Hash(blake2b.Sum256(code))
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, rt := range e.runtimes {
		if rt.hash == hash {
			rt.first.Store(&code[0])
			return rt, nil
		}
	}
	rt, err := e.compile(code, st)
	if err != nil {
		return nil, err
	}
	e.runtimes = append(e.runtimes, rt)
	if len(e.runtimes) > maxRuntimes {
		e.runtimes = e.runtimes[1:]
	}
	return rt, nil
}

// versionOf answers the runtime that asks for the version of a code.
func (e *Engine) versionOf(code []byte) []byte {
	if len(code) == 0 {
		return nil
	}
	rt, err := e.compileOther(bytes.Clone(code))
	if err != nil {
		e.log.Debug("version of a code", "err", err)
		return nil
	}
	return rt.raw
}

func (e *Engine) compileOther(code []byte) (*runtime, error) {
	st := devchain.NewState()
	st.Set([]byte(codeKey), code)
	return e.runtimeOf(st)
}

func (e *Engine) fill(st devchain.State) {
	for k, v := range e.spec.Top {
		st.Set([]byte(k), v)
	}
}

// Genesis implements [devchain.Engine]: the state of the specification, with
// the accounts of g on top. A bare runtime builds its genesis from the preset
// "development".
func (e *Engine) Genesis(st devchain.State, g devchain.Genesis) error {
	e.fill(st)
	if e.spec.bare {
		if err := e.preset(st); err != nil {
			return err
		}
	}
	return endow(st, g)
}

func (e *Engine) preset(st devchain.State) error {
	rt := e.current.Load()
	var id scale.Encoder
	id.Some()
	id.Text("development")
	out, err := e.exec(rt, st, "GenesisBuilder_get_preset", id.Buf, nil)
	if err != nil {
		return fmt.Errorf("%w: the runtime has no genesis of its own: %w", ErrSpec, err)
	}
	d := scale.NewLimitedDecoder(out, 4, maxCode)
	if !d.Option() {
		return fmt.Errorf("%w: the runtime has no preset \"development\"", ErrSpec)
	}
	var config scale.Encoder
	config.Bytes(d.Bytes())
	out, err = e.exec(rt, st, "GenesisBuilder_build_state", config.Buf, nil)
	if err != nil {
		return fmt.Errorf("%w: genesis: %w", ErrSpec, err)
	}
	if len(out) > 1 && out[0] == 1 {
		return fmt.Errorf("%w: genesis: %q", ErrSpec, out[1:])
	}
	return nil
}

func key(pallet, item string, parts ...[]byte) []byte {
	k := metadata.Twox128.Append(metadata.Twox128.Append(nil, []byte(pallet)), []byte(item))
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

// endow gives accounts of 20 bytes their balances in the layout that System and
// Balances have had for years, and sets the sudo key.
func endow(st devchain.State, g devchain.Genesis) error {
	issued := u128.Zero()
	issuance := key("Balances", "TotalIssuance")
	if v := st.Get(issuance); len(v) == 16 {
		issued = u128.FromLE(v)
	}
	for who, amount := range g.Accounts {
		k := key("System", "Account", metadata.Blake2_128Concat.Append(nil, who[:]))
		if v := st.Get(k); v != nil {
			if len(v) != 80 {
				return fmt.Errorf("%w: an account has %d bytes, not 80; its accounts cannot be endowed", ErrSpec, len(v))
			}
			issued = issued.SatSub(u128.FromLE(v[16:32]))
		}
		var a scale.Encoder
		a.U32(0) // nonce
		a.U32(0) // consumers
		a.U32(1) // providers
		a.U32(0) // sufficients
		a.U128(amount)
		a.U128(u128.Zero())
		a.U128(u128.Zero())
		a.U128(u128.U128{Hi: 1 << 63}) // flags: the new holds logic
		st.Set(k, a.Buf)
		issued = issued.SatAdd(amount)
	}
	if len(g.Accounts) > 0 {
		var total scale.Encoder
		total.U128(issued)
		st.Set(issuance, total.Buf)
	}
	if !g.Sudo.IsZero() {
		st.Set(key("Sudo", "Key"), g.Sudo[:])
	}
	return nil
}

// InitBlock implements [devchain.Engine].
func (e *Engine) InitBlock(st devchain.State, h devchain.BlockHeader) error {
	rt, err := e.runtimeOf(st)
	if err != nil {
		return err
	}
	e.current.Store(rt)
	header := devchain.Header{Parent: h.Parent, Number: h.Number, Digest: h.Digest()}
	_, err = e.exec(rt, st, "Core_initialize_block", header.Encode(), nil)
	return err
}

// Inherents implements [devchain.Engine].
func (e *Engine) Inherents(st devchain.State, ms uint64) ([][]byte, error) {
	var data scale.Encoder
	data.Len(1)
	data.Raw([]byte("timstap0"))
	data.Bytes(binary.LittleEndian.AppendUint64(nil, ms))
	out, err := e.call(st, "BlockBuilder_inherent_extrinsics", data.Buf, nil)
	if err != nil {
		return nil, err
	}
	d := scale.NewLimitedDecoder(out, 4, maxCode)
	var list [][]byte
	for range d.Len(1) {
		body := d.Bytes()
		list = append(list, append(appendCompact(nil, uint64(len(body))), body...))
	}
	return list, d.Finish()
}

func (e *Engine) call(st devchain.State, name string, args, signer []byte) ([]byte, error) {
	rt, err := e.runtimeOf(st)
	if err != nil {
		return nil, err
	}
	return e.exec(rt, st, name, args, signer)
}

// signer returns the account that an extrinsic names, if it may go without a
// signature.
func signer(st devchain.State, xt []byte) []byte {
	_, n := compact(xt)
	body := xt[n:]
	if len(body) < 86 || body[0]&0x80 == 0 || !bytes.Equal(body[21:86], devchain.ImpersonatedSignature()) {
		return nil
	}
	if st.Get(devchain.ImpersonateKey(body[1:21])) == nil {
		return nil
	}
	return body[1:21]
}

// ValidateTx implements [devchain.Engine].
func (e *Engine) ValidateTx(st devchain.State, xt []byte) (v devchain.Validity, err error) {
	hash, _ := devchain.HeadHash(st)
	args := append([]byte{2}, xt...) // from outside
	args = append(args, hash[:]...)
	out, err := e.call(st, "TaggedTransactionQueue_validate_transaction", args, signer(st, xt))
	switch {
	case errors.Is(err, errTrap):
		e.log.Debug("validate transaction", "err", err)
		return v, devchain.NewTxError(devchain.TxUndecodable)
	case err != nil:
		return v, err
	case len(out) > 1 && out[0] == 1:
		return v, devchain.ParseTxError(out[1:])
	case len(out) == 0 || out[0] != 0:
		return v, fmt.Errorf("%w: validity 0x%x", errTrap, out)
	}
	d := scale.NewDecoder(out[1:])
	v.Priority = d.U64()
	tags := func() (list [][]byte) {
		for range d.Len(1) {
			list = append(list, d.Bytes())
		}
		return list
	}
	v.Requires, v.Provides = tags(), tags()
	v.Longevity, v.Propagate = d.U64(), d.Bool()
	return v, d.Finish()
}

// ApplyExtrinsic implements [devchain.Engine].
func (e *Engine) ApplyExtrinsic(st devchain.State, xt []byte) ([]byte, error) {
	return e.call(st, "BlockBuilder_apply_extrinsic", xt, signer(st, xt))
}

// FinalizeBlock implements [devchain.Engine].
func (e *Engine) FinalizeBlock(st devchain.State) (devchain.Header, error) {
	out, err := e.call(st, "BlockBuilder_finalize_block", nil, nil)
	if err != nil {
		return devchain.Header{}, err
	}
	return devchain.DecodeHeader(out)
}

// Call implements [devchain.Engine].
func (e *Engine) Call(st devchain.State, method string, args []byte) ([]byte, error) {
	return e.call(st, method, args, nil)
}
