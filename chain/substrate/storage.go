package substrate

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

const (
	maxKeysPerRead = 512     // storage keys in one question
	keysPage       = 1000    // keys in one page; the most that nodes give
	maxMapKeys     = 1 << 20 // entries of one map; more is no map that a client should read whole
)

// Key names an entry of the chain's storage: a pallet's item with as many key parts as it takes. Parts are Go values of the
// entry's key types.
type Key struct {
	Pallet, Item string
	Parts        []any
}

// At resolves the zero hash to that of the best block, so that several reads see the same block.
func (c *Client) At(ctx context.Context, at chain.Hash) (chain.Hash, error) {
	if !at.IsZero() {
		return at, nil
	}
	b, err := c.Call(ctx, "chain_getBlockHash")
	if err == nil {
		err = decodeJSON(b, &at)
	}
	return at, err
}

// atParam is a block hash as a parameter: null is the best block.
func atParam(at chain.Hash) any {
	if at.IsZero() {
		return nil
	}
	return at
}

// readRaw reads storage keys at one block. Absent ones are nil; the order is that of keys.
func (c *Client) readRaw(ctx context.Context, at chain.Hash, keys [][]byte) ([][]byte, error) {
	out := make([][]byte, 0, len(keys))
	at, err := c.anchor(ctx, at, len(keys))
	if err != nil {
		return nil, err
	}
	for len(keys) > 0 {
		n := min(len(keys), maxKeysPerRead)
		part, err := c.readChunk(ctx, at, keys[:n])
		if err != nil {
			return nil, err
		}
		out = append(out, part...)
		keys = keys[n:]
	}
	return out, nil
}

// anchor resolves the best block when a read takes more than one question.
func (c *Client) anchor(ctx context.Context, at chain.Hash, keys int) (chain.Hash, error) {
	if keys <= maxKeysPerRead {
		return at, nil
	}
	return c.At(ctx, at)
}

// readChunk reads up to maxKeysPerRead keys in one question.
func (c *Client) readChunk(ctx context.Context, at chain.Hash, keys [][]byte) ([][]byte, error) {
	if len(keys) == 1 {
		v, err := c.readOne(ctx, at, keys[0])
		return [][]byte{v}, err
	}
	values, err := c.readMany(ctx, at, keys)
	if isCode(err, codeMethodNotFound) {
		return c.readEach(ctx, at, keys)
	}
	return values, err
}

func (c *Client) readOne(ctx context.Context, at chain.Hash, key []byte) ([]byte, error) {
	b, err := c.Call(ctx, "state_getStorage", hexBytes(key), atParam(at))
	if err != nil {
		return nil, err
	}
	return optionalBytes(b)
}

// optionalBytes reads a value that is null when it is absent. An empty value that is there is not nil.
func optionalBytes(b json.RawMessage) ([]byte, error) {
	var v *hexBytes
	if err := decodeJSON(b, &v); err != nil || v == nil {
		return nil, err
	}
	return append(make([]byte, 0, len(*v)), *v...), nil
}

