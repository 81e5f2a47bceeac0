package substrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// Stage is how far a submission has come.
type Stage uint8

// The stages of a submission. Some may be skipped, and a reorganisation leads back from InBlock to Retracted.
const (
	Signed    Stage = iota // not sent yet
	Ready                  // in the pool of a node
	InBlock                // in a block of the best chain
	Retracted              // that block is no longer in the best chain
	Finalized              // final
)

// String is the stage in words.
func (s Stage) String() string {
	names := [...]string{"signed", "ready", "in block", "retracted", "finalized"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("stage(%d)", uint8(s))
}

// Progress is told while a submission goes on.
type Progress struct {
	Stage     Stage
	Extrinsic chain.Hash
	Nonce     uint32
	Block     chain.Head // from InBlock on
}

// Option changes how a call is submitted.
type Option func(*options)

type options struct {
	finalized bool
	tip       chain.Balance
	progress  func(Progress)
	events    *[]Event
	check     func(context.Context) error
}

// WaitFinalized makes Submit return when the transaction is final, not as soon as it is in a block.
func WaitFinalized() Option { return func(o *options) { o.finalized = true } }

// WithTip pays the block's author extra.
func WithTip(tip chain.Balance) Option { return func(o *options) { o.tip = tip } }

// WithProgress calls f at every stage, one call at a time, on a goroutine that waits for it.
func WithProgress(f func(Progress)) Option { return func(o *options) { o.progress = f } }

// WithEvents stores the events that the transaction caused.
func WithEvents(events *[]Event) Option { return func(o *options) { o.events = events } }

// WithCheck calls f before anything is signed, and submits nothing when it returns an error, which Submit returns as it is. What an
// earlier process left of the same call is followed up before, so that f never judges a chain on which the call was executed already.
func WithCheck(f func(context.Context) error) Option { return func(o *options) { o.check = f } }

// maxSignings bounds how often a call is signed when the node refuses a nonce that it named itself.
const maxSignings = 3

// Submit signs a call and waits until it is in a block, or final with [WaitFinalized]. The call is executed at most once:
// the same signed bytes are tracked over lost connections until they are in a block or can never be.
//
// A call that failed in its block is a [chain.DispatchError] beside the receipt. A call that was refused is a
// [chain.InvalidTxError], and nothing was spent. [ErrExpired] and [ErrUsurped] say that it was not executed and never will
// be. Any other error, such as the context's, leaves open what becomes of the transaction.
func (c *Client) Submit(ctx context.Context, s Signer, call Call, opts ...Option) (chain.Receipt, error) {
	var o options
	for _, f := range opts {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.SubmitTimeout)
	defer cancel()
	body, err := c.rt.Load().encodeCall(call)
	if err != nil {
		return chain.Receipt{}, err
	}
	if r, done, err := c.resumePending(ctx, s, body, &o); done || err != nil {
		return r, err
	}
	if o.check != nil {
		if err := o.check(ctx); err != nil {
			return chain.Receipt{}, err
		}
	}
	t, err := c.launch(ctx, s, body, &o)
	if err != nil {
		return chain.Receipt{}, err
	}
	defer t.line.decided()
	return c.track(ctx, t)
}

// tx is a signed transaction on its way.
type tx struct {
	opts    *options
	bytes   []byte
	hash    chain.Hash
	account chain.AccountID
	address []byte // the account as the chain keeps it
	nonce   uint32
	birth   chain.BlockNumber // the era's first block
	period  uint32
	line    *nonceLine
	cn      *conn         // of watch
	watch   *subscription // nil when there is none
}

func (t *tx) tell(s Stage, at chain.Head) {
	if t.opts.progress != nil {
		t.opts.progress(Progress{s, t.hash, t.nonce, at})
	}
}

// launch signs and sends. When it returns without error, the transaction may be in a pool.
func (c *Client) launch(ctx context.Context, s Signer, body []byte, o *options) (*tx, error) {
	line, err := c.nonces.line(ctx, s.AccountID())
	if err != nil {
		return nil, err
	}
	defer line.release()
	for attempt := 1; ; attempt++ {
		t, err := c.prepare(ctx, s, body, o, line)
		if err != nil {
			return nil, err
		}
		if err := c.journalPut(t, body); err != nil {
			return nil, err
		}
		t.tell(Signed, chain.Head{})
		err = c.send(ctx, t)
		if isAnswer(err) { // refused: it is in no pool
			err = poolError(err)
			if kind := invalidKindOf(err); attempt < maxSignings && (kind == "Stale" || kind == "TooLowPriority") {
				c.journalDelete(t)
				continue // the nonce went to another transaction in the meantime
			}
			c.journalDelete(t)
			return nil, err
		}
		if err != nil { // perhaps it was taken; the tracker finds out
			c.log.Debug("transaction sent into the unknown", "extrinsic", t.hash, "err", err)
		}
		line.taken(t.nonce)
		return t, nil
	}
}

func invalidKindOf(err error) string {
	var e *chain.InvalidTxError
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// prepare asks for nonce and era, and signs.
func (c *Client) prepare(ctx context.Context, s Signer, body []byte, o *options, line *nonceLine) (*tx, error) {
	rt := c.rt.Load()
	calls := []batchCall{
		{method: "chain_getHeader"},
		{method: "chain_getFinalizedHead"},
		{method: "system_accountNextIndex", params: []any{rt.accountParam(addressOf(s))}},
	}
	if err := c.batch(ctx, "nonce and era", calls); err != nil {
		return nil, err
	}
	for i := range calls {
		if calls[i].err != nil {
			return nil, calls[i].err
		}
	}
	best, err := decodeHead(calls[0].result)
	if err != nil {
		return nil, err
	}
	var finalHash chain.Hash
	var node uint32
	if err := errors.Join(decodeJSON(calls[1].result, &finalHash), decodeJSON(calls[2].result, &node)); err != nil {
		return nil, err
	}
	birth := best
	if final, err := c.Head(ctx, finalHash); err == nil && final.Number <= best.Number && uint32(best.Number-final.Number) < c.cfg.Era/4 {
		birth = final // the era's block must survive a reorganisation, but not eat up the era when finality lags
	}
	x := txContext{
		nonce: line.choose(node), tip: o.tip,
		era: mortalEra(c.cfg.Era, birth.Number), eraLen: 2, birth: birth.Hash, genesis: rt.genesis,
		specV: rt.version.SpecVersion, txVersion: rt.version.TransactionVersion,
	}
	b, err := rt.sign(s, body, &x)
	if err != nil {
		return nil, err
	}
	return &tx{
		opts: o, bytes: b, hash: hashOf(b), account: s.AccountID(), address: addressOf(s), nonce: x.nonce,
		birth: birth.Number, period: c.cfg.Era, line: line,
	}, nil
}

// send broadcasts a transaction and watches it. It never asks twice.
func (c *Client) send(ctx context.Context, t *tx) error {
	bctx, cancel := c.bounded(ctx)
	defer cancel()
	cn, err := c.conn(bctx)
	if errors.Is(err, ErrClosed) {
		return err
	}
	if err != nil {
		return unavailable("submit", err)
	}
	sub, err := cn.subscribe(bctx, "author_submitAndWatchExtrinsic", hexBytes(t.bytes))
	if err != nil {
		return err
	}
	t.cn, t.watch = cn, sub
	return nil
}

// inclusion is a transaction found in a block.
type inclusion struct {
	head    chain.Head
	outcome outcome
}

// resolve reads what became of a transaction in a block. found is false when the block does not contain it.
func (c *Client) resolve(ctx context.Context, t *tx, at chain.Hash) (in inclusion, found bool, err error) {
	b, err := c.block(ctx, at)
	if err != nil {
		return in, false, err
	}
	index := -1
	for i, x := range b.extrinsics {
		if bytes.Equal(x, t.bytes) || hashOf(x) == t.hash {
			index = i
		}
	}
	if index < 0 {
		return in, false, nil
	}
	events, err := c.Events(ctx, at)
	if err != nil {
		return in, true, err
	}
	in.head = b.head
	in.outcome = c.rt.Load().outcomeOf(events, index)
	if !in.outcome.known {
		return in, true, fmt.Errorf("substrate: block %s: %w: no verdict on extrinsic %d", at, scale.ErrMalformed, index)
	}
	return in, true, nil
}

func (t *tx) receipt(in inclusion, final bool) (chain.Receipt, error) {
	if t.opts.events != nil {
		*t.opts.events = in.outcome.events
	}
	return chain.Receipt{Extrinsic: t.hash, Block: in.head, Finalized: final, Fee: in.outcome.fee}, in.outcome.err
}

// FeeEstimate estimates what a call costs its signer, in planck. Nothing is submitted; the signature is a placeholder.
func (c *Client) FeeEstimate(ctx context.Context, from chain.AccountID, call Call) (chain.Balance, error) {
	rt := c.rt.Load()
	body, err := rt.encodeCall(call)
	if err != nil {
		return chain.Balance{}, err
	}
	x := txContext{era: mortalEra(c.cfg.Era, 0), eraLen: 2, genesis: rt.genesis, birth: rt.genesis}
	b, err := rt.sign(placeholder(from), body, &x)
	if err != nil {
		return chain.Balance{}, err
	}
	e := scale.Encoder{Buf: append([]byte(nil), b...)}
	e.U32(uint32(len(b)))
	raw, err := c.StateCall(ctx, chain.Hash{}, "TransactionPaymentApi_query_info", e.Buf)
	if err != nil {
		return chain.Balance{}, err
	}
	d := scale.NewDecoder(raw) // weight (two compacts), class, partial fee
	d.Compact()
	d.Compact()
	d.U8()
	fee := d.U128()
	if err := d.Finish(); err != nil {
		return chain.Balance{}, fmt.Errorf("substrate: fee: %w", err)
	}
	return fee, nil
}

// placeholder signs with the length of a signature and nothing else.
type placeholder chain.AccountID

func (p placeholder) AccountID() chain.AccountID { return chain.AccountID(p) }
func (p placeholder) Scheme() SignatureScheme    { return account.Ethereum }
func (p placeholder) Sign([]byte) ([]byte, error) {
	return bytes.Repeat([]byte{1}, account.SignatureSize), nil
}
