package substrate

import (
	"bytes"
	"context"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Pending is a signed transaction whose fate was not known when it was written down.
type Pending struct {
	Account chain.AccountID   `json:"account"`
	Nonce   uint32            `json:"nonce"`
	Birth   chain.BlockNumber `json:"birth"`  // first block of its era
	Period  uint32            `json:"period"` // blocks of its era
	Genesis chain.Hash        `json:"genesis"`
	Call    []byte            `json:"call"`
	Bytes   []byte            `json:"bytes"` // as signed
}

// Journal keeps transactions from before they are sent until their fate is known. Implementations MUST have a Put on stable
// storage when it returns.
type Journal interface {
	Put(p Pending) error
	Delete(extrinsic chain.Hash) error
	// List returns the pending transactions of an account in the order of their nonces.
	List(account chain.AccountID) ([]Pending, error)
}

func (c *Client) journalPut(t *tx, body []byte) error {
	if c.cfg.Journal == nil {
		return nil
	}
	err := c.cfg.Journal.Put(Pending{
		Account: t.account, Nonce: t.nonce, Birth: t.birth, Period: t.period,
		Genesis: c.Genesis(), Call: body, Bytes: t.bytes,
	})
	if err != nil {
		return fmt.Errorf("substrate: journal: %w", err)
	}
	return nil
}

func (c *Client) journalDelete(t *tx) {
	if c.cfg.Journal == nil {
		return
	}
	if err := c.cfg.Journal.Delete(t.hash); err != nil {
		c.log.Warn("transaction stays in the journal", "extrinsic", t.hash, "err", err)
	}
}

// resumePending follows up what an earlier process left of this account. If that was the very call that is to be submitted
// now, its fate is the answer and nothing is submitted, unless it can never be executed.
func (c *Client) resumePending(ctx context.Context, s Signer, body []byte, o *options) (r chain.Receipt, done bool, err error) {
	if c.cfg.Journal == nil {
		return r, false, nil
	}
	id := s.AccountID()
	line, err := c.nonces.line(ctx, id)
	if err != nil {
		return r, false, err
	}
	if line.busy() { // these are of this process
		line.release()
		return r, false, nil
	}
	defer line.release()
	list, err := c.cfg.Journal.List(id)
	if err != nil {
		return r, false, fmt.Errorf("substrate: journal: %w", err)
	}
	for _, p := range list {
		t := &tx{
			opts: &options{}, bytes: p.Bytes, hash: hashOf(p.Bytes), account: p.Account, address: addressOf(s), nonce: p.Nonce,
			birth: p.Birth, period: p.Period, line: line,
		}
		if p.Genesis != c.Genesis() {
			c.journalDelete(t)
			continue
		}
		same := bytes.Equal(p.Call, body)
		if same {
			t.opts = o
		}
		c.log.Info("following up a transaction of an earlier run", "extrinsic", t.hash, "nonce", t.nonce)
		got, err := c.track(ctx, t)
		switch {
		case same && (err == nil || isDispatch(err)):
			return got, true, err
		case err != nil && !isDispatch(err) && !isOver(err):
			return r, false, err
		}
	}
	return r, false, nil
}
