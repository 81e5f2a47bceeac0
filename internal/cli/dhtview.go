package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/internal/inspect"
)

func (e *env) dhtPeersCmd() *cobra.Command {
	var f dhtFlags
	c := &cobra.Command{
		Use:   "peers",
		Short: "List the peers of a node, and the connections that it refused",
		Long: `List the peers that a node is connected to or has in its routing table, and the connections that it refused, with what the chain has on
them. As a client it shows whom the client met while it joined.`,
		Example: "  mesh dht peers --data-dir ./node-1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(e, cmd, func(ctx context.Context, t inspect.Tools) error {
				p, err := t.Peers(ctx)
				if err != nil {
					return err
				}
				return e.show(f.json, p, func() string { return peersText(p, time.Now()) })
			})
		},
	}
	f.register(c)
	return c
}

func peersText(p *inspect.Peers, now time.Time) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PEER\tCONNECTED\tTABLE\tRTT\tADDRESS\tPROGRAM\tCHAIN")
	connected := 0
	for _, x := range p.Peers {
		state := "no"
		if x.Connected {
			connected++
			state = map[bool]string{true: "by it", false: "by us"}[x.Inbound]
		}
		table, rtt, addr := "-", "-", "-"
		if x.InTable {
			table = "yes"
		}
		if x.RTT > 0 {
			rtt = fmt.Sprintf("%.1f ms", x.RTT)
		}
		if len(x.Addrs) > 0 {
			addr = x.Addrs[0]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Peer, state, table, rtt, addr, dash(clean(x.Agent)), dash(x.About))
	}
	flush(w)
	fmt.Fprintf(&b, "%s has %d peers, %d connected\n", p.Self, len(p.Peers), connected)
	for _, reason := range sortedKeys(p.Refused) {
		fmt.Fprintf(&b, "refused %d times: %s\n", p.Refused[reason], reason)
	}
	for _, r := range p.Latest {
		fmt.Fprintf(&b, "  %s ago %s: %s (%s)\n", ago(r.At, now), r.Peer, r.Reason, dash(r.About))
	}
	return b.String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func ago(t, now time.Time) string { return max(now.Sub(t), 0).Round(time.Second).String() }

func sortedKeys(m map[string]int) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (e *env) dhtTableCmd() *cobra.Command {
	var f dhtFlags
	c := &cobra.Command{
		Use:   "table",
		Short: "Show a node's routing table, and whom it did not take",
		Long: `Show a node's routing table by buckets: ranges of the key space, the contacts in each, least recently seen first, those in reserve
(spare), and the latest contacts that were not taken, with the reason. "free ID" is a contact whose ID does not follow from its peer ID,
as those of Python nodes. As a client it shows the table that the client filled while it joined.`,
		Example: "  mesh dht table --data-dir ./node-1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(e, cmd, func(ctx context.Context, t inspect.Tools) error {
				table, err := t.Table(ctx)
				if err != nil {
					return err
				}
				return e.show(f.json, table, func() string { return tableText(table, time.Now()) })
			})
		},
	}
	f.register(c)
	return c
}

func tableText(t *inspect.Table, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %s\n%d contacts in %d buckets, %d spare, %d banned", t.Self, t.ID, t.Live, len(t.Buckets), t.Spare, t.Banned)
	if t.NetworkSize > 0 {
		fmt.Fprintf(&b, "; the swarm has about %.0f nodes", t.NetworkSize)
	}
	b.WriteByte('\n')
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i, x := range t.Buckets {
		own := ""
		if x.Own {
			own = ", with this node"
		}
		flush(w)
		fmt.Fprintf(&b, "bucket %d: %s%s, %d contacts\n", i+1, bits(x.Prefix, x.Depth), own, len(x.Live))
		for _, c := range x.Live {
			contactText(w, c, "", now)
		}
		for _, c := range x.Spare {
			contactText(w, c, ", spare", now)
		}
		for _, r := range x.Refused {
			fmt.Fprintf(w, "  %s\tnot taken\t%s, %s ago\t%s\n", r.Peer, r.Reason, ago(r.At, now), dash(r.About))
		}
	}
	flush(w)
	for _, o := range t.Offenders {
		until := ""
		if !o.Shunned.IsZero() {
			until = ", refused until " + o.Shunned.Format(time.TimeOnly)
		}
		fmt.Fprintf(w, "offender %s\tscore %.0f%s\t%s\t%s\n", o.Peer, o.Score, until, o.Last, dash(o.About))
	}
	flush(w)
	return b.String()
}

