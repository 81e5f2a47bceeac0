package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// submission is the outcome of a submitted call, as --json shows it.
type submission struct {
	Call      string        `json:"call"`
	Extrinsic chain.Hash    `json:"extrinsic"`
	Block     uint32        `json:"block"`
	BlockHash chain.Hash    `json:"block_hash"`
	Finalized bool          `json:"finalized"`
	Fee       chain.Balance `json:"fee"`
	Events    []shownEvent  `json:"events"`
	Result    any           `json:"result,omitempty"`
}

type shownEvent struct {
	Event  string `json:"event"`
	Fields any    `json:"fields,omitempty"`
}

func shown(events []substrate.Event) []shownEvent {
	out := make([]shownEvent, 0, len(events))
	for _, ev := range events {
		out = append(out, shownEvent{Event: ev.Pallet + "." + ev.Name, Fields: ev.Fields})
	}
	return out
}

// proof turns the events of a successful transaction into what the command was for: a value for JSON and a line of text. It may
// ask the chain at the transaction's block. An error says that the call succeeded without doing what was asked.
type proof func(ctx context.Context, c *substrate.Client, at chain.Hash, events []substrate.Event) (result any, text string, err error)

// submit signs a call, shows its progress, and ends in what proves it.
func (e *env) submit(cmd *cobra.Command, f *signFlags, build func(ctx context.Context, c *substrate.Client, from *account.Account) (substrate.Call, error), prove proof) error {
	signer, err := f.signer(e)
	if err != nil {
		return err
	}
	return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
		call, err := build(ctx, c, signer)
		if err != nil {
			return err
		}
		if err := c.Supports(call); err != nil {
			return failf(fmt.Sprintf("this chain is of generation %s; `mesh chain metadata %s --calls` shows what it takes", c.Generation(), call.Pallet), "%s: %w", call, err)
		}
		check := func(ctx context.Context) error { return preflight(ctx, c, signer.ID(), call) }
		if f.unchecked {
			check = func(context.Context) error { return nil }
		}
		if f.dryRun {
			if err := e.dryRun(ctx, c, f, signer, call); err != nil {
				return err
			}
			return check(ctx)
		}
		return e.send(ctx, c, f, signer, call, check, prove)
	})
}

// dryRun shows what would be submitted. It reads the encoded call back, so that what is shown is what would be signed.
func (e *env) dryRun(ctx context.Context, c *substrate.Client, f *signFlags, signer *account.Account, call substrate.Call) error {
	raw, err := c.Encode(call)
	if err != nil {
		return err
	}
	fee, err := c.FeeEstimate(ctx, signer.ID(), call)
	if err != nil {
		return err
	}
	decoded, err := c.DecodeCall(raw)
	if err != nil {
		return err
	}
	out := struct {
		Call string          `json:"call"`
		Args any             `json:"args"`
		From chain.AccountID `json:"from"`
		Fee  chain.Balance   `json:"fee"`
		Data string          `json:"data"`
	}{decoded.Pallet + "." + decoded.Name, readable(decoded.Args), signer.ID(), fee, fmt.Sprintf("0x%x", raw)}
	return e.show(f.json, out, func() string {
		var args bytes.Buffer
		enc := json.NewEncoder(&args)
		enc.SetEscapeHTML(false)
		enc.SetIndent("  ", "  ")
		if err := enc.Encode(out.Args); err != nil {
			args.WriteString(err.Error())
		}
		return fmt.Sprintf("would submit %s\n  %s\nfrom %s for a fee of %s\nencoded %s",
			out.Call, bytes.TrimSpace(args.Bytes()), out.From, chain.FormatTensor(fee), out.Data)
	})
}

// readable turns the bytes in a dynamic value into text where they are text that can be printed. Other bytes stay, and are shown as
// hex, and so does text that would be taken for hex: a value is encoded from what is shown to what it was.
func readable(v any) any {
	switch v := v.(type) {
	case []byte:
		if isText(v) {
			return string(v)
		}
	case []any:
		return readableList(v)
	case metadata.Tuple:
		return metadata.Tuple(readableList(v))
	case metadata.Fields:
		out := slices.Clone(v)
		for i := range out {
			out[i].Value = readable(out[i].Value)
		}
		return out
	case metadata.Enum:
		return metadata.Enum{Name: v.Name, Value: readable(v.Value)}
	}
	return v
}

