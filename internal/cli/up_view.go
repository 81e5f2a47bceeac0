package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/chain"
)

// view shows what `up` does.
type view interface {
	say(format string, args ...any) // an event
	show(frame)                     // the state
	close()
}

// frame is the state of the subnet at one moment.
type frame struct {
	subnet  chain.SubnetID
	round   round
	silent  time.Duration // since the last head
	block   time.Duration
	last    *epochResult
	good    int
	epochs  int // settled
	nodes   []frameNode
	uptime  time.Duration
	waiting bool // nothing read yet
}

type frameNode struct {
	id       chain.NodeID
	peer     string
	status   mesh.Status
	running  bool
	stake    chain.Balance
	reward   chain.Balance
	attested bool
}

// poll reads the status of all nodes.
func (u *up) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	type answer struct {
		i  int
		s  mesh.Status
		ok bool
	}
	answers := make(chan answer, u.plan.Nodes)
	for i := range u.plan.Nodes {
		go func() {
			s, err := readStatus(ctx, u.plan.nodeDir(i))
			answers <- answer{i, s, err == nil}
		}()
	}
	for range u.plan.Nodes {
		if a := <-answers; a.ok {
			u.status[a.i] = a.s
		} else {
			delete(u.status, a.i)
		}
	}
}

// readStatus asks the node with that data folder for its status, whoever started it.
func readStatus(ctx context.Context, dir string) (mesh.Status, error) {
	var s mesh.Status
	addr, err := os.ReadFile(filepath.Join(dir, mesh.StatusFile))
	if err != nil {
		return s, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+string(addr)+"/status", nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&s)
}

func (u *up) frame(silent time.Duration) frame {
	f := frame{
		subnet: u.plan.Subnet, round: u.latest, silent: silent, block: u.flags.blockTime, good: u.good, epochs: len(u.results),
		uptime: time.Since(u.began), waiting: u.latest.Head.Number == 0,
	}
	if n := len(u.results); n > 0 {
		f.last = &u.results[n-1]
	}
	for i := range u.plan.Nodes {
		s, running := u.status[i]
		f.nodes = append(f.nodes, frameNode{status: s, running: running})
	}
	for _, n := range u.latest.Nodes {
		for i := range f.nodes {
			x := &f.nodes[i]
			if addr, err := publicPort(n.Peer); err == nil && addr == u.plan.NodePorts[i] {
				x.id, x.peer, x.stake, x.reward = n.ID, n.Peer.PeerID, n.Stake, n.Stake.SatSub(u.before[n.ID])
				if s := u.latest.Submission; s != nil {
					for _, a := range s.Attests {
						x.attested = x.attested || a.Node == n.ID
					}
				}
			}
		}
	}
	return f
}

// lines prints events, for logs and pipes.
type lines struct {
	mu  sync.Mutex // guards out
	out io.Writer
}

func (l *lines) say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%s %s\n", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

func (*lines) show(frame) {}
func (*lines) close()     {}

// newView picks how progress is shown.
func (e *env) newView(asJSON bool) view {
	if f, ok := e.stdout.(*os.File); ok && !asJSON && term.IsTerminal(int(f.Fd())) {
		return &table{out: f}
	}
	if asJSON {
		return &lines{out: e.stderr}
	}
	return &lines{out: e.stdout}
}

// logged is a view whose events go to a log as well.
type logged struct {
	view
	log *slog.Logger
}

func (l logged) say(format string, args ...any) {
	l.view.say(format, args...)
	l.log.Info("up", "text", fmt.Sprintf(format, args...))
}

// log makes the file of --log-file take the events, instead of stderr where they would go there. The plan is there already: a new
// folder may hold nothing else, not even this file.
func (u *up) log() (done func() error, err error) {
	flags := u.env.log
	if flags.file == "" {
		return func() error { return nil }, nil
	}
	flags.process = "up"
	log, done, err := flags.logger(u.env.stderr)
	if err != nil {
		return nil, err
	}
	if u.flags.json {
		u.view = &lines{out: io.Discard}
	}
	u.view = logged{u.view, log}
	return done, nil
}

// logs is where the processes report to.
func (u *up) logs() string { return cmp.Or(u.env.log.file, u.plan.dir) }

// logOf is where a process reports to.
func (u *up) logOf(c *child) string { return cmp.Or(u.env.log.file, c.log) }