// readEach asks for keys one by one in a batch, for nodes without state_queryStorageAt.
func (c *Client) readEach(ctx context.Context, at chain.Hash, keys [][]byte) ([][]byte, error) {
	at, err := c.At(ctx, at)
	if err != nil {
		return nil, err
	}
	calls := make([]batchCall, len(keys))
	for i := range keys {
		calls[i] = batchCall{method: "state_getStorage", params: []any{hexBytes(keys[i]), at}}
	}
	if err := c.batch(ctx, "state_getStorage", calls); err != nil {
		return nil, err
	}
	out := make([][]byte, len(keys))
	for i := range calls {
		if err := calls[i].err; err != nil {
			return nil, err
		}
		if out[i], err = optionalBytes(calls[i].result); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// key encodes a Key.
func (rt *runtime) key(k Key) (*metadata.StorageEntry, []byte, error) {
	e, err := rt.reg.Storage(k.Pallet, k.Item)
	if err != nil {
		return nil, nil, absent(err)
	}
	if len(k.Parts) != len(e.Hashers) {
		return nil, nil, fmt.Errorf("substrate: storage %s.%s takes %d key parts, not %d", k.Pallet, k.Item, len(e.Hashers), len(k.Parts))
	}
	b, err := rt.reg.StorageKey(e, k.Parts...)
	return e, b, err
}

// Raw reads storage entries at one block, in one question, as they are encoded. Where an entry is absent, its default is
// returned if it has one, else nil.
func (c *Client) Raw(ctx context.Context, at chain.Hash, keys ...Key) ([][]byte, error) {
	rt := c.rt.Load()
	entries := make([]*metadata.StorageEntry, len(keys))
	raw := make([][]byte, len(keys))
	for i := range keys {
		var err error
		if entries[i], raw[i], err = rt.key(keys[i]); err != nil {
			return nil, err
		}
	}
	values, err := c.readRaw(ctx, at, raw)
	if err != nil {
		return nil, err
	}
	for i := range values {
		if values[i] == nil && entries[i].Modifier == metadata.ModifierDefault {
			values[i] = entries[i].Default
		}
	}
	return values, nil
}

// QueryStorage reads one entry as a dynamic value. An absent entry without a default is [chain.ErrNotFound].
func (c *Client) QueryStorage(ctx context.Context, at chain.Hash, pallet, item string, parts ...any) (any, error) {
	rt := c.rt.Load()
	e, err := rt.reg.Storage(pallet, item)
	if err != nil {
		return nil, absent(err)
	}
	values, err := c.Raw(ctx, at, Key{pallet, item, parts})
	if err != nil {
		return nil, err
	}
	if values[0] == nil {
		return nil, fmt.Errorf("%s.%s: %w", pallet, item, chain.ErrNotFound)
	}
	d := scale.NewDecoder(values[0])
	v := rt.reg.DecodeValue(d, e.Value)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("substrate: %s.%s: %w", pallet, item, err)
	}
	return v, nil
}

// Get reads one entry into a Go value, checked against the entry's type. An absent entry without a default is
// [chain.ErrNotFound].
func Get[T any](ctx context.Context, c *Client, at chain.Hash, pallet, item string, parts ...any) (T, error) {
	var v T
	rt := c.rt.Load()
	e, err := rt.reg.Storage(pallet, item)
	if err != nil {
		return v, absent(err)
	}
	codec, err := metadata.Bind[T](rt.reg, e.Value)
	if err != nil {
		return v, fmt.Errorf("substrate: %s.%s: %w", pallet, item, err)
	}
	values, err := c.Raw(ctx, at, Key{pallet, item, parts})
	if err != nil {
		return v, err
	}
	if values[0] == nil {
		return v, fmt.Errorf("%s.%s: %w", pallet, item, chain.ErrNotFound)
	}
	if v, err = codec.Decode(values[0]); err != nil {
		return v, fmt.Errorf("substrate: %s.%s: %w", pallet, item, err)
	}
	return v, nil
}

// Entry is one entry of a storage map: its encoded key parts (nil where the hasher does not keep them) and its value.
type Entry struct {
	Parts [][]byte
	Value []byte
}

// Map reads all entries of a storage map that begin with the given key parts, in the order of their keys.
func (c *Client) Map(ctx context.Context, at chain.Hash, pallet, item string, parts ...any) ([]Entry, error) {
	rt := c.rt.Load()
	e, err := rt.reg.Storage(pallet, item)
	if err != nil {
		return nil, absent(err)
	}
	prefix, err := rt.reg.StorageKey(e, parts...)
	if err != nil {
		return nil, err
	}
	if at, err = c.At(ctx, at); err != nil {
		return nil, err
	}
	keys, err := c.keys(ctx, at, prefix)
	if err != nil {
		return nil, err
	}
	values, err := c.readRaw(ctx, at, keys)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(keys))
	for i := range keys {
		split, err := rt.reg.SplitKey(e, keys[i])
		if err != nil {
			return nil, err
		}
		out[i] = Entry{split, values[i]}
	}
	return out, nil
}

// keys lists the storage keys under a prefix, page by page.
func (c *Client) keys(ctx context.Context, at chain.Hash, prefix []byte) ([][]byte, error) {
	var out [][]byte
	var after any
	for {
		b, err := c.Call(ctx, "state_getKeysPaged", hexBytes(prefix), keysPage, after, at)
		if err != nil {
			return nil, err
		}
		var page []hexBytes
		if err := decodeJSON(b, &page); err != nil {
			return nil, err
		}
		for _, k := range page {
			if len(k) < len(prefix) || string(k[:len(prefix)]) != string(prefix) || len(out) > 0 && string(k) <= string(out[len(out)-1]) {
				return nil, fmt.Errorf("%w: storage keys out of order", ErrProtocol)
			}
			out = append(out, k)
		}
		if len(page) < keysPage {
			return out, nil
		}
		if len(out) > maxMapKeys {
			return nil, fmt.Errorf("substrate: more than %d entries under 0x%s: %w", maxMapKeys, hex.EncodeToString(prefix), scale.ErrLimit)
		}
		after = page[len(page)-1]
	}
}

