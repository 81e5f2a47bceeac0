// Command gonode is one Go node of a mixed swarm, driven by another program: a JSON command per line on standard input, a
// JSON answer per line on standard output. Keys, subkeys and values are hex of their msgpack forms, expirations unix
// seconds. It ends, handing its records over, on
// the command quit and when standard input ends.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

type options struct {
	listen, bootstrap, key string
	rsa, sign, verbose     bool
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "/ip4/127.0.0.1/tcp/0", "address to listen on")
	flag.StringVar(&o.bootstrap, "bootstrap", "", "address of a peer to join by, with /p2p/")
	flag.StringVar(&o.key, "key", "", "key file; made if it does not exist")
	flag.BoolVar(&o.rsa, "rsa", false, "make an RSA key, as Python nodes do")
	flag.BoolVar(&o.sign, "sign", false, "validate owners' signatures, and sign with the key")
	flag.BoolVar(&o.verbose, "v", false, "log to standard error")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "gonode:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	kind := identity.Ed25519
	if o.rsa {
		kind = identity.RSA
	}
	key, err := identity.Load(o.key)
	if errors.Is(err, os.ErrNotExist) {
		if key, err = identity.Generate(kind); err == nil {
			err = identity.Save(o.key, key, false)
		}
	}
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
	calls := rpc.NewNode(host, rpc.Config{Namespace: namespace, Python: true, Logger: log})
	cfg := dht.Config{Python: true, Replicas: 5, Logger: log}
	var marker string
	if o.sign {
		signature := record.NewSignature(key, record.SignatureConfig{})
		marker = signature.Marker()
		cfg.Validators = record.NewChain(signature)
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
	over := make(chan error, 1)
	go func() { over <- node.Run(ctx) }()
	select {
	case <-node.Ready():
	case <-time.After(30 * time.Second):
		cancel()
		return fmt.Errorf("not ready in 30 s: %+v", node.Stats())
	}
	err = serve(node, host, marker)
	cancel()
	return errors.Join(err, <-over, node.Close(), calls.Close(), host.Close())
}

type command struct {
	Op    string `json:"op"` // store, get, ping, stats, quit
	Items []item `json:"items,omitempty"`
	Peer  string `json:"peer,omitempty"`
}

type item struct {
	Key        string  `json:"key"`
	Subkey     string  `json:"subkey,omitempty"`
	Value      string  `json:"value,omitempty"`
	Expiration float64 `json:"expiration,omitempty"`
}

type reply struct {
	OK         bool    `json:"ok"`
	Error      string  `json:"error,omitempty"`
	Value      string  `json:"value,omitempty"`
	Expiration float64 `json:"expiration,omitempty"`
	Entries    []item  `json:"entries,omitempty"`
	Accepted   int     `json:"accepted,omitempty"`
}

func serve(node *dht.Node, host *p2p.Host, marker string) error {
	out := json.NewEncoder(os.Stdout)
	var addrs []string
	for _, a := range host.Addrs() {
		addrs = append(addrs, a.String())
	}
	if err := out.Encode(map[string]any{"peer": host.ID().String(), "addrs": addrs, "id": node.ID().String(), "marker": marker}); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var c command
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return err
		}
		if c.Op == "quit" {
			return nil
		}
		if err := out.Encode(perform(node, c)); err != nil {
			return err
		}
	}
	return in.Err()
}

func perform(node *dht.Node, c command) any {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	switch c.Op {
	case "store":
		return store(ctx, node, c.Items)
	case "get":
		return get(ctx, node, c.Items)
	case "ping":
		p, err := peer.Decode(c.Peer)
		if err != nil {
			return reply{Error: err.Error()}
		}
		res, err := node.Ping(ctx, p, true)
		if err != nil {
			return reply{Error: err.Error()}
		}
		return reply{OK: res.Available, Value: hex.EncodeToString(res.ID[:])}
	case "stats":
		return node.Stats()
	default:
		return reply{Error: "unknown command " + c.Op}
	}
}

func keyOf(text string) (record.Key, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return record.Key{}, err
	}
	v, err := msgpack.Unmarshal(raw)
	if err != nil {
		return record.Key{}, err
	}
	return record.KeyOf(v), nil
}

func store(ctx context.Context, node *dht.Node, items []item) []reply {
	replies := make([]reply, len(items))
	reqs := make([]dht.StoreRequest, len(items))
	for i, it := range items {
		key, err := keyOf(it.Key)
		if err != nil {
			return []reply{{Error: err.Error()}}
		}
		reqs[i] = dht.StoreRequest{Key: key, Expiration: record.Expiration(it.Expiration).Time()}
		if it.Subkey != "" {
			raw, err := hex.DecodeString(it.Subkey)
			if err != nil {
				return []reply{{Error: err.Error()}}
			}
			reqs[i].Subkey = msgpack.Raw(raw)
		}
		raw, err := hex.DecodeString(it.Value)
		if err != nil {
			return []reply{{Error: err.Error()}}
		}
		reqs[i].Value = msgpack.Raw(raw)
	}
	for i, res := range node.StoreMany(ctx, reqs) {
		replies[i] = reply{OK: res.OK(), Accepted: res.Accepted}
		if err := res.Failure(); err != nil {
			replies[i].Error = err.Error()
		}
	}
	return replies
}

func get(ctx context.Context, node *dht.Node, items []item) []reply {
	keys := make([]record.Key, len(items))
	for i, it := range items {
		key, err := keyOf(it.Key)
		if err != nil {
			return []reply{{Error: err.Error()}}
		}
		keys[i] = key
	}
	replies := make([]reply, len(items))
	for i, res := range node.GetMany(ctx, keys, dht.Latest()) {
		if res.Err != nil {
			replies[i] = reply{Error: res.Err.Error()}
			continue
		}
		replies[i] = reply{OK: true, Value: hex.EncodeToString(res.Value.Raw), Expiration: float64(res.Value.Expiration)}
		for _, e := range res.Value.Entries {
			replies[i].Entries = append(replies[i].Entries, item{Subkey: hex.EncodeToString(e.Subkey), Value: hex.EncodeToString(e.Raw), Expiration: float64(e.Expiration)})
		}
	}
	return replies
}
