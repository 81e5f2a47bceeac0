package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/internal/inspect"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// dhtFlags say by which node a command reaches the swarm: a running one, or one of its own for as long as it takes.
type dhtFlags struct {
	dataDir      string
	identityPath string
	rpc          []string
	genesis      string
	subnet       uint32
	peers        []string
	python       bool
	timeout      time.Duration
	json         bool
}

func (e *env) dhtCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "dht",
		Short: "Look into a swarm: get, put, ping, peers, table, trace, crawl",
		Long: `Look into the DHT of a subnet, and store records in it. There are two ways in:

  --data-dir DIR        through a node that runs on this machine: DIR is its data folder, such as ~/.mesh/up/node-1 of ` + "`mesh up`" + `.
                        What makes the node act needs to read status.token there, which only its user can.
  --identity-path KEY   as a client that is gone when the command ends. The swarm admits only keys that the chain lists for the
                        subnet: take the client key of a node (` + "`mesh node register --client`" + `), not the key of one that runs. Give
                        --subnet-id, and --rpc or --initial-peers. With --python it can join a swarm of Python nodes, and with
                        --initial-peers alone one that belongs to no chain.

A KEY is text, hashed as applications do; with --key-hex it is the 20 bytes of the hash. Values and subkeys are shown as JSON; what JSON
lacks is written as {"$bytes": "00ff"}, {"$tuple": [..]}, {"$float": "NaN"}, {"$ext": 1, "$bytes": ".."} or {"$map": [[key, value], ..]}.

The exit code is 0 when it worked, 1 when not (also when there is no such value, or nobody took it), 2 when the command line is wrong.`,
		Example: `  mesh dht get heartbeat --data-dir ./node-1
  mesh dht trace heartbeat --data-dir ./node-1
  mesh dht crawl --data-dir ./node-1 --dot | dot -Tsvg > swarm.svg
  mesh dht peers --identity-path client.key --subnet-id 128001 --rpc wss://rpc.example.org`,
	}
	c.AddCommand(e.dhtGetCmd(), e.dhtPutCmd(), e.dhtPingCmd(), e.dhtPeersCmd(), e.dhtTableCmd(), e.dhtTraceCmd(), e.dhtCrawlCmd())
	return c
}

// register adds the flags to a command and makes shells complete them.
func (f *dhtFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.dataDir, "data-dir", "", "data `folder` of a node that runs on this machine")
	fl.StringVar(&f.identityPath, "identity-path", "", "peer key `file` to join with as a client")
	fl.StringSliceVar(&f.rpc, "rpc", []string{defaultRPC}, "WebSocket `address` of the chain, for a client; may be repeated")
	fl.StringVar(&f.genesis, "genesis", "", "genesis `hash` of the chain; with it and --initial-peers a client needs no chain")
	fl.Uint32Var(&f.subnet, "subnet-id", 0, "`ID` or friendly ID of the subnet, for a client")
	fl.StringSliceVar(&f.peers, "initial-peers", nil, "multiaddr with /p2p/.. to join by; default those that the chain lists; may be repeated")
	fl.BoolVar(&f.python, "python", false, "speak with Python nodes too, for a client")
	fl.DurationVar(&f.timeout, "timeout", time.Minute, "give up after that long")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	folder := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	if err := c.RegisterFlagCompletionFunc("data-dir", folder); err != nil {
		panic(err) // the flag is defined above
	}
}

// keyArg completes the keys that every subnet has.
func keyArg(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"heartbeat", "commit_epoch_", "reveal_epoch_"}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// with reaches the swarm and runs do under the command's time limit.
func (f *dhtFlags) with(e *env, cmd *cobra.Command, do func(ctx context.Context, t inspect.Tools) error) (err error) {
	switch {
	case f.timeout <= 0:
		return usagef("--timeout must be more than nothing")
	case f.dataDir != "" && f.identityPath != "":
		return usagef("--data-dir and --identity-path exclude each other: through the running node, or as a client of its own?")
	case f.dataDir == "" && f.identityPath == "":
		return usagef("which swarm? Give --data-dir of a node that runs on this machine, or --identity-path and --subnet-id to join as a client")
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	var tools inspect.Tools
	if f.dataDir != "" {
		if tools, err = localNode(f.dataDir); err != nil {
			return err
		}
	} else {
		g, err := e.openGuest(ctx, f)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, g.Close()) }()
		tools = g
	}
	return f.explain(do(ctx, tools))
}

