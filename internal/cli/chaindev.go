package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// rpcFile is the file in the chain's data folder that holds the address of its RPC while it runs.
const rpcFile = "rpc.addr"

func (e *env) chainCmd() *cobra.Command {
	c := &cobra.Command{Use: "chain", Short: "Run a chain for development, and look into chains"}
	c.AddCommand(e.chainDevCmd(), e.chainInfoCmd(), e.chainEventsCmd(), e.chainQueryCmd(), e.chainCallCmd(), e.chainMetadataCmd())
	return c
}

// chainDevFlags are the flags of `chain dev`.
type chainDevFlags struct {
	dataDir, listen, seal, seed, sudo string
	blockTime                         time.Duration
	epochLength, finalityLag          uint32
	accounts                          []string
	withParent                        bool
}

func (e *env) chainDevCmd() *cobra.Command {
	var f chainDevFlags
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run the embedded chain: a Substrate JSON-RPC server on WebSocket and HTTP",
		Long: `Run the embedded chain: one author, real storage, metadata, fees and signed extrinsics of the Hypertensor chain (generation G2), behind
the JSON-RPC that polkadot.js and py-substrate-interface speak, on WebSocket and HTTP. The accounts Alith, Baltathar, Charleth, Dorothy,
Ethan and Faith, whose keys everybody knows, hold 1,000,000 TENSOR each; Alith is sudo.

Without --data-dir the chain lives in memory. A folder keeps it, crash-safe, and is bound to the genesis it was made with.`,
		Example: "  mesh chain dev --block-time 1s\n  mesh chain dev --data-dir ./chain --listen 127.0.0.1:9944 --seal instant",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.runChainDev(cmd.Context(), f)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.dataDir, "data-dir", "", "`folder` that keeps the chain; empty: in memory")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:9944", "`address` of the RPC; whoever reaches it may steer the chain")
	fl.DurationVar(&f.blockTime, "block-time", 6*time.Second, "time between blocks")
	fl.StringVar(&f.seal, "seal", "interval", "when a block is made: interval, instant (with each transaction) or manual (dev_mine)")
	fl.Uint32Var(&f.epochLength, "epoch-length", 20, "blocks of an epoch, from 4")
	fl.Uint32Var(&f.finalityLag, "finality-lag", 1, "blocks between the best and the finalized one")
	fl.StringVar(&f.seed, "seed", "", "seed of the election, any text: the same seed elects the same")
	fl.StringSliceVar(&f.accounts, "genesis-account", nil, "further account with its TENSOR, `0x..=100`; may be repeated")
	fl.StringVar(&f.sudo, "sudo", "alith", "administrator: a development account's name or an address")
	fl.BoolVar(&f.withParent, "with-parent", false, "stop when stdin ends")
	if err := fl.MarkHidden("with-parent"); err != nil {
		panic(err) // the line above defines it
	}
	return c
}

func (f chainDevFlags) genesis() (devchain.Genesis, error) {
	g := devchain.Genesis{Accounts: make(map[chain.AccountID]chain.Balance), EpochLength: f.epochLength}
	for _, name := range account.DevNames() {
		a, err := account.Dev(name)
		if err != nil {
			return g, err
		}
		g.Accounts[a.ID()] = chain.Tensor(1_000_000)
	}
	for _, x := range f.accounts {
		id, amount, _ := strings.Cut(x, "=")
		a, err := chain.ParseAccountID(id)
		if err != nil {
			return g, usagef("--genesis-account %q: %w", x, err)
		}
		if g.Accounts[a], err = chain.ParseTensor(amount); err != nil {
			return g, usagef("--genesis-account %q: %w", x, err)
		}
	}
	if a, err := account.Dev(f.sudo); err == nil {
		g.Sudo = a.ID()
	} else if g.Sudo, err = chain.ParseAccountID(f.sudo); err != nil {
		return g, usagef("--sudo %q: want %s or an address", f.sudo, strings.Join(account.DevNames(), ", "))
	}
	if raw, err := hex.DecodeString(strings.TrimPrefix(f.seed, "0x")); err == nil && len(raw) == len(g.Seed) {
		copy(g.Seed[:], raw)
	} else if copy(g.Seed[:], f.seed) < len(f.seed) {
		return g, usagef("--seed: at most %d characters, or 64 hex digits", len(g.Seed))
	}
	return g, nil
}

func (e *env) runChainDev(ctx context.Context, f chainDevFlags) (err error) {
	log, closeLog, err := e.log.logger(e.stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	g, err := f.genesis()
	if err != nil {
		return err
	}
	seal, err := devchain.ParseSealMode(f.seal)
	if err != nil {
		return usageError{err}
	}
	cfg := devchain.Config{DataDir: f.dataDir, Genesis: g, Seal: seal, BlockTime: f.blockTime, FinalityLag: f.finalityLag, Logger: log}
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	if f.epochLength < 4 {
		return usagef("--epoch-length %d: at least 4, because three offsets are the chain's own", f.epochLength)
	}
	c, err := devchain.New(cfg, native.New(native.Config{EpochLength: g.EpochLength, Seed: g.Seed}))
	if err != nil {
		return chainOpenError(f.dataDir, err)
	}
	srv := devchain.NewServer(c, devchain.ServerConfig{Listen: f.listen, ImplVersion: e.version(), Logger: log})
	addr, err := srv.Listen()
	if err != nil {
		err = errors.Join(err, c.Close())
		if errors.Is(err, syscall.EADDRINUSE) {
			return failf("stop what listens there, or give another address with --listen", "address %s is in use", f.listen)
		}
		return err
	}
	fmt.Fprintf(e.stderr, "chain at ws://%s, block %d, genesis %s\n", addr, c.Head().Header.Number, c.Genesis().Hash)
	if f.dataDir != "" {
		path := filepath.Join(f.dataDir, rpcFile)
		if err := writeFile(path, []byte(addr.String())); err != nil {
			return errors.Join(err, c.Close())
		}
		defer func() { err = errors.Join(err, os.Remove(path)) }()
	}
	ctx, stop := endWithStdin(ctx, e, f.withParent)
	defer stop()
	g2, ctx := errgroup.WithContext(ctx)
	g2.Go(func() error { return c.Run(ctx) })
	g2.Go(func() error { return srv.Serve(ctx) })
	err = g2.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, c.Close())
}

// chainOpenError says what keeps a data folder from being opened.
func chainOpenError(dir string, err error) error {
	switch {
	case errors.Is(err, devchain.ErrLocked):
		return failf("stop that process, or give another folder with --data-dir", "data folder %s is in use by another process", dir)
	case errors.Is(err, devchain.ErrOtherGenesis):
		return failf("give the flags it was made with, or another folder with --data-dir", "data folder %s: %w", dir, err)
	case errors.Is(err, devchain.ErrDamaged):
		return failf("restore it from a copy, or give another folder with --data-dir", "data folder %s: %w", dir, err)
	}
	return err
}

// writeFile replaces a small file atomically.
func writeFile(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
