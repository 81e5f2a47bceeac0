package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

const (
	maxLife      = 24 * time.Hour // of a record: what nodes accept at most
	maxPaths     = 8
	defaultCrawl = 1000
	maxCrawl     = 10_000
	shownRefused = 20
)

// Direct carries the operations out on a node of this process.
type Direct struct {
	DHT    *dht.Node
	Host   *p2p.Host
	Marker string               // owner marker of the node's key, "" when it cannot sign
	About  func(peer.ID) string // what the chain has on a peer; nil: nothing is known
}

func bad(format string, args ...any) error {
	return &Error{CodeBadRequest, fmt.Sprintf(format, args...)}
}

// explain gives what a node fails with a code.
func explain(err error) error {
	code := CodeInternal
	var known *Error
	var fault *record.Fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, dht.ErrNotFound):
		code = CodeNotFound
	case errors.Is(err, dht.ErrRefused):
		code = CodeRefused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		code = CodeTimeout
	case errors.Is(err, dht.ErrClosed):
		code = CodeNotReady
	case errors.As(err, &fault):
		code = CodeBadRequest
		if fault.Code == record.CodeTooLarge {
			code = CodeTooLarge
		}
	}
	return &Error{code, err.Error()}
}

func keyOf(text string) (record.Key, error) {
	key, err := record.ParseKey(text)
	if err != nil {
		return key, bad("key: %v", err)
	}
	return key, nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (d *Direct) about(p peer.ID) string {
	if d.About == nil {
		return ""
	}
	return d.About(p)
}

// Get returns what a key holds.
func (d *Direct) Get(ctx context.Context, q Query) (*Found, error) {
	key, err := keyOf(q.Key)
	if err != nil {
		return nil, err
	}
	if q.Paths < 0 || q.Paths > maxPaths {
		return nil, bad("paths: 1 to %d", maxPaths)
	}
	var opts []dht.GetOption
	if q.Latest {
		opts = append(opts, dht.Latest())
	}
	if q.Fresh {
		opts = append(opts, dht.NoCache())
	}
	if q.Paths > 0 {
		opts = append(opts, dht.Paths(q.Paths))
	}
	began := time.Now()
	v, err := d.DHT.Get(ctx, key, opts...)
	if err != nil {
		return nil, explain(err)
	}
	f, err := show(v)
	if err != nil {
		return nil, explain(err)
	}
	f.Took = millis(time.Since(began))
	return f, nil
}

// show puts a value into words.
func show(v *dht.Value) (*Found, error) {
	f := &Found{Key: v.Key.String(), Expires: v.Expiration.Time().UTC()}
	var err error
	if !v.IsDictionary() {
		f.Value, err = ToJSON(v.Raw)
		return f, err
	}
	for _, x := range v.Entries {
		e := FoundEntry{Expires: x.Expiration.Time().UTC()}
		if e.Subkey, err = ToJSON(x.Subkey); err != nil {
			return nil, err
		}
		if e.Value, err = ToJSON(x.Raw); err != nil {
			return nil, err
		}
		if owner, err := record.OwnerOf(x.Subkey); err == nil && owner != nil {
			e.Owner = owner.Peer.String()
		}
		if v.Key == heartbeat.Key() {
			e.Heartbeat = beat(x, v.Expiration)
		}
		f.Entries = append(f.Entries, e)
	}
	return f, nil
}

// beat reads an entry as a heartbeat; nil when it is none.
func beat(e dht.Entry, newest record.Expiration) *Heartbeat {
	info, err := heartbeat.Parse(e.Raw)
	if err != nil {
		return nil
	}
	h := &Heartbeat{
		State: info.State.String(), Role: info.Role, Throughput: info.Throughput, PublicName: info.PublicName,
		Version: info.Version, UsingRelay: info.UsingRelay, Behind: float64(newest - e.Expiration),
	}
	if info.HasEpoch {
		h.Epoch = &info.Epoch
	}
	return h
}

// Put stores a record.
func (d *Direct) Put(ctx context.Context, w Write) (*Stored, error) {
	req, err := d.request(w)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	res, err := d.DHT.Store(ctx, req)
	if res.Err != nil && len(res.Answers) == 0 {
		return nil, explain(res.Err)
	}
	s := &Stored{
		Key: w.Key, OK: res.OK(), Wanted: res.Wanted, Accepted: res.Accepted, Older: res.Older,
		Expires: req.Expiration.UTC(), Took: millis(time.Since(began)), Answers: []Replica{},
	}
	if err != nil {
		s.Reason = err.Error()
	}
	if len(res.Subkey) > 0 {
		if s.Subkey, err = ToJSON(res.Subkey); err != nil {
			return nil, explain(err)
		}
	}
	for _, a := range res.Answers {
		r := Replica{Peer: a.Peer.String(), OK: a.OK, Answer: a.Code.String()}
		if a.Err != nil {
			r.Answer = a.Err.Error()
		}
		s.Answers = append(s.Answers, r)
	}
	return s, nil
}

// request reads a write.
func (d *Direct) request(w Write) (dht.StoreRequest, error) {
	life := time.Duration(w.Life * float64(time.Second))
	req := dht.StoreRequest{Value: msgpack.Raw(w.Value), Region: w.Region, Expiration: time.Now().Add(life).Truncate(time.Microsecond)}
	if !(w.Life > 0 && w.Life <= maxLife.Seconds()) {
		return req, bad("a record lives more than nothing and at most %v", maxLife)
	}
	var err error
	if req.Key, err = keyOf(w.Key); err != nil {
		return req, err
	}
	if err := msgpack.Valid(w.Value, msgpack.Limits{}); err != nil {
		return req, bad("value: %v", err)
	}
	if w.Subkey != nil {
		if req.Subkey, err = record.ParseSubkey(w.Subkey); err != nil {
			return req, bad("subkey: %v", err)
		}
		if req.Subkey == nil {
			return req, bad("subkey: it is nil")
		}
	}
	if !w.Sign {
		return req, nil
	}
	if d.Marker == "" {
		return req, bad("there is no key to sign with")
	}
	switch name := req.Subkey.(type) {
	case nil:
		req.Subkey = []byte(d.Host.ID().String() + d.Marker) // as nodes name themselves
	case string:
		req.Subkey = []byte(name + d.Marker)
	case []byte:
		req.Subkey = append(slices.Clip(name), d.Marker...)
	default:
		return req, bad("subkey: only text and bytes can carry the marker of an owner")
	}
	return req, nil
}

// Ping calls a peer.
func (d *Direct) Ping(ctx context.Context, q PingQuery) (*Pong, error) {
	info := peer.AddrInfo{}
	var err error
	if strings.HasPrefix(q.Peer, "/") {
		list, perr := p2p.ParsePeers([]string{q.Peer})
		if perr != nil {
			return nil, bad("peer: %v", perr)
		}
		info = list[0]
	} else if info.ID, err = peer.Decode(q.Peer); err != nil {
		return nil, bad("peer %q is neither a peer ID nor a multiaddr with /p2p/: %v", q.Peer, err)
	}
	if info.ID == d.Host.ID() {
		return nil, bad("that is this node itself")
	}
	if err := d.Host.Connect(ctx, info); err != nil {
		return nil, &Error{CodeUnreachable, err.Error()}
	}
	r, err := d.DHT.Ping(ctx, info.ID, q.CallBack)
	if err != nil {
		return nil, &Error{CodeUnreachable, err.Error()}
	}
	p := &Pong{Peer: info.ID.String(), RTT: millis(r.RTT), Offset: millis(r.Offset)}
	if id := kad.ID(r.ID); id != (kad.ID{}) {
		p.ID = id.String()
	}
	if q.CallBack {
		p.Available = &r.Available
	}
	return p, nil
}

// Peers lists the peers.
func (d *Direct) Peers(context.Context) (*Peers, error) {
	out := &Peers{Self: d.Host.ID().String(), Peers: []Peer{}, Refused: map[string]int{}, Latest: []Refused{}}
	table := map[peer.ID]kad.EntryInfo{}
	for _, b := range d.DHT.Table() {
		for _, e := range b.Live {
			table[e.Contact.Peer] = e
		}
	}
	net := d.Host.Libp2p().Network()
	seen := map[peer.ID]bool{}
	list := d.Host.Peers()
	for p := range table {
		list = append(list, p)
	}
	for _, id := range list {
		if seen[id] {
			continue
		}
		seen[id] = true
		p := Peer{Peer: id.String(), About: d.about(id)}
		for _, c := range net.ConnsToPeer(id) {
			p.Connected = true
			p.Inbound = c.Stat().Direction == network.DirInbound
			p.Addrs = append(p.Addrs, c.RemoteMultiaddr().String())
		}
		if agent, err := d.Host.Libp2p().Peerstore().Get(id, "AgentVersion"); err == nil {
			p.Agent = printable(fmt.Sprint(agent))
		}
		if e, ok := table[id]; ok {
			p.InTable, p.RTT = true, millis(e.RTT)
		}
		out.Peers = append(out.Peers, p)
	}
	slices.SortFunc(out.Peers, func(a, b Peer) int { return cmp.Compare(a.Peer, b.Peer) })
	for reason, n := range d.Host.RefusalCounts() {
		out.Refused[reason] = int(min(n, 1<<31))
	}
	for i, r := range d.Host.Refusals() {
		if i == shownRefused {
			break
		}
		out.Latest = append(out.Latest, Refused{r.Peer.String(), r.Inbound, r.Reason, d.about(r.Peer), r.Time.UTC()})
	}
	return out, nil
}

// printable cuts what a peer calls itself down to what a terminal may show.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, s[:min(len(s), 256)])
	return s[:min(len(s), 64)]
}

