package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// chainFlags say which chain a command talks to, and how it answers.
type chainFlags struct {
	rpc     []string
	genesis string
	timeout time.Duration
	json    bool
	journal string // folder of transactions under way; "" for commands that submit nothing
}

func (f *chainFlags) register(fl *pflag.FlagSet) {
	fl.StringSliceVar(&f.rpc, "rpc", []string{defaultRPC}, "WebSocket `address` of the chain; may be repeated, the healthiest is used")
	fl.StringVar(&f.genesis, "genesis", "", "genesis `hash` of the chain; empty takes what the first address serves")
	fl.DurationVar(&f.timeout, "timeout", 15*time.Minute, "give up after that long")
	fl.BoolVar(&f.json, "json", false, "print JSON")
}

// dial connects, or says in words why it cannot.
func (f *chainFlags) dial(ctx context.Context) (*substrate.Client, error) {
	cfg := substrate.Config{Endpoints: f.rpc}
	if f.journal != "" {
		j, err := substrate.OpenJournal(f.journal)
		if err != nil {
			return nil, failf("give a folder that can be written to with --journal", "%w", err)
		}
		cfg.Journal = j
	}
	if f.genesis != "" {
		h, err := chain.ParseHash(f.genesis)
		if err != nil {
			return nil, usagef("--genesis: %w", err)
		}
		cfg.Genesis = h
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c, err := substrate.Dial(ctx, cfg)
	switch {
	case errors.Is(err, substrate.ErrWrongChain):
		return nil, failf("give the address of a node of that chain, or leave --genesis out", "%w", err)
	case err != nil:
		return nil, failf("is the chain running there? Give its address with --rpc", "chain at %s: %w", strings.Join(f.rpc, ", "), err)
	}
	return c, nil
}

// with dials and runs f under the command's time limit.
func (f *chainFlags) with(cmd *cobra.Command, do func(ctx context.Context, c *substrate.Client) error) (err error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	c, err := f.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return do(ctx, c)
}

// show prints a value: as JSON, or by text.
func (e *env) show(asJSON bool, v any, text func() string) error {
	if asJSON {
		enc := json.NewEncoder(e.stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	_, err := fmt.Fprintln(e.stdout, strings.TrimRight(text(), "\n"))
	return err
}

// signFlags say who signs and how a transaction is followed.
type signFlags struct {
	chainFlags
	key, passwordFile, dev string
	index                  uint32
	tip                    string
	dryRun, finalized      bool
}

func (f *signFlags) register(fl *pflag.FlagSet) {
	f.chainFlags.register(fl)
	f.registerKey(fl)
	fl.BoolVar(&f.dryRun, "dry-run", false, "show the decoded call and its fee, and submit nothing")
	fl.BoolVar(&f.finalized, "finalized", false, "wait until the transaction is final, not only in a block")
	fl.StringVar(&f.tip, "tip", "", "extra `TENSOR` for the block's author")
	fl.StringVar(&f.journal, "journal", defaultJournal(), "`folder` that keeps signed transactions until their fate is known, so that the same command after a crash does not submit twice; empty: none")
}

// defaultJournal is a folder of the user, or none where the system has no place for it.
func defaultJournal() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "mesh", "transactions")
}

func (f *signFlags) registerKey(fl *pflag.FlagSet) {
	fl.StringVar(&f.key, "key", "", "key `file` of the account that signs; default: the phrase or private key in the environment's MESH_PHRASE or MESH_PRIVATE_KEY")
	fl.StringVar(&f.passwordFile, "password-file", "", "`file` with the password of the key file; default MESH_KEY_PASSWORD, or asked for")
	fl.StringVar(&f.dev, "dev", "", "sign with a development account that everybody knows: "+strings.Join(account.DevNames(), ", "))
	fl.Uint32Var(&f.index, "index", 0, "which account of a phrase in the environment")
}

// signer reads the account that signs.
func (f *signFlags) signer(e *env) (*account.Account, error) {
	if f.dev != "" && f.key != "" {
		return nil, usagef("--dev and --key exclude each other")
	}
	if f.dev != "" {
		a, err := account.Dev(f.dev)
		if err != nil {
			return nil, usagef("--dev %q: want one of %s", f.dev, strings.Join(account.DevNames(), ", "))
		}
		return a, nil
	}
	if f.key != "" {
		return e.loadAccount(f.key, f.passwordFile)
	}
	for _, name := range []string{"MESH_PHRASE", "PHRASE"} {
		if phrase := os.Getenv(name); phrase != "" {
			a, err := account.FromMnemonic(phrase, f.index)
			if err != nil {
				return nil, failf("it must be a BIP-39 phrase", "environment %s: %w", name, err)
			}
			return a, nil
		}
	}
	if key := os.Getenv("MESH_PRIVATE_KEY"); key != "" {
		a, err := account.ParsePrivateKey(key)
		if err != nil {
			return nil, failf("it must be 64 hex digits", "environment MESH_PRIVATE_KEY: %w", err)
		}
		return a, nil
	}
	return nil, usagef("who signs? Give --key FILE, or --dev NAME on a development chain")
}

// loadAccount reads a key file.
func (e *env) loadAccount(path, passwordFile string) (*account.Account, error) {
	a, err := account.LoadFile(path, e.password("key", passwordFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failf("make one with `mesh account new --path "+path+"`", "key file %s does not exist", path)
	case errors.Is(err, account.ErrPermissions):
		return nil, failf("chmod 600 "+path, "key file %s can be read by others", path)
	case errors.Is(err, errNoTerminal):
		return nil, failf("give it with --password-file or MESH_KEY_PASSWORD", "key file %s is encrypted, and its password is missing", path)
	case errors.Is(err, account.ErrPassword):
		return nil, failf("give the right password with --password-file or MESH_KEY_PASSWORD", "key file %s: %w", path, err)
	case err != nil:
		return nil, failf("it must be a file that `mesh account` made", "key file %s: %w", path, err)
	}
	return a, nil
}

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
		if f.dryRun {
			return e.dryRun(ctx, c, f, signer, call)
		}
		return e.send(ctx, c, f, signer, call, prove)
	})
}

