package rpc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

const (
	unaryID  = protocol.ID("/mesh/rpc/1")
	streamID = protocol.ID("/mesh/stream/1")
)

// attacked makes a node that serves echo, and a host without a node that is connected to it.
func attacked(t *testing.T, cfg rpc.Config) (*rpc.Node, *p2p.Host) {
	t.Helper()
	server := newNode(t, tcpAddr, cfg)
	server.Handle(echo, echoHandler)
	server.HandleStream("Test.items", echoStream)
	attacker := newHost(t, tcpAddr)
	if err := attacker.Connect(testContext(t), server.Host().AddrInfo()); err != nil {
		t.Fatal(err)
	}
	return server, attacker
}

func open(t *testing.T, from *p2p.Host, to *rpc.Node, id protocol.ID) network.Stream {
	t.Helper()
	s, err := from.Libp2p().NewStream(testContext(t), to.ID(), id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Reset() })
	return s
}

// ended waits until the other side has ended a stream and tells how.
func ended(t *testing.T, s network.Stream) error {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := io.Copy(io.Discard, s)
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the stream was left open")
	}
	return err
}

func TestMalformedFramesEndTheStream(t *testing.T) {
	cfg := rpc.Config{Python: true}
	server, attacker := attacked(t, cfg)
	frame := func(body ...byte) []byte { return append([]byte{byte(len(body))}, body...) }
	for name, tt := range map[string]struct {
		id    protocol.ID
		bytes []byte
	}{
		"native: length of 64 bits":  {unaryID, bytes.Repeat([]byte{0xff}, 20)},
		"native: announces 1 GiB":    {unaryID, binary.AppendUvarint(nil, 1<<30)},
		"native: empty":              {unaryID, frame()},
		"native: unknown flags":      {unaryID, frame(1, 0, 1, 'm')},
		"native: method beyond end":  {unaryID, frame(0, 0, 9, 'm')},
		"native: time-out of years":  {unaryID, frame(0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 'm')},
		"native: bytes after":        {unaryID, append(frame(0, 0, 1, 'm'), "xyz"...)},
		"stream: data in the head":   {streamID, frame(0, 0, 1, 'm', 'd')},
		"stream: long head":          {streamID, binary.AppendUvarint(nil, 1<<20)},
		"python: short call ID":      {protocol.ID(echo), append([]byte{17, 0x0a, 15}, make([]byte, 15)...)},
		"python: announces 5 MiB":    {protocol.ID(echo), binary.AppendUvarint(nil, 5<<20)},
		"python: no message":         {protocol.ID(echo), frame(0xff, 0xff)},
		"python: answer, no request": {protocol.ID(echo), append([]byte{20, 0x0a, 16}, append(make([]byte, 16), 0x22, 0)...)},
	} {
		t.Run(name, func(t *testing.T) {
			before := server.Stats().Malformed
			s := open(t, attacker, server, tt.id)
			if _, err := s.Write(tt.bytes); err != nil {
				t.Fatal(err)
			}
			if ended(t, s) == nil {
				t.Error("ended as if all was well")
			}
			if got := server.Stats().Malformed; got != before+1 {
				t.Errorf("counted %d malformed streams", got-before)
			}
		})
	}
	if got := server.Stats(); got.Served != 0 || got.InFlight != 0 {
		t.Errorf("stats %+v", got)
	}
}

// Peers that open many streams and send nothing, or half of something, cost little and are thrown out; others
// are served meanwhile.
func TestStreamFlood(t *testing.T) {
	server, attacker := attacked(t, rpc.Config{IdleTimeout: 200 * time.Millisecond, MaxInFlightPeer: 8})
	honest := newNode(t, tcpAddr, rpc.Config{})
	ctx := testContext(t)
	if err := honest.Host().Connect(ctx, server.Host().AddrInfo()); err != nil {
		t.Fatal(err)
	}
	before := heap()
	streams := make([]network.Stream, 0, 100)
	for range 100 {
		s, err := attacker.Libp2p().NewStream(ctx, server.ID(), unaryID)
		if err != nil {
			break // refused by the host's limits
		}
		if _, err := s.Write(binary.AppendUvarint(nil, 4<<20)); err != nil {
			break
		}
		streams = append(streams, s)
	}
	if len(streams) < 16 {
		t.Fatalf("only %d streams", len(streams))
	}
	for range 100 {
		if _, err := honest.Call(ctx, server.ID(), echo, []byte("honest")); err != nil {
			t.Fatal(err)
		}
	}
	if grown := int64(heap()) - int64(before); grown > 16<<20 {
		t.Errorf("heap grew by %d KiB", grown>>10)
	}
	eventually(t, "streams beyond two per call that the peer may have under way are refused", func() bool {
		return countFrom(server, attacker, unaryID) == 16
	})
	for _, s := range streams {
		if err := s.Reset(); err != nil {
			t.Error(err)
		}
	}
}

