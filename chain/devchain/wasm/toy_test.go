package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// toyRuntime assembles a runtime by hand. Every export takes (ptr, len):
//
//	Core_version       returns a version from the data segment
//	echo               returns its argument
//	trap               is unreachable
//	lacks              calls a host function that nobody has
//	begin              opens a storage transaction, writes, and traps
//	<host function>    calls that function with its argument as every fat pointer
func toyRuntime() []byte {
	version := &scale.Encoder{}
	version.Text("toy")
	version.Text("toy-impl")
	for _, n := range []uint32{1, 7, 1} {
		version.U32(n)
	}
	version.Len(0)
	version.U32(1)
	version.U8(1)
	const dataAt, heapBase = 1024, 4096

	var sec []byte
	section := func(id byte, count int, body ...byte) {
		sec = appendSection(sec, id, append(appendU32(nil, uint32(count)), body...))
	}
	name := func(s string) []byte { return append(appendU32(nil, uint32(len(s))), s...) }
	const i32, i64 = 0x7f, 0x7e
	types := []byte{}
	typeOf := map[string]byte{}
	addType := func(sig string) byte {
		if t, ok := typeOf[sig]; ok {
			return t
		}
		in, out, _ := strings.Cut(sig, ":")
		types = append(types, 0x60)
		for _, part := range []string{in, out} {
			types = append(types, byte(len(part)))
			for _, c := range part {
				if c == 'l' {
					types = append(types, i64)
				} else {
					types = append(types, i32)
				}
			}
		}
		typeOf[sig] = byte(len(typeOf))
		return typeOf[sig]
	}
	entry := addType("ii:l")
	hosts := []string{
		"ext_storage_get_version_1", "ext_storage_set_version_1", "ext_storage_clear_version_1", "ext_storage_exists_version_1",
		"ext_storage_next_key_version_1", "ext_storage_append_version_1", "ext_storage_clear_prefix_version_2",
		"ext_hashing_twox_64_version_1", "ext_hashing_blake2_256_version_1", "ext_hashing_keccak_256_version_1",
		"ext_storage_root_version_1", "ext_logging_max_level_version_1",
		"ext_storage_start_transaction_version_1", "ext_unheard_of_version_9",
	}
	known := hostFuncs()
	var imports []byte
	for _, h := range hosts {
		sig := ":"
		if f, ok := known[h]; ok {
			sig = f.sig
		}
		imports = append(imports, append(append(name("env"), name(h)...), importFunc, addType(sig))...)
	}
	imports = append(imports, append(append(name("env"), name("memory")...), importMemory, 0, 1)...)

	span := []byte{0x20, 1, 0xad, 0x42, 32, 0x86, 0x20, 0, 0xad, 0x84} // len << 32 | ptr
	call := func(h string) []byte {
		for i, x := range hosts {
			if x == h {
				return []byte{0x10, byte(i)}
			}
		}
		panic(h)
	}
	constant := func(v int64) []byte { // i64.const
		b := []byte{0x42}
		for {
			c := byte(v & 0x7f)
			v >>= 7
			if v == 0 && c&0x40 == 0 {
				return append(b, c)
			}
			b = append(b, c|0x80)
		}
	}
	bodies := map[string][]byte{
		"Core_version": constant(int64(len(version.Buf))<<32 | dataAt),
		"echo":         span,
		"trap":         {0x00},
		"lacks":        append(call("ext_unheard_of_version_9"), span...),
		"begin":        append(append(append(append(call("ext_storage_start_transaction_version_1"), span...), span...), call("ext_storage_set_version_1")...), 0x00),
	}
	order := []string{"Core_version", "echo", "trap", "lacks", "begin"}
	for _, h := range hosts[:12] {
		var body []byte
		in, out, _ := strings.Cut(known[h].sig, ":")
		for range in {
			body = append(body, span...)
		}
		body = append(body, call(h)...)
		switch out {
		case "":
			body = append(body, 0x42, 0)
		case "i": // a thin pointer to 32 bytes, or a small number
			body = append(body, 0xad)
			if strings.Contains(h, "hashing") {
				body = append(body, append(constant(int64(8)<<32), 0x84)...)
			}
		}
		bodies[h] = body
		order = append(order, h)
	}
	section(1, len(typeOf), types...)
	section(sectionImport, len(hosts)+1, imports...)
	section(3, len(order), bytes.Repeat([]byte{entry}, len(order))...)
	global := append([]byte{i32, 0, 0x41}, constant(heapBase)[1:]...)
	section(6, 1, append(global, 0x0b)...)
	exports := append(name("__heap_base"), 3, 0)
	code := []byte{}
	for i, n := range order {
		exports = append(exports, append(name(n), 0, byte(len(hosts)+i))...)
		body := append(append([]byte{0}, bodies[n]...), 0x0b)
		code = append(code, append(appendU32(nil, uint32(len(body))), body...)...)
	}
	section(7, len(order)+1, exports...)
	section(10, len(order), code...)
	data := append([]byte{0, 0x41}, constant(dataAt)[1:]...)
	data = append(append(data, 0x0b), appendU32(nil, uint32(len(version.Buf)))...)
	section(11, 1, append(data, version.Buf...)...)
	section(0, 3, 'a', 'b', 'c') // a custom section named "abc"
	return append(wasmMagic(), sec...)
}

