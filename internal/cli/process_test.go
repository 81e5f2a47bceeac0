//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh"
)

// asProgram makes the test binary be mesh: the processes below are it, and so are the processes that they start.
const asProgram = "MESH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Main(context.Background(), Program{Name: "mesh", Short: "mesh under test", Alias: os.Getenv(asProgram)},
			os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// proc is a process under test with what it prints.
type proc struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu     sync.Mutex // guards the fields below
	stdout bytes.Buffer
	lines  []string      // of stderr
	more   chan struct{} // closed and replaced with each line
}

func spawn(t *testing.T, cmd *exec.Cmd) *proc {
	t.Helper()
	p := &proc{t: t, cmd: cmd, done: make(chan struct{}), more: make(chan struct{})}
	if cmd.Env == nil {
		cmd.Env = append(os.Environ(), asProgram+"=mesh")
	}
	cmd.Stdout = writerFunc(func(b []byte) { p.stdout.Write(b) }, &p.mu)
	r, w := io.Pipe()
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var read sync.WaitGroup
	read.Go(func() {
		for s := bufio.NewScanner(r); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		}
	})
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
		w.Close()
		read.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-p.done:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-p.done
			t.Errorf("%v did not stop", cmd.Args)
		}
		if t.Failed() {
			p.mu.Lock()
			t.Logf("stderr of %v:\n%s", cmd.Args, strings.Join(p.lines, "\n"))
			p.mu.Unlock()
		}
	})
	return p
}

type lockedWriter struct {
	f  func([]byte)
	mu *sync.Mutex
}

func writerFunc(f func([]byte), mu *sync.Mutex) io.Writer { return lockedWriter{f, mu} }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.f(b)
	return len(b), nil
}

// start runs this binary as mesh.
func start(t *testing.T, args ...string) *proc {
	t.Helper()
	return spawn(t, exec.Command(os.Args[0], args...))
}

// printed returns the number of lines that came so far.
func (p *proc) printed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

// await returns the first line after the given one that matches, and its index.
func (p *proc) await(after int, pattern string) (int, []string) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for i := after; ; {
		p.mu.Lock()
		lines, more := p.lines, p.more
		p.mu.Unlock()
		for ; i < len(lines); i++ {
			if m := re.FindStringSubmatch(lines[i]); m != nil {
				return i + 1, m
			}
		}
		select {
		case <-more:
		case <-p.done:
			p.mu.Lock()
			ended := len(p.lines) == len(lines)
			p.mu.Unlock()
			if ended {
				p.t.Fatalf("it ended (%v) without printing %q", p.err, pattern)
			}
		case <-limit.C:
			p.t.Fatalf("it did not print %q within a minute", pattern)
		}
	}
}

// line is the text of a line.
func (p *proc) line(i int) string {
	p.await(i, "")
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines[i]
}

// end waits for the process and returns its exit code.
func (p *proc) end() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute):
		p.t.Fatalf("%v does not end", p.cmd.Args)
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		p.t.Fatal(p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *proc) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.String()
}

func (p *proc) errors() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// result reads the JSON line of `up`.
type result struct {
	Subnet uint32 `json:"subnet_id"`
	Epochs []struct {
		Epoch, Elected      uint32
		Proposed            bool
		Attests, Validators int
		Consensus           bool
	}
	Nodes []struct {
		ID     uint32 `json:"node_id"`
		Peer   string `json:"peer_id"`
		Before string `json:"stake_before"`
		After  string `json:"stake_after"`
	}
}

func (p *proc) result() result {
	p.t.Helper()
	out := strings.Split(strings.TrimSpace(p.output()), "\n")
	var r result
	if err := json.Unmarshal([]byte(out[len(out)-1]), &r); err != nil {
		p.t.Fatalf("last line %q: %v", out[len(out)-1], err)
	}
	return r
}