// table redraws the state in place; events scroll away above it.
type table struct {
	out   *os.File
	mu    sync.Mutex // guards the fields below
	drawn int        // lines of the table on the screen
	rows  []string
	done  bool
}

func (t *table) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	fmt.Fprintf(t.out, "%s %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
	t.draw()
}

func (t *table) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = true
	fmt.Fprintln(t.out, "stopping")
}

func (t *table) show(f frame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	t.rows = f.render()
	t.draw()
}

// erase takes the table off the screen; t.mu is held.
func (t *table) erase() {
	if t.drawn > 0 && !t.done {
		fmt.Fprintf(t.out, "\x1b[%dA\x1b[J", t.drawn)
	}
	t.drawn = 0
}

// draw puts the table on the screen, cut to its size; t.mu is held.
func (t *table) draw() {
	if t.done || len(t.rows) == 0 {
		return
	}
	width, height, err := term.GetSize(int(t.out.Fd()))
	if err != nil || width < 20 || height < 5 {
		width, height = 100, 40
	}
	rows := t.rows
	if more := len(rows) - (height - 1); more > 0 {
		rows = append(append([]string(nil), rows[:height-2]...), fmt.Sprintf("... and %d more lines", more+1))
	}
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(clipLine(r, width) + "\n")
	}
	t.drawn = len(rows)
	_, _ = io.WriteString(t.out, b.String()) // a closed terminal ends the process by SIGHUP
}

// clipLine cuts a line to the terminal's width.
func clipLine(s string, width int) string {
	r := []rune(s)
	if len(r) <= width {
		return s
	}
	return string(r[:width-1]) + "…"
}

// render writes the frame as lines of text.
func (f frame) render() []string {
	if f.waiting {
		return []string{"", "waiting for the chain"}
	}
	r := f.round
	head := fmt.Sprintf("subnet %d   block %d   epoch %d, block %d of %d   %d of %d epochs in consensus   up %s",
		f.subnet, r.Head.Number, r.Epoch, r.Offset, r.Length, f.good, f.epochs, f.uptime.Round(time.Second))
	if f.silent > max(5*time.Second, 5*f.block) {
		head += fmt.Sprintf("   CHAIN SILENT for %s", f.silent.Round(time.Second))
	}
	now := "nobody elected yet"
	switch {
	case r.Submission != nil:
		now = fmt.Sprintf("node %d proposed in block %d, %d of %d attest", r.Submission.Proposer, r.Submission.Block, len(r.Submission.Attests), len(r.Submission.Validators))
	case r.Elected != 0:
		now = fmt.Sprintf("node %d is elected, no proposal yet", r.Elected)
	}
	last := ""
	if f.last != nil {
		last = fmt.Sprintf("   last: epoch %d, node %d, %d of %d", f.last.Epoch, f.last.Elected, f.last.Attests, f.last.Validators)
	}
	rows := []string{"", head, now + last, "", fmt.Sprintf("%-5s %-14s %-14s %5s %5s  %-28s %-22s %s", "node", "peer", "state", "peers", "alive", "stake", "reward", "round")}
	for i, n := range f.nodes {
		state := "not running"
		if n.running {
			state = string(n.status.Phase)
			if n.status.ChainSilent {
				state = "chain silent"
			}
		}
		mark := ""
		switch {
		case n.id != 0 && n.id == r.Elected && n.attested:
			mark = "proposed"
		case n.id != 0 && n.id == r.Elected:
			mark = "elected"
		case n.attested:
			mark = "attested"
		case n.running && n.status.Consensus.Code == "disagrees":
			mark = n.status.Consensus.Text
		}
		id := fmt.Sprint(n.id)
		if n.id == 0 {
			id = fmt.Sprintf("(%d)", i+1)
		}
		rows = append(rows, fmt.Sprintf("%-5s %-14s %-14s %5d %5d  %-28s %-22s %s",
			id, shortPeer(n.peer), state, n.status.Peers, n.status.Alive, chain.FormatTensor(n.stake), "+"+chain.FormatTensor(n.reward), mark))
	}
	return rows
}

func shortPeer(id string) string {
	if len(id) <= 13 {
		return id
	}
	return id[:5] + "…" + id[len(id)-6:]
}
