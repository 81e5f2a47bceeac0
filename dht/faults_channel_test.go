package dht_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// pythonForm makes a node speak the Python form to everybody: nobody shares its native protocols.
func pythonForm(pc *p2p.Config, rc *rpc.Config) {
	id, _ := peer.IDFromPrivateKey(pc.Key)
	pc.PythonCompat, rc.Python = true, true
	rc.Namespace = "/mesh/alone/" + id.String()
	pc.Namespace = rc.Namespace
}

// signing is pythonForm with signed messages; the guard is left in *guard.
func signing(key crypto.PrivKey, cfg auth.SignatureConfig, guard **auth.Signature) func(*p2p.Config, *rpc.Config) {
	return func(pc *p2p.Config, rc *rpc.Config) {
		pc.Key = key
		pythonForm(pc, rc)
		*guard = must(auth.NewSignature(key, cfg))
		rc.Interceptors = []rpc.Interceptor{*guard}
	}
}

// TestFaultAuthReplayToOtherRecipient: a signed request named neither its recipient nor was it tied to the channel that it came over, so
// that whoever received one passed for its signer at every other node, for a minute. Here the signer must be the peer at the other end,
// and a request names for whom it is; what is replayed is refused and changes nothing.
func TestFaultAuthReplayToOtherRecipient(t *testing.T) {
	cfg := quiet()
	cfg.Python = true
	victimKey := must(identity.Generate(identity.Ed25519))
	var victimGuard *auth.Signature
	victim := launch(t, cfg, signing(victimKey, auth.SignatureConfig{}, &victimGuard))

	captured := make(chan []byte, 1)
	thief := newStranger(t, pythonForm)
	thief.Calls.Handle(dht.MethodPing, func(_ context.Context, r *rpc.Request) ([]byte, error) {
		captured <- r.Data
		return nil, rpc.Errorf(rpc.Unavailable, "thank you")
	})
	if err := victim.Host.Connect(testContext(t), thief.info()); err != nil {
		t.Fatal(err)
	}
	if _, err := victim.Ping(testContext(t), thief.Host.ID(), true); rpc.CodeOf(err) != rpc.Unavailable {
		t.Fatal(err)
	}
	ping := <-captured

	r := regular("stolen", pack("v"), in(time.Minute))
	id := victim.ID()
	store := (&wire.StoreRequest{
		Keys: [][]byte{r.Key[:]}, Subkeys: [][]byte{r.Subkey}, Values: [][]byte{r.Value}, Expiration: []float64{float64(r.Expiration)},
		InCache: []bool{false}, Peer: wire.NodeInfo{ID: id[:]},
	}).Append(nil)
	find := (&wire.FindRequest{Keys: [][]byte{r.Key[:]}}).Append(nil)
	nobody := must(peer.IDFromPrivateKey(must(identity.Generate(identity.RSA)))) // its key is unknown: the request names no recipient
	sign := func(to peer.ID, msg []byte) []byte {
		signed, _, err := victimGuard.SignRequest(to, msg)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	for _, tt := range []struct {
		name   string
		cfg    auth.SignatureConfig
		to     peer.ID
		reason auth.Reason
	}{
		{"named", auth.SignatureConfig{}, thief.Host.ID(), auth.WrongPeer},
		{"unnamed", auth.SignatureConfig{}, nobody, auth.WrongPeer},
		{"named, any signer", auth.SignatureConfig{AnySigner: true}, thief.Host.ID(), auth.WrongRecipient},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var guard *auth.Signature
			target := launch(t, cfg, signing(must(identity.Generate(identity.Ed25519)), tt.cfg, &guard))
			stolen := map[rpc.Method][]byte{dht.MethodPing: ping, dht.MethodStore: sign(tt.to, store), dht.MethodFind: sign(tt.to, find)}
			for m, msg := range stolen {
				if _, err := thief.call(target, m, msg); rpc.CodeOf(err) != rpc.Unauthenticated || !rpc.IsRemote(err) {
					t.Errorf("%s: %v", m, err)
				}
			}
			if got := guard.Rejections()[tt.reason]; got != 3 {
				t.Errorf("refused: %v", guard.Rejections())
			}
			if st := target.Stats(); st.Records != 0 || st.StoresServed+st.FindsServed+st.PingsServed != 0 || target.knows(victim.Host.ID()) {
				t.Errorf("a stolen request was served: %+v", st)
			}
		})
	}
}

// TestFaultAnswerOfAnother: nor was an answer tied to the node that was asked. Here one that somebody else signed is refused.
func TestFaultAnswerOfAnother(t *testing.T) {
	cfg := quiet()
	cfg.Python = true
	var guard *auth.Signature
	m := launch(t, cfg, signing(must(identity.Generate(identity.Ed25519)), auth.SignatureConfig{}, &guard))
	accomplice := must(auth.NewSignature(must(identity.Generate(identity.Ed25519)), auth.SignatureConfig{AnySigner: true}))
	s := newStranger(t, pythonForm)
	id := s.id()
	s.Calls.Handle(dht.MethodPing, func(_ context.Context, r *rpc.Request) ([]byte, error) {
		nonce := []byte("01234567") // some request's; the signer is looked at first
		return accomplice.SignResponse(nonce, (&wire.PingResponse{Peer: wire.NodeInfo{ID: id[:]}, Available: true}).Append(nil))
	})
	if err := m.Host.Connect(testContext(t), s.info()); err != nil {
		t.Fatal(err)
	}
	_, err := m.Ping(testContext(t), s.Host.ID(), false)
	if reason, ok := auth.ReasonOf(err); !ok || reason != auth.WrongPeer {
		t.Errorf("%v", err)
	}
	if m.knows(s.Host.ID()) {
		t.Error("it entered the table")
	}
}

