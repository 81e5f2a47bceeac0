package substrate

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

const maxDigests = 64 // log entries of a header; real ones have two or three

// header is a block header as JSON-RPC gives it.
type header struct {
	ParentHash     chain.Hash `json:"parentHash"`
	Number         hexNumber  `json:"number"`
	StateRoot      chain.Hash `json:"stateRoot"`
	ExtrinsicsRoot chain.Hash `json:"extrinsicsRoot"`
	Digest         struct {
		Logs []hexBytes `json:"logs"`
	} `json:"digest"`
}

// hexNumber is a block number as JSON-RPC gives it: "0x1f4".
type hexNumber uint32

// UnmarshalJSON reads a hex string or a number.
func (n *hexNumber) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	base := 10
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		s, base = digits, 16
	}
	v, err := strconv.ParseUint(s, base, 32)
	if err != nil {
		return fmt.Errorf("block number: %w", err)
	}
	*n = hexNumber(v)
	return nil
}

// head computes the header's hash, which JSON-RPC leaves out.
func (h *header) head() (chain.Head, error) {
	if len(h.Digest.Logs) > maxDigests {
		return chain.Head{}, fmt.Errorf("%w: header with %d log entries", ErrProtocol, len(h.Digest.Logs))
	}
	var e scale.Encoder
	e.Raw(h.ParentHash[:])
	e.Compact(uint64(h.Number))
	e.Raw(h.StateRoot[:])
	e.Raw(h.ExtrinsicsRoot[:])
	e.Len(len(h.Digest.Logs))
	for _, l := range h.Digest.Logs {
		e.Raw(l)
	}
	return chain.Head{Number: chain.BlockNumber(h.Number), Hash: blake2b.Sum256(e.Buf), Parent: h.ParentHash}, nil
}

func decodeHead(b json.RawMessage) (chain.Head, error) {
	var h *header
	if err := decodeJSON(b, &h); err != nil {
		return chain.Head{}, err
	}
	if h == nil {
		return chain.Head{}, fmt.Errorf("block: %w", chain.ErrNotFound)
	}
	return h.head()
}

// Head returns the head of a block; the zero hash is the best block.
func (c *Client) Head(ctx context.Context, at chain.Hash) (chain.Head, error) {
	b, err := c.Call(ctx, "chain_getHeader", atParam(at))
	if err != nil {
		return chain.Head{}, err
	}
	h, err := decodeHead(b)
	if err != nil {
		return h, fmt.Errorf("substrate: header: %w", err)
	}
	if !at.IsZero() && h.Hash != at {
		return h, fmt.Errorf("substrate: %w: header of %s hashes to %s", ErrProtocol, at, h.Hash)
	}
	return h, nil
}

// FinalizedHead returns the head of the last finalized block.
func (c *Client) FinalizedHead(ctx context.Context) (chain.Head, error) {
	b, err := c.Call(ctx, "chain_getFinalizedHead")
	if err != nil {
		return chain.Head{}, err
	}
	var at chain.Hash
	if err := decodeJSON(b, &at); err != nil {
		return chain.Head{}, err
	}
	return c.Head(ctx, at)
}

// BlockHash returns the hash of the block with that number on the best chain, or [chain.ErrNotFound].
func (c *Client) BlockHash(ctx context.Context, n chain.BlockNumber) (chain.Hash, error) {
	b, err := c.Call(ctx, "chain_getBlockHash", uint32(n))
	if err != nil {
		return chain.Hash{}, err
	}
	var h *chain.Hash
	if err := decodeJSON(b, &h); err != nil {
		return chain.Hash{}, err
	}
	if h == nil {
		return chain.Hash{}, fmt.Errorf("block %d: %w", n, chain.ErrNotFound)
	}
	return *h, nil
}

// block is a block as far as submission needs it.
type block struct {
	head       chain.Head
	extrinsics [][]byte
}

func (c *Client) block(ctx context.Context, at chain.Hash) (block, error) {
	b, err := c.Call(ctx, "chain_getBlock", atParam(at))
	if err != nil {
		return block{}, err
	}
	var answer *struct {
		Block struct {
			Header     header     `json:"header"`
			Extrinsics []hexBytes `json:"extrinsics"`
		} `json:"block"`
	}
	if err := decodeJSON(b, &answer); err != nil {
		return block{}, err
	}
	if answer == nil {
		return block{}, fmt.Errorf("block %s: %w", at, chain.ErrNotFound)
	}
	h, err := answer.Block.Header.head()
	if err != nil {
		return block{}, err
	}
	out := block{head: h, extrinsics: make([][]byte, len(answer.Block.Extrinsics))}
	for i, x := range answer.Block.Extrinsics {
		out.extrinsics[i] = x
	}
	return out, nil
}
