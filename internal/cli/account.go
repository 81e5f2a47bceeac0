package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

func (e *env) accountCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "account",
		Short: "Make and show accounts of the chain, and move TENSOR",
		Long: `Make and show accounts of the chain: secp256k1 keys with 20-byte addresses. A coldkey owns stake and is best kept offline; a hotkey
signs for a running node and needs a little TENSOR for fees. Key files are encrypted (Web3 secret storage) unless --plain is given.`,
	}
	c.AddCommand(e.accountNewCmd(), e.accountImportCmd(), e.accountShowCmd(), e.accountBalanceCmd(), e.accountTransferCmd())
	return c
}

// keyFileFlags say where and how a key file is written.
type keyFileFlags struct {
	path, passwordFile string
	plain, force, json bool
	password           []byte // once asked for
}

func (f *keyFileFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.path, "path", "account.json", "`file` to write, mode 0600")
	fl.StringVar(&f.passwordFile, "password-file", "", "`file` with the password; default MESH_KEY_PASSWORD, or asked for")
	fl.BoolVar(&f.plain, "plain", false, "do not encrypt; for development: who reads the file has the account")
	fl.BoolVar(&f.force, "force", false, "replace an existing file; the account in it is lost")
	fl.BoolVar(&f.json, "json", false, "print JSON")
}

// ask gets the password that save will need, so that nothing is written when there is none.
func (f *keyFileFlags) ask(e *env) (err error) {
	if !f.plain && f.password == nil {
		f.password, err = e.newPassword(f.passwordFile)
	}
	return err
}

// save writes the file and shows the account.
func (f *keyFileFlags) save(e *env, a *account.Account) error {
	err := f.ask(e)
	if err != nil {
		return err
	}
	if f.plain {
		err = a.SavePlainFile(f.path, f.force)
	} else {
		err = a.SaveFile(f.path, f.password, account.DefaultCost(), f.force)
	}
	if errors.Is(err, fs.ErrExist) {
		return failf("give another path, or --force to replace it", "%s exists already", f.path)
	}
	if err != nil {
		return err
	}
	return e.show(f.json, map[string]any{"address": a.ID(), "path": f.path, "encrypted": !f.plain}, func() string {
		return fmt.Sprintf("%s\n  in %s", a.ID(), f.path)
	})
}

// saveWithPhrase makes an account of a new phrase and writes both: neither file stays without the other, and nothing is written
// before the password is known.
func (f *keyFileFlags) saveWithPhrase(e *env, phraseFile string, words int) error {
	phrase, err := account.NewMnemonic(words)
	if err != nil {
		return usageError{err}
	}
	a, err := account.FromMnemonic(phrase, 0)
	if err != nil {
		return err
	}
	if err := f.ask(e); err != nil {
		return err
	}
	if err := writeNewSecret(phraseFile, phrase+"\n", f.force); err != nil {
		return err
	}
	if err := f.save(e, a); err != nil {
		return errors.Join(err, os.Remove(phraseFile))
	}
	return nil
}

// newPassword asks for a new password, twice at a terminal.
func (e *env) newPassword(file string) ([]byte, error) {
	first, err := e.password("key", file)()
	if err != nil {
		return nil, failf("give --password-file, MESH_KEY_PASSWORD, or --plain for development", "no password for the new key file: %w", err)
	}
	if len(first) == 0 {
		return nil, failf("give --plain if the file shall not be encrypted", "the password is empty")
	}
	_, fromEnv := os.LookupEnv("MESH_KEY_PASSWORD")
	if file == "" && !fromEnv {
		again, ok, err := e.hidden("again")
		if err != nil {
			return nil, err
		}
		if ok && string(again) != string(first) {
			return nil, failf("try again", "the passwords differ")
		}
	}
	return first, nil
}

func (e *env) accountNewCmd() *cobra.Command {
	var f keyFileFlags
	var phraseFile string
	var words int
	c := &cobra.Command{
		Use:   "new",
		Short: "Make an account",
		Long: `Make an account. With --phrase-file it is derived from a new phrase (BIP-39, path m/44'/60'/0'/0/0), which is written to that file as a
backup and never shown; without, the key is drawn at random and the key file is all there is.`,
		Example: "  mesh account new --path coldkey.json --phrase-file coldkey.phrase",
		RunE: func(*cobra.Command, []string) error {
			if phraseFile == "" {
				a, err := account.Generate()
				if err != nil {
					return err
				}
				return f.save(e, a)
			}
			return f.saveWithPhrase(e, phraseFile, words)
		},
	}
	f.register(c)
	c.Flags().StringVar(&phraseFile, "phrase-file", "", "`file` for the backup phrase, mode 0600")
	c.Flags().IntVar(&words, "words", 12, "words of the phrase: 12, 15, 18, 21 or 24")
	return c
}

