//go:build unix

package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/internal/inspect"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

const testGenesis = "0x0102030400000000000000000000000000000000000000000000000000000000"

// smallSwarm is a few nodes of subnet 7 without a chain; it returns the flags by which a guest joins them, and their addresses.
func smallSwarm(t *testing.T, n int) (flags, addrs []string) {
	t.Helper()
	listen, err := p2p.ParseAddrs([]string{"/ip4/127.0.0.1/tcp/0"})
	if err != nil {
		t.Fatal(err)
	}
	var by []peer.AddrInfo
	for range n {
		key, err := identity.Generate(identity.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		host, err := p2p.New(p2p.Config{Key: key, Listen: listen, Namespace: "/mesh/01020304/7"})
		if err != nil {
			t.Fatal(err)
		}
		calls := rpc.NewNode(host, rpc.Config{Namespace: "/mesh/01020304/7"})
		node, err := dht.New(calls, dht.Config{
			Bootstrap: by, LeaveTimeout: -1, Validators: record.NewChain(record.NewBounds(record.BoundsConfig{}), record.NewSignature(key, record.SignatureConfig{})),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { node.Close(); calls.Close(); host.Close() })
		if err := node.Bootstrap(t.Context()); err != nil {
			t.Fatal(err)
		}
		by = append(by, host.AddrInfo())
		addrs = append(addrs, host.Addrs()[0].String())
	}
	key := filepath.Join(t.TempDir(), "guest.key")
	if out := run(t, "keygen", "--path", key, "--bootstrap-path", "", "--client-path", ""); out.code != 0 {
		t.Fatal(out.stderr)
	}
	return []string{"--identity-path", key, "--genesis", testGenesis, "--subnet-id", "7", "--initial-peers", addrs[0], "--timeout", "20s"}, addrs
}

// prints runs a command line and checks its exit code and what it prints.
func prints(t *testing.T, code int, pattern string, args ...string) string {
	t.Helper()
	got := run(t, args...)
	out := got.stdout
	if code != 0 {
		checkFailure(t, got, code)
		out = got.stderr
	}
	if got.code != code || !regexp.MustCompile(pattern).MatchString(out) {
		t.Errorf("%v: exit code %d, printed %q %q; want %d, %q", args, got.code, got.stdout, got.stderr, code, pattern)
	}
	return got.stdout
}

func with(flags []string, args ...string) []string { return append(args, flags...) }

// TestDHTAsGuest uses every command as a client of a swarm.
func TestDHTAsGuest(t *testing.T) {
	f, addrs := smallSwarm(t, 4)
	prints(t, 0, `^stored at 4 of 4 nodes in .* ms, until `, with(f, "dht", "put", "weather", "fair", "--expires", "1h")...)
	prints(t, 0, `^"fair"\nexpires in (59m|1h0m0s).*, found in `, with(f, "dht", "get", "weather")...)
	prints(t, 0, `^"fair"\n`, with(f, "dht", "get", "--key-hex", record.KeyOfText("weather").String(), "--latest", "--no-cache", "--paths", "2")...)
	prints(t, 1, `ends later is there already: give a longer --expires`, with(f, "dht", "put", "weather", "bad", "--expires", "1m")...)

	prints(t, 0, `"ok":true`, with(f, "dht", "put", "colours", `{"a":[1,{"$bytes":"00ff"}]}`, "--json-value", "--subkey", "one", "--json")...)
	prints(t, 0, `^stored`, with(f, "dht", "put", "colours", "red", "--subkey", "two", "--sign")...)
	prints(t, 0, `"one" +- +\S+ +\{"a":\[1,\{"\$bytes":"00ff"\}\]\}\ntwo +12D3KooW\S+ +\S+ +"red"\n2 subkeys`, with(f, "dht", "get", "colours", "--latest")...)
	out := prints(t, 0, ``, with(f, "dht", "get", "colours", "--latest", "--subkey", "two", "--json")...)
	var found inspect.Found
	if err := json.Unmarshal([]byte(out), &found); err != nil || len(found.Entries) != 1 || string(found.Entries[0].Value) != `"red"` || found.Entries[0].Owner == "" {
		t.Errorf("%q: %+v, %v", out, found, err)
	}
	prints(t, 1, `no subkey "three" under "colours", which has 2`, with(f, "dht", "get", "colours", "--subkey", "three")...)
	prints(t, 1, `no value under "nothing"\n.*mesh dht trace`, with(f, "dht", "get", "nothing")...)
	checkFailure(t, run(t, with(f, "dht", "put", "large", strings.Repeat("x", 70<<10))...), exitFailed, "64 KiB at most")

	other := addrs[2][strings.LastIndex(addrs[2], "/")+1:]
	prints(t, 0, `^`+other+` answers in .* ms; clock .* ms; ID [0-9a-f]{40}`, with(f, "dht", "ping", addrs[2])...)
	prints(t, 1, `is it running, and admitted`, with(f, "dht", "ping", "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWAjE3LCThDrz5AABBHyL1WGxoGtoo7AGruSp41e4qFJX6")...)
	prints(t, 0, other, with(f, "dht", "peers")...)
	prints(t, 0, `4 contacts in 1 buckets.*\nbucket 1: the whole space, with this node, 4 contacts`, with(f, "dht", "table")...)
	prints(t, 0, `(?s)has it.*stopped after .*(converged|exhausted): .*found "fair"`, with(f, "dht", "trace", "weather")...)
	prints(t, 0, `4 nodes, 0 without an answer, 12 links`, with(f, "dht", "crawl")...)
	prints(t, 0, `(?s)^digraph swarm \{.*n0 -> n3 \[dir=none\];.*\}\n$`, with(f, "dht", "crawl", "--dot")...)
	var g inspect.Graph
	if out := prints(t, 0, ``, with(f, "dht", "crawl", "--json")...); json.Unmarshal([]byte(out), &g) != nil || len(g.Nodes) != 4 || len(g.Links) != 12 {
		t.Errorf("%q", out)
	}
	wrong := append([]string(nil), f...)
	wrong[5] = "8"
	prints(t, 1, `cannot join as 12D3KooW.*\n.*Are --genesis and --subnet-id right`, with(wrong, "dht", "get", "weather")...)
}

func TestDHTUsage(t *testing.T) {
	for _, c := range []struct {
		args  []string
		words string
	}{
		{[]string{"get"}, "accepts 1 arg"},
		{[]string{"get", "x"}, "which swarm?"},
		{[]string{"get", "x", "--data-dir", "a", "--identity-path", "b"}, "exclude each other"},
		{[]string{"get", "x", "--data-dir", "a", "--timeout", "0s"}, "--timeout"},
		{[]string{"get", "x", "--key-hex", "--data-dir", "a"}, "40 hex digits"},
		{[]string{"put", "x", "{", "--json-value", "--data-dir", "a"}, "no JSON value"},
		{[]string{"put", "x", "\xff", "--data-dir", "a"}, "UTF-8"},
		{[]string{"crawl", "--dot", "--json", "--data-dir", "a"}, "exclude each other"},
		{[]string{"frob"}, "unknown command"},
	} {
		checkFailure(t, run(t, append([]string{"dht"}, c.args...)...), exitUsage, c.words)
	}
	checkFailure(t, run(t, "dht", "get", "x", "--data-dir", t.TempDir()), exitFailed, "no node runs in")
	checkFailure(t, run(t, "dht", "put", "x", strings.Repeat("x", 200<<10), "--data-dir", t.TempDir()), exitFailed, "64 KiB")
	for _, args := range [][]string{{"--peers", "0"}, {"--keys", "0"}, {"--value", "100000"}, {"--expiration", "0s"}, {"--transport", "x"}} {
		checkFailure(t, run(t, append([]string{"bench", "dht"}, args...)...), exitUsage, args[0])
	}
}

func TestDHTCompletion(t *testing.T) {
	if out := run(t, "__complete", "dht", "get", ""); !strings.Contains(out.stdout, "heartbeat\n") {
		t.Errorf("keys: %q", out.stdout)
	}
	if out := run(t, "__complete", "dht", ""); !strings.Contains(out.stdout, "trace\t") || !strings.Contains(out.stdout, "crawl\t") {
		t.Errorf("commands: %q", out.stdout)
	}
}

func TestBenchDHT(t *testing.T) {
	out := prints(t, 0, ``, "bench", "dht", "--peers", "5", "--keys", "40", "--batch", "16", "--json")
	var r map[string]any // the names of bench/peers_hivemind.py
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"peers": 5, "keys": 40, "batch": 16, "store_success": 1, "get_success": 1, "start_s": -1, "store_ms": -1, "get_ms": -1, "memory_mib": -1,
	} {
		if got, ok := r[name].(float64); !ok || got <= 0 || want > 0 && got != want {
			t.Errorf("%s is %v in %q", name, r[name], out)
		}
	}
	// both benchmarks print the same four lines
	const form = `^start +\d+\.\d\d s for %d nodes\nstore +\d+\.\d{3} ms %s \(.+\), 100\.00 %% of %[3]d stored\n` +
		`get +\d+\.\d{3} ms %[2]s \(.+\), 100\.00 %% of %[3]d found.*\nmemory +(\d+\.\d MiB; )?\d+ KiB of heap and \d+ goroutines a node\n$`
	prints(t, 0, fmt.Sprintf(form, 1, "a key", 3), "bench", "dht", "--peers", "1", "--keys", "3", "--latency", "1ms")
	prints(t, 0, fmt.Sprintf(form, 4, "an operation", 8), "bench", "rounds", "--peers", "4", "--workers", "2", "--rounds", "2", "--failure-rate", "0")
}

// TestDHTOfUp looks into the swarm of `up`: through a node that runs, and as a client.
func TestDHTOfUp(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "up", "--nodes", "3", "--block-time", "200ms", "--data-dir", dir, "--json")
	_, m := p.await(0, `chain at (ws://\S+) `)
	p.await(0, `in consensus, node \d+ proposed, 3 of 3 attested`)
	first := filepath.Join(dir, "node-1")
	d := []string{"--data-dir", first}
	all := regexp.MustCompile(`(?s)PEER +STATE.*12D3KooW\S+ +online +validator +.*3 subkeys`)
	until(t, "three heartbeats are shown", func() bool { // they live for seconds only
		return all.MatchString(run(t, with(d, "dht", "get", "heartbeat", "--latest", "--no-cache")...).stdout)
	})
	prints(t, 0, `node 2 of subnet 128001`, with(d, "dht", "peers")...)
	prints(t, 0, `bucket 1`, with(d, "dht", "table")...)
	prints(t, 0, `has it`, with(d, "dht", "trace", "heartbeat")...)
	prints(t, 0, `4 nodes, 0 without an answer`, with(d, "dht", "crawl")...)
	prints(t, 1, `4 said "invalid"\n.*--sign`, with(d, "dht", "put", "weather", "fair")...)
	s, err := readStatus(t.Context(), filepath.Join(dir, "node-2"))
	if err != nil {
		t.Fatal(err)
	}
	prints(t, 0, s.PeerID, with(d, "dht", "ping", s.PeerID)...)

	// the token of another start
	token := filepath.Join(first, mesh.TokenFile)
	right, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(token, []byte(strings.Repeat("0", 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	prints(t, 1, `the token is missing or wrong\n.*restarted`, with(d, "dht", "get", "heartbeat")...)
	if err := os.WriteFile(token, right, 0o600); err != nil {
		t.Fatal(err)
	}

	// as a client: a stranger is told why not, a listed key is let in
	key := filepath.Join(t.TempDir(), "stranger.key")
	prints(t, 0, ``, "keygen", "--path", key, "--bootstrap-path", "", "--client-path", "")
	g := []string{"--subnet-id", "128001", "--rpc", m[1], "--identity-path"}
	prints(t, 1, `would refuse 12D3KooW.*: not registered.*\n.*stake`, append(with(g, "dht", "peers"), key)...)
	kill(t, s.PID)
	gone(t, s.PID)
	prints(t, 0, `online`, append(with(g, "dht", "get", "heartbeat"), filepath.Join(dir, "node-2", "peer.key"))...)

	// a node that is gone leaves its files
	prints(t, 1, `is it still running\?`, "dht", "peers", "--data-dir", filepath.Join(dir, "node-2"))
}
