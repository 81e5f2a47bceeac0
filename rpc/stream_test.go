package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/rpc"
)

func openStream(ctx context.Context, t testing.TB, client, server *rpc.Node, m rpc.Method) *rpc.ClientStream {
	t.Helper()
	s, err := client.Stream(ctx, server.ID(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close stream: %v", err)
		}
	})
	return s
}

// sum receives all items and sends their total size, or sends n items, or both.
func sumHandler(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
	total := 0
	for {
		item, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.Send(fmt.Append(nil, total))
		}
		if err != nil {
			return err
		}
		total += len(item)
	}
}

func countHandler(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
	item, err := s.Recv()
	if err != nil {
		return err
	}
	for i := range int(item[0]) {
		if err := s.Send(bytes.Repeat([]byte{byte(i)}, i*1000)); err != nil {
			return err
		}
	}
	return nil
}

func echoStream(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
	for {
		item, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(item); err != nil {
			return err
		}
	}
}

func TestStreamKinds(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		ctx := testContext(t)
		client, server := f.pair(t, nil)
		testStreamKinds(ctx, t, client, server)
	})
	t.Run("self", func(t *testing.T) {
		n := newNode(t, tcpAddr, rpc.Config{})
		testStreamKinds(testContext(t), t, n, n)
	})
}

func testStreamKinds(ctx context.Context, t *testing.T, client, server *rpc.Node) {
	t.Helper()
	server.HandleStream("Test.sum", sumHandler)
	server.HandleStream("Test.count", countHandler)
	server.HandleStream("Test.echo", echoStream)

	up := openStream(ctx, t, client, server, "Test.sum")
	for range 50 {
		if err := up.Send(make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := up.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if got, err := up.Recv(); err != nil || string(got) != "500000" {
		t.Errorf("sum = %q, %v", got, err)
	}
	for range 2 {
		if _, err := up.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last: %v", err)
		}
	}

	down := openStream(ctx, t, client, server, "Test.count")
	if err := down.Send([]byte{100}); err != nil {
		t.Fatal(err)
	}
	if err := down.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		item, err := down.Recv()
		if err != nil || len(item) != i*1000 {
			t.Fatalf("item %d: %d bytes, %v", i, len(item), err)
		}
	}
	if _, err := down.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}

	both := openStream(ctx, t, client, server, "Test.echo")
	for i := range 20 {
		want := bytes.Repeat([]byte{byte(i)}, i*i*100)
		if err := both.Send(want); err != nil {
			t.Fatal(err)
		}
		if got, err := both.Recv(); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("echo %d: %d bytes, %v", i, len(got), err)
		}
	}
	if err := both.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
}

func TestStreamErrors(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		ctx := testContext(t)
		client, server := f.pair(t, nil)
		server.HandleStream("Test.denied", func(context.Context, *rpc.Request, *rpc.ServerStream) error {
			return rpc.Errorf(rpc.PermissionDenied, "not for you")
		})
		server.HandleStream("Test.half", func(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
			if err := s.Send([]byte("one")); err != nil {
				return err
			}
			panic("boom")
		})
		server.HandleStream("Test.sum", sumHandler, rpc.WithMaxRequest(100))

		s := openStream(ctx, t, client, server, "Test.denied")
		if _, err := s.Recv(); rpc.CodeOf(err) != rpc.PermissionDenied || !rpc.IsRemote(err) {
			t.Errorf("denied: %v", err)
		}
		s = openStream(ctx, t, client, server, "Test.half")
		if item, err := s.Recv(); err != nil || string(item) != "one" {
			t.Errorf("first item: %q, %v", item, err)
		}
		if _, err := s.Recv(); rpc.CodeOf(err) != rpc.Internal || !rpc.IsRemote(err) {
			t.Errorf("panic: %v", err)
		}
		s = openStream(ctx, t, client, server, "Test.sum")
		if err := s.Send(make([]byte, 101)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); rpc.CodeOf(err) != rpc.InvalidArgument {
			t.Errorf("oversized item: %v", err)
		}
		if err := s.Send(make([]byte, 5<<20)); rpc.CodeOf(err) != rpc.InvalidArgument || rpc.IsRemote(err) {
			t.Errorf("oversized item here: %v", err)
		}
		if s, err := client.Stream(ctx, server.ID(), "Test.none"); err == nil {
			_, err = s.Recv()
			if rpc.CodeOf(err) != rpc.Unimplemented {
				t.Errorf("unknown method: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		} else if rpc.CodeOf(err) != rpc.Unimplemented {
			t.Errorf("unknown method: %v", err)
		}
	})
}

func TestStreamCancel(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		client, server := f.pair(t, nil)
		started, ended := make(chan struct{}, 1), make(chan error, 1)
		server.HandleStream("Test.wait", func(ctx context.Context, _ *rpc.Request, _ *rpc.ServerStream) error {
			started <- struct{}{}
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		})
		for name, endInput := range map[string]bool{"input open": false, "input ended": true} {
			ctx, cancel := context.WithCancel(testContext(t))
			s := openStream(ctx, t, client, server, "Test.wait")
			if err := s.Send([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if endInput {
				if err := s.CloseSend(); err != nil {
					t.Fatal(err)
				}
			}
			<-started
			cancel()
			if _, err := s.Recv(); rpc.CodeOf(err) != rpc.Canceled || rpc.IsRemote(err) {
				t.Errorf("%s: caller: %v", name, err)
			}
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: handler: %v", name, err)
			}

			s = openStream(testContext(t), t, client, server, "Test.wait")
			if err := s.Send([]byte("x")); err != nil {
				t.Fatal(err)
			}
			<-started
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: handler after Close: %v", name, err)
			}
		}
	})
}

