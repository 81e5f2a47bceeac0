// Command table runs every comparison that can run on this machine and writes one table of ours, theirs and their ratio.
//
//	cd bench && go run ./cmd/table                 all of them, five rounds each; some ten minutes on an idle machine
//	cd bench && go run ./cmd/table --quick         the same with tiny sizes: shows that everything runs, its figures mean nothing
//	cd bench && go run ./cmd/table --only rpc,kad-dht
//
// Progress goes to standard error. The table is printed and written to results/DATE.md, with every figure to results/DATE.json.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// comparison is one opponent and how to measure it beside mesh.
type comparison struct {
	name string
	// run measures both sides in turns. It returns errSkipped, with a reason, where the opponent cannot run here.
	run func(context.Context, *session) ([]row, error)
}

var errSkipped = errors.New("skipped")

func skip(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errSkipped, fmt.Sprintf(format, args...))
}

func comparisons() []comparison {
	return []comparison{{"kad-dht", compareKadDHT}, {"hivemind", compareHivemind}, {"polkadot", comparePolkadot}, {"rpc", compareRPC}}
}

// session is what the comparisons of one run share.
type session struct {
	repo   string // root of the repository
	work   string // temporary files
	bench  string // program of this module that compares with kad-dht
	mesh   string // program
	kadDHT string // version of the module
	rounds int
	quick  bool
	log    io.Writer
}

// size is the usual size of something, or the one of --quick.
func (s *session) size(usual, quick int) int {
	if s.quick {
		return quick
	}
	return usual
}

func (s *session) note(format string, args ...any) {
	fmt.Fprintf(s.log, "table: "+format+"\n", args...)
}

// output runs a command in a folder of the repository and returns what it printed; its messages go to the log.
func (s *session) output(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	var last tail
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = filepath.Join(s.repo, dir), append(os.Environ(), env...)
	cmd.Stderr = io.MultiWriter(s.log, &last)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w: %s", filepath.Base(name), err, last.line())
	}
	return out, nil
}

// tail keeps the end of what a command complained.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 4096 {
		t.b = slices.Clone(t.b[len(t.b)-2048:])
	}
	return len(p), nil
}

func (t *tail) line() string {
	lines := strings.Split(strings.TrimSpace(string(t.b)), "\n")
	return lines[len(lines)-1]
}

func main() {
	var only, out, mesh string
	s := session{log: os.Stderr}
	flag.BoolVar(&s.quick, "quick", false, "tiny sizes and two rounds: shows that everything runs")
	flag.IntVar(&s.rounds, "rounds", 0, "rounds of each comparison; default 5, with --quick 2")
	flag.StringVar(&only, "only", "", "comparisons to run, separated by commas: kad-dht, hivemind, polkadot, rpc")
	flag.StringVar(&out, "out", "", "folder of the results; default bench/results")
	flag.StringVar(&mesh, "mesh", "", "mesh program; built when it is not given")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, &s, only, out, mesh, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s *session, only, out, mesh string, stdout io.Writer) error {
	if s.rounds == 0 {
		s.rounds = s.size(5, 2)
	}
	if s.rounds < 1 {
		return fmt.Errorf("--rounds %d: want 1 or more", s.rounds)
	}
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	if s.repo, err = root(); err != nil {
		return err
	}
	if s.work, err = os.MkdirTemp("", "mesh-table-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(s.work) }()
	s.bench = filepath.Join(s.work, "bench")
	s.note("building")
	if _, err := s.output(ctx, "bench", nil, "go", "build", "-o", s.bench, "."); err != nil {
		return err
	}
	if mesh == "" {
		mesh = filepath.Join(s.work, "mesh")
		if _, err := s.output(ctx, "", []string{"CGO_ENABLED=0"}, "go", "build", "-o", mesh, "./cmd/mesh"); err != nil {
			return err
		}
	}
	if s.mesh, err = filepath.Abs(mesh); err != nil {
		return err
	}

	t := table{Date: time.Now().UTC(), Quick: s.quick, Rounds: s.rounds}
	if err := t.describe(ctx, s); err != nil {
		return err
	}
	for _, c := range chosen {
		s.note("%s", c.name)
		began := time.Now()
		rows, err := c.run(ctx, s)
		switch {
		case errors.Is(err, errSkipped):
			t.Skipped = append(t.Skipped, absence{c.name, strings.TrimPrefix(err.Error(), errSkipped.Error()+": ")})
			s.note("%s %v", c.name, err)
		case err != nil:
			t.Failed = append(t.Failed, absence{c.name, err.Error()})
			s.note("%s failed: %v", c.name, err)
		default:
			t.Rows = append(t.Rows, rows...)
			s.note("%s took %s", c.name, time.Since(began).Round(time.Second))
		}
	}
	if out == "" {
		out = filepath.Join(s.repo, "bench", "results")
	}
	if err := t.save(out, stdout, s.note); err != nil {
		return err
	}
	if len(t.Failed) > 0 {
		return fmt.Errorf("%d of %d comparisons failed", len(t.Failed), len(chosen))
	}
	return nil
}

// choose returns the comparisons of --only, in their usual order.
func choose(only string) ([]comparison, error) {
	all := comparisons()
	if only == "" {
		return all, nil
	}
	names := strings.Split(only, ",")
	for _, n := range names {
		if !slices.ContainsFunc(all, func(c comparison) bool { return c.name == n }) {
			return nil, fmt.Errorf("--only %q: there is no such comparison", n)
		}
	}
	return slices.DeleteFunc(all, func(c comparison) bool { return !slices.Contains(names, c.name) }), nil
}

// root finds the repository from a folder in it.
func root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "bench", "cmd", "table")); missing == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("start it in the repository")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
