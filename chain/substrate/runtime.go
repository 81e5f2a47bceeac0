package substrate

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// RuntimeVersion is what a runtime says about itself. It does not tell the generations of the chain apart.
type RuntimeVersion struct {
	SpecName           string `json:"specName"`
	ImplName           string `json:"implName"`
	SpecVersion        uint32 `json:"specVersion"`
	ImplVersion        uint32 `json:"implVersion"`
	TransactionVersion uint32 `json:"transactionVersion"`
}

// runtime is everything that depends on the metadata of the chain at hand. It is immutable; an upgrade makes a new one.
type runtime struct {
	genesis     chain.Hash
	version     RuntimeVersion
	raw         []byte // the metadata as the node sent it
	fingerprint string // short hash of raw, for logs
	reg         *metadata.Registry
	generation  Generation
	codecs      codecs
	extensions  []extension
	extErr      error // an extension that we do not know: reading works, signing does not
	params      chain.Params
}

// loadRuntime asks a node for its runtime. If the metadata is the one of have, that is returned.
func loadRuntime(ctx context.Context, cn *conn, genesis chain.Hash, have *runtime) (*runtime, error) {
	var version RuntimeVersion
	b, err := cn.call(ctx, "state_getRuntimeVersion")
	if err == nil {
		err = decodeJSON(b, &version)
	}
	if err != nil {
		return nil, fmt.Errorf("runtime version: %w", err)
	}
	raw, err := fetchMetadata(ctx, cn)
	if err != nil {
		return nil, err
	}
	if have != nil && have.version == version && have.genesis == genesis && bytes.Equal(have.raw, raw) {
		return have, nil
	}
	return newRuntime(genesis, version, raw)
}

// fetchMetadata asks for version 15, which has the runtime APIs, and for version 14 where there is none.
func fetchMetadata(ctx context.Context, cn *conn) ([]byte, error) {
	var arg scale.Encoder
	arg.U32(15)
	b, err := cn.call(ctx, "state_call", "Metadata_metadata_at_version", hexBytes(arg.Buf))
	if err == nil {
		var out hexBytes
		if err = decodeJSON(b, &out); err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
		d := scale.NewDecoder(out)
		if d.Option() {
			raw := d.BytesView()
			if err := d.Finish(); err != nil {
				return nil, fmt.Errorf("metadata: %w", err)
			}
			return raw, nil
		}
	} else if isConnError(err) {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	b, err = cn.call(ctx, "state_getMetadata")
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	var raw hexBytes
	if err := decodeJSON(b, &raw); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	return raw, nil
}

// newRuntime decodes metadata and binds all that this package uses to it.
func newRuntime(genesis chain.Hash, version RuntimeVersion, raw []byte) (*runtime, error) {
	m, err := metadata.Decode(raw)
	if err != nil {
		return nil, err
	}
	plain, err := metadata.NewRegistry(m)
	if err != nil {
		return nil, err
	}
	rt := &runtime{genesis: genesis, version: version, raw: raw, generation: fingerprint(plain)}
	sum := blake2b.Sum256(raw)
	rt.fingerprint = hex.EncodeToString(sum[:4])
	rt.reg, rt.codecs = bindCodecs(plain, rt.generation)
	rt.extensions, rt.extErr = planExtensions(rt.reg)
	rt.params = chain.Params{Genesis: genesis, Generation: string(rt.generation), BlockTime: 6 * time.Second}
	if length, err := rt.constantU32("Network", "EpochLength"); err == nil {
		rt.params.EpochLength = length
	} else if !errors.Is(err, metadata.ErrUnknown) {
		return nil, err
	}
	if c, err := rt.reg.Constant("Timestamp", "MinimumPeriod"); err == nil { // half of the time between blocks, in ms
		if ms, ok := rt.reg.DecodeValue(scale.NewDecoder(c.Value), c.Type).(uint64); ok && ms > 0 && ms < 1<<32 {
			rt.params.BlockTime = 2 * time.Duration(ms) * time.Millisecond
		}
	}
	return rt, nil
}

func (rt *runtime) constantU32(pallet, name string) (uint32, error) {
	c, err := rt.reg.Constant(pallet, name)
	if err != nil {
		return 0, err
	}
	codec, err := metadata.Bind[uint32](rt.reg, c.Type)
	if err != nil {
		return 0, err
	}
	return codec.Decode(c.Value)
}

// Params are the constants of the chain.
func (c *Client) Params(context.Context) (chain.Params, error) { return c.rt.Load().params, nil }

// Registry is the metadata of the chain as of now. An upgrade replaces it; do not keep it for long.
func (c *Client) Registry() *metadata.Registry { return c.rt.Load().reg }

// Version is the runtime's version as of now.
func (c *Client) Version() RuntimeVersion { return c.rt.Load().version }

// Generation is the chain's generation, by fingerprint.
func (c *Client) Generation() Generation { return c.rt.Load().generation }

// ReloadRuntime asks for the runtime again, as happens by itself after an upgrade and after a reconnect.
func (c *Client) ReloadRuntime(ctx context.Context) error {
	return c.do(ctx, "runtime", func(ctx context.Context, cn *conn) error {
		rt, err := loadRuntime(ctx, cn, c.Genesis(), c.rt.Load())
		if err == nil {
			c.setRuntime(rt)
		}
		return err
	})
}

// Constant reads a constant of a pallet as a dynamic value.
func (c *Client) Constant(pallet, name string) (any, error) {
	rt := c.rt.Load()
	k, err := rt.reg.Constant(pallet, name)
	if err != nil {
		return nil, absent(err)
	}
	d := scale.NewDecoder(k.Value)
	v := rt.reg.DecodeValue(d, k.Type)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("substrate: constant %s.%s: %w", pallet, name, err)
	}
	return v, nil
}

// hexBytes are bytes that JSON-RPC carries as 0x-hex.
type hexBytes []byte

// MarshalJSON writes 0x-hex.
func (h hexBytes) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 2*len(h)+4)
	b = append(b, `"0x`...)
	return append(hex.AppendEncode(b, h), '"'), nil
}

// UnmarshalJSON reads 0x-hex.
func (h *hexBytes) UnmarshalJSON(b []byte) error {
	if len(b) < 4 || b[0] != '"' || b[1] != '0' || b[2] != 'x' || b[len(b)-1] != '"' {
		return errors.New("not 0x-hex")
	}
	out := make([]byte, hex.DecodedLen(len(b)-4))
	if _, err := hex.Decode(out, b[3:len(b)-1]); err != nil {
		return err
	}
	*h = out
	return nil
}

// bytesAnswer reads a byte string that a node sends as 0x-hex or, for opaque results, as an array of numbers.
func bytesAnswer(b json.RawMessage) ([]byte, error) {
	if len(b) > 0 && b[0] == '[' {
		var list []uint16
		if err := decodeJSON(b, &list); err != nil {
			return nil, err
		}
		out := make([]byte, len(list))
		for i, x := range list {
			if x > 255 {
				return nil, fmt.Errorf("%w: %d is no byte", ErrProtocol, x)
			}
			out[i] = byte(x)
		}
		return out, nil
	}
	var h hexBytes
	err := decodeJSON(b, &h)
	return h, err
}