func TestStreamDeadline(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		client, server := f.pair(t, nil)
		server.HandleStream("Test.wait", func(ctx context.Context, _ *rpc.Request, _ *rpc.ServerStream) error {
			<-ctx.Done()
			return ctx.Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s := openStream(ctx, t, client, server, "Test.wait")
		if _, err := s.Recv(); rpc.CodeOf(err) != rpc.DeadlineExceeded {
			t.Errorf("%v", err)
		}
	})
}

// A server that ends the call early must not leave the caller waiting for room.
func TestStreamServerEndsEarly(t *testing.T) {
	f := forms()[0]
	client, server := f.pair(t, func(c, _ *rpc.Config) { c.StreamStall = 20 * time.Second })
	server.HandleStream("Test.enough", func(context.Context, *rpc.Request, *rpc.ServerStream) error {
		return rpc.Errorf(rpc.ResourceExhausted, "enough")
	})
	s := openStream(testContext(t), t, client, server, "Test.enough")
	for range 40 {
		if err := s.Send(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Recv(); rpc.CodeOf(err) != rpc.ResourceExhausted {
		t.Errorf("%v", err)
	}
}

func TestStreamBackPressure(t *testing.T) {
	f := forms()[0]
	client, server := f.pair(t, func(c, s *rpc.Config) { c.StreamStall = 300 * time.Millisecond })
	hold := make(chan struct{})
	server.HandleStream("Test.hold", func(context.Context, *rpc.Request, *rpc.ServerStream) error {
		<-hold
		return nil
	})
	defer close(hold)
	s := openStream(testContext(t), t, client, server, "Test.hold")
	sent := 0
	for ; sent < 200; sent++ {
		if err := s.Send(make([]byte, 1<<20)); err != nil {
			break
		}
	}
	if sent == 200 {
		t.Error("200 MiB were taken by a server that does not receive")
	}
}

// Streams that wait for ever take the place of no unary call, of no other peer's streams, and end.
func TestIdleStreams(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		idle := 2 * time.Second
		client, server := f.pair(t, func(_, s *rpc.Config) { s.MaxInFlight, s.MaxStreamsPeer, s.StreamIdle = 1, 2, idle })
		server.Handle("Test.echo", echoHandler)
		server.HandleStream("Test.wait", sumHandler)
		ctx := testContext(t)
		streams := make([]*rpc.ClientStream, 3)
		for i := range streams {
			streams[i] = openStream(ctx, t, client, server, "Test.wait")
			if err := streams[i].Send([]byte("x")); err != nil { // opens the stream in the Python form
				t.Fatal(err)
			}
			if i < 2 {
				eventually(t, "the stream is served", func() bool { return server.Stats().Streams == int64(i+1) })
			}
		}
		if _, err := client.Call(ctx, server.ID(), "Test.echo", []byte("x")); err != nil {
			t.Errorf("a unary call beside idle streams: %v", err)
		}
		if _, err := streams[2].Recv(); rpc.CodeOf(err) != rpc.ResourceExhausted {
			t.Errorf("one stream too many: %v", err)
		}
		for _, s := range streams[:2] {
			if _, err := s.Recv(); rpc.CodeOf(err) != rpc.DeadlineExceeded || !rpc.IsRemote(err) {
				t.Errorf("an idle stream: %v", err)
			}
		}
		eventually(t, "no stream is left", func() bool { return server.Stats().Streams == 0 })
	})
}

// A handler that sends is not idle, however long its caller has nothing to say.
func TestSendingStreamIsNotIdle(t *testing.T) {
	const items = 8
	idle := 2 * time.Second
	client, server := forms()[0].pair(t, func(_, s *rpc.Config) { s.StreamIdle = idle })
	server.HandleStream("Test.ticks", func(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
		over := make(chan error, 1)
		go func() {
			_, err := s.Recv()
			over <- err
		}()
		tick := time.NewTicker(idle / 4)
		defer tick.Stop()
		for range items {
			select {
			case err := <-over:
				return err
			case <-tick.C:
			}
			if err := s.Send([]byte("tick")); err != nil {
				return err
			}
		}
		return nil
	})
	s := openStream(testContext(t), t, client, server, "Test.ticks")
	for i := range items {
		if _, err := s.Recv(); err != nil {
			t.Fatalf("item %d: %v", i, err)
		}
	}
	if _, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// A caller does not choose for how long it takes a place.
func TestDeadlineIsCapped(t *testing.T) {
	client, server := forms()[0].pair(t, func(_, s *rpc.Config) { s.MaxDeadline = time.Minute })
	left := make(chan time.Duration, 1)
	server.Handle("Test.left", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		return nil, nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Hour)
	defer cancel()
	if _, err := client.Call(ctx, server.ID(), "Test.left", nil); err != nil {
		t.Fatal(err)
	}
	if d := <-left; d > time.Minute {
		t.Errorf("the handler may work for %v", d)
	}
}
