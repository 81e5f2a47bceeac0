package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// outcome is what a command line printed and ended with.
type outcome struct {
	code           int
	stdout, stderr string
}

func testProgram() Program { return Program{Name: "mesh", Short: "mesh under test", Version: "v0"} }

func run(t *testing.T, args ...string) outcome { return runAs(t, "", args...) }

func runAs(t *testing.T, alias string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := testProgram()
	p.Alias = alias
	var out, errs safeBuffer
	code := Main(ctx, p, args, strings.NewReader(""), &out, &errs)
	return outcome{code, out.String(), errs.String()}
}

// safeBuffer is a buffer that several goroutines may write to.
type safeBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// background runs a command until the test ends; ready is a text on stderr that says that it works.
func background(t *testing.T, ready string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var errs safeBuffer
	done := make(chan int, 1)
	go func() { done <- Main(ctx, testProgram(), args, strings.NewReader(""), &safeBuffer{}, &errs) }()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("%v: exit code %d: %s", args, code, errs.String())
		}
	})
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(errs.String(), ready) {
		select {
		case <-tick.C:
		case code := <-done:
			done <- code
			t.Fatalf("%v ended: %s", args, errs.String())
		case <-limit.C:
			t.Fatalf("%v does not get ready: %s", args, errs.String())
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", ports[0])
}

// checkFailure checks code and words, and that it is one or two lines without a stack trace.
func checkFailure(t *testing.T, got outcome, code int, words ...string) {
	t.Helper()
	if got.code != code {
		t.Errorf("exit code %d, want %d; stderr %q", got.code, code, got.stderr)
	}
	for _, w := range words {
		if !strings.Contains(got.stderr, w) {
			t.Errorf("%q is not in %q", w, got.stderr)
		}
	}
	var said []string
	for _, l := range strings.Split(strings.TrimSpace(got.stderr), "\n") {
		if !strings.HasPrefix(l, "time=") && !strings.HasPrefix(l, "chain at") { // log lines
			said = append(said, l)
		}
	}
	if len(said) < 1 || len(said) > 2 || strings.Contains(got.stderr, "goroutine") {
		t.Errorf("not one or two lines: %q", got.stderr)
	}
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		word string
	}{
		{[]string{"fly"}, `unknown command "fly"`},
		{[]string{"upp"}, "did you mean up?"},
		{[]string{"chain", "dve"}, `unknown command "dve"`},
		{[]string{"up", "--nods", "4"}, "--nods"},
		{[]string{"up", "--nodes", "2"}, "--nodes 2"},
		{[]string{"up", "--nodes", "four"}, "four"},
		{[]string{"up", "--epochs", "-1"}, "negative"},
		{[]string{"up", "--block-time", "1ms"}, "50ms"},
		{[]string{"up", "--epoch-length", "3"}, "--epoch-length 3"},
		{[]string{"up", "--nodes", "65"}, "on one machine"},
		{[]string{"up", "--log-level", "loud"}, "--log-level"},
		{[]string{"up", "extra"}, `unexpected argument "extra"`},
		{[]string{"subnet", "info"}, "want `mesh subnet info SUBNET`"},
		{[]string{"sim", "dht", "--paths", "0"}, "--paths 0"},
		{[]string{"keygen", "--key-type", "dsa"}, "ed25519 or rsa"},
		{[]string{"keygen", "--path", "one", "--client-path", "./one"}, "two keys in one file"},
		{[]string{"keygen", "--path", "", "--bootstrap-path", "", "--client-path", ""}, "no key to make"},
		{[]string{"chain", "dev", "--block-time", "0s"}, "--block-time 0s"},
		{[]string{"chain", "dev", "--seal", "wax"}, "interval, instant or manual"},
		{[]string{"chain", "dev", "--block-time", "1ms"}, "10ms"},
		{[]string{"chain", "dev", "--epoch-length", "2"}, "--epoch-length 2"},
		{[]string{"chain", "dev", "--genesis-account", "0x12=5"}, "--genesis-account"},
		{[]string{"chain", "dev", "--sudo", "nobody"}, "--sudo"},
		{[]string{"chain", "dev", "--seed", strings.Repeat("x", 33)}, "--seed"},
		{[]string{"node", "run"}, "--subnet-id is missing"},
		{[]string{"node", "run", "--subnet-id", "1"}, "--data-dir is missing"},
		{[]string{"node", "run", "--subnet-id", "1", "--data-dir", "x", "--host-maddrs", "nonsense"}, "--host-maddrs"},
		{[]string{"node", "run", "--subnet-id", "1", "--data-dir", "x", "--initial-peers", "/ip4/1.2.3.4/tcp/1"}, "--initial-peers"},
		{[]string{"node", "run", "--subnet-id", "1", "--data-dir", "x", "--genesis", "0x1"}, "--genesis"},
		{[]string{"node", "run", "--subnet-id", "1", "--data-dir", "x", "--min-class", "king"}, "--min-class"},
		{[]string{"node", "run", "--subnet-id", "1", "--data-dir", "x", "--reachability", "maybe"}, "--reachability"},
		{[]string{"node", "run", "--subnet-id", "1", "--data-dir", "x", "--new-swarm", "--initial-peers", "y"}, "exclude"},
		{[]string{"bootnode", "--log-level", "loud"}, "--log-level"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Chdir(t.TempDir())
			checkFailure(t, run(t, c.args...), exitUsage, c.word)
		})
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"up", "--help"}, {"chain"}, {"chain", "dev", "--help"}, {"node", "run", "--help"}, {"bootnode", "--help"}, {"keygen", "--help"}, {"completion", "bash"}, {"completion", "zsh"}} {
		if got := run(t, args...); got.code != 0 || len(got.stdout) < 100 || got.stderr != "" {
			t.Errorf("%v: code %d, stdout %q, stderr %q", args, got.code, got.stdout, got.stderr)
		}
	}
	if got := run(t, "node", "run", "--help"); strings.Contains(got.stdout, "with-parent") {
		t.Error("an internal flag is in the help")
	}
}

