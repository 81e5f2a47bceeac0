package wasm

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"math"

	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/tetratelabs/wazero/api"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/sha3"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// frame is one call of the runtime as its host functions see it.
type frame struct {
	engine *Engine
	st     devchain.State
	alloc  *allocator
	mem    api.Memory
	signer []byte // of the extrinsic at hand, when it may do without a signature
	depth  int    // transactions that the runtime has open
	fault  string // last error line of the runtime, which tells why it panicked
}

type frameKey struct{}

func frameOf(ctx context.Context) *frame {
	f, ok := ctx.Value(frameKey{}).(*frame)
	if !ok {
		panic("wasm: host function called outside of a frame")
	}
	return f
}

var errBounds = errors.New("runtime passed a pointer outside of its memory")

// bytes returns what a fat pointer points to; valid until the memory grows.
func (f *frame) bytes(span uint64) []byte {
	b, ok := f.mem.Read(uint32(span), uint32(span>>32))
	if !ok {
		panic(errBounds)
	}
	return b
}

func (f *frame) fixed(ptr uint64, n uint32) []byte {
	b, ok := f.mem.Read(uint32(ptr), n)
	if !ok {
		panic(errBounds)
	}
	return b
}

// give puts b into the runtime's heap and returns a thin pointer.
func (f *frame) give(b []byte) uint32 {
	p := f.alloc.malloc(uint32(len(b)))
	if !f.mem.Write(p, b) {
		panic(errBounds)
	}
	return p
}

// span is give with a fat pointer.
func (f *frame) span(b []byte) uint64 { return uint64(f.give(b)) | uint64(len(b))<<32 }

// option encodes an Option<Vec<u8>>.
func option(b []byte) []byte {
	if b == nil {
		return []byte{0}
	}
	return append(appendCompact([]byte{1}, uint64(len(b))), b...)
}

// hostFunc is a host function: its signature as letters (i for i32, l for i64,
// arguments before the colon) and what it does. The result goes to s[0].
type hostFunc struct {
	sig string
	f   func(f *frame, s []uint64)
}

func digest(sum func([]byte) []byte) hostFunc {
	return hostFunc{"l:i", func(f *frame, s []uint64) { s[0] = uint64(f.give(sum(f.bytes(s[0])))) }}
}

func twox(h metadata.Hasher, size int) hostFunc {
	return digest(func(b []byte) []byte { return h.Append(nil, b)[:size] })
}

// hostFuncs is everything that a runtime may import from the module env.
func hostFuncs() map[string]hostFunc {
	funcs := map[string]hostFunc{
		"ext_allocator_malloc_version_1": {"i:i", func(f *frame, s []uint64) { s[0] = uint64(f.alloc.malloc(uint32(s[0]))) }},
		"ext_allocator_free_version_1":   {"i:", func(f *frame, s []uint64) { f.alloc.release(uint32(s[0])) }},

		"ext_hashing_blake2_128_version_1": digest(func(b []byte) []byte { return metadata.Blake2_128.Append(nil, b) }),
		"ext_hashing_blake2_256_version_1": digest(func(b []byte) []byte { h := blake2b.Sum256(b); return h[:] }),
		"ext_hashing_sha2_256_version_1":   digest(func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }),
		"ext_hashing_keccak_512_version_1": digest(func(b []byte) []byte { return keccak(512, b) }),
		"ext_hashing_twox_64_version_1":    twox(metadata.Twox64Concat, 8),
		"ext_hashing_twox_128_version_1":   twox(metadata.Twox128, 16),
		"ext_hashing_twox_256_version_1":   twox(metadata.Twox256, 32),
		"ext_hashing_keccak_256_version_1": {"l:i", func(f *frame, s []uint64) {
			b := f.bytes(s[0])
			if h := f.impersonatedHash(b); h != nil {
				s[0] = uint64(f.give(h))
				return
			}
			s[0] = uint64(f.give(keccak(256, b)))
		}},

		"ext_crypto_secp256k1_ecdsa_recover_version_1":            {"ii:l", recoverKey(false)},
		"ext_crypto_secp256k1_ecdsa_recover_version_2":            {"ii:l", recoverKey(false)},
		"ext_crypto_secp256k1_ecdsa_recover_compressed_version_1": {"ii:l", recoverKey(true)},
		"ext_crypto_secp256k1_ecdsa_recover_compressed_version_2": {"ii:l", recoverKey(true)},
		"ext_crypto_ed25519_verify_version_1": {"ili:i", func(f *frame, s []uint64) {
			sig, msg, pub := f.fixed(s[0], 64), f.bytes(s[1]), f.fixed(s[2], 32)
			s[0] = flag(ed25519.Verify(pub, msg, sig))
		}},
		"ext_crypto_start_batch_verify_version_1":  {":", func(*frame, []uint64) {}},
		"ext_crypto_finish_batch_verify_version_1": {":i", func(_ *frame, s []uint64) { s[0] = 1 }},

		"ext_logging_log_version_1":       {"ill:", logLine},
		"ext_logging_max_level_version_1": {":i", func(f *frame, s []uint64) { s[0] = f.engine.maxLevel() }},
		"ext_misc_print_num_version_1":    {"l:", func(f *frame, s []uint64) { f.engine.log.Debug("runtime", "print", s[0]) }},
		"ext_misc_print_utf8_version_1":   {"l:", func(f *frame, s []uint64) { f.engine.log.Debug("runtime", "print", string(f.bytes(s[0]))) }},
		"ext_misc_print_hex_version_1": {"l:", func(f *frame, s []uint64) {
			f.engine.log.Debug("runtime", "print", hex.EncodeToString(f.bytes(s[0])))
		}},
		"ext_misc_runtime_version_version_1":         {"l:l", func(f *frame, s []uint64) { s[0] = f.span(option(f.engine.versionOf(f.bytes(s[0])))) }},
		"ext_panic_handler_abort_on_panic_version_1": {"l:", func(f *frame, s []uint64) { panic(errors.New(string(f.bytes(s[0])))) }},

		"ext_trie_blake2_256_ordered_root_version_1": {"l:i", fakeRoot},
		"ext_trie_blake2_256_ordered_root_version_2": {"li:i", fakeRoot},
		"ext_trie_blake2_256_root_version_1":         {"l:i", fakeRoot},
		"ext_trie_blake2_256_root_version_2":         {"li:i", fakeRoot},

		// there is no proof to measure
		"ext_storage_proof_size_storage_proof_size_version_1": {":l", func(_ *frame, s []uint64) { s[0] = math.MaxUint64 }},
		// there is no offchain worker to index for
		"ext_offchain_index_set_version_1":   {"ll:", func(*frame, []uint64) {}},
		"ext_offchain_index_clear_version_1": {"l:", func(*frame, []uint64) {}},
	}
	for name, f := range storageFuncs() {
		funcs[name] = f
	}
	return funcs
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func keccak(bits int, b []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	if bits == 512 {
		h = sha3.NewLegacyKeccak512()
	}
	h.Write(b)
	return h.Sum(nil)
}