func pidOf(t *testing.T, dir string) int {
	t.Helper()
	s, err := readStatus(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s.PID
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// gone waits until a process does not exist any more.
func gone(t *testing.T, pid int) {
	t.Helper()
	until(t, "process "+strconv.Itoa(pid)+" ends", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// TestUp runs a subnet twice in one folder: both runs reach consensus, rewards land, nothing is left behind.
func TestUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder's name")
	p := start(t, "up", "--nodes", "4", "--epochs", "2", "--block-time", "200ms", "--data_dir", dir, "--json")
	p.await(0, "started bootnode")
	var pids []int
	for _, name := range []string{"bootnode", "node-1", "node-2", "node-3", "node-4"} {
		until(t, name+" serves its status", func() bool {
			s, err := readStatus(t.Context(), filepath.Join(dir, name))
			if err == nil {
				pids = append(pids, s.PID)
			}
			return err == nil
		})
	}
	if code := p.end(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	r := p.result()
	if r.Subnet != 128001 || len(r.Epochs) < 2 || len(r.Nodes) != 4 {
		t.Fatalf("result %+v", r)
	}
	good := 0 // between them there may be one whose validator was not up yet
	for _, e := range r.Epochs {
		if e.Consensus {
			good++
			if !e.Proposed || e.Elected == 0 || e.Attests < 3 || e.Validators != 4 {
				t.Errorf("epoch %+v", e)
			}
		}
	}
	if good < 2 {
		t.Errorf("%d epochs in consensus", good)
	}
	for _, n := range r.Nodes {
		before, _ := new(big.Int).SetString(n.Before, 10)
		after, _ := new(big.Int).SetString(n.After, 10)
		if before == nil || after == nil || before.String() != "100000000000000000000" || after.Cmp(before) <= 0 {
			t.Errorf("node %d: stake %s before, %s after", n.ID, n.Before, n.After)
		}
	}
	for _, pid := range pids {
		gone(t, pid)
	}
	modes(t, dir)

	again := start(t, "up", "--nodes", "4", "--epochs", "1", "--block-time", "200ms", "--data-dir", dir, "--json")
	if code := again.end(); code != 0 {
		t.Fatalf("second run: exit code %d", code)
	}
	if next := again.result(); next.Subnet != r.Subnet || next.Epochs[0].Epoch < r.Epochs[len(r.Epochs)-1].Epoch {
		t.Errorf("second run: %+v", next)
	}
	wrong := start(t, "up", "--nodes", "5", "--data-dir", dir)
	if code := wrong.end(); code != 1 || !strings.Contains(wrong.errors(), "--nodes 4") {
		t.Errorf("other number of nodes: exit code %d, %s", code, wrong.errors())
	}
}

// modes checks that no key in a folder can be read by others.
func modes(t *testing.T, dir string) {
	t.Helper()
	keys := 0
	err := filepath.Walk(dir, func(path string, st os.FileInfo, err error) error {
		if err == nil && (strings.HasSuffix(path, ".key") || strings.Contains(path, "accounts/")) {
			keys++
			if st.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", path, st.Mode())
			}
		}
		return err
	})
	if err != nil || keys != 14 {
		t.Errorf("%d keys, %v", keys, err)
	}
}

// TestUpSurvivesDeaths kills a node, restarts it by the printed command line, kills the chain, restarts it, and ends with Ctrl-C.
func TestUpSurvivesDeaths(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "up", "--nodes", "4", "--block-time", "200ms", "--data-dir", dir, "--json")
	at, m := p.await(0, `chain at \S+ \(pid (\d+)\)`)
	chainPID, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	at, _ = p.await(at, `in consensus, node \d+ proposed, 4 of 4 attested`)

	// a node
	pid := pidOf(t, filepath.Join(dir, "node-2"))
	kill(t, pid)
	at, _ = p.await(at, `node 2 \(pid \d+\) died`)
	command := p.line(at)
	p.await(at, `in consensus, node \d+ proposed, 3 of 4 attested`)
	back := spawn(t, exec.Command("sh", "-c", "exec "+strings.TrimSpace(command)))
	back.await(0, `msg=online`)
	at, m = p.await(p.printed(), `epoch (\d+): `)
	p.await(at, `in consensus, node \d+ proposed, 4 of 4 attested`)
	if at2, m2 := p.await(at, `4 of 4 attested`); at2 > at+2 {
		t.Errorf("restarted during epoch %s, votes again in %s", m[1], m2)
	}

	// the chain
	kill(t, chainPID)
	at, _ = p.await(at, `chain \(pid \d+\) died`)
	command = p.line(at)
	for _, name := range []string{"node-1", "node-2", "node-3", "node-4"} {
		until(t, name+" says that the chain is silent", func() bool {
			s, err := readStatus(t.Context(), filepath.Join(dir, name))
			return err == nil && s.ChainSilent
		})
		s, err := readStatus(t.Context(), filepath.Join(dir, name))
		if err != nil || s.Peers < 4 || s.Phase != mesh.PhaseOnline {
			t.Errorf("%s: %d peers, %s, %v while the chain is gone", name, s.Peers, s.Phase, err)
		}
	}
	chain := spawn(t, exec.Command("sh", "-c", "exec "+strings.TrimSpace(command)))
	chain.await(0, `chain at ws://`)
	p.await(at, `in consensus, node \d+ proposed, 4 of 4 attested`)

	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.end(); code != 0 {
		t.Errorf("after Ctrl-C: exit code %d", code)
	}
	gone(t, pid)
	p.result()
}

// TestUpGivesUp kills half of the nodes: three epochs later it says why and ends with status 1.
func TestUpGivesUp(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "up", "--nodes", "4", "--epochs", "50", "--block-time", "300ms", "--epoch-length", "12", "--data-dir", dir, "--json")
	at, _ := p.await(0, `in consensus`)
	checkBusy(t, dir)
	for _, name := range []string{"node-1", "node-3"} {
		kill(t, pidOf(t, filepath.Join(dir, name)))
	}
	p.await(at, `no consensus, epoch`)
	if code := p.end(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if text := p.errors(); !regexp.MustCompile(`mesh up: no consensus in 3 epochs in a row: epoch \d+: .*; epoch \d+: .*; epoch \d+: `).MatchString(text) {
		t.Errorf("it said\n%s", text)
	}
	p.result()
}

// checkBusy starts what cannot start beside a running subnet.
func checkBusy(t *testing.T, dir string) {
	t.Helper()
	checkFailure(t, run(t, "up", "--data-dir", dir), exitFailed, "data folder "+dir+" is in use by another process", "--data-dir")
	p, err := openPlan(dir, 4, 12)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--log-level", "error", "--rpc", p.rpcURL(), "--subnet-id", strconv.FormatUint(uint64(p.Subnet), 10)}
	node := append([]string{"node", "run", "--data-dir", p.nodeDir(0)}, args...)
	checkFailure(t, run(t, node...), exitFailed, p.nodeDir(0)+" is in use by another process")
	boot := append([]string{"bootnode", "--data-dir", t.TempDir(), "--host-maddrs", p.listen(p.BootPort)}, args...)
	checkFailure(t, run(t, boot...), exitFailed, "cannot listen", strconv.Itoa(p.BootPort), "--host-maddrs")
	stranger := append([]string{"node", "run", "--data-dir", t.TempDir(), "--hotkey", p.accountFile("hotkey-2"), "--identity-path", p.nodeDir(0) + "/peer.key"}, args...)
	checkFailure(t, run(t, stranger...), exitFailed, "node 1 has the hotkey", "--hotkey")
}

// TestPythonProcesses runs the two commands of the Python mesh under their own names: a bootnode and a node of a real subnet.
func TestPythonProcesses(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "up", "--nodes", "3", "--epochs", "1", "--block-time", "200ms", "--data-dir", dir, "--json")
	if code := p.end(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	plan, err := openPlan(dir, 3, 20)
	if err != nil {
		t.Fatal(err)
	}
	chain := start(t, "chain", "dev", "--data-dir", plan.chainDir(), "--listen", strings.TrimPrefix(plan.rpcURL(), "ws://"), "--block-time", "200ms")
	chain.await(0, "chain at")
	subnet := strconv.FormatUint(uint64(plan.Subnet), 10)
	as := func(name string, args ...string) *proc {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), asProgram+"="+name, "LOCAL_RPC="+plan.rpcURL())
		cmd.Dir = t.TempDir()
		return spawn(t, cmd)
	}
	boot := as(nameDHT, "--subnet_id", subnet, "--identity_path", filepath.Join(plan.bootDir(), "peer.key"), "--local_rpc",
		"--host_maddrs", "/ip4/127.0.0.1/tcp/0", "--refresh_period", "0.2", "--use_relay")
	re := regexp.MustCompile(`use --initial_peers (\S+)`)
	until(t, "the bootnode prints its address", func() bool { return re.MatchString(boot.output()) })
	addr := re.FindStringSubmatch(boot.output())[1]
	server := as(nameServer, "--subnet_id", subnet, "--subnet_node_id", "1", "--identity_path", filepath.Join(plan.nodeDir(0), "peer.key"),
		"--hotkey", plan.accountFile("hotkey-1"), "--local_rpc", "--initial_peers", addr, "--host_maddrs", "/ip4/127.0.0.1/tcp/0", "--update_period", "0.5")
	server.await(0, "msg=online")
	until(t, "the bootnode counts both", func() bool { return strings.Contains(boot.output(), "2 DHT nodes (including this one)") })
	until(t, "the heartbeat is stored", func() bool { return strings.Contains(boot.output(), "Local storage contains 1 keys") })
}

// TestParentKilled kills `up` itself: its children notice and stop.
func TestParentKilled(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "up", "--nodes", "3", "--block-time", "200ms", "--data-dir", dir, "--json")
	_, m := p.await(0, `chain at \S+ \(pid (\d+)\)`)
	p.await(0, "started bootnode")
	pids := []int{}
	if pid, err := strconv.Atoi(m[1]); err == nil {
		pids = append(pids, pid)
	}
	for _, name := range []string{"bootnode", "node-1", "node-2", "node-3"} {
		until(t, name+" serves its status", func() bool {
			s, err := readStatus(t.Context(), filepath.Join(dir, name))
			if err == nil {
				pids = append(pids, s.PID)
			}
			return err == nil
		})
	}
	kill(t, p.cmd.Process.Pid)
	p.end()
	for _, pid := range pids {
		gone(t, pid)
	}
}