func toyEngine(t *testing.T, code []byte) *Engine {
	t.Helper()
	spec, err := ParseSpec(code)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(t.Context(), Config{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func toyState(code []byte) *devchain.Overlay {
	st := devchain.NewState()
	st.Set([]byte(codeKey), code)
	return st
}

func TestToyRuntime(t *testing.T) {
	code := toyRuntime()
	e := toyEngine(t, code)
	if v := e.Version(); v.SpecName != "toy" || v.SpecVersion != 7 || v.StateVersion != 1 {
		t.Errorf("%+v", v)
	}
	if m := e.Missing(); len(m) != 1 || m[0] != "ext_unheard_of_version_9" {
		t.Errorf("missing: %v", m)
	}
	st := toyState(code)
	for i := range 20 { // also through instances that have been used
		arg := bytes.Repeat([]byte{byte(i)}, i*1000)
		out, err := e.Call(st, "echo", arg)
		if err != nil || !bytes.Equal(out, arg) {
			t.Fatalf("echo of %d bytes: %d bytes, %v", len(arg), len(out), err)
		}
		if _, err := e.Call(st, "trap", arg); !errors.Is(err, errTrap) {
			t.Fatal(err)
		}
	}
	if _, err := e.Call(st, "nothing", nil); !errors.Is(err, devchain.ErrUnknownMethod) {
		t.Error(err)
	}
	if _, err := e.Call(st, "lacks", nil); err == nil || !strings.Contains(err.Error(), "ext_unheard_of_version_9, which this engine lacks") {
		t.Error(err)
	}
	if _, err := e.Call(st, "begin", []byte("k")); !errors.Is(err, errTrap) || st.Depth() != 0 || st.Get([]byte("k")) != nil {
		t.Errorf("depth %d: %v", st.Depth(), err)
	}
	if _, err := e.Call(st, "echo", make([]byte, maxBlock+1)); err == nil {
		t.Error("an argument of more than 32 MiB")
	}
	if _, err := e.Metadata(14); !errors.Is(err, devchain.ErrNoMetadata) {
		t.Error(err)
	}
	if err := e.Genesis(devchain.NewState(), devchain.Genesis{}); !errors.Is(err, ErrSpec) {
		t.Errorf("a runtime without a genesis: %v", err)
	}
}

func TestHostStorage(t *testing.T) {
	code := toyRuntime()
	e := toyEngine(t, code)
	st := toyState(code)
	do := func(f, arg, want string) {
		t.Helper()
		out, err := e.Call(st, "ext_"+f, []byte(arg))
		if err != nil || fmt.Sprintf("%x", out) != want {
			t.Errorf("%s(%q) = %x, %v; want %s", f, arg, out, err, want)
		}
	}
	do("storage_get_version_1", "k", "00")
	do("storage_set_version_1", "k", "")
	do("storage_get_version_1", "k", "01046b")
	do("storage_exists_version_1", "k", "")
	do("storage_next_key_version_1", ":d", "01046b")
	st.Set([]byte("kk"), nil)
	do("storage_next_key_version_1", "k", "01086b6b")
	do("storage_next_key_version_1", "kk", "00")
	do("storage_append_version_1", "list", "")
	do("storage_append_version_1", "list", "")
	do("storage_get_version_1", "list", "0124"+"08"+"6c6973746c697374")
	do("storage_clear_version_1", "list", "")
	do("storage_get_version_1", "list", "00")
	do("storage_clear_prefix_version_2", "k", "0002000000")
	do("hashing_twox_64_version_1", "System", "26aa394eea5630e0")
	do("storage_root_version_1", "", strings.Repeat("00", 32))
}

func TestAppendItem(t *testing.T) {
	list := []byte(nil)
	for i := range 70 {
		list = appendItem(list, []byte{byte(i)})
	}
	if n, size := compact(list); n != 70 || size != 2 || len(list) != 72 {
		t.Fatalf("%x", list)
	}
	if got := appendItem([]byte{0xff}, []byte{1}); !bytes.Equal(got, []byte{4, 1}) {
		t.Fatalf("what is no list: %x", got)
	}
}

func TestAllocator(t *testing.T) {
	e := toyEngine(t, toyRuntime())
	in, err := e.take(e.current.Load())
	if err != nil {
		t.Fatal(err)
	}
	a := newAllocator(in.mod.Memory(), 4097)
	type block struct{ p, n uint32 }
	var used []block
	for i, n := range []uint32{0, 1, 8, 9, 100, 4096, 70_000, 1 << 20} {
		p := a.malloc(n)
		if p%8 != 0 || p < 4097 || uint64(p)+uint64(n) > uint64(in.mod.Memory().Size()) {
			t.Fatalf("block %d of %d bytes at %d", i, n, p)
		}
		for _, u := range used {
			if p < u.p+max(u.n, 1) && u.p < p+max(n, 1) {
				t.Fatalf("blocks overlap: %v and %d", u, p)
			}
		}
		used = append(used, block{p, n})
	}
	a.release(used[4].p)
	if p := a.malloc(128); p != used[4].p {
		t.Errorf("a free block is not used again")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("released twice")
			}
		}()
		a.release(used[0].p)
		a.release(used[0].p)
	}()
	if err := in.mod.Close(e.ctx); err != nil {
		t.Error(err)
	}
}

func TestParseSpec(t *testing.T) {
	code := toyRuntime()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	packed := append(zstdMagic(), w.EncodeAll(code, nil)...)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	doc := func(code []byte) []byte {
		return fmt.Appendf(nil, `{"name":"Toy","properties":{"x":1},"genesis":{"raw":{"top":{"0x3a636f6465":"0x%x","0x01":"0x"},"childrenDefault":{}}}}`, code)
	}
	for name, b := range map[string][]byte{"wasm": code, "zstd": packed, "json": doc(code), "json of zstd": doc(packed)} {
		s, err := ParseSpec(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := unpack(s.Top[codeKey])
		if err != nil || !bytes.Equal(got, code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string]string{
		"empty": ``, "no raw": `{"genesis":{"runtimeGenesis":{}}}`, "no code": `{"genesis":{"raw":{"top":{}}}}`,
		"bad key": `{"genesis":{"raw":{"top":{"zz":"0x"}}}}`, "bad value": `{"genesis":{"raw":{"top":{"0x00":"0x1"}}}}`,
	} {
		if _, err := ParseSpec([]byte(b)); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, code := range map[string][]byte{
		"no wasm": []byte("hello"), "half": code[:len(code)/2], "broken zstd": append(zstdMagic(), 1, 2, 3),
		"no heap base": bytes.Replace(code, []byte("__heap_base"), []byte("__heap_bose"), 1),
		"two memories": append(append([]byte{}, code...), 5, 3, 1, 0, 1),
	} {
		e, err := New(t.Context(), Config{Spec: Spec{Top: map[string][]byte{codeKey: code}}})
		if err == nil {
			t.Errorf("%s: accepted %v", name, e.Close())
		}
	}
	if _, err := LoadSpec(t.TempDir() + "/none"); err == nil {
		t.Error("a file that is not there")
	}
}

func FuzzOwnMemory(f *testing.F) {
	f.Add(toyRuntime())
	f.Add(wasmMagic())
	f.Fuzz(func(t *testing.T, code []byte) {
		out, _, err := ownMemory(code, sparePages, defaultPages)
		if err != nil {
			return
		}
		if _, err := importSignatures(out); err != nil {
			return
		}
		again, _, err := ownMemory(out, sparePages, defaultPages)
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("rewriting twice: %v", err)
		}
	})
}

func FuzzParseSpec(f *testing.F) {
	f.Add([]byte(`{"genesis":{"raw":{"top":{"0x3a636f6465":"0x00"}}}}`))
	f.Add(zstdMagic())
	f.Fuzz(func(_ *testing.T, b []byte) {
		s, err := ParseSpec(b)
		if err == nil {
			_, _ = unpack(s.Top[codeKey])
		}
	})
}
