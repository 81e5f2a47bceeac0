package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
)

// rpcFile is the file in the chain's data folder that holds the address of its RPC while it runs.
const rpcFile = "rpc.addr"

func (e *env) chainCmd() *cobra.Command {
	c := &cobra.Command{Use: "chain", Short: "Run a chain for development, and look into chains"}
	c.AddCommand(e.chainDevCmd(), e.chainDiffCmd(), e.chainInfoCmd(), e.chainEventsCmd(), e.chainQueryCmd(), e.chainCallCmd(), e.chainMetadataCmd())
	return c
}

// chainDevFlags are the flags of `chain dev`.
type chainDevFlags struct {
	dataDir, listen, seal, seed, sudo string
	engine, chainSpec, runtimeCache   string
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

--chain-spec runs the very runtime of a chain instead, of any generation, from its raw specification: same RPC, same accounts on top.
There the epoch's length and the election are the runtime's own.

Without --data-dir the chain lives in memory. A folder keeps it, crash-safe, and is bound to the genesis it was made with.`,
		Example: "  mesh chain dev --block-time 1s\n  mesh chain dev --data-dir ./chain --listen 127.0.0.1:9944 --seal instant\n  mesh chain dev --chain-spec spec-raw.json --block-time 1s",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.runChainDev(cmd.Context(), &f, func(flag string) bool { return cmd.Flags().Changed(flag) })
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.engine, "engine", "", "what executes the blocks: native (default) or wasm, a chain's own runtime from --chain-spec")
	fl.StringVar(&f.chainSpec, "chain-spec", "", "raw chain specification or runtime `file` for --engine wasm, which it implies; not taken from the environment")
	fl.StringVar(&f.runtimeCache, "runtime-cache", "", "`folder` that keeps compiled runtimes; default in the user's cache folder, none: compile each time")
	fl.StringVar(&f.dataDir, "data-dir", "", "`folder` that keeps the chain; empty: in memory")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:9944", "`address` of the RPC; whoever reaches it may steer the chain")
	fl.DurationVar(&f.blockTime, "block-time", 6*time.Second, "time between blocks")
	fl.StringVar(&f.seal, "seal", "interval", "when a block is made: interval, instant (with each transaction) or manual (dev_mine)")
	fl.Uint32Var(&f.epochLength, "epoch-length", 20, "blocks of an epoch, from 4; native engine only")
	fl.Uint32Var(&f.finalityLag, "finality-lag", 1, "blocks between the best and the finalized one; default 0 where no block follows by itself (--seal instant and manual)")
	fl.StringVar(&f.seed, "seed", "", "seed of the election, any text: the same seed elects the same; native engine only")
	fl.StringSliceVar(&f.accounts, "genesis-account", nil, "further account with its TENSOR, `0x..=100`; may be repeated")
	fl.StringVar(&f.sudo, "sudo", "alith", "administrator, if the chain has one: a development account's name or an address")
	fl.BoolVar(&f.withParent, "with-parent", false, "stop when stdin ends")
	// MESH_CHAIN_SPEC is for what compares with a real runtime; it must not change which chain everything else runs on.
	if err := errors.Join(fl.SetAnnotation("chain-spec", noEnv, []string{}), fl.MarkHidden("with-parent")); err != nil {
		panic(err) // the lines above define them
	}
	return c
}

func (e *env) runChainDev(ctx context.Context, f *chainDevFlags, changed func(flag string) bool) (err error) {
	log, closeLog, err := e.log.logger(e.stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	seal, err := devchain.ParseSealMode(f.seal)
	if err != nil {
		return usageError{err}
	}
	if seal != devchain.SealInterval && !changed("finality-lag") {
		f.finalityLag = 0 // or who waits for finality would wait for somebody else's transaction
	}
	if f.blockTime <= 0 {
		return usagef("--block-time %v: want a time such as 1s", f.blockTime)
	}
	cfg := devchain.Config{DataDir: f.dataDir, Seal: seal, BlockTime: f.blockTime, FinalityLag: f.finalityLag, Logger: log}
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	engine, err := e.makeEngine(ctx, f, changed, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.close()) }()
	cfg.Genesis, cfg.Spec = engine.genesis, engine.spec
	c, err := devchain.New(cfg, engine.Engine)
	if err != nil {
		return chainOpenError(f.dataDir, err)
	}
	srv := devchain.NewServer(c, devchain.ServerConfig{
		Listen: f.listen, ChainName: engine.name, Properties: engine.properties, ImplVersion: e.version(), Logger: log,
	})
	addr, err := srv.Listen()
	if err != nil {
		err = errors.Join(err, c.Close())
		if errors.Is(err, syscall.EADDRINUSE) {
			return failf("stop what listens there, or give another address with --listen", "address %s is in use", f.listen)
		}
		return failf("give an address of this machine as host:port with --listen", "cannot listen on %q: %w", f.listen, err)
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
	case errors.As(err, new(*fs.PathError)):
		return failf("give a folder that can be made and written with --data-dir", "%w", err)
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