// bait is an address that notes who dials it.
type bait struct {
	addr  multiaddr.Multiaddr
	dials atomic.Int64
}

func newBait(t testing.TB) *bait {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bait{addr: listen(t, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port))[0]}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.dials.Add(1)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return b
}

// TestFaultDialsOnRequest: a service without any check dialled whatever peer a caller named. Here no request makes a node dial; strangers
// are not even heard; and neighbours that a member names with somebody else's address are dialled only if they are members, and then
// not again and again.
func TestFaultDialsOnRequest(t *testing.T) {
	var mu sync.Mutex
	members := map[peer.ID]bool{}
	admit := func(p peer.ID) {
		mu.Lock()
		defer mu.Unlock()
		members[p] = true
	}
	gated := func(pc *p2p.Config, _ *rpc.Config) {
		id, _ := peer.IDFromPrivateKey(pc.Key)
		admit(id)
		pc.Gate = p2p.GateFunc(func(p peer.ID) p2p.Decision {
			mu.Lock()
			defer mu.Unlock()
			return p2p.Decision{OK: members[p], Reason: "not a member"}
		})
	}
	cfg := quiet()
	cfg.BackoffBase = time.Minute // longer than all searches below take
	m := swarm(t, 3, cfg, gated)
	settle(t, m)
	b := newBait(t)
	ctx := testContext(t)

	announcing := func(pc *p2p.Config, _ *rpc.Config) { pc.Announce = []multiaddr.Multiaddr{b.addr} }
	outsider := newStranger(t, announcing)
	if err := outsider.Host.Connect(ctx, m[0].info()); err == nil {
		id := outsider.id()
		if _, err := outsider.Calls.Call(ctx, m[0].Host.ID(), dht.MethodPing, (&wire.PingRequest{Peer: wire.NodeInfo{ID: id[:]}, Validate: true}).Append(nil)); err == nil {
			t.Error("a stranger was heard")
		}
	}
	caller := newStranger(t) // a member that only asks
	admit(caller.Host.ID())
	offline := newStranger(t) // a member that nobody is connected to
	admit(offline.Host.ID())
	victim := m[1].ID()
	for range 10 { // requests
		caller.ping(m[0], victim[:], true)
		invented := kad.ID(randomKey())
		caller.ping(m[0], invented[:], true)
		caller.find(m[0], wire.FindRequest{Keys: [][]byte{invented[:]}, Peer: wire.NodeInfo{ID: invented[:]}})
		caller.store(m[0], false, regular("key", poison, in(time.Minute))) // what is refused is not handed over to the liars below
	}
	if n := b.dials.Load(); n != 0 {
		t.Fatalf("requests made a node dial %d times", n)
	}
	// Answers that name peers at the bait's address: strangers, a member, and one that is offline.
	var named []peer.ID
	for range 10 {
		named = append(named, must(peer.IDFromPrivateKey(must(identity.Generate(identity.Ed25519)))))
	}
	var asked atomic.Int64
	naming := func(who ...peer.ID) { // a liar who is a member
		liar := newStranger(t)
		admit(liar.Host.ID())
		var list []wire.Neighbour
		for _, p := range who {
			list = append(list, wire.Neighbour{ID: kad.IDFromPeer(p), Peer: string(p), Addrs: wire.AppendAddr(nil, b.addr.Bytes())})
		}
		liar.serveFind(func(_ wire.FindRequest, resp *wire.FindResponse) {
			asked.Add(1)
			for i := range resp.Results {
				resp.Results[i].Nearest = wire.AppendNearest(nil, list, true)
			}
		})
		liar.befriend(m[0])
		for range 20 {
			_, _ = m[0].Get(ctx, randomKey(), dht.Latest())
		}
		if asked.Swap(0) == 0 || m[0].Host.RefusalCounts()["not a member"] == 0 {
			t.Error("the liar was not asked, or not believed")
		}
	}
	naming(append(named, m[2].Host.ID())...)
	if n := b.dials.Load(); n != 0 {
		t.Errorf("strangers, and members that are connected, were dialled %d times at an address that a liar gave", n)
	}
	if !m[0].knows(m[2].Host.ID()) {
		t.Error("a member lost its place by a liar's address")
	}
	naming(offline.Host.ID())
	if n := b.dials.Load(); n > 3 {
		t.Errorf("a member's wrong address was dialled %d times in 20 searches", n)
	}
	if len(m[0].Contacts()) < 2 {
		t.Error("members lost their places")
	}
}
