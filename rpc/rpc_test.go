package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tcpAddr  = "/ip4/127.0.0.1/tcp/0"
	quicAddr = "/ip4/127.0.0.1/udp/0/quic-v1"

	echo = rpc.Method("Test.echo")
)

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newHost(t testing.TB, listen string) *p2p.Host {
	t.Helper()
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	a, err := multiaddr.NewMultiaddr(listen)
	if err != nil {
		t.Fatal(err)
	}
	h, err := p2p.New(p2p.Config{Key: key, Listen: []multiaddr.Multiaddr{a}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close host: %v", err)
		}
	})
	return h
}

func newNode(t testing.TB, listen string, cfg rpc.Config) *rpc.Node {
	t.Helper()
	n := rpc.NewNode(newHost(t, listen), cfg)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close node: %v", err)
		}
	})
	return n
}

// form is one way for two nodes to talk.
type form struct {
	name           string
	listen         string
	client, server rpc.Config
}

func forms() []form {
	return []form{
		{"native tcp", tcpAddr, rpc.Config{}, rpc.Config{}},
		{"native quic", quicAddr, rpc.Config{}, rpc.Config{}},
		{"python tcp", tcpAddr, rpc.Config{Namespace: "/one", Python: true}, rpc.Config{Namespace: "/two", Python: true}},
		{"python quic", quicAddr, rpc.Config{Namespace: "/one", Python: true}, rpc.Config{Namespace: "/two", Python: true}},
	}
}

// pair makes two connected nodes.
func (f form) pair(t testing.TB, change func(client, server *rpc.Config)) (client, server *rpc.Node) {
	t.Helper()
	c, s := f.client, f.server
	if change != nil {
		change(&c, &s)
	}
	client, server = newNode(t, f.listen, c), newNode(t, f.listen, s)
	if err := client.Host().Connect(testContext(t), server.Host().AddrInfo()); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func eachForm(t *testing.T, test func(t *testing.T, f form)) {
	t.Helper()
	for _, f := range forms() {
		t.Run(f.name, func(t *testing.T) { test(t, f) })
	}
}

func echoHandler(_ context.Context, r *rpc.Request) ([]byte, error) { return r.Data, nil }

func TestUnary(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		ctx := testContext(t)
		client, server := f.pair(t, nil)
		server.Handle(echo, func(_ context.Context, r *rpc.Request) ([]byte, error) {
			if r.Peer != client.ID() || r.Method != echo {
				return nil, fmt.Errorf("request %+v", r)
			}
			return r.Data, nil
		})
		for _, size := range []int{0, 1, 63, 127, 128, 500, 512, 513, 1 << 10, 64 << 10, 65<<10 + 1, 1 << 20, 4<<20 - 1000} {
			data := bytes.Repeat([]byte{byte(size)}, size)
			got, err := client.Call(ctx, server.ID(), echo, data)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes: got %d, %v", size, len(got), err)
			}
		}
	})
}

func TestErrorsReachTheCaller(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		ctx := testContext(t)
		client, server := f.pair(t, nil)
		server.Handle("Test.denied", func(context.Context, *rpc.Request) ([]byte, error) {
			return nil, fmt.Errorf("wrapped: %w", rpc.Errorf(rpc.PermissionDenied, "it's 'not' for\n you \\ %d", 7))
		})
		server.Handle("Test.secret", func(context.Context, *rpc.Request) ([]byte, error) {
			return nil, errors.New("password is 1234")
		})
		server.Handle("Test.panic", func(context.Context, *rpc.Request) ([]byte, error) { panic("boom") })
		server.Handle("Test.big", func(context.Context, *rpc.Request) ([]byte, error) { return make([]byte, 5<<20), nil })
		server.Handle("Test.small", echoHandler, rpc.WithMaxRequest(10))
		for _, tt := range []struct {
			method rpc.Method
			size   int
			code   rpc.Code
			msg    string
			remote bool
		}{
			{"Test.denied", 0, rpc.PermissionDenied, "it's 'not' for\n you \\ 7", true},
			{"Test.secret", 0, rpc.Internal, "internal error", true},
			{"Test.panic", 0, rpc.Internal, "internal error", true},
			{"Test.big", 0, rpc.ResourceExhausted, "answer exceeds the size limit", true},
			{"Test.small", 11, rpc.InvalidArgument, "request exceeds the size limit", true},
			{"Test.none", 0, rpc.Unimplemented, "", true},
			{"Test.small", 5 << 20, rpc.InvalidArgument, "request exceeds the size limit", false},
		} {
			_, err := client.Call(ctx, server.ID(), tt.method, make([]byte, tt.size))
			var e *rpc.Error
			if !errors.As(err, &e) || e.Code != tt.code || e.Remote != tt.remote || e.Peer != server.ID() || e.Method != tt.method {
				t.Errorf("%s: %#v", tt.method, err)
			} else if tt.msg != "" && e.Msg != tt.msg {
				t.Errorf("%s: text %q, want %q", tt.method, e.Msg, tt.msg)
			}
		}
		if got := server.Stats(); got.Panics != 1 || got.Failed < 4 {
			t.Errorf("stats %+v", got)
		}
	})
}

