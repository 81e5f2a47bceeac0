package inspect_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/internal/inspect"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// newNode starts a node without Run: it serves, and joins by others.
func newNode(t *testing.T, by ...*inspect.Direct) (*inspect.Direct, crypto.PrivKey) {
	t.Helper()
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	listen, err := p2p.ParseAddrs([]string{"/ip4/127.0.0.1/tcp/0"})
	if err != nil {
		t.Fatal(err)
	}
	host, err := p2p.New(p2p.Config{Key: key, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	calls := rpc.NewNode(host, rpc.Config{})
	var bootstrap []peer.AddrInfo
	for _, b := range by {
		bootstrap = append(bootstrap, b.Host.AddrInfo())
	}
	chain := record.NewChain(record.NewBounds(record.BoundsConfig{}), record.NewSignature(key, record.SignatureConfig{}))
	node, err := dht.New(calls, dht.Config{Bootstrap: bootstrap, Validators: chain, LeaveTimeout: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []func() error{node.Close, calls.Close, host.Close} {
			if err := c(); err != nil {
				t.Error(err)
			}
		}
	})
	if err := node.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &inspect.Direct{DHT: node, Host: host, Marker: record.OwnerMarker(key.GetPublic())}, key
}

func pack(t *testing.T, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOperations(t *testing.T) {
	a, _ := newNode(t)
	b, _ := newNode(t, a)
	c, key := newNode(t, a, b)
	ctx := t.Context()
	k := record.KeyOfText("weather").String()

	s, err := b.Put(ctx, inspect.Write{Key: k, Value: pack(t, "fair"), Life: 60})
	if err != nil || !s.OK || s.Accepted < 2 || s.Reason != "" {
		t.Fatalf("put: %+v, %v", s, err)
	}
	if f, err := c.Get(ctx, inspect.Query{Key: k, Latest: true, Fresh: true, Paths: 2}); err != nil || string(f.Value) != `"fair"` || time.Until(f.Expires) > time.Minute {
		t.Errorf("get: %+v, %v", f, err)
	}

	value, err := heartbeat.Info{State: heartbeat.Online, Role: heartbeat.RoleValidator, Version: "v", Epoch: 7, HasEpoch: true}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if s, err = c.Put(ctx, inspect.Write{Key: heartbeat.Key().String(), Sign: true, Value: value, Life: 60}); err != nil || !s.OK {
		t.Fatalf("put signed: %+v, %v", s, err)
	}
	f, err := a.Get(ctx, inspect.Query{Key: heartbeat.Key().String()})
	if err != nil || len(f.Entries) != 1 {
		t.Fatalf("get heartbeat: %+v, %v", f, err)
	}
	e := f.Entries[0]
	if h := e.Heartbeat; h == nil || h.State != "online" || h.Role != "validator" || h.Epoch == nil || *h.Epoch != 7 || h.Behind != 0 || e.Owner != c.Host.ID().String() {
		t.Errorf("heartbeat: %+v %+v", e, h)
	}
	name, err := heartbeat.Subkey(key.GetPublic())
	if err != nil {
		t.Fatal(err)
	}
	if packed, err := inspect.FromJSON(e.Subkey); err != nil || !bytes.Equal(packed, name) {
		t.Errorf("subkey %s, %v", e.Subkey, err)
	}
	if _, err := a.Put(ctx, inspect.Write{Key: k, Subkey: name, Value: value, Life: 60}); err == nil {
		t.Error("a record of somebody else's subkey was signed")
	}

	p, err := a.Ping(ctx, inspect.PingQuery{Peer: c.Host.ID().String(), CallBack: true})
	if err != nil || p.RTT <= 0 || p.ID != c.DHT.ID().String() || p.Available == nil || !*p.Available {
		t.Errorf("ping: %+v, %v", p, err)
	}
	tr, err := c.Trace(ctx, inspect.Query{Key: k})
	if err != nil || tr.Found == nil || len(tr.Steps) != 2 || tr.Answered != 2 || tr.Reason == "running" || !tr.Steps[0].Value || tr.Steps[0].Took <= 0 || len(tr.Nearest) != 2 {
		t.Errorf("trace: %+v, %v", tr, err)
	}
	g, err := a.Crawl(ctx, inspect.CrawlQuery{})
	if err != nil || len(g.Nodes) != 3 || len(g.Links) < 4 || g.Cut {
		t.Errorf("crawl: %+v, %v", g, err)
	}
	if g, err = a.Crawl(ctx, inspect.CrawlQuery{MaxNodes: 1}); err != nil || len(g.Nodes) > 2 || !g.Cut {
		t.Errorf("crawl of one node: %+v, %v", g, err)
	}
	table, err := c.Table(ctx)
	if err != nil || table.Live != 2 || len(table.Buckets) != 1 || len(table.Buckets[0].Live) != 2 || !table.Buckets[0].Own || !table.Buckets[0].Live[0].Bound {
		t.Errorf("table: %+v, %v", table, err)
	}
	peers, err := c.Peers(ctx)
	if err != nil || len(peers.Peers) != 2 || !peers.Peers[0].Connected || !peers.Peers[0].InTable || len(peers.Peers[0].Addrs) == 0 {
		t.Errorf("peers: %+v, %v", peers, err)
	}
}

func TestBadOperations(t *testing.T) {
	a, _ := newNode(t)
	ctx := t.Context()
	k := record.KeyOfText("x").String()
	ok := pack(t, 1)
	for what, w := range map[string]inspect.Write{
		"short key":      {Key: "00", Value: ok, Life: 1},
		"no value":       {Key: k, Life: 1},
		"no msgpack":     {Key: k, Value: []byte{0xc1}, Life: 1},
		"no life":        {Key: k, Value: ok},
		"long life":      {Key: k, Value: ok, Life: 1e9},
		"endless life":   {Key: k, Value: ok, Life: 1e300},
		"broken subkey":  {Key: k, Value: ok, Life: 1, Subkey: []byte{0xc1}},
		"list as subkey": {Key: k, Value: ok, Life: 1, Subkey: pack(t, []any{})},
		"number signed":  {Key: k, Value: ok, Life: 1, Subkey: pack(t, 5), Sign: true},
	} {
		if s, err := a.Put(ctx, w); codeOf(err) != inspect.CodeBadRequest {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
	}
	large := pack(t, strings.Repeat("x", 65<<10))
	if s, err := a.Put(ctx, inspect.Write{Key: k, Value: large, Life: 1}); codeOf(err) != inspect.CodeTooLarge {
		t.Errorf("large: %+v, %v", s, err)
	}
	if _, err := a.Get(ctx, inspect.Query{Key: k}); codeOf(err) != inspect.CodeNotFound {
		t.Errorf("absent: %v", err)
	}
	for _, q := range []inspect.Query{{}, {Key: "zz"}, {Key: k, Paths: 99}, {Key: k, Paths: -1}} {
		if _, err := a.Get(ctx, q); codeOf(err) != inspect.CodeBadRequest {
			t.Errorf("%+v: %v", q, err)
		}
	}
	for _, p := range []string{"", "x", "/ip4/127.0.0.1/tcp/1", a.Host.ID().String()} {
		if _, err := a.Ping(ctx, inspect.PingQuery{Peer: p}); codeOf(err) != inspect.CodeBadRequest {
			t.Errorf("ping %q: %v", p, err)
		}
	}
	if _, err := a.Ping(ctx, inspect.PingQuery{Peer: "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWAjE3LCThDrz5AABBHyL1WGxoGtoo7AGruSp41e4qFJX6"}); codeOf(err) != inspect.CodeUnreachable {
		t.Errorf("ping of nobody: %v", err)
	}
	if _, err := a.Crawl(ctx, inspect.CrawlQuery{MaxNodes: 1 << 30}); codeOf(err) != inspect.CodeBadRequest {
		t.Errorf("crawl: %v", err)
	}
}