func fakeRoot(f *frame, s []uint64) {
	h := blake2b.Sum256(f.bytes(s[0]))
	s[0] = uint64(f.give(h[:]))
}

func logLine(f *frame, s []uint64) {
	level, target, text := uint32(s[0]), string(f.bytes(s[1])), string(f.bytes(s[2]))
	if level == 1 {
		f.fault = text
	}
	if level <= 2 {
		f.engine.log.Debug("runtime", "level", level, "target", target, "text", text)
	}
}

func (e *Engine) maxLevel() uint64 {
	if e.log.Enabled(context.Background(), slog.LevelDebug) {
		return 2 // warnings
	}
	return 1 // errors: they tell why a runtime panicked
}

// impersonatedKey is the public key that stands for an account without a
// signature: no real key has this form.
func impersonatedKey(account []byte) []byte {
	key := make([]byte, 64)
	copy(key, "mesh impersonates an account, this is no public key")
	key[63] = byte(len(account))
	copy(key[63-len(account):63], account)
	return key
}

// impersonatedHash is the hash of such a key, whose last bytes are the account.
func (f *frame) impersonatedHash(key []byte) []byte {
	if len(f.signer) == 0 || string(key) != string(impersonatedKey(f.signer)) {
		return nil
	}
	h := make([]byte, 32)
	copy(h[32-len(f.signer):], f.signer)
	return h
}

// recoverKey finds the public key of a signature: Ok(key) or Err(kind).
func recoverKey(compressed bool) func(f *frame, s []uint64) {
	return func(f *frame, s []uint64) {
		sig, hash := f.fixed(s[0], 65), f.fixed(s[1], 32)
		if len(f.signer) > 0 && !compressed && string(sig) == string(devchain.ImpersonatedSignature()) {
			s[0] = f.span(append([]byte{0}, impersonatedKey(f.signer)...))
			return
		}
		const badV, badSignature = 1, 2
		v := sig[64]
		if v > 26 {
			v -= 27
		}
		if v > 3 {
			s[0] = f.span([]byte{1, badV})
			return
		}
		compact := append([]byte{27 + v}, sig[:64]...)
		key, _, err := ecdsa.RecoverCompact(compact, hash)
		switch {
		case err != nil:
			s[0] = f.span([]byte{1, badSignature})
		case compressed:
			s[0] = f.span(append([]byte{0}, key.SerializeCompressed()...))
		default:
			s[0] = f.span(append([]byte{0}, key.SerializeUncompressed()[1:]...))
		}
	}
}