func readableList(list []any) []any {
	out := make([]any, len(list))
	for i := range list {
		out[i] = readable(list[i])
	}
	return out
}

// isText tells text from other bytes. What turns the direction of writing, or shows nothing, is no text that a person should sign by.
func isText(b []byte) bool {
	if !utf8.Valid(b) || bytes.HasPrefix(b, []byte("0x")) {
		return false
	}
	return !bytes.ContainsFunc(b, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' })
}

// send submits and follows a call.
func (e *env) send(ctx context.Context, c *substrate.Client, f *signFlags, signer *account.Account, call substrate.Call, check func(context.Context) error, prove proof) error {
	var events []substrate.Event
	var last substrate.Progress
	opts := []substrate.Option{substrate.WithEvents(&events), substrate.WithCheck(check), substrate.WithProgress(func(p substrate.Progress) {
		last = p
		line := fmt.Sprintf("%s: %s", call, p.Stage)
		if p.Stage >= substrate.InBlock {
			line += fmt.Sprintf(" %d", p.Block.Number)
		}
		fmt.Fprintln(e.stderr, line)
	})}
	if f.finalized {
		opts = append(opts, substrate.WaitFinalized())
	}
	if f.tip != "" {
		tip, err := chain.ParseTensor(f.tip)
		if err != nil {
			return usagef("--tip: %w", err)
		}
		opts = append(opts, substrate.WithTip(tip))
	}
	receipt, err := c.Submit(ctx, signer, call, opts...)
	if errors.Is(err, context.DeadlineExceeded) && last.Stage == substrate.InBlock {
		return failf("does the chain still make blocks? Without --finalized nothing waits for that", "%s: in block %d, but not final within --timeout", call, last.Block.Number)
	}
	if err != nil {
		return explainSubmit(signer, call, err)
	}
	out := submission{
		Call: call.String(), Extrinsic: receipt.Extrinsic, Block: uint32(receipt.Block.Number), BlockHash: receipt.Block.Hash,
		Finalized: receipt.Finalized, Fee: receipt.Fee, Events: shown(events),
	}
	text := ""
	if prove != nil {
		if out.Result, text, err = prove(ctx, c, receipt.Block.Hash, events); err != nil {
			return err
		}
	}
	return e.show(f.json, out, func() string {
		var b strings.Builder
		if text != "" {
			fmt.Fprintln(&b, text)
		}
		fmt.Fprintf(&b, "%s in block %d, fee %s, extrinsic %s\n", call, out.Block, chain.FormatTensor(out.Fee), out.Extrinsic)
		for _, ev := range out.Events {
			fields, err := metadata.AppendJSON(nil, ev.Fields)
			if err != nil || ev.Fields == nil {
				fields = nil
			}
			fmt.Fprintf(&b, "  %s %s\n", ev.Event, fields)
		}
		return b.String()
	})
}

// explainSubmit says in words what became of a transaction that did not do its work.
func explainSubmit(signer *account.Account, call substrate.Call, err error) error {
	var dispatch *chain.DispatchError
	var invalid *chain.InvalidTxError
	var explained *failure
	switch {
	case errors.As(err, &explained): // by the check before
		return err
	case errors.As(err, &dispatch):
		return failf("the transaction is in a block, its fee is spent, and it changed nothing else", "%s: %w", call, err)
	case errors.As(err, &invalid) && invalid.Kind == "Payment":
		return cannotPay(signer.ID(), call)
	case errors.As(err, &invalid):
		return failf("nothing was spent", "%s: %w", call, err)
	case errors.Is(err, substrate.ErrExpired), errors.Is(err, substrate.ErrUsurped):
		return failf("it was not executed and never will be: it is safe to try again", "%s: %w", call, err)
	case errors.Is(err, context.DeadlineExceeded):
		return failf("it may still be included: look at `mesh chain events` before trying again", "%s: no block took it within --timeout", call)
	}
	return fmt.Errorf("%s: %w", call, err)
}

// expect is a proof by an event: the text is made from its fields.
func expect(pallet, name string, text func(substrate.Event) string) proof {
	return func(_ context.Context, _ *substrate.Client, _ chain.Hash, events []substrate.Event) (any, string, error) {
		for _, ev := range events {
			if ev.Pallet == pallet && ev.Name == name {
				return ev.Fields, text(ev), nil
			}
		}
		return nil, "", failf("look at its events with --json", "the call succeeded, but the chain did not report %s.%s", pallet, name)
	}
}