func TestCancelReachesHandler(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		client, server := f.pair(t, nil)
		started, ended := make(chan struct{}), make(chan error, 1)
		server.Handle("Test.wait", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
			close(started)
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		})
		ctx, cancel := context.WithCancel(testContext(t))
		go func() {
			<-started
			cancel()
		}()
		_, err := client.Call(ctx, server.ID(), "Test.wait", []byte("x"))
		if rpc.CodeOf(err) != rpc.Canceled || rpc.IsRemote(err) {
			t.Errorf("caller: %v", err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("handler: %v", err)
		}
	})
}

func TestDeadline(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		client, server := f.pair(t, func(c, _ *rpc.Config) { c.Deadline = 50 * time.Millisecond })
		server.Handle("Test.wait", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		for name, ctx := range map[string]context.Context{"own": context.Background(), "caller's": shortContext(t)} {
			_, err := client.Call(ctx, server.ID(), "Test.wait", nil)
			if rpc.CodeOf(err) != rpc.DeadlineExceeded {
				t.Errorf("%s deadline: %v", name, err)
			}
		}
		server.Handle(echo, echoHandler)
		if _, err := client.Call(testContext(t), server.ID(), echo, nil); err != nil {
			t.Errorf("call after time-outs: %v", err)
		}
	})
}

func shortContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestBoundPerPeer(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		ctx := testContext(t)
		client, server := f.pair(t, func(_, s *rpc.Config) { s.MaxInFlightPeer = 2 })
		started, release := make(chan struct{}, 2), make(chan struct{})
		server.Handle("Test.hold", func(context.Context, *rpc.Request) ([]byte, error) {
			started <- struct{}{}
			<-release
			return nil, nil
		})
		results := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := client.Call(ctx, server.ID(), "Test.hold", nil)
				results <- err
			}()
			<-started
		}
		_, err := client.Call(ctx, server.ID(), "Test.hold", nil)
		if rpc.CodeOf(err) != rpc.ResourceExhausted || !rpc.IsRemote(err) {
			t.Errorf("third call: %v", err)
		}
		close(release)
		for range 2 {
			if err := <-results; err != nil {
				t.Errorf("held call: %v", err)
			}
		}
	})
}

func TestSelfCall(t *testing.T) {
	n := newNode(t, tcpAddr, rpc.Config{})
	n.Handle(echo, echoHandler)
	data := []byte("mine")
	got, err := n.Call(testContext(t), n.ID(), echo, data)
	if err != nil || string(got) != "mine" {
		t.Fatalf("%q, %v", got, err)
	}
	got[0] = 'X'
	if string(data) != "mine" {
		t.Error("answer shares memory with the request")
	}
	if _, err := n.Call(testContext(t), n.ID(), "Test.none", nil); rpc.CodeOf(err) != rpc.Unimplemented {
		t.Errorf("unknown method: %v", err)
	}
}

func TestUnknownPeer(t *testing.T) {
	n := newNode(t, tcpAddr, rpc.Config{})
	other := newNode(t, tcpAddr, rpc.Config{})
	_, err := n.Call(testContext(t), other.ID(), echo, nil)
	if rpc.CodeOf(err) != rpc.Unavailable || rpc.IsRemote(err) {
		t.Errorf("%v", err)
	}
	if _, err := n.Call(testContext(t), peer.ID("junk"), echo, nil); err == nil {
		t.Error("called junk")
	}
}

func TestManyCallers(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		ctx := testContext(t)
		client, server := f.pair(t, nil)
		server.Handle(echo, echoHandler)
		errs := make(chan error)
		for i := range 32 {
			go func() {
				var err error
				for j := 0; j < 50 && err == nil; j++ {
					want := fmt.Sprintf("%d %d", i, j)
					var got []byte
					got, err = client.Call(ctx, server.ID(), echo, []byte(want))
					if err == nil && string(got) != want {
						err = fmt.Errorf("got %q, want %q", got, want)
					}
				}
				errs <- err
			}()
		}
		for range 32 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}
