package peerrouting

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/test"
	"github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/hypertensor-blockchain/mesh/internal/pb/kadpb"
)

func randomPeer(t testing.TB, addrs ...string) peer.AddrInfo {
	t.Helper()
	id, err := test.RandPeerID()
	if err != nil {
		t.Fatal(err)
	}
	info := peer.AddrInfo{ID: id}
	for _, text := range addrs {
		a, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			t.Fatal(err)
		}
		info.Addrs = append(info.Addrs, a)
	}
	return info
}

// oracle builds the message with the generated code.
func oracle(m *message) *kadpb.Message {
	out := &kadpb.Message{Type: kadpb.Message_Type(m.kind), Key: m.key}
	for _, p := range m.closest {
		e := &kadpb.Message_Peer{Id: []byte(p.ID), Connection: kadpb.Message_CONNECTED}
		for _, a := range p.Addrs {
			e.Addrs = append(e.Addrs, a.Bytes())
		}
		out.CloserPeers = append(out.CloserPeers, e)
	}
	return out
}

func TestMessagesAgainstProtobuf(t *testing.T) {
	target := randomPeer(t)
	for _, m := range []*message{
		{kind: typePing},
		{kind: typeFindNode, key: []byte(target.ID)},
		{kind: typeFindNode, key: []byte(target.ID), closest: []peer.AddrInfo{
			randomPeer(t, "/ip4/1.2.3.4/tcp/5", "/ip6/::1/udp/9/quic-v1"), randomPeer(t),
		}},
	} {
		frame := appendFrame(nil, m)
		body, err := readFrame(bufio.NewReader(bytes.NewReader(frame)), maxAnswer)
		if err != nil {
			t.Fatal(err)
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(oracle(m))
		if err != nil || !bytes.Equal(body, want) {
			t.Errorf("encodes %x, want %x, %v", body, want, err)
		}
		got, err := decode(body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(oracle(m).String(), oracle(&got).String()); diff != "" {
			t.Errorf("decodes differently: %s", diff)
		}
	}
}

func TestBounds(t *testing.T) {
	many := &message{kind: typeFindNode}
	for range maxPeers + 10 {
		p := randomPeer(t)
		for range maxPeerAddr + 5 {
			p.Addrs = append(p.Addrs, randomPeer(t, "/ip4/1.2.3.4/tcp/5").Addrs...)
		}
		many.closest = append(many.closest, p)
	}
	b, err := proto.Marshal(oracle(many))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(b)
	if err != nil || len(got.closest) != maxPeers || len(got.closest[0].Addrs) != maxPeerAddr {
		t.Errorf("%d peers, %v", len(got.closest), err)
	}
	huge := binary.AppendUvarint(nil, 1<<40)
	if _, err := readFrame(bufio.NewReader(bytes.NewReader(huge)), maxAnswer); !errors.Is(err, ErrMalformed) {
		t.Errorf("huge frame: %v", err)
	}
	odd, err := proto.Marshal(&kadpb.Message{Type: kadpb.Message_FIND_NODE, CloserPeers: []*kadpb.Message_Peer{
		{Id: []byte("no peer ID")},
		{Id: []byte(randomPeer(t).ID), Addrs: [][]byte{{0xff, 0xff}, {}, randomPeer(t, "/ip4/1.2.3.4/tcp/5").Addrs[0].Bytes()}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(odd); err != nil || len(got.closest) != 1 || len(got.closest[0].Addrs) != 1 {
		t.Errorf("what this node does not know was not skipped: %+v, %v", got, err)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte{8, 4, 18, 3, 1, 2, 3})
	f.Add([]byte{8, 5})
	f.Add([]byte{0x42, 4, 0x0a, 2, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		if len(m.closest) > maxPeers || len(m.key) > maxKey {
			t.Fatalf("%d peers, key of %d bytes", len(m.closest), len(m.key))
		}
		body, err := readFrame(bufio.NewReader(bytes.NewReader(appendFrame(nil, &m))), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(body)
		if err != nil || oracle(&again).String() != oracle(&m).String() {
			t.Fatalf("does not come back: %v", err)
		}
	})
}