// StateCall calls a function of a runtime API with encoded arguments and returns its encoded result.
func (c *Client) StateCall(ctx context.Context, at chain.Hash, function string, args []byte) ([]byte, error) {
	b, err := c.Call(ctx, "state_call", function, hexBytes(args), atParam(at))
	if err != nil {
		return nil, err
	}
	return bytesAnswer(b)
}

// RuntimeCall calls a function of a runtime API with Go values and returns its result as a dynamic value. It needs metadata
// of version 15; with version 14 it is [chain.ErrNotOnThisChain].
func (c *Client) RuntimeCall(ctx context.Context, at chain.Hash, api, method string, args ...any) (any, error) {
	rt := c.rt.Load()
	m, err := rt.reg.APIMethod(api, method)
	if err != nil {
		return nil, absent(err)
	}
	if len(args) != len(m.Inputs) {
		return nil, fmt.Errorf("substrate: %s_%s takes %d arguments, not %d", api, method, len(m.Inputs), len(args))
	}
	var e scale.Encoder
	for i := range args {
		if err := rt.reg.EncodeValue(&e, m.Inputs[i].Type, args[i]); err != nil {
			return nil, fmt.Errorf("substrate: %s_%s: %s: %w", api, method, m.Inputs[i].Name, err)
		}
	}
	b, err := c.StateCall(ctx, at, api+"_"+method, e.Buf)
	if err != nil {
		return nil, err
	}
	d := scale.NewDecoder(b)
	v := rt.reg.DecodeValue(d, m.Output)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("substrate: %s_%s: %w", api, method, err)
	}
	return v, nil
}

// AccountInfo is what an account holds.
type AccountInfo struct {
	Nonce                  uint32 // of the next transaction, as of that block
	Free, Reserved, Frozen chain.Balance
}

// AccountInfo reads an account. One that does not exist is zero.
func (c *Client) AccountInfo(ctx context.Context, at chain.Hash, id chain.AccountID) (AccountInfo, error) {
	list, err := c.Accounts(ctx, at, []chain.AccountID{id})
	if err != nil {
		return AccountInfo{}, err
	}
	return list[0], nil
}

// Accounts reads many accounts at one block, in the order given.
func (c *Client) Accounts(ctx context.Context, at chain.Hash, ids []chain.AccountID) ([]AccountInfo, error) {
	addresses := make([][]byte, len(ids))
	for i := range ids {
		addresses[i] = ids[i][:]
	}
	return c.accounts(ctx, at, addresses)
}

// accountAt reads the account with that address, in the form that the chain keeps.
func (c *Client) accountAt(ctx context.Context, at chain.Hash, address []byte) (AccountInfo, error) {
	list, err := c.accounts(ctx, at, [][]byte{address})
	if err != nil {
		return AccountInfo{}, err
	}
	return list[0], nil
}

func (c *Client) accounts(ctx context.Context, at chain.Hash, addresses [][]byte) ([]AccountInfo, error) {
	rt := c.rt.Load()
	if rt.codecs.account == nil {
		return nil, fmt.Errorf("substrate: System.Account: %w", chain.ErrNotOnThisChain)
	}
	keys := make([]Key, len(addresses))
	for i := range addresses {
		keys[i] = Key{"System", "Account", []any{addresses[i]}}
	}
	values, err := c.Raw(ctx, at, keys...)
	if err != nil {
		return nil, err
	}
	out := make([]AccountInfo, len(values))
	for i := range values {
		a, err := rt.codecs.account.Decode(values[i])
		if err != nil {
			return nil, fmt.Errorf("substrate: account 0x%x: %w", addresses[i], err)
		}
		out[i] = AccountInfo{a.Nonce, a.Data.Free, a.Data.Reserved, a.Data.Frozen}
	}
	return out, nil
}