// Table shows the routing table.
func (d *Direct) Table(context.Context) (*Table, error) {
	s := d.DHT.Stats()
	t := &Table{Self: d.Host.ID().String(), ID: d.DHT.ID().String(), Live: s.Peers, Spare: s.SparePeers, Banned: s.Banned}
	if s.NetworkSizeConfident {
		t.NetworkSize = s.NetworkSize
	}
	for _, b := range d.DHT.Table() {
		v := Bucket{
			Prefix: b.Prefix.String(), Depth: b.Depth, Own: b.Prefix.CommonPrefixLen(d.DHT.ID()) >= b.Depth, Updated: b.Updated.UTC(),
			Live: contacts(b.Live), Spare: contacts(b.Spare), Refused: []Refused{},
		}
		if b.Updated.IsZero() {
			v.Updated = time.Time{}
		}
		for _, r := range b.Refused {
			v.Refused = append(v.Refused, Refused{Peer: r.Contact.Peer.String(), Reason: r.Reason.String(), About: d.about(r.Contact.Peer), At: r.At.UTC()})
		}
		t.Buckets = append(t.Buckets, v)
	}
	t.Offenders = []Offender{}
	for _, o := range d.DHT.Scores() {
		t.Offenders = append(t.Offenders, Offender{
			Peer: o.Peer.String(), Score: math.Round(10*o.Score) / 10, Last: o.Last, Shunned: o.Shunned, About: d.about(o.Peer),
		})
	}
	return t, nil
}

