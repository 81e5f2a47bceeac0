package dht_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// member is one node of a test swarm with everything under it.
type member struct {
	*dht.Node
	Key   crypto.PrivKey
	Host  *p2p.Host
	Calls *rpc.Node
	end   func() // ends Run and closes all; idempotent
}

func (m *member) info() peer.AddrInfo {
	return peer.AddrInfo{ID: m.Host.ID(), Addrs: m.Host.Libp2p().Addrs()}
}

const loopback = "/ip4/127.0.0.1/tcp/0"

func listen(t testing.TB, addrs ...string) []multiaddr.Multiaddr {
	t.Helper()
	var list []multiaddr.Multiaddr
	for _, a := range addrs {
		m, err := multiaddr.NewMultiaddr(a)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

// launch starts a node; the configuration's zero fields are the defaults. Without run, Run is left to the caller.
func launch(t testing.TB, cfg dht.Config, edit ...func(*p2p.Config, *rpc.Config)) *member {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pc := p2p.Config{Key: key, Listen: listen(t, loopback), Namespace: "/mesh/test/1"}
	rc := rpc.Config{Namespace: pc.Namespace}
	for _, e := range edit {
		e(&pc, &rc)
	}
	host, err := p2p.New(pc)
	if err != nil {
		t.Fatal(err)
	}
	calls := rpc.NewNode(host, rc)
	node, err := dht.New(calls, cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{Node: node, Key: pc.Key, Host: host, Calls: calls}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := node.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	done := false
	m.end = func() {
		if done {
			return
		}
		done = true
		cancel()
		<-over
		for _, c := range []func() error{node.Close, calls.Close, host.Close} {
			if err := c(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	}
	t.Cleanup(m.end)
	return m
}

// quiet is a configuration for tests that count: no caching, no hand-off at the end.
func quiet() dht.Config {
	return dht.Config{NoCacheLocally: true, CacheNearest: -1, NoCacheOnStore: true, CacheRefresh: -1, LeaveTimeout: -1}
}

// swarm starts n nodes; each joins by the first and one other, and is ready when swarm returns.
func swarm(t testing.TB, n int, cfg dht.Config, edit ...func(*p2p.Config, *rpc.Config)) []*member {
	t.Helper()
	members := make([]*member, 0, n)
	for i := range n {
		c := cfg
		if i > 0 {
			c.Bootstrap = []peer.AddrInfo{members[0].info()}
			if i > 1 {
				c.Bootstrap = append(c.Bootstrap, members[i/2].info())
			}
		}
		m := launch(t, c, edit...)
		waitReady(t, m)
		members = append(members, m)
	}
	return members
}

// settle waits until everybody knows everybody, in swarms small enough for that.
func settle(t testing.TB, m []*member) {
	t.Helper()
	for _, x := range m {
		eventually(t, "everybody knows everybody", func() bool { return len(x.Contacts()) == len(m)-1 })
	}
}

func waitReady(t testing.TB, m *member) {
	t.Helper()
	select {
	case <-m.Ready():
	case <-time.After(time.Minute):
		t.Fatalf("node %s is not ready: %+v", m.Host.ID(), m.Stats())
	}
}

// eventually polls a condition; loopback hosts give no event for everything.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(time.Minute) // machines that test are often busy
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func in(d time.Duration) time.Time { return time.Now().Add(d).Truncate(time.Millisecond) }

// must stops the test when the machine cannot do what every test needs.
func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		panic(err)
	}
	return v
}
