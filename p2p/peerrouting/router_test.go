package peerrouting_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/test"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/hypertensor-blockchain/mesh/internal/pb/kadpb"
	"github.com/hypertensor-blockchain/mesh/p2p/peerrouting"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const routing = protocol.ID("/test/peers/1")

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newHost(t testing.TB) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableMetrics(), libp2p.DisableRelay())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func newRouter(t testing.TB) (host.Host, *peerrouting.Router) {
	t.Helper()
	h := newHost(t)
	r := peerrouting.New(h, peerrouting.Config{Protocols: []protocol.ID{routing}})
	t.Cleanup(r.Close)
	return h, r
}

func connect(t testing.TB, a, b host.Host) {
	t.Helper()
	if err := a.Connect(testContext(t), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for _, pair := range [][2]host.Host{{a, b}, {b, a}} { // both sides have introduced themselves
		for {
			addrs := pair[0].Peerstore().Addrs(pair[1].ID())
			protos, err := pair[0].Peerstore().GetProtocols(pair[1].ID())
			if err == nil && len(addrs) > 0 && len(protos) > 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("no identify")
			}
			<-tick.C
		}
	}
}

// A chain of peers that know only their neighbours: the search walks along it.
func TestSearchFollowsAnswers(t *testing.T) {
	hosts := make([]host.Host, 5)
	routers := make([]*peerrouting.Router, 5)
	for i := range hosts {
		hosts[i], routers[i] = newRouter(t)
		if i > 0 {
			connect(t, hosts[i-1], hosts[i])
		}
	}
	last := hosts[4]
	addrs, err := routers[0].FindPeer(testContext(t), last.ID())
	if err != nil || len(addrs) == 0 {
		t.Fatalf("%v, %v", addrs, err)
	}
	if err := hosts[0].Connect(testContext(t), peer.AddrInfo{ID: last.ID(), Addrs: addrs}); err != nil {
		t.Error(err)
	}
}

func TestNotFound(t *testing.T) {
	a, r := newRouter(t)
	nobody, err := test.RandPeerID()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.FindPeer(testContext(t), nobody); !errors.Is(err, peerrouting.ErrNotFound) {
		t.Errorf("alone: %v", err)
	}
	b, _ := newRouter(t)
	connect(t, a, b)
	for range 2 {
		if _, err := r.FindPeer(testContext(t), nobody); !errors.Is(err, peerrouting.ErrNotFound) {
			t.Errorf("%v", err)
		}
	}
	mute := newHost(t)
	mute.SetStreamHandler(routing, func(s network.Stream) {
		_, _ = io.Copy(io.Discard, s)
		_ = s.Reset()
	})
	c, rc := newRouter(t)
	connect(t, c, mute)
	short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := rc.FindPeer(short, nobody); !errors.Is(err, peerrouting.ErrNotFound) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("asked a mute peer: %v", err)
	}
}

// ask speaks the protocol by hand, as a foreign node does: several requests on one stream.
func ask(t *testing.T, s network.Stream, in *bufio.Reader, m *kadpb.Message) *kadpb.Message {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...)); err != nil {
		t.Fatal(err)
	}
	n, err := binary.ReadUvarint(in)
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		t.Fatal(err)
	}
	var out kadpb.Message
	if err := proto.Unmarshal(body, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func TestServer(t *testing.T) {
	server, _ := newRouter(t)
	other, _ := newRouter(t)
	connect(t, server, other)
	client := newHost(t)
	connect(t, client, server)
	s, err := client.NewStream(testContext(t), server.ID(), routing)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(s)
	find := func(key string) []string {
		m := ask(t, s, in, &kadpb.Message{Type: kadpb.Message_FIND_NODE, Key: []byte(key), ClusterLevelRaw: 1})
		var ids []string
		for _, p := range m.GetCloserPeers() {
			if len(p.GetAddrs()) == 0 {
				t.Errorf("peer without addresses: %v", p)
			}
			ids = append(ids, string(p.GetId()))
		}
		return ids
	}
	if ids := find(string(server.ID())); len(ids) == 0 || ids[0] != string(server.ID()) {
		t.Errorf("its own ID: %x", ids)
	}
	if ids := find(string(other.ID())); len(ids) != 1 || ids[0] != string(other.ID()) {
		t.Errorf("a connected peer: %x", ids)
	}
	if ids := find(string(client.ID())); len(ids) != 1 || ids[0] != string(other.ID()) {
		t.Errorf("the asker itself: %x", ids)
	}
	if ids := find("any bytes"); len(ids) != 1 {
		t.Errorf("bytes that are no peer ID: %x", ids)
	}
	if m := ask(t, s, in, &kadpb.Message{Type: kadpb.Message_PING}); m.GetType() != kadpb.Message_PING {
		t.Errorf("ping: %v", m)
	}
	if _, err := s.Write([]byte{2, 8, 1}); err != nil { // GET_VALUE is not served
		t.Fatal(err)
	}
	if _, err := in.ReadByte(); err == nil {
		t.Error("an unknown request was answered")
	}
}

func TestServerRefusesMalformed(t *testing.T) {
	server, _ := newRouter(t)
	client := newHost(t)
	connect(t, client, server)
	for name, b := range map[string][]byte{
		"huge":      binary.AppendUvarint(nil, 1<<30),
		"malformed": {2, 0xff, 0xff},
		"overlong":  {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		s, err := client.NewStream(testContext(t), server.ID(), routing)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(s); err == nil {
			t.Errorf("%s: ended as if all was well", name)
		}
	}
}

func TestCloseEndsStreams(t *testing.T) {
	server, r := newRouter(t)
	client := newHost(t)
	connect(t, client, server)
	s, err := client.NewStream(testContext(t), server.ID(), routing)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(s)
	ask(t, s, in, &kadpb.Message{Type: kadpb.Message_PING})
	r.Close()
	if _, err := in.ReadByte(); err == nil {
		t.Error("stream lives on")
	}
	r.Close()
}