func TestVersion(t *testing.T) {
	if got := run(t, "version"); got.code != 0 || !strings.HasPrefix(got.stdout, "mesh v0 (go") {
		t.Errorf("%+v", got)
	}
	var v map[string]string
	if got := run(t, "version", "--json"); json.Unmarshal([]byte(got.stdout), &v) != nil || v["version"] != "v0" {
		t.Errorf("%+v", got)
	}
}

func TestKeys(t *testing.T) {
	t.Chdir(t.TempDir())
	made := run(t, "keygen", "--bootstrap_path", "", "--json")
	if made.code != 0 {
		t.Fatalf("%+v", made)
	}
	var ids map[string]string
	if err := json.Unmarshal([]byte(made.stdout), &ids); err != nil || len(ids) != 2 {
		t.Fatalf("%v, %v", ids, err)
	}
	seen := run(t, "keyview")
	if seen.code != 0 || !strings.Contains(seen.stdout, ids["peer_id"]) {
		t.Errorf("%+v", seen)
	}
	for _, name := range []string{"private_key.key", "client_private_key.key"} {
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
	before, err := os.ReadFile("private_key.key")
	if err != nil {
		t.Fatal(err)
	}
	checkFailure(t, run(t, "keygen"), exitFailed, "private_key.key exists already", "--force")
	if after, err := os.ReadFile("private_key.key"); err != nil || !bytes.Equal(before, after) {
		t.Error("a key was overwritten")
	}
	if got := run(t, "keygen", "--key-type", "rsa", "--client-path", "", "--bootstrap-path", "", "--force"); got.code != 0 || !strings.Contains(got.stdout, "ssh-rsa") {
		t.Errorf("%+v", got)
	}
	checkFailure(t, run(t, "keyview", "--path", "none.key"), exitFailed, "none.key does not exist", "keygen")
	if err := os.WriteFile("bad.key", []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	checkFailure(t, run(t, "keyview", "--path", "bad.key"), exitFailed, "bad.key")
	if err := os.Chmod("private_key.key", 0o644); err != nil {
		t.Fatal(err)
	}
	checkFailure(t, run(t, "keyview"), exitFailed, "can be read by others", "chmod 600")
}

func TestLayers(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile("mesh.yaml", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("key_type: rsa\nclient-path: \"\"\nbootstrap-path: ''\nnodes: 7\n")
	if got := run(t, "keygen", "--config", "mesh.yaml", "--path", "a"); !strings.Contains(got.stdout, "ssh-rsa") || strings.Contains(got.stdout, "Client") {
		t.Errorf("file: %+v", got)
	}
	t.Setenv("MESH_KEY_TYPE", "ed25519")
	if got := run(t, "keygen", "--config", "mesh.yaml", "--path", "b"); !strings.Contains(got.stdout, "ssh-ed25519") {
		t.Errorf("environment over file: %+v", got)
	}
	if got := run(t, "keygen", "--config", "mesh.yaml", "--path", "c", "--key_type", "rsa"); !strings.Contains(got.stdout, "ssh-rsa") {
		t.Errorf("flag over environment: %+v", got)
	}
	t.Setenv("MESH_KEY_TYPE", "nonsense")
	checkFailure(t, run(t, "keygen", "--path", "d"), exitUsage, "nonsense")
	t.Setenv("MESH_KEY_TYPE", "rsa")
	t.Setenv("MESH_CONFIG", "none.yaml")
	checkFailure(t, run(t, "keygen", "--path", "d"), exitFailed, "none.yaml does not exist")
	t.Setenv("MESH_CONFIG", "")
	write("key-typ: rsa\n")
	checkFailure(t, run(t, "keygen", "--config", "mesh.yaml", "--path", "d"), exitFailed, `unknown key "key-typ"`)
	write("a: [\n")
	checkFailure(t, run(t, "keygen", "--config", "mesh.yaml", "--path", "d"), exitFailed, "mesh.yaml")
}

// TestNodeFailures starts nodes that cannot work, against a chain that can.
func TestNodeFailures(t *testing.T) {
	dir := t.TempDir()
	addr := freeAddr(t)
	chainDir := filepath.Join(dir, "chain")
	background(t, "chain at", "chain", "dev", "--data-dir", chainDir, "--listen", addr, "--seal", "manual", "--log-level", "error")
	rpc := "ws://" + addr
	node := func(args ...string) []string {
		return append([]string{"node", "run", "--log-level", "error", "--status", "", "--host-maddrs", "/ip4/127.0.0.1/tcp/0"}, args...)
	}
	poor, err := account.Generate()
	if err != nil {
		t.Fatal(err)
	}
	poorFile := filepath.Join(dir, "poor.json")
	if err := poor.SavePlainFile(poorFile, false); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(dir, "locked.json")
	if err := poor.SaveFile(locked, []byte("secret"), account.LightCost(), false); err != nil {
		t.Fatal(err)
	}
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		args  []string
		words []string
	}{
		"unreachable RPC":     {node("--subnet-id", "128001", "--data-dir", dir+"/a", "--rpc", "ws://127.0.0.1:1"), []string{"cannot reach the chain", "127.0.0.1:1", "--rpc"}},
		"wrong subnet ID":     {node("--subnet-id", "99", "--data-dir", dir+"/b", "--rpc", rpc), []string{"subnet 99 is not on this chain", "--subnet-id"}},
		"unfunded hotkey":     {node("--subnet-id", "1", "--data-dir", dir+"/c", "--rpc", rpc, "--hotkey", poorFile), []string{"hotkey " + poor.ID().String() + " has 0 TENSOR", "send it"}},
		"no hotkey file":      {node("--subnet-id", "1", "--data-dir", dir+"/d", "--rpc", rpc, "--hotkey", "none.json"), []string{"none.json does not exist"}},
		"locked hotkey":       {node("--subnet-id", "1", "--data-dir", dir+"/e", "--rpc", rpc, "--hotkey", locked), []string{"encrypted", "MESH_HOTKEY_PASSWORD"}},
		"no identity":         {node("--subnet-id", "1", "--data-dir", dir+"/f", "--rpc", rpc, "--identity-path", "none.key"), []string{"none.key does not exist", "keygen"}},
		"chain folder in use": {[]string{"chain", "dev", "--data-dir", chainDir, "--listen", freeAddr(t)}, []string{chainDir + " is in use by another process", "--data-dir"}},
		"chain port in use":   {[]string{"chain", "dev", "--listen", taken.Addr().String()}, []string{taken.Addr().String() + " is in use", "--listen"}},
		"other genesis":       {[]string{"chain", "dev", "--data-dir", otherGenesis(t), "--epoch-length", "30", "--listen", freeAddr(t)}, []string{"another chain", "--data-dir"}},
		"foreign folder":      {[]string{"up", "--data-dir", foreignFolder(t)}, []string{"holds other files", "precious.txt"}},
	} {
		t.Run(name, func(t *testing.T) { checkFailure(t, run(t, c.args...), exitFailed, c.words...) })
	}
	t.Run("right password", func(t *testing.T) {
		t.Setenv("MESH_HOTKEY_PASSWORD", "secret")
		checkFailure(t, run(t, node("--subnet-id", "1", "--data-dir", dir+"/g", "--rpc", rpc, "--hotkey", locked)...), exitFailed, "has 0 TENSOR")
		t.Setenv("MESH_HOTKEY_PASSWORD", "wrong")
		checkFailure(t, run(t, node("--subnet-id", "1", "--data-dir", dir+"/g", "--rpc", rpc, "--hotkey", locked)...), exitFailed, "wrong password")
	})
}

// otherGenesis is a chain's folder that was made with other flags.
func otherGenesis(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var errs safeBuffer
	done := make(chan int, 1)
	go func() {
		done <- Main(ctx, testProgram(), []string{"chain", "dev", "--data-dir", dir, "--listen", "127.0.0.1:0"}, strings.NewReader(""), &safeBuffer{}, &errs)
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(errs.String(), "chain at") {
		<-tick.C
	}
	cancel()
	if code := <-done; code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	return dir
}

func foreignFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "precious.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPythonNames(t *testing.T) {
	t.Chdir(t.TempDir())
	if made := run(t, "keygen", "--path", "alith.id", "--client-path", "", "--bootstrap-path", ""); made.code != 0 {
		t.Fatal(made.stderr)
	}
	for _, name := range []string{"mesh-dht", "/usr/bin/mesh-server-mock", "mesh-server-mock.exe"} {
		if got := runAs(t, name, "--help"); got.code != 0 || !strings.Contains(got.stdout, "--initial-peers") || strings.Contains(got.stdout, "keygen  ") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		word string
	}{
		{[]string{"mesh-dht", "--subnet_id", "1"}, exitUsage, "--identity-path is missing"},
		{[]string{"mesh-dht", "--subnet_id", "1", "--identity_path", "alith.id", "--phrase", "secret words"}, exitUsage, "PHRASE"},
		{[]string{"mesh-dht", "--subnet_id", "1", "--identity_path", "alith.id", "--no_blockchain_rpc"}, exitUsage, "mesh chain dev"},
		{[]string{"mesh-dht", "--identity_path", "alith.id", "--host_maddrs", "/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"}, exitUsage, "--subnet-id is missing"},
		{[]string{"mesh-server-mock", "--subnet_id", "1", "--subnet_node_id", "2", "--identity_path", "alith.id", "--new_swarm", "--update_period", "30", "--host_maddrs", "/ip4/127.0.0.1/tcp/0", "--local_rpc"}, exitFailed, "cannot reach the chain at [ws://127.0.0.1:1]"},
		{[]string{"mesh-server-mock", "--identity_path", "alith.id", "--subnet_id", "1", "--public_ip", "1.2.3.4"}, exitUsage, "--port"},
	} {
		t.Setenv("LOCAL_RPC", "ws://127.0.0.1:1")
		got := runAs(t, c.args[0], append(c.args[1:], "--log-level", "error")...)
		checkFailure(t, got, c.code, c.word)
		if strings.Contains(got.stderr, "secret words") {
			t.Error("a secret is repeated")
		}
	}
}

func TestSpreadLists(t *testing.T) {
	got := spreadLists([]string{"--initial_peers", "a", "b", "--port", "5", "--host-maddrs=x", "y", "--announce_maddrs", "c", "-c", "d"})
	want := []string{"--initial_peers", "a", "--initial_peers", "b", "--port", "5", "--host-maddrs=x", "y", "--announce_maddrs", "c", "-c", "d"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDotenv(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(path, []byte("# comment\nA=1\nexport B = \"two words\"\nPUBLIC_INITIAL_PEERS=['x']\nbroken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readDotenv(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(dotenv{"A": "1", "B": "two words", "PUBLIC_INITIAL_PEERS": "['x']"}, got); d != "" {
		t.Error(d)
	}
	if got, err := readDotenv(path + "x"); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{"/bin/mesh": "/bin/mesh", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "--x=1": "--x=1", "$(rm)": "'$(rm)'"} {
		if got := shellQuote(in); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
}

func TestInConsensus(t *testing.T) {
	for _, c := range []struct {
		a, v int
		want bool
	}{{0, 0, false}, {2, 3, true}, {1, 3, false}, {2, 4, false}, {3, 4, true}, {4, 6, true}, {3, 5, false}, {66, 100, true}, {65, 100, false}} {
		if got := inConsensus(c.a, c.v); got != c.want {
			t.Errorf("%d of %d: %v", c.a, c.v, got)
		}
	}
}
