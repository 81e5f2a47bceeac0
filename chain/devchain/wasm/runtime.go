package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// runtime is one compiled runtime with what is asked of it again and again.
type runtime struct {
	hash    chain.Hash           // of the code as it is stored
	first   atomic.Pointer[byte] // of that code where it was seen last, to know it again without hashing
	module  wazero.CompiledModule
	missing []string
	version devchain.RuntimeVersion
	raw     []byte // Core_version
	slot    uint64 // milliseconds
	meta    map[uint32][]byte

	mu    sync.Mutex
	idle  []*instance
	image []byte // memory of a new instance, up to its heap
}

const (
	maxIdle      = 4        // instances kept for the next call
	maxIdleBytes = 16 << 20 // a larger one is not kept
)

// compile makes a runtime out of code and asks it for its constants. The state
// is what it may read while it answers.
func (e *Engine) compile(code []byte, st devchain.State) (*runtime, error) {
	raw, err := unpack(code)
	if err != nil {
		return nil, err
	}
	own, imports, err := ownMemory(raw, sparePages, e.maxPages)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	rt := &runtime{hash: blake2b.Sum256(code), meta: map[uint32][]byte{}}
	rt.first.Store(&code[0])
	for _, imp := range imports {
		if imp.module != hostModule {
			return nil, fmt.Errorf("%w: the runtime imports %s from %s", ErrSpec, imp.name, imp.module)
		}
	}
	if rt.missing, err = e.host(imports, own); err != nil {
		return nil, err
	}
	if rt.module, err = e.wz.CompileModule(e.ctx, own); err != nil {
		return nil, fmt.Errorf("%w: compile: %w", ErrSpec, err)
	}
	if rt.raw, err = e.exec(rt, st, "Core_version", nil, nil); err != nil {
		return nil, err
	}
	if rt.version, err = decodeVersion(rt.raw); err != nil {
		return nil, err
	}
	if out, err := e.exec(rt, st, "AuraApi_slot_duration", nil, nil); err == nil && len(out) == 8 {
		rt.slot = scale.NewDecoder(out).U64()
	}
	for _, v := range []uint32{14, 15} {
		if b, err := e.metadata(rt, st, v); err == nil {
			rt.meta[v] = b
		}
	}
	return rt, nil
}

func (e *Engine) metadata(rt *runtime, st devchain.State, v uint32) ([]byte, error) {
	var arg scale.Encoder
	arg.U32(v)
	out, err := e.exec(rt, st, "Metadata_metadata_at_version", arg.Buf, nil)
	if err != nil && v == 14 {
		out, err = e.exec(rt, st, "Metadata_metadata", nil, nil)
		out = append([]byte{1}, out...)
	}
	if err != nil {
		return nil, err
	}
	d := scale.NewLimitedDecoder(out, 4, maxCode)
	if !d.Option() {
		return nil, devchain.ErrNoMetadata
	}
	b := d.Bytes()
	return b, d.Finish()
}

// host makes the module env with what this package has and stubs for the rest,
// unless that has been done; missing lists the rest.
func (e *Engine) host(imports []imported, own []byte) (missing []string, err error) {
	known := hostFuncs()
	sigs, err := importSignatures(own)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	for _, imp := range imports {
		if _, ok := known[imp.name]; !ok {
			missing = append(missing, imp.name)
		}
	}
	if e.hosted != nil {
		for _, name := range missing {
			if !e.hosted[name] {
				return missing, fmt.Errorf("%w: the new runtime imports %s", ErrSpec, strings.Join(missing, ", "))
			}
		}
		return missing, nil
	}
	b := e.wz.NewHostModuleBuilder(hostModule)
	for name, h := range known {
		in, out := signature(h.sig)
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
			h.f(frameOf(ctx), stack)
		}), in, out).Export(name)
	}
	e.hosted = map[string]bool{}
	for _, name := range missing {
		e.hosted[name] = true
		sig := sigs[name]
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(context.Context, api.Module, []uint64) {
			panic(fmt.Errorf("runtime calls the host function %s, which this engine lacks", name))
		}), sig[0], sig[1]).Export(name)
	}
	if _, err := b.Instantiate(e.ctx); err != nil {
		return nil, fmt.Errorf("wasm: host functions: %w", err)
	}
	return missing, nil
}

// signature reads the letters of a hostFunc.
func signature(sig string) (in, out []api.ValueType) {
	args, result, _ := strings.Cut(sig, ":")
	types := func(s string) (list []api.ValueType) {
		for _, c := range s {
			t := api.ValueTypeI32
			if c == 'l' {
				t = api.ValueTypeI64
			}
			list = append(list, t)
		}
		return list
	}
	return types(args), types(result)
}

