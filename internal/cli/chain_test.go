package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/identity"
)

// devChain runs an embedded chain that makes a block with each transaction, and returns its address.
func devChain(t *testing.T) string {
	t.Helper()
	rpc, _ := devChainOf(t, &chainDevFlags{epochLength: 20, sudo: "alith", seed: "test"})
	return rpc
}

// devChainOf runs the chain that flags ask for, with a block for each transaction.
func devChainOf(t *testing.T, f *chainDevFlags) (string, *devchain.Chain) {
	t.Helper()
	e := &env{stderr: t.Output()}
	engine, err := e.makeEngine(t.Context(), f, func(string) bool { return false }, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := devchain.New(devchain.Config{Genesis: engine.genesis, Seal: devchain.SealInstant}, engine.Engine)
	if err != nil {
		t.Fatal(err)
	}
	srv := devchain.NewServer(c, devchain.ServerConfig{Listen: "127.0.0.1:0", ImplVersion: "test"})
	addr, err := srv.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- c.Run(ctx) }()
	go func() { done <- srv.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if err := errors.Join(c.Close(), engine.close()); err != nil {
			t.Error(err)
		}
	})
	return "ws://" + addr.String(), c
}

// cmdline runs command lines against one chain.
type cmdline struct {
	t   *testing.T
	rpc string
}

