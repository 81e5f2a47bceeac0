// Command gonode is one Go node of a mixed swarm, driven by another program: a JSON command per line on standard input, a
// JSON answer per line on standard output. Keys, subkeys and values are hex of their msgpack forms, expirations unix
// seconds. It ends, handing its records over, on the command quit and when standard input ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

type options struct {
	listen, bootstrap, key   string
	rsa, sign, auth, verbose bool
	epoch                    time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "/ip4/127.0.0.1/tcp/0", "address to listen on")
	flag.StringVar(&o.bootstrap, "bootstrap", "", "address of a peer to join by, with /p2p/")
	flag.StringVar(&o.key, "key", "", "key file; made if it does not exist")
	flag.BoolVar(&o.rsa, "rsa", false, "make an RSA key, as Python nodes do")
	flag.BoolVar(&o.sign, "sign", false, "validate owners' signatures, and sign with the key")
	flag.BoolVar(&o.auth, "auth", false, "sign each message to Python nodes, and refuse theirs without signature")
	flag.DurationVar(&o.epoch, "epoch", 0, "hold the rules of a subnet whose epochs, counted from 1970, are that long; goes with -sign")
	flag.BoolVar(&o.verbose, "v", false, "log to standard error")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "gonode:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	key, err := loadKey(o)
	if err != nil {
		return err
	}
	level := slog.LevelError
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	addrs, err := p2p.ParseAddrs([]string{o.listen})
	if err != nil {
		return err
	}
	const namespace = "/mesh/interop/1"
	host, err := p2p.New(p2p.Config{Key: key, Listen: addrs, Namespace: namespace, PythonCompat: true, Logger: log})
	if err != nil {
		return err
	}
	over := rpc.Config{Namespace: namespace, Python: true, Logger: log}
	if o.auth {
		signature, err := auth.NewSignature(key, auth.SignatureConfig{})
		if err != nil {
			return err
		}
		over.Interceptors = []rpc.Interceptor{signature}
	}
	calls := rpc.NewNode(host, over)
	cfg := dht.Config{Python: true, Replicas: 5, Logger: log, Validators: validators(o, key)}
	if o.epoch > 0 {
		cfg.Phase = func() record.Phase { return phaseAt(time.Now(), o.epoch) }
	}
	if o.bootstrap != "" {
		if cfg.Bootstrap, err = p2p.ParsePeers([]string{o.bootstrap}); err != nil {
			return err
		}
	}
	node, err := dht.New(calls, cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	select {
	case <-node.Ready():
	case <-time.After(30 * time.Second):
		cancel()
		return fmt.Errorf("not ready in 30 s: %+v", node.Stats())
	}
	d := driver{node: node, host: host, key: key}
	if o.sign {
		d.marker = record.OwnerMarker(key.GetPublic())
	}
	err = d.serve(os.Stdin, os.Stdout)
	cancel()
	return errors.Join(err, <-done, node.Close(), calls.Close(), host.Close())
}

// loadKey reads the node's key, or makes it.
func loadKey(o options) (crypto.PrivKey, error) {
	key, err := identity.Load(o.key)
	if !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	kind := identity.Ed25519
	if o.rsa {
		kind = identity.RSA
	}
	if key, err = identity.Generate(kind); err != nil {
		return nil, err
	}
	return key, identity.Save(o.key, key, false)
}

// validators are the rules that the flags ask for.
func validators(o options, key crypto.PrivKey) record.Chain {
	if !o.sign {
		return record.Chain{}
	}
	rules := []record.Validator{record.NewSignature(key, record.SignatureConfig{Python: true})}
	if o.epoch > 0 {
		rules = append(rules, record.NewPhases(record.PhasesConfig{Heartbeat: heartbeat.Check}))
	}
	return record.NewChain(rules...)
}

// phaseAt counts epochs by the clock: there is no chain here.
func phaseAt(now time.Time, epoch time.Duration) record.Phase {
	ms, length := now.UnixMilli(), epoch.Milliseconds()
	return record.PhaseAt(uint32(ms/length), uint32(ms%length), uint32(length)) //nolint:gosec // milliseconds of an epoch of minutes
}
