package diff

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Difference is one thing in which the engines are not equal.
type Difference struct {
	Block     chain.BlockNumber
	When      string // "validity of Network.attest", "storage at the end", ...
	What      string // "Network.SubnetsData(128001)", "result"
	Key       []byte // of a storage pair; nil for what is none
	Reference []byte
	Subject   []byte
	// The two as JSON, from shortly before where they begin to differ; hex where
	// they do not decode.
	ReferenceText, SubjectText string
}

// String is one line.
func (d Difference) String() string {
	return fmt.Sprintf("block %d, %s: %s: reference %s, subject %s", d.Block, d.When, d.What, d.ReferenceText, d.SubjectText)
}

// Report is the outcome of a run.
type Report struct {
	Blocks       int
	Transactions int            // that the pool takes
	Succeeded    int            // of those
	Refused      int            // by both pools alike
	Answers      int            // validity answers and dispatch results compared
	Events       int            // events compared
	Pairs        int            // storage pairs compared
	Calls        map[string]int // transactions by call
	Done         map[string]int // of those, the ones that succeeded
	Results      map[string]int // dispatch results: "ok", or the error's name
	Ignored      map[string]int // differences in ignored items
	Unmetered    map[string]int // calls left out because the subject gives them another weight
	Unsupported  map[string]int // calls left out because the subject filters them
	Left         []string       // calls that are never drawn
	Differences  []Difference   // at most maxDifferences, all of one block
}

const maxDifferences = 20 // of a report: those of one block have one cause as a rule

// Equal reports whether nothing differed.
func (r *Report) Equal() bool { return len(r.Differences) == 0 }

// Write prints the report.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d blocks, %d transactions (%d succeeded), %d refused; compared: %d answers, %d events, %d storage pairs; %d differences\n",
		r.Blocks, r.Transactions, r.Succeeded, r.Refused, r.Answers, r.Events, r.Pairs, len(r.Differences))
	fmt.Fprintf(&b, "%d different calls; results:", len(r.Calls))
	for _, name := range slices.SortedFunc(maps.Keys(r.Results), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Results[b], r.Results[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(&b, " %s %d", name, r.Results[name])
	}
	fmt.Fprintln(&b)
	if len(r.Unmetered) > 0 {
		fmt.Fprintf(&b, "left out for their weight: %s\n", strings.Join(slices.Sorted(maps.Keys(r.Unmetered)), " "))
	}
	if len(r.Unsupported) > 0 {
		fmt.Fprintf(&b, "left out, not offered by the subject: %s\n", strings.Join(slices.Sorted(maps.Keys(r.Unsupported)), " "))
	}
	for _, d := range r.Differences {
		fmt.Fprintln(&b, d)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