// run returns the exit code and what was printed.
func (c cmdline) run(stdin string, args ...string) (code int, stdout, stderr string) {
	c.t.Helper()
	c.t.Setenv("MESH_JOURNAL", c.t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code = Main(ctx, Program{Name: "mesh", Short: "mesh under test"}, args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// ok runs a command that must succeed and decodes its JSON.
func (c cmdline) ok(into any, args ...string) {
	c.t.Helper()
	code, out, errs := c.run("", append(args, "--rpc", c.rpc, "--json")...)
	if code != 0 {
		c.t.Fatalf("mesh %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		c.t.Fatalf("mesh %s: %v in %s", strings.Join(args, " "), err, out)
	}
}

// fails runs a command that must fail with a status, and with texts on stderr of at most two lines beside progress.
func (c cmdline) fails(status int, texts []string, args ...string) {
	c.t.Helper()
	code, out, errs := c.run("", args...)
	if code != status {
		c.t.Errorf("mesh %s: exit %d, want %d\n%s%s", strings.Join(args, " "), code, status, out, errs)
	}
	for _, text := range texts {
		if !strings.Contains(errs, text) {
			c.t.Errorf("mesh %s: stderr lacks %q:\n%s", strings.Join(args, " "), text, errs)
		}
	}
	if strings.Contains(errs, "goroutine ") {
		c.t.Errorf("mesh %s printed a stack trace:\n%s", strings.Join(args, " "), errs)
	}
}

func peerKeyFile(t *testing.T, name string) string {
	t.Helper()
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := identity.Save(path, key, false); err != nil {
		t.Fatal(err)
	}
	return path
}

// peerOf is the peer ID of a key file.
func peerOf(t *testing.T, file string) string {
	t.Helper()
	key, err := identity.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.PeerID(key)
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func TestChainIsLookedInto(t *testing.T) {
	c := cmdline{t, devChain(t)}
	var info map[string]any
	c.ok(&info, "chain", "info")
	if info["generation"] != "G2" || info["epoch_length"] != 20.0 {
		t.Errorf("chain info = %v", info)
	}
	var done submission
	c.ok(&done, "chain", "call", "System.remark_with_event", `["0x68656c6c6f"]`, "--dev", "alith")
	if len(done.Events) == 0 {
		t.Errorf("no events of a remark: %+v", done)
	}
	var events struct{ Events []struct{ Event string } }
	c.ok(&events, "chain", "events", "--block", fmt.Sprint(done.Block))
	if !strings.Contains(fmt.Sprint(events), "System.Remarked") {
		t.Errorf("events = %v", events)
	}
	var account struct{ Nonce uint32 }
	c.ok(&account, "chain", "query", "System.Account", "0xf24ff3a9cf04c71dbc94d0b566f7a27b94566cac")
	if account.Nonce != 1 {
		t.Errorf("account = %+v", account)
	}
	var accounts []struct{ Key []any }
	c.ok(&accounts, "chain", "query", "System.Account")
	if len(accounts) < 6 {
		t.Errorf("%d accounts, want the development ones", len(accounts))
	}
	var length int
	c.ok(&length, "chain", "query", "Network.EpochLength")
	if length != 20 {
		t.Errorf("EpochLength = %d", length)
	}
	var dry struct {
		Call string
		Args map[string]any
		Fee  string
	}
	c.ok(&dry, "account", "transfer", "baltathar", "2.5", "--dev", "alith", "--dry-run")
	if dry.Call != "Balances.transfer_keep_alive" || fmt.Sprint(dry.Args["value"]) != "2500000000000000000" || dry.Fee == "0" {
		t.Errorf("dry run = %+v", dry)
	}
	var lines []string
	c.ok(&lines, "chain", "metadata", "Network", "--calls")
	if len(lines) < 100 || !strings.Contains(strings.Join(lines, "\n"), "propose_attestation") {
		t.Errorf("%d calls of Network", len(lines))
	}
	raw := filepath.Join(t.TempDir(), "metadata.scale")
	c.ok(nil, "chain", "metadata", "--raw", raw)
	if b, err := os.ReadFile(raw); err != nil || !bytes.HasPrefix(b, []byte("meta\x0e")) {
		t.Errorf("metadata file: %v, %d bytes", err, len(b))
	}
}

// TestDryRunShowsText wants names as text and other bytes as hex, and what is shown to be what would be signed.
func TestDryRunShowsText(t *testing.T) {
	c := cmdline{t, devChain(t)}
	boot := peerOf(t, peerKeyFile(t, "boot.key"))
	register := []string{"subnet", "register", "--dev", "alith", "--name", "écho", "--repo", "https://example.org/?a=1&b=2", "--description", "says\nit again",
		"--misc", "0xabcd", "--bootnodes", "/ip4/127.0.0.1/tcp/31330/p2p/" + boot, "--initial-coldkey", "baltathar", "--dry-run"}
	var dry struct {
		Call, Data string
		Args       map[string]json.RawMessage
	}
	c.ok(&dry, register...)
	var data map[string]any
	if err := json.Unmarshal(dry.Args["subnet_data"], &data); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"name": "écho", "repo": "https://example.org/?a=1&b=2", "description": "says\nit again",
		"misc": "0x307861626364", // text that looks like hex is shown as the hex of it
	} {
		if data[name] != want {
			t.Errorf("%s is shown as %q, want %q", name, data[name], want)
		}
	}
	shown := string(dry.Args["subnet_data"])
	for _, want := range []string{boot, `"0x047f000001`, "0x3cd0a705a2dc65e5b1e1205896baa2be8a07c6e0", "a=1&b=2"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in %s", want, shown)
		}
	}
	args, err := json.Marshal(dry.Args)
	if err != nil {
		t.Fatal(err)
	}
	again := dry
	c.ok(&again, "chain", "call", dry.Call, string(args), "--dev", "alith", "--dry-run")
	if again.Data != dry.Data {
		t.Errorf("encoded again it is\n%s, not\n%s", again.Data, dry.Data)
	}
	code, out, errs := c.run("", append(register, "--rpc", c.rpc)...)
	if code != 0 || !strings.Contains(out, `"repo": "https://example.org/?a=1&b=2"`) {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}

func TestIsText(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "echo": true, "日本": true, "two\nlines\tand a tab": true,
		"0x": false, "0x12": false, "\xff": false, "a\x00": false, "a\u202eb": false, "\u200b": false, "\x1b[31m": false,
	} {
		if got := isText([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestBadInputOfChainCommands wants what, why and what next in one or two lines, and the right exit status.
func TestBadInputOfChainCommands(t *testing.T) {
	rpc := devChain(t)
	c := cmdline{t, rpc}
	dir := t.TempDir()
	open := filepath.Join(dir, "open.json")
	if err := os.WriteFile(open, []byte("0x5fb92d6e98884f76de468fa3f6278f8807c48bebc13595d45af5bdc4da702133"), 0o644); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "ws://" + closed.Addr().String()
	closed.Close()
	poor := filepath.Join(dir, "poor.json")
	if code, out, errs := c.run("", "account", "new", "--plain", "--path", poor); code != 0 {
		t.Fatal(out, errs)
	}
	for _, x := range []struct {
		name   string
		status int
		texts  []string
		args   []string
	}{
		{"nobody signs", 2, []string{"who signs?", "--key"}, []string{"account", "transfer", "alith", "1", "--rpc", rpc}},
		{"unknown development account", 2, []string{`--dev "bob"`}, []string{"account", "transfer", "alith", "1", "--rpc", rpc, "--dev", "bob"}},
		{"no such key file", 1, []string{"does not exist", "mesh account new"}, []string{"account", "transfer", "alith", "1", "--rpc", rpc, "--key", filepath.Join(dir, "none")}},
		{"key file open to others", 1, []string{"can be read by others", "chmod 600"}, []string{"account", "transfer", "alith", "1", "--rpc", rpc, "--key", open}},
		{"amount in floats", 2, []string{"malformed amount"}, []string{"account", "transfer", "alith", "1e3", "--rpc", rpc, "--dev", "alith"}},
		{"more than there is", 1, []string{"Balances.transfer_keep_alive"}, []string{"account", "transfer", "baltathar", "99999999", "--rpc", rpc, "--dev", "alith"}},
		{"fee cannot be paid", 1, []string{"cannot pay the fee", "mesh account transfer"}, []string{"account", "transfer", "baltathar", "1", "--rpc", rpc, "--key", poor}},
		{"no chain there", 1, []string{"is the chain running there?", "--rpc"}, []string{"chain", "info", "--rpc", nobody}},
		{"another chain", 1, []string{"another chain", "--genesis"}, []string{"chain", "info", "--rpc", rpc, "--genesis", "0x" + strings.Repeat("11", 32)}},
		{"no such subnet", 1, []string{`no subnet "7"`, "mesh subnet list"}, []string{"subnet", "activate", "7", "--rpc", rpc, "--dev", "alith"}},
		{"dispatch error by name", 1, []string{"Network.", "its fee is spent"}, []string{"chain", "call", "Network.activate_subnet", "[5]", "--rpc", rpc, "--dev", "alith"}},
		{"no such call", 1, []string{"no call Network.fly", "mesh chain metadata"}, []string{"chain", "call", "Network.fly", "--rpc", rpc, "--dev", "alith"}},
		{"no such item", 1, []string{"no storage, constant or API"}, []string{"chain", "query", "Network.Nothing", "--rpc", rpc}},
		{"no such block", 1, []string{"no block 999999"}, []string{"chain", "events", "--block", "999999", "--rpc", rpc}},
		{"peer that is none", 2, []string{"no peer ID"}, []string{"node", "register", "1", "--rpc", rpc, "--dev", "alith", "--hotkey", "baltathar", "--peer", "xyz", "--stake", "1"}},
		{"share above the whole", 2, []string{"more than the whole"}, []string{"subnet", "register", "--rpc", rpc, "--delegate-stake-percentage", "120%"}},
		{"secret on the command line", 2, []string{"unknown flag"}, []string{"account", "import", "--phrase", "a b c"}},
	} {
		t.Run(x.name, func(t *testing.T) { cmdline{t, rpc}.fails(x.status, x.texts, x.args...) })
	}
}

// TestKeyFilesAreKept wants mode 0600, no overwriting, the same address back, and no secret in what is printed.
func TestKeyFilesAreKept(t *testing.T) {
	c := cmdline{t: t}
	dir := t.TempDir()
	path, phraseFile := filepath.Join(dir, "key.json"), filepath.Join(dir, "phrase")
	t.Setenv("MESH_KEY_PASSWORD", "correct horse")
	code, out, errs := c.run("", "account", "new", "--path", path, "--phrase-file", phraseFile, "--json")
	if code != 0 {
		t.Fatal(out, errs)
	}
	phrase, err := os.ReadFile(phraseFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, phraseFile} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", file, info.Mode(), err)
		}
	}
	if word := strings.Fields(string(phrase))[0]; strings.Contains(out+errs, word+" ") {
		t.Error("the phrase was printed")
	}
	var made struct{ Address string }
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	if code, _, errs = c.run("", "account", "new", "--path", path); code != 1 || !strings.Contains(errs, "exists already") {
		t.Errorf("a key file was overwritten: exit %d, %s", code, errs)
	}
	again := filepath.Join(dir, "again.json")
	if code, out, errs = c.run(string(phrase), "account", "import", "--path", again, "--json"); code != 0 || !strings.Contains(out, made.Address) {
		t.Errorf("import of the phrase: exit %d, %s%s; want %s", code, out, errs, made.Address)
	}
	if code, out, _ = c.run("", "account", "show", again); code != 0 || !strings.Contains(out, made.Address) {
		t.Errorf("show: exit %d, %s", code, out)
	}
}
