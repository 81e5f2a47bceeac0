package virtualnet_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/internal/virtualnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const latency = 25 * time.Millisecond

// open opens a socket that is closed with the test.
func open(t *testing.T, m *virtualnet.Machine, port int) net.PacketConn {
	t.Helper()
	s, err := m.ListenUDP(&net.UDPAddr{IP: net.IPv4zero, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func send(t *testing.T, from, to net.PacketConn, text string) {
	t.Helper()
	if _, err := from.WriteTo([]byte(text), to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
}

// receive returns the next packet within a second, and its sender.
func receive(s net.PacketConn) (string, net.Addr, error) {
	buf := make([]byte, 2048)
	if err := s.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return "", nil, err
	}
	n, from, err := s.ReadFrom(buf)
	return string(buf[:n]), from, err
}

func TestPacketsTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := virtualnet.New(latency)
		a, b := network.Attach(), network.Attach()
		from, to := open(t, a, 0), open(t, b, 0)
		start := time.Now()
		for i := range 3 {
			send(t, from, to, fmt.Sprint("packet ", i))
			time.Sleep(10 * time.Millisecond)
		}
		for i := range 3 {
			text, sender, err := receive(to)
			if err != nil || text != fmt.Sprint("packet ", i) || sender.String() != from.LocalAddr().String() {
				t.Fatalf("received %q of %v: %v", text, sender, err)
			}
			if took, want := time.Since(start), latency+time.Duration(i)*10*time.Millisecond; took != max(want, 30*time.Millisecond) {
				t.Errorf("packet %d came after %v", i, took)
			}
		}
		want := virtualnet.Traffic{Packets: 3, Bytes: 24}
		if a.Sent() != want || network.Sent() != want || b.Sent() != (virtualnet.Traffic{}) {
			t.Errorf("counted %+v of %+v, and %+v of the receiver", a.Sent(), network.Sent(), b.Sent())
		}
	})
}

func TestSplitAndHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := virtualnet.New(latency)
		var m []*virtualnet.Machine
		var s []net.PacketConn
		for range 4 {
			m = append(m, network.Attach())
			s = append(s, open(t, m[len(m)-1], 0))
		}
		reaches := func(i, j int) bool {
			send(t, s[i], s[j], "hello")
			_, _, err := receive(s[j])
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			return err == nil
		}
		network.Split(func(x *virtualnet.Machine) int32 {
			if x == m[0] || x == m[1] {
				return 1
			}
			return 0
		})
		if !reaches(0, 1) || !reaches(3, 2) || reaches(0, 2) || reaches(3, 1) {
			t.Error("the cut is in the wrong place")
		}
		network.Heal()
		if !reaches(0, 2) || !reaches(3, 1) {
			t.Error("the parts were not joined")
		}
		m[2].Unplug()
		before := m[2].Sent()
		if reaches(0, 2) || reaches(2, 0) || m[2].Sent() != before {
			t.Error("a machine without a plug sends or receives")
		}
	})
}

func TestSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := virtualnet.New(0).Attach()
		first, second := open(t, m, 0), open(t, m, 0)
		if first.LocalAddr().String() == second.LocalAddr().String() {
			t.Error("two sockets at one port")
		}
		if _, err := m.ListenUDP(first.LocalAddr().(*net.UDPAddr)); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a port that is taken: %v", err)
		}
		if _, err := m.ListenUDP(&net.UDPAddr{IP: net.IPv4(9, 9, 9, 9)}); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("the address of somebody else: %v", err)
		}
		send(t, first, first, "to myself")
		if text, _, err := receive(first); err != nil || text != "to myself" {
			t.Errorf("%q, %v", text, err)
		}
		ended := make(chan error, 2)
		for range 2 {
			go func() {
				_, _, err := second.ReadFrom(make([]byte, 10))
				ended <- err
			}()
		}
		synctest.Wait()
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Errorf("a read of a closed socket: %v", err)
			}
		}
		if _, err := second.WriteTo(nil, first.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write to a closed socket: %v", err)
		}
		if again := open(t, m, second.LocalAddr().(*net.UDPAddr).Port); again.LocalAddr().String() != second.LocalAddr().String() {
			t.Error("a port is not free after its socket is closed")
		}
	})
}

// TestQueueIsBounded sends more than a socket holds: the rest is lost, as with a kernel's buffer.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := virtualnet.New(0)
		from, to := open(t, network.Attach(), 0), open(t, network.Attach(), 0)
		for range 10_000 {
			send(t, from, to, "x")
		}
		got := 0
		for ; ; got++ {
			if _, _, err := receive(to); err != nil {
				break
			}
		}
		if got != 4096 {
			t.Errorf("%d packets of 10,000 were kept", got)
		}
	})
}