// localNode finds the running node of a data folder.
func localNode(dir string) (*inspect.Client, error) {
	addr, err := os.ReadFile(filepath.Join(dir, mesh.StatusFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failf("start it, or give the folder of one that runs; `mesh up` has one folder for each of its nodes", "no node runs in %s", dir)
	}
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(filepath.Join(dir, mesh.TokenFile))
	if errors.Is(err, fs.ErrPermission) {
		return nil, failf("run this as the user that runs the node", "%s cannot be read", filepath.Join(dir, mesh.TokenFile))
	}
	if err != nil {
		return nil, failf("restart the node: an older version does not write that file", "%w", err)
	}
	return &inspect.Client{Addr: strings.TrimSpace(string(addr)), Token: strings.TrimSpace(string(token))}, nil
}

// explain says what to do about a failure.
func (f *dhtFlags) explain(err error) error {
	var known *inspect.Error
	if !errors.As(err, &known) {
		if err != nil && f.dataDir != "" && strings.Contains(err.Error(), "call the node") {
			return failf("is it still running?", "%w", err)
		}
		return err
	}
	next := map[inspect.Code]string{
		inspect.CodeNotFound:     "it may have expired; `mesh dht trace` shows who was asked",
		inspect.CodeUnauthorized: "the node was restarted, or the folder belongs to another one; try again",
		inspect.CodeNotReady:     "wait until it is online: `mesh node run` reports it",
		inspect.CodeTooLarge:     "a value has 64 KiB at most, with its signature",
		inspect.CodeTimeout:      "give it more time with --timeout",
		inspect.CodeUnreachable:  "is it running, and admitted to the subnet? `mesh dht peers` shows refused connections and why",
	}[known.Code]
	if known.Code == inspect.CodeBadRequest {
		return usageError{errors.New(clean(known.Text))}
	}
	return failf(next, "%s", clean(known.Text))
}

// clean keeps what peers say from steering the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// keyFlags are how a key is written.
type keyFlags struct{ hex bool }

func (k *keyFlags) register(c *cobra.Command) {
	c.Flags().BoolVar(&k.hex, "key-hex", false, "KEY is the 20 bytes of the hashed key, as 40 hex digits")
}

func (k *keyFlags) key(text string) (string, error) {
	if !k.hex {
		return record.KeyOfText(text).String(), nil
	}
	key, err := record.ParseKey(text)
	if err != nil {
		return "", usagef("KEY %q: want 40 hex digits", text)
	}
	return key.String(), nil
}

func (e *env) dhtGetCmd() *cobra.Command {
	var f dhtFlags
	var k keyFlags
	var q inspect.Query
	var subkey string
	c := &cobra.Command{
		Use:   "get KEY",
		Short: "Show what a key holds",
		Long: `Show what a key holds: its value, or its subkeys with their owners and values. Heartbeats are shown in words; AGE is how much earlier
than the newest one a heartbeat ends, since none says when it was written.`,
		Example:           "  mesh dht get heartbeat --data-dir ./node-1\n  mesh dht get heartbeat --data-dir ./node-1 --latest --json\n  mesh dht get --key-hex 0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33 --data-dir ./node-1",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: keyArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if q.Key, err = k.key(args[0]); err != nil {
				return err
			}
			return f.with(e, cmd, func(ctx context.Context, t inspect.Tools) error {
				found, err := t.Get(ctx, q)
				if err != nil {
					return notFound(err, args[0])
				}
				if cmd.Flags().Changed("subkey") {
					if found, err = only(found, args[0], subkey); err != nil {
						return err
					}
				}
				return e.show(f.json, found, func() string { return foundText(found, time.Now()) })
			})
		},
	}
	f.register(c)
	k.register(c)
	fl := c.Flags()
	fl.StringVar(&subkey, "subkey", "", "show this entry only; the marker of its owner may be left out")
	fl.BoolVar(&q.Latest, "latest", false, "ask all holders and show the newest, instead of the first that is found")
	fl.BoolVar(&q.Fresh, "no-cache", false, "leave out what the node remembers")
	fl.IntVar(&q.Paths, "paths", 0, "search on that many disjoint paths, so that all but one may lead to liars")
	return c
}

func notFound(err error, key string) error {
	var known *inspect.Error
	if errors.As(err, &known) && known.Code == inspect.CodeNotFound {
		return &inspect.Error{Code: known.Code, Text: fmt.Sprintf("no value under %q", key)}
	}
	return err
}

