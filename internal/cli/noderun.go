package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh"
)

func (e *env) nodeCmd() *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "Run, register and look at nodes"}
	c.AddCommand(e.nodeRunCmd(), e.nodeRegisterCmd(), e.nodeRemoveCmd(), e.nodeUpdateCmd(), e.nodeInfoCmd(), e.nodeListCmd())
	return c
}

func (e *env) nodeRunCmd() *cobra.Command {
	var f nodeFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Run a node: join its subnet, serve, propose and attest",
		Long: `Run a node of a subnet. It waits until it is registered on the chain and its start epoch has come, joins the subnet's DHT by the
bootnodes that the chain lists, admits peers by their stake, announces itself, and takes part in consensus in every epoch.

The node on the chain is found by the peer ID of --identity-path. Without --hotkey it serves and watches, but does not vote.`,
		Example: "  mesh node run --data-dir ./node --subnet-id 128001 --hotkey hotkey.json --host-maddrs /ip4/0.0.0.0/tcp/31330",
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.runNode(cmd.Context(), &f, false) },
	}
	f.register(c.Flags())
	e.registerNodeOnly(c, &f)
	return c
}

func (e *env) registerNodeOnly(c *cobra.Command, f *nodeFlags) {
	fl := c.Flags()
	fl.Uint32Var(&f.node, "subnet-node-id", 0, "`ID` of the node in its subnet; default: found by its peer ID")
	fl.StringVar(&f.hotkey, "hotkey", "", "key `file` of the account that proposes and attests")
	fl.StringVar(&f.passwordFile, "hotkey-password-file", "", "`file` with the password of the hotkey; default MESH_HOTKEY_PASSWORD, or asked for")
	fl.StringVar(&f.publicName, "public-name", "", "name shown to others")
	fl.DurationVar(&f.updatePeriod, "update-period", 0, "time between heartbeats; default an eighth of an epoch, at most a minute")
}

func (e *env) bootnodeCmd() *cobra.Command {
	var f nodeFlags
	c := &cobra.Command{
		Use:   "bootnode",
		Short: "Run a bootnode: the peer by which the nodes of a subnet join",
		Long: `Run a bootnode. It holds a part of the subnet's DHT and admits by stake, but is no node of the subnet: it scores nobody and needs no
account. Register its address with the subnet, or hand it to the nodes with --initial-peers. Run it with the nodes' own program: it keeps
records too, and must have the same rules for them.`,
		Example: "  mesh bootnode --data-dir ./bootnode --subnet-id 128001 --host-maddrs /ip4/0.0.0.0/tcp/31330",
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.runNode(cmd.Context(), &f, true) },
	}
	f.register(c.Flags())
	return c
}

// runNode runs a node or a bootnode until the context ends.
func (e *env) runNode(ctx context.Context, f *nodeFlags, bootnode bool) error {
	return e.runWith(ctx, f, bootnode, nil)
}

// runWith is runNode with something that runs beside the node until it stops.
func (e *env) runWith(ctx context.Context, f *nodeFlags, bootnode bool, beside func(context.Context, *mesh.Node)) (err error) {
	log, closeLog, err := e.log.logger(e.stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	ctx, stop := endWithStdin(ctx, e, f.withParent)
	defer stop()
	cfg, err := f.config(log, e.program.Name+"/"+e.version())
	if err != nil {
		return err
	}
	cfg.Bootnode = bootnode
	if !bootnode {
		hotkey, err := f.signer(e)
		if err != nil {
			return err
		}
		cfg.Hotkey = hotkey
	}
	n, err := mesh.New(cfg, e.program.App)
	if err != nil {
		return err
	}
	if beside == nil {
		return n.Run(ctx)
	}
	side, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		beside(side, n)
	}()
	err = n.Run(ctx)
	end()
	<-done
	return err
}

// endWithStdin ends the context when stdin does: the other end is the process that started this one.
func endWithStdin(ctx context.Context, e *env, on bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if on {
		go func() { // ends with the process: a read of stdin cannot be interrupted
			_, err := io.Copy(io.Discard, e.stdin)
			cancel(errors.Join(errors.New("the parent has gone"), err))
		}()
	}
	return ctx, func() { cancel(nil) }
}
