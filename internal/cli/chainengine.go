package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/wasm"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// The engines of `chain dev`.
const (
	engineNative = "native"
	engineWasm   = "wasm"
)

const (
	specHint    = "it takes a raw chain specification (JSON, from `build-spec --raw`) or a runtime (.wasm) that authors with Aura"
	noCache     = "none" // of --runtime-cache
	fundedAtDev = 1_000_000
)

// devEngine is an engine with the genesis that it starts from.
type devEngine struct {
	devchain.Engine
	genesis    devchain.Genesis
	spec       string // what binds a data folder to a specification; "" for the native engine
	name       string // of the chain
	properties map[string]any
	close      func() error
}

// pickEngine reads which engine is meant: a specification implies wasm.
func (f *chainDevFlags) pickEngine() (string, error) {
	switch {
	case f.engine == "" && f.chainSpec == "":
		return engineNative, nil
	case f.engine == "" || f.engine == engineWasm && f.chainSpec != "":
		return engineWasm, nil
	case f.engine == engineWasm:
		return "", usagef("--engine wasm runs a chain's own runtime: name its file with --chain-spec")
	case f.engine == engineNative && f.chainSpec != "":
		return "", usagef("--chain-spec is for --engine wasm; the native engine brings its own chain")
	case f.engine == engineNative:
		return engineNative, nil
	}
	return "", usagef("--engine %q: want %s or %s", f.engine, engineNative, engineWasm)
}

// makeEngine makes the engine that the flags ask for. changed tells which flags were given.
func (e *env) makeEngine(ctx context.Context, f *chainDevFlags, changed func(flag string) bool, log *slog.Logger) (*devEngine, error) {
	kind, err := f.pickEngine()
	if err != nil {
		return nil, err
	}
	if kind == engineWasm {
		return e.makeWasm(ctx, f, changed, log)
	}
	if changed("runtime-cache") {
		return nil, usagef("--runtime-cache is for --engine wasm; the native engine compiles nothing")
	}
	if f.epochLength < 4 {
		return nil, usagef("--epoch-length %d: at least 4, because three offsets are the chain's own", f.epochLength)
	}
	g, err := f.genesis()
	if err != nil {
		return nil, err
	}
	return &devEngine{
		Engine:  native.New(native.Config{EpochLength: g.EpochLength, Seed: g.Seed}),
		genesis: g, close: func() error { return nil },
	}, nil
}

// makeWasm compiles a runtime and finds out what of the genesis can be chosen.
func (e *env) makeWasm(ctx context.Context, f *chainDevFlags, changed func(string) bool, log *slog.Logger) (*devEngine, error) {
	switch {
	case changed("epoch-length"):
		return nil, usagef("--epoch-length: the runtime in %s fixes it; `mesh chain query Network.EpochLength` shows it", f.chainSpec)
	case changed("seed"):
		return nil, usagef("--seed: the runtime in %s elects with a randomness of its own; only the native engine takes a seed", f.chainSpec)
	}
	engine, err := e.compileSpec(ctx, f.chainSpec, f.runtimeCache, log)
	if err != nil {
		return nil, err
	}
	d := &devEngine{Engine: engine, close: engine.Close}
	err = func() error {
		if engine.SlotDuration() == 0 {
			return failf(specHint, "%s: the runtime %s does not author with Aura, so no block can be made for it", f.chainSpec, engine.Version().SpecName)
		}
		reg, err := registryOf(engine)
		if err != nil {
			return failf(specHint, "%s: metadata of the runtime: %w", f.chainSpec, err)
		}
		if d.genesis, err = f.wasmGenesis(reg, changed); err != nil {
			return err
		}
		code, err := specHash(engine.Spec())
		if err != nil {
			return err
		}
		d.spec, d.name, d.properties = "specification "+code, engine.Spec().Name, engine.Spec().Properties
		if d.properties == nil {
			d.properties = map[string]any{} // it says nothing, and so do we
		}
		return nil
	}()
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	if slot := time.Duration(engine.SlotDuration()) * time.Millisecond; f.blockTime < slot || f.seal != devchain.SealInterval.String() { //nolint:gosec // hours at most
		fmt.Fprintf(e.stderr, "slots of this chain take %s: with faster blocks its clock runs ahead\n", slot)
	}
	return d, nil
}