// writeNewSecret writes a file of mode 0600 that must not exist, unless force is set.
func writeNewSecret(path, text string, force bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return failf("give another path, or --force to replace it", "%s exists already", path)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func (e *env) accountImportCmd() *cobra.Command {
	var f keyFileFlags
	var index uint32
	c := &cobra.Command{
		Use:     "import",
		Short:   "Make a key file of a phrase or private key read from stdin",
		Long:    "Make a key file of a phrase (BIP-39) or of a private key (64 hex digits), which is read from stdin, or asked for without echo.",
		Example: "  mesh account import --path hotkey.json < phrase.txt",
		RunE: func(*cobra.Command, []string) error {
			secret, err := e.readLine("phrase or private key")
			if err != nil {
				return err
			}
			var a *account.Account
			if strings.Contains(secret, " ") {
				a, err = account.FromMnemonic(secret, index)
			} else {
				a, err = account.ParsePrivateKey(secret)
			}
			if err != nil {
				return failf("want the words of a phrase, or 64 hex digits", "what was read is neither: %w", err)
			}
			return f.save(e, a)
		},
	}
	f.register(c)
	c.Flags().Uint32Var(&index, "index", 0, "which account of the phrase, m/44'/60'/0'/0/`INDEX`")
	return c
}

func (e *env) accountShowCmd() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show FILE",
		Short: "Show the address of a key file, without its password",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			id, err := account.AddressOf(args[0])
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return failf("make one with `mesh account new`", "key file %s does not exist", args[0])
			case err != nil:
				return failf("it must be a file that `mesh account` made", "key file %s: %w", args[0], err)
			}
			return e.show(asJSON, map[string]any{"address": id, "path": args[0]}, id.String)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// resolveAccount reads an address, the name of a development account, or a key file's address.
func resolveAccount(text string) (chain.AccountID, error) {
	if id, err := chain.ParseAccountID(text); err == nil {
		return id, nil
	}
	if a, err := account.Dev(text); err == nil {
		return a.ID(), nil
	}
	if id, err := account.AddressOf(text); err == nil {
		return id, nil
	}
	return chain.AccountID{}, usagef("%q is no account: want 0x and 40 hex digits, a key file, or the name of a development account", text)
}

func (e *env) accountBalanceCmd() *cobra.Command {
	var f chainFlags
	c := &cobra.Command{
		Use:     "balance ACCOUNT...",
		Short:   "Show what accounts hold",
		Example: "  mesh account balance 0xf24ff3a9cf04c71dbc94d0b566f7a27b94566cac hotkey.json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids := make([]chain.AccountID, 0, len(args))
			for _, text := range args {
				id, err := resolveAccount(text)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
				infos, err := c.Accounts(ctx, chain.Hash{}, ids)
				if err != nil {
					return err
				}
				type balance struct {
					Account  chain.AccountID `json:"account"`
					Free     chain.Balance   `json:"free"`
					Reserved chain.Balance   `json:"reserved"`
					Frozen   chain.Balance   `json:"frozen"`
					Nonce    uint32          `json:"nonce"`
				}
				out := make([]balance, 0, len(ids))
				for i, info := range infos {
					out = append(out, balance{ids[i], info.Free, info.Reserved, info.Frozen, info.Nonce})
				}
				return e.show(f.json, out, func() string {
					var b strings.Builder
					for _, x := range out {
						fmt.Fprintf(&b, "%s  %s", x.Account, chain.FormatTensor(x.Free))
						if !x.Reserved.IsZero() {
							fmt.Fprintf(&b, ", reserved %s", chain.FormatTensor(x.Reserved))
						}
						if !x.Frozen.IsZero() {
							fmt.Fprintf(&b, ", frozen %s", chain.FormatTensor(x.Frozen))
						}
						fmt.Fprintf(&b, ", %d transactions\n", x.Nonce)
					}
					return b.String()
				})
			})
		},
	}
	f.register(c.Flags())
	return c
}

func (e *env) accountTransferCmd() *cobra.Command {
	var f signFlags
	var mayEnd, all bool
	c := &cobra.Command{
		Use:     "transfer TO [AMOUNT]",
		Short:   "Send TENSOR to an account",
		Example: "  mesh account transfer 0x3cd0a705a2dc65e5b1e1205896baa2be8a07c6e0 12.5 --key coldkey.json",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := resolveAccount(args[0])
			if err != nil {
				return err
			}
			if all != (len(args) == 1) {
				return usagef("give either AMOUNT or --all")
			}
			call := substrate.TransferAll(to, !mayEnd)
			if !all {
				amount, err := chain.ParseTensor(args[1])
				if err != nil {
					return usageError{err}
				}
				call = substrate.TransferKeepAlive(to, amount)
				if mayEnd {
					call = substrate.Transfer(to, amount)
				}
			}
			return e.submit(cmd, &f, fixed(call), expect("Balances", "Transfer", func(ev substrate.Event) string {
				if amount, ok := ev.Field("amount", 2).(chain.Balance); ok {
					return fmt.Sprintf("sent %s to %s", chain.FormatTensor(amount), to)
				}
				return fmt.Sprintf("sent %v planck to %s", ev.Field("amount", 2), to)
			}))
		},
	}
	f.register(c.Flags())
	c.Flags().BoolVar(&all, "all", false, "send everything")
	c.Flags().BoolVar(&mayEnd, "allow-death", false, "let the sending account end when nothing is left in it")
	return c
}

// fixed is a call that needs nothing of the chain to be built.
func fixed(call substrate.Call) func(context.Context, *substrate.Client, *account.Account) (substrate.Call, error) {
	return func(context.Context, *substrate.Client, *account.Account) (substrate.Call, error) { return call, nil }
}