// only picks entries by their subkey.
func only(f *inspect.Found, key, subkey string) (*inspect.Found, error) {
	out := *f
	out.Entries = nil
	for _, x := range f.Entries {
		packed, err := inspect.FromJSON(x.Subkey)
		if err != nil {
			return nil, err
		}
		if name, _, _ := strings.Cut(textOf(packed), "[owner:"); name == subkey || textOf(packed) == subkey || string(x.Subkey) == subkey {
			out.Entries = append(out.Entries, x)
		}
	}
	if out.Entries == nil {
		return nil, &inspect.Error{Code: inspect.CodeNotFound, Text: fmt.Sprintf("no subkey %q under %q, which has %d", subkey, key, len(f.Entries))}
	}
	return &out, nil
}

// textOf is the text or the bytes that a packed value is; "" for any other.
func textOf(packed []byte) string {
	v, err := msgpack.Unmarshal(packed)
	if err != nil {
		return ""
	}
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

func foundText(f *inspect.Found, now time.Time) string {
	var b strings.Builder
	if f.Entries == nil {
		fmt.Fprintf(&b, "%s\n", clean(string(f.Value)))
		fmt.Fprintf(&b, "expires in %s, found in %.1f ms", remaining(f.Expires, now), f.Took)
		return b.String()
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if f.Entries[0].Heartbeat != nil {
		fmt.Fprintln(w, "PEER\tSTATE\tROLE\tAGE\tENDS IN\tEPOCH\tTHROUGHPUT\tVERSION\tNAME")
	} else {
		fmt.Fprintln(w, "SUBKEY\tOWNER\tENDS IN\tVALUE")
	}
	for _, x := range f.Entries {
		if h := x.Heartbeat; h != nil {
			epoch := "-"
			if h.Epoch != nil {
				epoch = strconv.FormatUint(uint64(*h.Epoch), 10)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%.1fs\t%s\t%s\t%g\t%s\t%s\n", x.Owner, h.State, clean(h.Role), h.Behind, remaining(x.Expires, now), epoch, h.Throughput,
				clean(h.Version), clean(h.PublicName))
			continue
		}
		owner := x.Owner
		if owner == "" {
			owner = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", clean(subkeyText(x.Subkey)), owner, remaining(x.Expires, now), clean(string(x.Value)))
	}
	flush(w)
	fmt.Fprintf(&b, "%d subkeys, found in %.1f ms", len(f.Entries), f.Took)
	return b.String()
}

// subkeyText shows a subkey; the marker of an owner is shown as the owner already.
func subkeyText(raw json.RawMessage) string {
	packed, err := inspect.FromJSON(raw)
	if err != nil {
		return string(raw)
	}
	if name, _, owned := strings.Cut(textOf(packed), "[owner:"); owned {
		return name
	}
	return string(raw)
}

func remaining(t, now time.Time) string { return t.Sub(now).Round(100 * time.Millisecond).String() }

func (e *env) dhtPutCmd() *cobra.Command {
	var f dhtFlags
	var k keyFlags
	var w inspect.Write
	var subkey string
	var asJSON bool
	life := 10 * time.Minute
	c := &cobra.Command{
		Use:   "put KEY VALUE",
		Short: "Store a record",
		Long: `Store a record at the nodes nearest to its key. VALUE is text, or JSON with --json-value; - reads it from stdin. The record's end is also
its version: nodes keep what ends last.

With --sign the subkey gets the owner marker of the node's key (of --identity-path for a client), and the record its signature: nobody
else can write that subkey. Without --subkey the peer ID is taken. The nodes of a subnet accept only the keys of its application, and
heartbeat, commit_epoch_N and reveal_epoch_N, signed and in their time; the answer says why a record was refused.`,
		Example: "  mesh dht put weather fair --data-dir ./node-1 --expires 1h\n" +
			"  mesh dht put commit_epoch_7 --json-value '{\"$bytes\": \"00ff\"}' --sign --data-dir ./node-1",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: keyArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if w.Key, err = k.key(args[0]); err != nil {
				return err
			}
			if w.Value, err = e.value(args[1], asJSON); err != nil {
				return err
			}
			if cmd.Flags().Changed("subkey") {
				if w.Subkey, err = msgpack.Marshal(subkey); err != nil {
					return usagef("--subkey: %w", err)
				}
			}
			w.Life = life.Seconds()
			return f.with(e, cmd, func(ctx context.Context, t inspect.Tools) error {
				s, err := t.Put(ctx, w)
				if err != nil {
					return err
				}
				return e.stored(&f, s)
			})
		},
	}
	f.register(c)
	k.register(c)
	fl := c.Flags()
	fl.StringVar(&subkey, "subkey", "", "store as this entry of the key's dictionary")
	fl.DurationVar(&life, "expires", life, "how long the record lives")
	fl.BoolVar(&w.Sign, "sign", false, "protect the entry with the node's key")
	fl.BoolVar(&asJSON, "json-value", false, "VALUE is JSON")
	fl.BoolVar(&w.Region, "region", false, "store at all nodes around the key, not only at the nearest")
	return c
}

const maxValueArg = 128 << 10 // twice what nodes accept

// value reads the value of a record.
func (e *env) value(arg string, asJSON bool) ([]byte, error) {
	text := []byte(arg)
	if arg == "-" {
		b, err := io.ReadAll(io.LimitReader(e.stdin, maxValueArg+1))
		if err != nil {
			return nil, fmt.Errorf("read the value from stdin: %w", err)
		}
		text = b
	}
	if len(text) > maxValueArg {
		return nil, failf("nodes take 64 KiB at most", "the value has more than %d KiB", maxValueArg>>10)
	}
	if asJSON {
		packed, err := inspect.FromJSON(text)
		if err != nil {
			return nil, usagef("VALUE: %w", err)
		}
		return packed, nil
	}
	packed, err := msgpack.Marshal(string(text))
	if err != nil {
		return nil, usagef("VALUE: %w; give bytes with --json-value as {\"$bytes\": \"hex\"}", err)
	}
	return packed, nil
}

func (e *env) stored(f *dhtFlags, s *inspect.Stored) error {
	if f.json {
		if err := e.show(true, s, nil); err != nil || s.OK {
			return err
		}
		return silentError{errors.New(s.Reason)}
	}
	if !s.OK {
		return refused(s)
	}
	return e.show(false, s, func() string {
		var b strings.Builder
		fmt.Fprintf(&b, "stored at %d of %d nodes in %.1f ms, until %s\n", s.Accepted, s.Wanted, s.Took, s.Expires.Local().Format(time.DateTime))
		for _, a := range s.Answers {
			fmt.Fprintf(&b, "  %s %s\n", a.Peer, clean(a.Answer))
		}
		return b.String()
	})
}

// refused says why a record was not stored.
func refused(s *inspect.Stored) error {
	answers := make(map[string]int)
	for _, a := range s.Answers {
		answers[clean(a.Answer)]++
	}
	var said []string
	for _, a := range sortedKeys(answers) {
		said = append(said, fmt.Sprintf("%d said %q", answers[a], a))
	}
	next := "is the node in its swarm? `mesh dht peers` shows"
	switch {
	case s.Older > 0:
		next = "a record that ends later is there already: give a longer --expires"
	case answers["invalid"] > 0:
		next = "a rule of the subnet refuses it: its keys are heartbeat, commit_epoch_N and reveal_epoch_N of this epoch, each in its time and with --sign, and those of its application"
	case len(said) == 0:
		return failf(next, "not stored: %s", clean(s.Reason))
	}
	return failf(next, "stored at %d of %d nodes: %s", s.Accepted, s.Wanted, strings.Join(said, ", "))
}

func (e *env) dhtPingCmd() *cobra.Command {
	var f dhtFlags
	var q inspect.PingQuery
	c := &cobra.Command{
		Use:     "ping PEER",
		Short:   "Call a peer: round trip, clock, place in the key space",
		Long:    "Call a peer, given by its peer ID or by a multiaddr that ends in /p2p/<peer ID>: how long it takes, how far its clock is off, and its ID.",
		Example: "  mesh dht ping 12D3KooW... --data-dir ./node-1\n  mesh dht ping /ip4/10.0.0.7/tcp/31330/p2p/12D3KooW... --data-dir ./node-1 --call-back",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Peer = args[0]
			return f.with(e, cmd, func(ctx context.Context, t inspect.Tools) error {
				p, err := t.Ping(ctx, q)
				if err != nil {
					return err
				}
				return e.show(f.json, p, func() string {
					id := p.ID
					if id == "" {
						id = "none: it is a client"
					}
					text := fmt.Sprintf("%s answers in %.1f ms; clock %+.1f ms; ID %s", p.Peer, p.RTT, p.Offset, id)
					if p.Available != nil {
						text += map[bool]string{true: "; it can reach us", false: "; it cannot reach us"}[*p.Available]
					}
					return text
				})
			})
		},
	}
	f.register(c)
	c.Flags().BoolVar(&q.CallBack, "call-back", false, "let the peer try to reach this node")
	return c
}