// storageFuncs is the part of hostFuncs about storage.
func storageFuncs() map[string]hostFunc {
	return map[string]hostFunc{
		"ext_storage_get_version_1": {"l:l", func(f *frame, s []uint64) { s[0] = f.span(option(f.st.Get(f.bytes(s[0])))) }},
		"ext_storage_set_version_1": {"ll:", func(f *frame, s []uint64) { f.st.Set(f.bytes(s[0]), f.bytes(s[1])) }},
		"ext_storage_read_version_1": {"lli:l", func(f *frame, s []uint64) {
			v := f.st.Get(f.bytes(s[0]))
			if v == nil {
				s[0] = f.span([]byte{0})
				return
			}
			v = v[min(uint64(uint32(s[2])), uint64(len(v))):]
			copy(f.bytes(s[1]), v)
			s[0] = f.span(binary.LittleEndian.AppendUint32([]byte{1}, uint32(len(v))))
		}},
		"ext_storage_exists_version_1":   {"l:i", func(f *frame, s []uint64) { s[0] = flag(f.st.Get(f.bytes(s[0])) != nil) }},
		"ext_storage_clear_version_1":    {"l:", func(f *frame, s []uint64) { f.st.Delete(f.bytes(s[0])) }},
		"ext_storage_next_key_version_1": {"l:l", func(f *frame, s []uint64) { s[0] = f.span(option(f.st.Next(f.bytes(s[0])))) }},
		"ext_storage_append_version_1": {"ll:", func(f *frame, s []uint64) {
			key := f.bytes(s[0])
			f.st.Set(key, appendItem(f.st.Get(key), f.bytes(s[1])))
		}},
		"ext_storage_clear_prefix_version_1": {"l:", func(f *frame, s []uint64) { f.st.DeletePrefix(f.bytes(s[0])) }},
		"ext_storage_clear_prefix_version_2": {"ll:l", func(f *frame, s []uint64) { s[0] = f.span(clearPrefix(f.st, f.bytes(s[0]), f.bytes(s[1]))) }},
		// zero: the chain fills in its own root
		"ext_storage_root_version_1":         {":l", func(f *frame, s []uint64) { s[0] = f.span(make([]byte, 32)) }},
		"ext_storage_root_version_2":         {"i:l", func(f *frame, s []uint64) { s[0] = f.span(make([]byte, 32)) }},
		"ext_storage_changes_root_version_1": {"l:l", func(f *frame, s []uint64) { s[0] = f.span([]byte{0}) }},
		"ext_storage_start_transaction_version_1": {":", func(f *frame, _ []uint64) {
			f.depth++
			f.st.Begin()
		}},
		"ext_storage_commit_transaction_version_1":   {":", func(f *frame, _ []uint64) { f.endLayer(f.st.Commit) }},
		"ext_storage_rollback_transaction_version_1": {":", func(f *frame, _ []uint64) { f.endLayer(f.st.Rollback) }},
	}
}

func (f *frame) endLayer(end func()) {
	if f.depth == 0 {
		panic(errors.New("runtime ends a storage transaction that it has not started"))
	}
	f.depth--
	end()
}

// appendItem appends an encoded item to an encoded vector. What is no vector is
// replaced, as a node does it.
func appendItem(list, item []byte) []byte {
	n, size := compact(list)
	if size == 0 {
		n, size = 0, len(list)
	}
	out := make([]byte, 0, len(list)+len(item)+4)
	out = appendCompact(out, n+1)
	out = append(out, list[size:]...)
	return append(out, item...)
}

// clearPrefix removes keys up to an Option<u32> limit and says how many, and
// whether that were all.
func clearPrefix(st devchain.State, prefix, limit []byte) []byte {
	most := int64(-1)
	if len(limit) == 5 && limit[0] == 1 {
		most = int64(binary.LittleEndian.Uint32(limit[1:]))
	}
	removed, more := uint32(0), false
	key := prefix
	if st.Get(prefix) == nil {
		key = st.Next(prefix)
	}
	for ; key != nil && bytes.HasPrefix(key, prefix); key = st.Next(key) {
		if more = most >= 0 && int64(removed) >= most; more {
			break
		}
		st.Delete(key)
		removed++
	}
	return binary.LittleEndian.AppendUint32([]byte{byte(flag(more))}, removed)
}

// compact reads a SCALE compact integer; size 0 when there is none.
func compact(b []byte) (v uint64, size int) {
	d := scale.NewDecoder(b)
	if v = d.Compact(); d.Err() != nil {
		return 0, 0
	}
	return v, d.Pos()
}

func appendCompact(b []byte, v uint64) []byte {
	e := scale.Encoder{Buf: b}
	e.Compact(v)
	return e.Buf
}