func contacts(list []kad.EntryInfo) []Contact {
	out := make([]Contact, 0, len(list))
	for _, e := range list {
		c := Contact{Peer: e.Contact.Peer.String(), ID: e.Contact.ID.String(), Bound: e.Bound, Verified: e.Verified, RTT: millis(e.RTT), Failures: e.Failures}
		if e.Contact.Addr.IsValid() {
			c.Addr = e.Contact.Addr.String()
		}
		if !e.LastSeen.IsZero() {
			c.LastSeen = e.LastSeen.UTC()
		}
		out = append(out, c)
	}
	return out
}

// Trace searches a key and tells each hop.
func (d *Direct) Trace(ctx context.Context, q Query) (*Trace, error) {
	key, err := keyOf(q.Key)
	if err != nil {
		return nil, err
	}
	r, err := d.DHT.Trace(ctx, key)
	if r == nil {
		return nil, explain(err)
	}
	t := &Trace{
		Key: key.String(), Reason: r.Stats.Reason.String(), Asked: r.Stats.Asked, Answered: r.Stats.Answered, Failed: r.Stats.Failed,
		Hops: r.Stats.Hops, Restarts: r.Stats.Restarts, Took: millis(r.Took), Steps: []Step{}, Nearest: []string{},
	}
	for _, d := range r.Doubts {
		t.Doubts = append(t.Doubts, d.String())
	}
	if r.Value != nil {
		if t.Found, err = show(r.Value); err != nil {
			return nil, explain(err)
		}
	}
	names := map[kad.ID]peer.ID{}
	var start time.Time
	for _, s := range r.Steps {
		names[s.Contact.ID] = s.Contact.Peer
		if start.IsZero() || s.Asked.Before(start) {
			start = s.Asked
		}
	}
	for _, s := range r.Steps {
		v := Step{
			Seq: int(s.Seq), Peer: s.Contact.Peer.String(), ID: s.Contact.ID.String(), Common: s.Contact.ID.CommonPrefixLen(kad.ID(key)),
			Look: s.Look, Path: s.Path, Hop: s.Hop, Start: millis(s.Asked.Sub(start)), Result: "answered", Learned: s.Learned, Nearer: s.Nearer, Value: s.Found,
		}
		if from, ok := names[s.From]; ok {
			v.From = from.String()
		}
		switch {
		case s.Ended.IsZero():
			v.Result = "not waited for"
		case !s.Answered:
			v.Result, v.Detail = s.Failure.String(), s.Err
		}
		if !s.Ended.IsZero() {
			v.Took = millis(s.Ended.Sub(s.Asked))
		}
		t.Steps = append(t.Steps, v)
	}
	for _, c := range r.Nearest {
		t.Nearest = append(t.Nearest, c.Peer.String())
	}
	return t, nil
}