// dryRun shows what would be submitted.
func (e *env) dryRun(ctx context.Context, c *substrate.Client, f *signFlags, signer *account.Account, call substrate.Call) error {
	raw, err := c.Encode(call)
	if err != nil {
		return err
	}
	fee, err := c.FeeEstimate(ctx, signer.ID(), call)
	if err != nil {
		return err
	}
	decoded, err := decodeCall(c.Registry(), raw)
	if err != nil {
		return err
	}
	out := struct {
		Call string          `json:"call"`
		Args any             `json:"args"`
		From chain.AccountID `json:"from"`
		Fee  chain.Balance   `json:"fee"`
		Data string          `json:"data"`
	}{call.String(), decoded, signer.ID(), fee, fmt.Sprintf("0x%x", raw)}
	return e.show(f.json, out, func() string {
		args, err := json.MarshalIndent(decoded, "  ", "  ")
		if err != nil {
			args = []byte(err.Error())
		}
		return fmt.Sprintf("would submit %s\n  %s\nfrom %s for a fee of %s\nencoded %s", out.Call, args, out.From, chain.FormatTensor(fee), out.Data)
	})
}

// decodeCall reads the arguments of an encoded call back, so that what is shown is what would be signed.
func decodeCall(r *metadata.Registry, raw []byte) (any, error) {
	if len(raw) < 2 {
		return nil, errors.New("a call has two bytes of name at least")
	}
	_, variant, err := r.CallByIndex(raw[0], raw[1])
	if err != nil {
		return nil, err
	}
	d := scale.NewDecoder(raw[2:])
	args := r.DecodeFields(d, variant)
	return args, d.Err()
}

