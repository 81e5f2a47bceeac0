package substrate

import (
	"context"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// writer signs rounds with one hotkey.
type writer struct {
	c    *Client
	s    Signer
	opts []Option
}

// Writer returns a [chain.RoundWriter] that signs with a node's hotkey. Its calls return when the transaction is in a block,
// or as opts say.
func (c *Client) Writer(s Signer, opts ...Option) chain.RoundWriter { return &writer{c, s, opts} }

// Propose submits the scores of the present epoch.
func (w *writer) Propose(ctx context.Context, id chain.SubnetID, proposer chain.NodeID, scores []chain.NodeScore) (chain.Receipt, error) {
	return w.c.Submit(ctx, w.s, Propose(id, proposer, scores), w.opts...)
}

// Attest votes for the submission of the present epoch.
func (w *writer) Attest(ctx context.Context, id chain.SubnetID, attester chain.NodeID) (chain.Receipt, error) {
	return w.c.Submit(ctx, w.s, Attest(id, attester, nil), w.opts...)
}
