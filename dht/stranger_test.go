package dht_test

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// stranger speaks the protocol by hand, and says what it likes.
type stranger struct {
	t     testing.TB
	Host  *p2p.Host
	Calls *rpc.Node
}

func newStranger(t testing.TB, edit ...func(*p2p.Config, *rpc.Config)) *stranger {
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
	host := must(p2p.New(pc))
	s := &stranger{t: t, Host: host, Calls: rpc.NewNode(host, rc)}
	t.Cleanup(func() {
		if err := s.Calls.Close(); err != nil {
			t.Error(err)
		}
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stranger) id() kad.ID { return kad.IDFromPeer(s.Host.ID()) }

func (s *stranger) info() peer.AddrInfo {
	return peer.AddrInfo{ID: s.Host.ID(), Addrs: s.Host.Libp2p().Addrs()}
}

func (s *stranger) call(to *member, m rpc.Method, req []byte) ([]byte, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Host.Connect(ctx, to.info()); err != nil {
		s.t.Fatal(err)
	}
	return s.Calls.Call(ctx, to.Host.ID(), m, req)
}

func (s *stranger) ping(to *member, claim []byte, validate bool) (resp wire.PingResponse) {
	s.t.Helper()
	b, err := s.call(to, dht.MethodPing, (&wire.PingRequest{Peer: wire.NodeInfo{ID: claim}, Validate: validate}).Append(nil))
	if err == nil {
		err = resp.Decode(b)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

func (s *stranger) find(to *member, req wire.FindRequest) (resp wire.FindResponse) {
	s.t.Helper()
	b, err := s.call(to, dht.MethodFind, req.Append(nil))
	if err == nil {
		err = resp.Decode(b, wire.Limits{})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

// store stores records and returns the codes.
func (s *stranger) store(to *member, inCache bool, recs ...record.Record) []wire.Code {
	s.t.Helper()
	req := wire.StoreRequest{WantCodes: true}
	for _, r := range recs {
		req.Keys = append(req.Keys, r.Key[:])
		req.Subkeys = append(req.Subkeys, r.Subkey)
		req.Values = append(req.Values, r.Value)
		req.Expiration = append(req.Expiration, float64(r.Expiration))
		req.InCache = append(req.InCache, inCache)
	}
	b, err := s.call(to, dht.MethodStore, req.Append(nil))
	var resp wire.StoreResponse
	if err == nil {
		err = resp.Decode(b, wire.Limits{})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if len(resp.Codes) != len(recs) || len(resp.OK) != len(recs) {
		s.t.Fatalf("%d codes, %d flags for %d records", len(resp.Codes), len(resp.OK), len(recs))
	}
	return resp.Codes
}

// serveFind answers every find with what f makes of it, pings under the stranger's own ID, and accepts whatever is handed over to it.
func (s *stranger) serveFind(f func(req wire.FindRequest, resp *wire.FindResponse)) {
	id := s.id()
	s.Calls.Handle(dht.MethodPing, func(context.Context, *rpc.Request) ([]byte, error) {
		return (&wire.PingResponse{Peer: wire.NodeInfo{ID: id[:]}, Time: float64(record.ExpirationAt(time.Now()))}).Append(nil), nil
	})
	s.Calls.Handle(dht.MethodStore, func(_ context.Context, r *rpc.Request) ([]byte, error) {
		var req wire.StoreRequest
		if err := req.Decode(r.Data, wire.Limits{}); err != nil {
			return nil, err
		}
		return (&wire.StoreResponse{Peer: wire.NodeInfo{ID: id[:]}, OK: slices.Repeat([]bool{true}, len(req.Keys))}).Append(nil), nil
	})
	s.Calls.Handle(dht.MethodFind, func(_ context.Context, r *rpc.Request) ([]byte, error) {
		var req wire.FindRequest
		if err := req.Decode(r.Data, wire.Limits{}); err != nil {
			return nil, err
		}
		resp := wire.FindResponse{Peer: wire.NodeInfo{ID: id[:]}, Results: make([]wire.FindResult, len(req.Keys))}
		f(req, &resp)
		return resp.Append(nil), nil
	})
}

// befriend makes to add the stranger to its table.
func (s *stranger) befriend(to *member) {
	s.t.Helper()
	id := s.id()
	s.ping(to, id[:], true)
	eventually(s.t, "the stranger enters the table", func() bool { return to.knows(s.Host.ID()) })
}

// knows reports whether a peer is live in the member's table.
func (m *member) knows(p peer.ID) bool {
	for _, c := range m.Contacts() {
		if c.Peer == p {
			return true
		}
	}
	return false
}

func regular(key string, value []byte, expiration time.Time) record.Record {
	return record.Record{Key: record.KeyOfText(key), Subkey: []byte(record.RegularTag), Value: value, Expiration: record.ExpirationAt(expiration)}
}

func sub(key string, subkey any, value []byte, expiration time.Time) record.Record {
	r := regular(key, value, expiration)
	r.Subkey = must(record.SubkeyOf(subkey))
	return r
}
