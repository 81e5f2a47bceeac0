package main

import (
	"bufio"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// span is a figure over the rounds of a comparison.
type span struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spanOf sums up the rounds. The median of an even number of rounds is the mean of the middle two.
func spanOf(xs []float64) span {
	if len(xs) == 0 {
		return span{}
	}
	xs = slices.Sorted(slices.Values(xs))
	n := len(xs)
	return span{Median: (xs[(n-1)/2] + xs[n/2]) / 2, Min: xs[0], Max: xs[n-1]}
}

// row is one figure of both sides.
type row struct {
	What     string  `json:"what"` // with its unit
	Ours     span    `json:"ours"`
	Theirs   span    `json:"theirs"`
	Opponent string  `json:"opponent"`
	Higher   bool    `json:"higher_is_better"`
	Ratio    float64 `json:"ratio"` // how many times better ours is; 0 where a side is 0
	Command  string  `json:"command"`
}

// compare makes a row; the ratio is above 1 where ours is better.
func compare(what, opponent, command string, higher bool, ours, theirs []float64) row {
	r := row{What: what, Opponent: opponent, Command: command, Higher: higher, Ours: spanOf(ours), Theirs: spanOf(theirs)}
	switch {
	case r.Ours.Median == 0 || r.Theirs.Median == 0:
	case higher:
		r.Ratio = r.Ours.Median / r.Theirs.Median
	default:
		r.Ratio = r.Theirs.Median / r.Ours.Median
	}
	return r
}

// absence is a comparison without figures, and why.
type absence struct {
	Comparison string `json:"comparison"`
	Reason     string `json:"reason"`
}

// table is a whole run.
type table struct {
	Date      time.Time `json:"date"`
	Quick     bool      `json:"quick"`
	Rounds    int       `json:"rounds"`
	Mesh      string    `json:"mesh"`
	Go        string    `json:"go"`
	Libp2p    string    `json:"libp2p"`
	Processor string    `json:"processor"`
	CPUs      int       `json:"cpus"`
	Rows      []row     `json:"rows"`
	Skipped   []absence `json:"skipped"`
	Failed    []absence `json:"failed"`
}

// describe fills in what the figures depend on.
func (t *table) describe(ctx context.Context, s *session) error {
	info, err := buildinfo.ReadFile(s.bench)
	if err != nil {
		return err
	}
	t.Go, t.Processor, t.CPUs = info.GoVersion, processor(), runtime.NumCPU()
	for _, m := range info.Deps {
		switch m.Path {
		case "github.com/libp2p/go-libp2p":
			t.Libp2p = m.Version
		case "github.com/libp2p/go-libp2p-kad-dht":
			s.kadDHT = m.Version
		}
	}
	t.Mesh = "unknown revision"
	if out, err := s.output(ctx, "", nil, "git", "describe", "--tags", "--always", "--dirty"); err == nil {
		t.Mesh = strings.TrimSpace(string(out))
	}
	return nil
}

// processor is the name that the system has for it.
func processor() string {
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, model, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(model)
			}
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}

// save writes both files and prints the table.
func (t *table) save(dir string, stdout io.Writer, note func(string, ...any)) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	base := filepath.Join(dir, t.Date.Format(time.DateOnly))
	if t.Quick {
		base += "-quick"
	}
	text := t.markdown()
	data, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(base+".json", append(data, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(base+".md", []byte(text), 0o644); err != nil {
		return err
	}
	if _, err := io.WriteString(stdout, text); err != nil {
		return err
	}
	note("stored in %s.md and .json", base)
	return nil
}

// markdown is the table for people.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# mesh beside others, %s\n\n", t.Date.Format(time.DateOnly))
	fmt.Fprintf(&b, "mesh %s, %s, go-libp2p %s; %s, %d processors. Medians of %d rounds in turns, with the smallest and the largest.\n",
		t.Mesh, t.Go, t.Libp2p, t.Processor, t.CPUs, t.Rounds)
	b.WriteString("The ratio says how many times better ours is: above 1 it is faster or smaller than theirs.\n")
	if t.Quick {
		b.WriteString("\n**Tiny sizes (`--quick`): the figures show only that everything runs.**\n")
	}
	if len(t.Rows) > 0 {
		b.WriteString("\n| what | ours | theirs | ratio | command |\n|---|---|---|---|---|\n")
	}
	for _, r := range t.Rows {
		ratio := "-"
		if r.Ratio != 0 {
			ratio = figure(r.Ratio)
		}
		command := strings.ReplaceAll(r.Command, "|", `\|`) // a bare one would end the cell
		fmt.Fprintf(&b, "| %s | %s | %s, %s | %s | `%s` |\n", r.What, r.Ours, r.Opponent, r.Theirs, ratio, command)
	}
	for _, list := range []struct {
		word string
		all  []absence
	}{{"Skipped", t.Skipped}, {"Failed", t.Failed}} {
		for _, a := range list.all {
			fmt.Fprintf(&b, "\n%s: %s: %s\n", list.word, a.Comparison, strings.ReplaceAll(a.Reason, "\n", " "))
		}
	}
	return b.String()
}

// String is the median and the extremes.
func (s span) String() string {
	if s.Min == s.Max {
		return figure(s.Median)
	}
	return fmt.Sprintf("%s (%s to %s)", figure(s.Median), figure(s.Min), figure(s.Max))
}

// figure has three significant digits, or all digits of a large number.
func figure(x float64) string {
	switch a := math.Abs(x); {
	case a >= 100 || x == 0:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case a >= 1:
		return strconv.FormatFloat(x, 'f', 2, 64)
	default:
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
}