func countFrom(n *rpc.Node, from *p2p.Host, id protocol.ID) int {
	count := 0
	for _, c := range n.Host().Libp2p().Network().ConnsToPeer(from.ID()) {
		for _, s := range c.GetStreams() {
			if s.Protocol() == id {
				count++
			}
		}
	}
	return count
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A stream on which nothing happens is closed, first by the client; its server keeps it longer.
func TestIdleStreamsAreClosed(t *testing.T) {
	server, attacker := attacked(t, rpc.Config{IdleTimeout: 50 * time.Millisecond})
	s := open(t, attacker, server, unaryID)
	if _, err := s.Write([]byte{0x80}); err != nil { // the start of a length
		t.Fatal(err)
	}
	if err := ended(t, s); err == nil {
		t.Error("closed gracefully in the middle of a frame")
	}

	client := newNode(t, tcpAddr, rpc.Config{IdleTimeout: 50 * time.Millisecond})
	other := newNode(t, tcpAddr, rpc.Config{})
	other.Handle(echo, echoHandler)
	ctx := testContext(t)
	if err := client.Host().Connect(ctx, other.Host().AddrInfo()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := client.Call(ctx, other.ID(), echo, nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "client closed its idle streams", func() bool { return countStreams(client, unaryID) == 0 })
	}
}

func countStreams(n *rpc.Node, id protocol.ID) int {
	count := 0
	for _, c := range n.Host().Libp2p().Network().Conns() {
		for _, s := range c.GetStreams() {
			if s.Protocol() == id {
				count++
			}
		}
	}
	return count
}

// eventually polls a condition that another goroutine makes true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		<-tick.C
	}
}

// A peer that disappears in the middle of a frame or a handler leaves nothing behind.
func TestGoodbyeMidFrame(t *testing.T) {
	server := newNode(t, tcpAddr, rpc.Config{Python: true})
	running, stopped := make(chan struct{}, 10), make(chan struct{}, 10)
	server.Handle("Test.wait", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
		running <- struct{}{}
		<-ctx.Done()
		stopped <- struct{}{}
		return nil, ctx.Err()
	})
	for range 3 {
		client := newNode(t, tcpAddr, rpc.Config{})
		if err := client.Host().Connect(testContext(t), server.Host().AddrInfo()); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := client.Call(context.Background(), server.ID(), "Test.wait", nil)
			done <- err
		}()
		<-running
		half := open(t, client.Host(), server, unaryID)
		if _, err := half.Write([]byte{200, 1, 0}); err != nil {
			t.Fatal(err)
		}
		if err := client.Host().Close(); err != nil {
			t.Fatal(err)
		}
		<-stopped
		if err := <-done; rpc.CodeOf(err) != rpc.Unavailable {
			t.Errorf("caller: %v", err)
		}
	}
	eventually(t, "nothing is in flight", func() bool { return server.Stats().InFlight == 0 })
}

// At several times its capacity a server does useful work at capacity and refuses the rest at once.
func TestOverload(t *testing.T) {
	const capacity, callers = 4, 16
	server := newNode(t, tcpAddr, rpc.Config{MaxInFlight: capacity})
	release := make(chan struct{})
	server.Handle("Test.hold", func(context.Context, *rpc.Request) ([]byte, error) {
		<-release
		return nil, nil
	})
	client := newNode(t, tcpAddr, rpc.Config{})
	ctx := testContext(t)
	if err := client.Host().Connect(ctx, server.Host().AddrInfo()); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, callers)
	for range callers {
		go func() {
			_, err := client.Call(ctx, server.ID(), "Test.hold", nil)
			results <- err
		}()
	}
	for range callers - capacity { // these come back although the others are held
		if err := <-results; rpc.CodeOf(err) != rpc.ResourceExhausted || !rpc.IsRemote(err) {
			t.Errorf("refused with %v", err)
		}
	}
	close(release)
	for range capacity {
		if err := <-results; err != nil {
			t.Errorf("accepted call: %v", err)
		}
	}
	if got := server.Stats(); got.Refused != callers-capacity || got.Served != capacity || got.InFlight != 0 {
		t.Errorf("stats %+v", got)
	}
}