// send submits and follows a call.
func (e *env) send(ctx context.Context, c *substrate.Client, f *signFlags, signer *account.Account, call substrate.Call, prove proof) error {
	var events []substrate.Event
	var last substrate.Progress
	opts := []substrate.Option{substrate.WithEvents(&events), substrate.WithProgress(func(p substrate.Progress) {
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
	switch {
	case errors.As(err, &dispatch):
		return failf("the transaction is in a block, its fee is spent, and it changed nothing else", "%s: %w", call, err)
	case errors.As(err, &invalid) && invalid.Kind == "Payment":
		return failf("send it some TENSOR first, for instance with `mesh account transfer`", "%s: account %s cannot pay the fee", call, signer.ID())
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

// amountFlag is an amount in TENSOR with a unit and exact decimals.
type amountFlag struct {
	value chain.Balance
	set   bool
}

// String is what --help shows as default.
func (a *amountFlag) String() string {
	if !a.set {
		return ""
	}
	return chain.FormatTensor(a.value)
}

// Set reads an amount.
func (a *amountFlag) Set(s string) (err error) {
	a.value, err = chain.ParseTensor(s)
	a.set = err == nil
	return err
}

// Type names the value in --help.
func (a *amountFlag) Type() string { return "TENSOR" }

// shareFlag is a share of the whole: "10%" or "0.1".
type shareFlag struct {
	value chain.Balance
	set   bool
}

// String is what --help shows as default.
func (s *shareFlag) String() string {
	if !s.set {
		return ""
	}
	return percent(s.value)
}

// Set reads a share.
func (s *shareFlag) Set(text string) error {
	digits, isPercent := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := chain.ParseTensor(digits)
	if err != nil {
		return fmt.Errorf("%q is no share: want 10%% or 0.1", text)
	}
	if isPercent {
		v = v.Div(u128.From64(100))
	}
	if chain.OneTensor().Less(v) {
		return fmt.Errorf("%q is more than the whole: want 0%% to 100%%", text)
	}
	s.value, s.set = v, true
	return nil
}

// Type names the value in --help.
func (s *shareFlag) Type() string { return "share" }

// percent writes a share of 1e18 exactly.
func percent(v chain.Balance) string {
	return strings.TrimSuffix(chain.FormatTensor(v.SatMul(u128.From64(100))), " TENSOR") + " %"
}

// resolveSubnet turns what a person writes into the ID of a subnet: an ID, a friendly ID, or a name.
func resolveSubnet(ctx context.Context, c *substrate.Client, at chain.Hash, text string) (chain.SubnetID, error) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		id := chain.SubnetID(n)
		if _, err := c.Subnet(ctx, at, id); err == nil {
			return id, nil
		} else if !errors.Is(err, chain.ErrNotFound) {
			return 0, err
		}
		if id, err := c.SubnetByFriendlyID(ctx, at, uint32(n)); err == nil {
			return id, nil
		} else if !errors.Is(err, chain.ErrNotFound) && !errors.Is(err, chain.ErrNotOnThisChain) {
			return 0, err
		}
	} else if id, err := c.SubnetByName(ctx, at, text); err == nil {
		return id, nil
	} else if !errors.Is(err, chain.ErrNotFound) {
		return 0, err
	}
	return 0, failf("`mesh subnet list` shows those that exist", "no subnet %q on this chain", text)
}

// withSubnet runs do for a subnet as of one block, so that everything it reads is of one state. Commands that only look use it.
func (f *chainFlags) withSubnet(cmd *cobra.Command, text string, do func(ctx context.Context, c *substrate.Client, at chain.Hash, id chain.SubnetID) error) error {
	return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
		at, err := c.At(ctx, chain.Hash{})
		if err != nil {
			return err
		}
		id, err := resolveSubnet(ctx, c, at, text)
		if err != nil {
			return err
		}
		return do(ctx, c, at, id)
	})
}

// readLine reads a secret line from stdin that is no terminal, or asks for it without echo.
func (e *env) readLine(prompt string) (string, error) {
	if b, ok, err := e.hidden(prompt); ok {
		return strings.TrimSpace(string(b)), err
	}
	line, err := bufio.NewReader(e.stdin).ReadString('\n')
	if line == "" && err != nil {
		return "", failf("write it to stdin", "%s: stdin is empty", prompt)
	}
	return strings.TrimSpace(line), nil
}
