package wasm

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Limits of what is read.
const (
	maxSpecFile = 512 << 20 // bytes of a specification; Polkadot's is about 10 MB
	maxCode     = 64 << 20  // bytes of a runtime; a node allows 50 MiB
)

// ErrSpec is in the chain of every error about a specification.
var ErrSpec = errors.New("unusable chain specification")

const codeKey = ":code"

// zstdMagic begins a compressed runtime.
func zstdMagic() []byte { return []byte{0x52, 0xbc, 0x53, 0x76, 0x46, 0xdb, 0x8e, 0x05} }

func wasmMagic() []byte { return []byte{0, 'a', 's', 'm', 1, 0, 0, 0} }

// Spec is a chain specification: the storage of block 0, with the runtime in it,
// and what a node says about itself.
type Spec struct {
	Name       string
	Properties map[string]any
	Top        map[string][]byte // storage by raw key
	bare       bool              // a runtime without a genesis
}

// LoadSpec reads a raw chain specification (JSON) or a runtime (.wasm, compressed
// or not) from a file.
func LoadSpec(path string) (Spec, error) {
	f, err := os.Open(path)
	if err != nil {
		return Spec{}, fmt.Errorf("chain specification: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSpecFile+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return Spec{}, fmt.Errorf("chain specification: %w", err)
	}
	s, err := ParseSpec(b)
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// ParseSpec reads what LoadSpec finds in the file.
func ParseSpec(b []byte) (Spec, error) {
	if len(b) > maxSpecFile {
		return Spec{}, fmt.Errorf("%w: more than %d bytes", ErrSpec, maxSpecFile)
	}
	if bytes.HasPrefix(b, wasmMagic()) || bytes.HasPrefix(b, zstdMagic()) {
		return Spec{Name: "Development", Top: map[string][]byte{codeKey: b}, bare: true}, nil
	}
	var doc struct {
		Name       string         `json:"name"`
		Properties map[string]any `json:"properties"`
		Genesis    struct {
			Raw struct {
				Top map[string]string `json:"top"`
			} `json:"raw"`
			Runtime        json.RawMessage `json:"runtime"`
			RuntimeGenesis json.RawMessage `json:"runtimeGenesis"`
		} `json:"genesis"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return Spec{}, fmt.Errorf("%w: neither a runtime nor JSON: %w", ErrSpec, err)
	}
	g := doc.Genesis
	if g.Raw.Top == nil && (g.Runtime != nil || g.RuntimeGenesis != nil) {
		return Spec{}, fmt.Errorf("%w: it is not raw; the node's build-spec --raw makes it so", ErrSpec)
	}
	s := Spec{Name: doc.Name, Properties: doc.Properties, Top: make(map[string][]byte, len(g.Raw.Top))}
	for key, value := range g.Raw.Top {
		k, err := unhex(key)
		if err != nil {
			return s, fmt.Errorf("%w: key %.80q: %w", ErrSpec, key, err)
		}
		v, err := unhex(value)
		if err != nil {
			return s, fmt.Errorf("%w: value of %.80q: %w", ErrSpec, key, err)
		}
		s.Top[string(k)] = v
	}
	if s.Top[codeKey] == nil {
		return s, fmt.Errorf("%w: no runtime under the key 0x%x", ErrSpec, codeKey)
	}
	return s, nil
}

func unhex(s string) ([]byte, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return nil, errors.New("want 0x and hex digits")
	}
	return hex.DecodeString(digits)
}

// unpack returns the wasm of a runtime.
func unpack(code []byte) ([]byte, error) {
	if packed, ok := bytes.CutPrefix(code, zstdMagic()); ok {
		d, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxCode))
		if err != nil {
			return nil, fmt.Errorf("%w: compressed runtime: %w", ErrSpec, err)
		}
		defer d.Close()
		code, err = io.ReadAll(io.LimitReader(d, maxCode+1))
		if err != nil {
			return nil, fmt.Errorf("%w: compressed runtime: %w", ErrSpec, err)
		}
	}
	if len(code) > maxCode {
		return nil, fmt.Errorf("%w: runtime of more than %d bytes", ErrSpec, maxCode)
	}
	if !bytes.HasPrefix(code, wasmMagic()) {
		return nil, fmt.Errorf("%w: the runtime is no wasm", ErrSpec)
	}
	return code, nil
}