func contactText(w *tabwriter.Writer, c inspect.Contact, note string, now time.Time) {
	if !c.Bound {
		note += ", free ID"
	}
	if !c.Verified {
		note += ", not verified"
	}
	if c.Failures > 0 {
		note += fmt.Sprintf(", failed %d times", c.Failures)
	}
	seen := "never seen"
	if !c.LastSeen.IsZero() {
		seen = "seen " + ago(c.LastSeen, now) + " ago"
	}
	fmt.Fprintf(w, "  %s\t%s\t%.1f ms, %s%s\t%s\n", c.Peer, c.ID, c.RTT, seen, note, dash(c.Addr))
}

// bits shows the range of a bucket as its leading bits.
func bits(prefix string, depth int) string {
	if depth == 0 {
		return "the whole space"
	}
	var b strings.Builder
	for i := range min(depth, 4*len(prefix)) {
		n := strings.IndexByte("0123456789abcdef", prefix[i/4])
		b.WriteByte('0' + byte(n>>(3-i%4)&1))
	}
	return "IDs with " + b.String() + "..."
}

func (e *env) dhtTraceCmd() *cobra.Command {
	var f dhtFlags
	var k keyFlags
	c := &cobra.Command{
		Use:   "trace KEY",
		Short: "Search a key and show each hop, its time, and why it stopped",
		Long: `Search a key without caches, ask all of the nearest nodes, and show each question: when it was sent, how long the answer took, how
many leading bits the peer shares with the key, who named it, what it knew. A search that leaves doubt is made again over several
disjoint paths, and at last around the key: LOOK counts these. Then why the search stopped.`,
		Example:           "  mesh dht trace heartbeat --data-dir ./node-1",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: keyArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := k.key(args[0])
			if err != nil {
				return err
			}
			return f.with(e, cmd, func(ctx context.Context, t inspect.Tools) error {
				r, err := t.Trace(ctx, inspect.Query{Key: key})
				if err != nil {
					return err
				}
				return e.show(f.json, r, func() string { return traceText(r, args[0], time.Now()) })
			})
		},
	}
	f.register(c)
	k.register(c)
	return c
}

// stopText says why a search stopped.
func stopText(reason string) string {
	return explained(reason, map[string]string{
		"converged": "the nearest nodes have all answered",
		"exhausted": "nobody was left to ask",
		"max-asks":  "the limit of questions was reached",
		"found":     "what was found suffices",
		"deadline":  "the time was over",
		"canceled":  "nobody wanted the result any more",
		"lies":      "somebody named peers that do not answer",
	})
}

// doubtText says why a search was made again.
func doubtText(doubt string) string {
	return explained(doubt, map[string]string{
		"unsure":  "one path is too few to believe that there is nothing newer",
		"silence": "many of those asked did not answer",
		"lies":    "somebody named peers that do not answer, sent a list that cannot be true, or a forged record",
		"gap":     "those found are farther from the key than chance puts them: nearer ones may be hidden",
		"crowd":   "those found are nearer to the key than chance puts them: they may be Sybils",
	})
}

// explained adds to a word what it means, if that is known.
func explained(word string, meaning map[string]string) string {
	if text, ok := meaning[word]; ok {
		return word + ": " + text
	}
	return word
}

func traceText(t *inspect.Trace, key string, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is %s\n", clean(key), t.Key)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "#\tLOOK\tHOP\tPATH\tPEER\tBITS\tSENT\tTOOK\tRESULT\tNAMED BY")
	for _, s := range t.Steps {
		result := clean(s.Result)
		switch {
		case s.Result != "answered" && s.Detail != "":
			result += ": " + clean(s.Detail)
		case s.Value:
			result = fmt.Sprintf("has it; %d new, %d nearer", s.Learned, s.Nearer)
		case s.Result == "answered":
			result = fmt.Sprintf("%d new, %d nearer", s.Learned, s.Nearer)
		}
		from := "the table"
		if s.From != "" {
			from = shortPeer(s.From)
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%s\t%d\t%.1f ms\t%.1f ms\t%s\t%s\n", s.Seq, s.Look+1, s.Hop, s.Path+1, s.Peer, s.Common, s.Start, s.Took, result, from)
	}
	flush(w)
	for i, d := range t.Doubts {
		fmt.Fprintf(&b, "look %d left doubt, %s\n", i+1, doubtText(d))
	}
	fmt.Fprintf(&b, "stopped after %.1f ms, %s\n", t.Took, stopText(t.Reason))
	fmt.Fprintf(&b, "%d asked, %d answered, %d failed, %d hops", t.Asked, t.Answered, t.Failed, t.Hops)
	if t.Restarts > 0 {
		fmt.Fprintf(&b, ", %d restarts around implausible contacts", t.Restarts)
	}
	switch {
	case t.Found == nil:
		b.WriteString("\nno value found")
	case t.Found.Entries != nil:
		fmt.Fprintf(&b, "\nfound %d subkeys, the last ends in %s", len(t.Found.Entries), remaining(t.Found.Expires, now))
	default:
		fmt.Fprintf(&b, "\nfound %s, which ends in %s", clean(string(t.Found.Value)), remaining(t.Found.Expires, now))
	}
	return b.String()
}

func (e *env) dhtCrawlCmd() *cobra.Command {
	var f dhtFlags
	var q inspect.CrawlQuery
	var dot bool
	c := &cobra.Command{
		Use:   "crawl",
		Short: "Draw the swarm: who is there, who knows whom",
		Long: `Ask every node that can be reached whom it knows, and draw the swarm: as text, as JSON (nodes, and links as pairs of positions in them), or
with --dot in the language of Graphviz, where red nodes did not answer and dashed links are known from one side only.`,
		Example: "  mesh dht crawl --data-dir ./node-1\n  mesh dht crawl --data-dir ./node-1 --dot | dot -Tsvg > swarm.svg",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dot && f.json {
				return usagef("--dot and --json exclude each other")
			}
			return f.with(e, cmd, func(ctx context.Context, t inspect.Tools) error {
				g, err := t.Crawl(ctx, q)
				if err != nil {
					return err
				}
				return e.show(f.json, g, func() string {
					if dot {
						return dotText(g)
					}
					return crawlText(g)
				})
			})
		},
	}
	f.register(c)
	fl := c.Flags()
	fl.IntVar(&q.MaxNodes, "max-nodes", 1000, "visit at most that many nodes, 10,000 at most")
	fl.BoolVar(&dot, "dot", false, "print a graph for Graphviz")
	return c
}

