package metadata

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// realMetadata reads the metadata of a real runtime from the file that an environment variable names, or skips the test.
func realMetadata(t testing.TB, variable string) []byte {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("%s names no metadata file; the test runs with one", variable)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRealMetadataRoundTrip decodes the metadata of real runtimes and writes it back byte for byte.
func TestRealMetadataRoundTrip(t *testing.T) {
	for _, variable := range []string{"MESH_G1_METADATA", "MESH_G2_METADATA", "MESH_G2_METADATA_V15"} {
		t.Run(variable, func(t *testing.T) {
			b := realMetadata(t, variable)
			m, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			again, err := m.EncodeV14()
			if m.Version == 15 {
				again, err = m.EncodeV15()
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b, again) {
				t.Error("the encoding differs from the runtime's own")
			}
			if _, err := NewRegistry(m); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRealStorage decodes every storage pair of a scripted run of the real runtime, with the entry's own type, and encodes
// it back: key and value must come out as they were.
func TestRealStorage(t *testing.T) {
	m, err := Decode(realMetadata(t, "MESH_G2_METADATA"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRegistry(m)
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Pairs []struct{ K, V string } `json:"network_storage_at_end"`
	}
	if err := json.Unmarshal(realMetadata(t, "MESH_G2_GOLDEN"), &golden); err != nil {
		t.Fatal(err)
	}
	p, err := r.Pallet("Network")
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for _, pair := range golden.Pairs {
		key, value := unhex(t, pair.K), unhex(t, pair.V)
		for i := range p.Storage.Entries {
			e := &p.Storage.Entries[i]
			if !bytes.HasPrefix(key, r.StoragePrefix(e)) {
				continue
			}
			done++
			v := r.DecodeValue(scale.NewDecoder(value), e.Value)
			var out scale.Encoder
			if err := r.EncodeValue(&out, e.Value, v); err != nil || !bytes.Equal(out.Buf, value) {
				t.Errorf("%s: %x -> %v -> %x, %v", e.Name, value, v, out.Buf, err)
			}
			text, err := AppendJSON(nil, v)
			if err != nil || !json.Valid(text) {
				t.Errorf("%s: JSON %s, %v", e.Name, text, err)
			}
			back, err := ParseJSON(text)
			if err != nil {
				t.Fatal(err)
			}
			out.Buf = nil
			if err := r.EncodeValue(&out, e.Value, back); err != nil || !bytes.Equal(out.Buf, value) {
				t.Errorf("%s: %x -> %s -> %x, %v", e.Name, value, text, out.Buf, err)
			}
			checkKey(t, r, e, key)
		}
	}
	if done != len(golden.Pairs)-1 { // one is the pallet's storage version, which no metadata names
		t.Errorf("%d of %d pairs belong to a known entry", done, len(golden.Pairs))
	}
}

func checkKey(t *testing.T, r *Registry, e *StorageEntry, key []byte) {
	t.Helper()
	parts, err := r.SplitKey(e, key)
	if err != nil {
		t.Errorf("%s: %v", e.Name, err)
		return
	}
	args := make([]any, len(parts))
	for i := range parts {
		args[i] = Raw(parts[i])
	}
	if again, err := r.StorageKey(e, args...); err != nil || !bytes.Equal(again, key) {
		t.Errorf("%s: key %x -> %x, %v", e.Name, key, again, err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
