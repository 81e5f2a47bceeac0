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
	unchecked              bool // submit without a look at whether the chain will refuse it
}

func (f *signFlags) register(fl *pflag.FlagSet) {
	f.chainFlags.register(fl)
	f.registerKey(fl)
	fl.BoolVar(&f.dryRun, "dry-run", false, "show the decoded call and its fee, check owner and balance, and submit nothing")
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