// compileSpec reads a specification and compiles its runtime, and says what takes so long and what it lacks.
func (e *env) compileSpec(ctx context.Context, path, cache string, log *slog.Logger) (*wasm.Engine, error) {
	spec, err := wasm.LoadSpec(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failf("check --chain-spec", "chain specification %s does not exist", path)
	case err != nil:
		return nil, failf(specHint, "%w", err)
	}
	dir := cache
	switch cache {
	case noCache:
		dir = ""
	case "":
		if base, err := os.UserCacheDir(); err == nil { // without a home there is no cache
			dir = filepath.Join(base, "mesh", "runtimes")
		}
	}
	fmt.Fprintf(e.stderr, "compiling the runtime of %s (%s); the first time takes some seconds\n", spec.Name, path)
	began := time.Now()
	engine, err := wasm.New(ctx, wasm.Config{Spec: spec, CacheDir: dir, Logger: log})
	if err != nil {
		return nil, failf(specHint, "%s: %w", path, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	v := engine.Version()
	fmt.Fprintf(e.stderr, "runtime %s, spec version %d, ready in %s\n", v.SpecName, v.SpecVersion, time.Since(began).Round(10*time.Millisecond))
	if missing := engine.Missing(); len(missing) > 0 {
		fmt.Fprintf(e.stderr, "host functions that are missing: %s; a block that calls one fails\n", strings.Join(missing, ", "))
	}
	return engine, nil
}

// registryOf decodes the metadata of an engine.
func registryOf(engine devchain.Engine) (*metadata.Registry, error) {
	b, err := engine.Metadata(14)
	if err != nil {
		return nil, err
	}
	m, err := metadata.Decode(b)
	if err != nil {
		return nil, err
	}
	return metadata.NewRegistry(m)
}

// wasmGenesis is what the flags add to the genesis of a specification: accounts where they have 20 bytes, and an administrator
// where there is the pallet for it.
func (f *chainDevFlags) wasmGenesis(reg *metadata.Registry, changed func(string) bool) (devchain.Genesis, error) {
	all, err := f.genesis()
	if err != nil {
		return all, err
	}
	var g devchain.Genesis
	switch {
	case hasAccounts20(reg):
		g.Accounts = all.Accounts
	case changed("genesis-account"):
		return g, usagef("--genesis-account: the accounts of the runtime in %s have not 20 bytes; its specification alone says who has funds", f.chainSpec)
	}
	_, err = reg.Storage("Sudo", "Key")
	switch {
	case err == nil && hasAccounts20(reg):
		g.Sudo = all.Sudo
	case changed("sudo"):
		return g, usagef("--sudo: the runtime in %s has no administrator with an account of 20 bytes", f.chainSpec)
	}
	return g, nil
}

// hasAccounts20 reports whether accounts are those of Ethereum, as in chain.AccountID.
func hasAccounts20(reg *metadata.Registry) bool {
	entry, err := reg.Storage("System", "Account")
	if err != nil {
		return false
	}
	t := reg.Type(entry.Key)
	for t != nil && t.Kind == metadata.KindComposite && len(t.Fields) == 1 {
		t = reg.Type(t.Fields[0].Type)
	}
	return t != nil && t.Kind == metadata.KindArray && int(t.Len) == len(chain.AccountID{})
}

// specHash is a short hash over the whole genesis of a specification.
func specHash(s wasm.Spec) (string, error) {
	h, err := blake2b.New256(nil)
	if err != nil {
		return "", err
	}
	for _, k := range slices.Sorted(maps.Keys(s.Top)) {
		for _, part := range [][]byte{[]byte(k), s.Top[k]} {
			sum := blake2b.Sum256(part)
			if _, err := h.Write(sum[:]); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// genesis is that of the native engine.
func (f *chainDevFlags) genesis() (devchain.Genesis, error) {
	g := devchain.Genesis{Accounts: make(map[chain.AccountID]chain.Balance), EpochLength: f.epochLength}
	for _, name := range account.DevNames() {
		a, err := account.Dev(name)
		if err != nil {
			return g, err
		}
		g.Accounts[a.ID()] = chain.Tensor(fundedAtDev)
	}
	for _, x := range f.accounts {
		id, amount, _ := strings.Cut(x, "=")
		a, err := chain.ParseAccountID(id)
		if err != nil {
			return g, usagef("--genesis-account %q: %w", x, err)
		}
		if g.Accounts[a], err = chain.ParseTensor(amount); err != nil {
			return g, usagef("--genesis-account %q: %w", x, err)
		}
	}
	if a, err := account.Dev(f.sudo); err == nil {
		g.Sudo = a.ID()
	} else if g.Sudo, err = chain.ParseAccountID(f.sudo); err != nil {
		return g, usagef("--sudo %q: want %s or an address", f.sudo, strings.Join(account.DevNames(), ", "))
	}
	if raw, err := hex.DecodeString(strings.TrimPrefix(f.seed, "0x")); err == nil && len(raw) == len(g.Seed) {
		copy(g.Seed[:], raw)
	} else if copy(g.Seed[:], f.seed) < len(f.seed) {
		return g, usagef("--seed: at most %d characters, or 64 hex digits", len(g.Seed))
	}
	return g, nil
}