// Crawl draws the swarm.
func (d *Direct) Crawl(ctx context.Context, q CrawlQuery) (*Graph, error) {
	if q.MaxNodes < 0 || q.MaxNodes > maxCrawl {
		return nil, bad("a crawl visits at most %d nodes", maxCrawl)
	}
	if q.MaxNodes == 0 {
		q.MaxNodes = defaultCrawl
	}
	raw, err := d.DHT.Crawl(ctx, dht.CrawlOptions{MaxNodes: q.MaxNodes})
	if err != nil {
		return nil, explain(err)
	}
	slices.SortFunc(raw.Nodes, func(a, b dht.GraphNode) int { return a.Contact.ID.Cmp(b.Contact.ID) })
	g := &Graph{Took: millis(raw.Took), Cut: raw.Cut, Nodes: []Member{}, Links: [][2]int{}}
	at := make(map[peer.ID]int, len(raw.Nodes))
	for i, x := range raw.Nodes {
		at[x.Contact.Peer] = i
		m := Member{
			Peer: x.Contact.Peer.String(), ID: x.Contact.ID.String(), Addrs: x.Addrs, RTT: millis(x.RTT), Error: x.Err, About: d.about(x.Contact.Peer),
		}
		if m.Self = x.Contact.Peer == d.Host.ID(); m.Self {
			for _, a := range d.Host.Libp2p().Addrs() {
				m.Addrs = append(m.Addrs, a.String())
			}
		}
		g.Nodes = append(g.Nodes, m)
	}
	for i, x := range raw.Nodes {
		for _, p := range x.Peers {
			if j, ok := at[p]; ok && i != j {
				g.Links = append(g.Links, [2]int{i, j})
			}
		}
	}
	return g, nil
}