func TestOutgoingBounds(t *testing.T) {
	f := forms()[0]
	client, server := f.pair(t, func(c, _ *rpc.Config) { c.MaxOutgoing = 1 })
	started, release := make(chan struct{}), make(chan struct{})
	server.Handle("Test.hold", func(context.Context, *rpc.Request) ([]byte, error) {
		close(started)
		<-release
		return nil, nil
	})
	done := make(chan error, 1)
	ctx := testContext(t)
	go func() {
		_, err := client.Call(ctx, server.ID(), "Test.hold", nil)
		done <- err
	}()
	<-started
	if _, err := client.Call(ctx, server.ID(), "Test.hold", nil); rpc.CodeOf(err) != rpc.ResourceExhausted || rpc.IsRemote(err) {
		t.Errorf("second call: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBufferedBound(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		client, server := f.pair(t, func(_, s *rpc.Config) { s.MaxBuffered = 100_000 })
		server.Handle(echo, echoHandler)
		ctx := testContext(t)
		for range 3 { // nothing of a refused request stays behind
			if _, err := client.Call(ctx, server.ID(), echo, make([]byte, 200_000)); rpc.CodeOf(err) == rpc.OK {
				t.Error("took more than there is room for")
			}
			if _, err := client.Call(ctx, server.ID(), echo, make([]byte, 90_000)); err != nil {
				t.Errorf("within the bound: %v", err)
			}
		}
	})
}

// Close cancels what runs, waits for it, and refuses what comes later.
func TestClose(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		client, server := f.pair(t, nil)
		running, stopped := make(chan struct{}, 2), make(chan struct{}, 2)
		server.Handle("Test.wait", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
			running <- struct{}{}
			<-ctx.Done()
			stopped <- struct{}{}
			return nil, ctx.Err()
		})
		server.HandleStream("Test.stream", func(ctx context.Context, _ *rpc.Request, _ *rpc.ServerStream) error {
			running <- struct{}{}
			<-ctx.Done()
			stopped <- struct{}{}
			return ctx.Err()
		})
		ctx := testContext(t)
		done := make(chan error, 1)
		go func() {
			_, err := client.Call(ctx, server.ID(), "Test.wait", nil)
			done <- err
		}()
		s := openStream(ctx, t, client, server, "Test.stream")
		if err := s.Send(nil); err != nil {
			t.Fatal(err)
		}
		<-running
		<-running
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if len(stopped) != 2 {
			t.Errorf("Close returned while %d handlers ran", 2-len(stopped))
		}
		if err := <-done; err == nil {
			t.Error("the call succeeded")
		}
		if _, err := s.Recv(); err == nil {
			t.Error("the stream succeeded")
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if _, err := client.Call(ctx, server.ID(), "Test.wait", nil); err == nil {
			t.Error("a closed node served a call")
		}
	})
}

func TestMethodsComeAndGo(t *testing.T) {
	eachForm(t, func(t *testing.T, f form) {
		client, server := f.pair(t, nil)
		ctx := testContext(t)
		for range 2 {
			server.Handle(echo, echoHandler)
			if _, err := client.Call(ctx, server.ID(), echo, nil); err != nil {
				t.Error(err)
			}
			server.Remove(echo)
			if _, err := client.Call(ctx, server.ID(), echo, nil); rpc.CodeOf(err) != rpc.Unimplemented {
				t.Errorf("removed method: %v", err)
			}
		}
		server.Handle(echo, echoHandler)
		defer func() {
			if recover() == nil {
				t.Error("a method was registered twice")
			}
		}()
		server.Handle(echo, echoHandler)
	})
}

// Messages that begin and never end give their memory back; otherwise a peer could use it all up for good.
func TestBrokenOffMessagesReleaseMemory(t *testing.T) {
	const size = 60 << 10
	server, attacker := attacked(t, rpc.Config{Python: true, MaxBuffered: 100 << 10})
	length := binary.AppendUvarint(nil, size)
	method := []byte("Test.items")
	head := append([]byte{byte(3 + len(method)), 0, 0, byte(len(method))}, method...)
	for name, tt := range map[string]struct {
		id    protocol.ID
		start []byte
	}{
		"native": {unaryID, length},
		"python": {protocol.ID(echo), length},
		"stream": {streamID, append(append(head, 0), length...)},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				s := open(t, attacker, server, tt.id)
				if _, err := s.Write(append(tt.start, make([]byte, 20<<10)...)); err != nil {
					t.Fatal(err)
				}
				if err := s.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				_ = ended(t, s) // when it is over, the server has let go of the message
			}
			client := newNode(t, tcpAddr, rpc.Config{Python: true})
			if err := client.Host().Connect(testContext(t), server.Host().AddrInfo()); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Call(testContext(t), server.ID(), echo, make([]byte, size)); err != nil {
				t.Errorf("an honest call afterwards: %v", err)
			}
		})
	}
}