// degrees counts how many nodes each names and is named by.
func degrees(g *inspect.Graph) (out, in []int) {
	out, in = make([]int, len(g.Nodes)), make([]int, len(g.Nodes))
	for _, l := range g.Links {
		out[l[0]]++
		in[l[1]]++
	}
	return out, in
}

// islands counts the parts of the swarm that do not know each other.
func islands(g *inspect.Graph) int {
	parent := make([]int, len(g.Nodes))
	for i := range parent {
		parent[i] = i
	}
	find := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	n := len(g.Nodes)
	for _, l := range g.Links {
		if a, b := find(l[0]), find(l[1]); a != b {
			parent[a] = b
			n--
		}
	}
	return n
}

func crawlText(g *inspect.Graph) string {
	var b strings.Builder
	out, in := degrees(g)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tPEER\tRTT\tKNOWS\tKNOWN BY\tCHAIN\tADDRESS")
	dead := 0
	for i, n := range g.Nodes {
		rtt, addr, by := fmt.Sprintf("%.1f ms", n.RTT), "-", strconv.Itoa(in[i])
		if n.Self {
			rtt, by = "here", "-" // nobody names the one who asks
		}
		if len(n.Addrs) > 0 {
			addr = n.Addrs[0]
		}
		if n.Error != "" {
			dead++
			rtt, addr = "none", clean(n.Error)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", n.ID[:min(len(n.ID), 8)], n.Peer, rtt, out[i], by, dash(n.About), addr)
	}
	flush(w)
	fmt.Fprintf(&b, "%d nodes, %d without an answer, %d links, in %.0f ms", len(g.Nodes), dead, len(g.Links), g.Took)
	if parts := islands(g); parts > 1 {
		fmt.Fprintf(&b, "; they form %d parts that do not know each other", parts)
	}
	if g.Cut {
		b.WriteString("; there are more: --max-nodes")
	}
	return b.String()
}

func dotText(g *inspect.Graph) string {
	var b strings.Builder
	b.WriteString("digraph swarm {\n  layout=circo; node [shape=box, style=rounded, fontname=monospace, fontsize=10];\n")
	for i, n := range g.Nodes {
		attrs := ""
		switch {
		case n.Error != "":
			attrs = ", color=red"
		case n.Self:
			attrs = ", penwidth=2"
		}
		label := n.ID[:min(len(n.ID), 8)] + `\n` + shortPeer(n.Peer)
		if n.About != "" {
			label += `\n` + dotQuote(n.About)
		}
		fmt.Fprintf(&b, "  n%d [label=\"%s\"%s];\n", i, label, attrs)
	}
	known := make(map[[2]int]bool, len(g.Links))
	for _, l := range g.Links {
		known[l] = true
	}
	for _, l := range g.Links {
		back := known[[2]int{l[1], l[0]}]
		switch {
		case g.Nodes[l[0]].Self: // nobody names the one who asks: what the others know of it is not known
			fmt.Fprintf(&b, "  n%d -> n%d;\n", l[0], l[1])
		case back && l[0] < l[1]:
			fmt.Fprintf(&b, "  n%d -> n%d [dir=none];\n", l[0], l[1])
		case !back:
			fmt.Fprintf(&b, "  n%d -> n%d [style=dashed];\n", l[0], l[1])
		}
	}
	b.WriteString("}")
	return b.String()
}

func dotQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(clean(s))
}