// errTrap is in the chain of errors of a runtime that gave up.
var errTrap = errors.New("runtime panicked")

// exec calls an exported function of a runtime in an instance that is as new. On an error
// the layers that the runtime opened on the state are rolled back.
func (e *Engine) exec(rt *runtime, st devchain.State, name string, args, signer []byte) (out []byte, err error) {
	if rt.module.ExportedFunctions()[name] == nil {
		return nil, fmt.Errorf("%w: %s", devchain.ErrUnknownMethod, name)
	}
	f := &frame{engine: e, st: st, signer: signer}
	in, err := e.take(rt)
	if err != nil {
		return nil, fmt.Errorf("wasm: %s: %w", name, err)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errTrap, r)
		}
		if err != nil {
			for ; f.depth > 0; f.depth-- {
				st.Rollback()
			}
			err = errors.Join(err, in.mod.Close(e.ctx)) // its stack is anywhere
			return
		}
		err = e.put(rt, in, f.alloc.end)
	}()
	f.mem = in.mod.Memory()
	f.alloc = newAllocator(f.mem, in.heap)
	ctx := context.WithValue(e.ctx, frameKey{}, f)
	res, err := in.mod.ExportedFunction(name).Call(ctx, uint64(f.give(args)), uint64(len(args)))
	if err != nil {
		why := f.fault
		if why == "" {
			why, _, _ = strings.Cut(err.Error(), "\n")
		}
		return nil, fmt.Errorf("%w: %s: %s", errTrap, name, why)
	}
	if f.depth != 0 {
		return nil, fmt.Errorf("%w: %s left a storage transaction open", errTrap, name)
	}
	return append([]byte{}, f.bytes(res[0])...), nil
}

// instance is a runtime with its memory.
type instance struct {
	mod  api.Module
	heap uint32 // where its heap begins
}

// take returns an instance in its initial state.
func (e *Engine) take(rt *runtime) (*instance, error) {
	rt.mu.Lock()
	if n := len(rt.idle); n > 0 {
		in := rt.idle[n-1]
		rt.idle = rt.idle[:n-1]
		rt.mu.Unlock()
		return in, nil
	}
	rt.mu.Unlock()
	mod, err := e.wz.InstantiateModule(e.ctx, rt.module, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, err
	}
	base := mod.ExportedGlobal("__heap_base")
	if base == nil || mod.Memory() == nil {
		return nil, errors.Join(fmt.Errorf("%w: no heap base or no memory", ErrSpec), mod.Close(e.ctx))
	}
	in := &instance{mod: mod, heap: uint32(base.Get())}
	data, ok := mod.Memory().Read(0, in.heap)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%w: the heap base is outside of the memory", ErrSpec), mod.Close(e.ctx))
	}
	rt.mu.Lock()
	if rt.image == nil {
		rt.image = append([]byte{}, data...)
	}
	rt.mu.Unlock()
	return in, nil
}

// put brings an instance whose call has returned back to its initial state: what
// lies under the heap is restored, the heap up to end is cleared, and the stack
// pointer, the only thing outside of the memory that changes, is where it was.
func (e *Engine) put(rt *runtime, in *instance, end uint32) error {
	mem := in.mod.Memory()
	rt.mu.Lock()
	full := len(rt.idle) >= maxIdle
	rt.mu.Unlock()
	if full || mem.Size() > maxIdleBytes {
		return in.mod.Close(e.ctx)
	}
	if !mem.Write(0, rt.image) {
		return errBounds
	}
	if used, ok := mem.Read(in.heap, end-in.heap); ok {
		clear(used)
	}
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.idle = append(rt.idle, in)
	return nil
}

// decodeVersion reads a Core_version.
func decodeVersion(b []byte) (v devchain.RuntimeVersion, err error) {
	d := scale.NewDecoder(b)
	v.SpecName, v.ImplName = d.Text(), d.Text()
	v.AuthoringVersion, v.SpecVersion, v.ImplVersion = d.U32(), d.U32(), d.U32()
	for range d.Len(12) {
		var api devchain.API
		d.Raw(api.ID[:])
		api.Version = d.U32()
		v.APIs = append(v.APIs, api)
	}
	v.TransactionVersion = d.U32()
	if d.Left() > 0 {
		v.StateVersion = d.U8()
	}
	if err := d.Finish(); err != nil {
		return v, fmt.Errorf("%w: runtime version: %w", ErrSpec, err)
	}
	return v, nil
}
