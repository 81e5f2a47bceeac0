package virtualnet

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const maxQueue = 4096 // packets that a socket holds, delayed ones included; more are dropped, as by a full receive buffer

// packet is one datagram under way.
type packet struct {
	data []byte
	from *net.UDPAddr
	at   time.Time // arrival
}

// socket is a port of a machine. Packets wait in the receiver's queue until the time of their arrival; all take the same
// time, so the queue is in order.
type socket struct {
	m    *Machine
	addr *net.UDPAddr
	wake chan struct{} // has room for one: something below changed

	mu       sync.Mutex // guards the fields below
	queue    []packet
	deadline time.Time
	closed   bool
}

var _ net.PacketConn = (*socket)(nil)

func (s *socket) receive(p packet) {
	s.mu.Lock()
	if s.closed || len(s.queue) == maxQueue {
		s.mu.Unlock()
		return
	}
	s.queue = append(s.queue, p)
	first := len(s.queue) == 1
	s.mu.Unlock()
	if first {
		s.signal()
	}
}

func (s *socket) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take returns the packet that has arrived, or when to look again: zero for when woken.
func (s *socket) take(now time.Time) (p packet, again time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return p, again, net.ErrClosed
	case !s.deadline.IsZero() && !now.Before(s.deadline):
		return p, again, os.ErrDeadlineExceeded
	case len(s.queue) > 0 && !s.queue[0].at.After(now):
		p = s.queue[0]
		s.queue[0] = packet{}
		s.queue = s.queue[1:]
		return p, again, nil
	}
	again = s.deadline
	if len(s.queue) > 0 && (again.IsZero() || s.queue[0].at.Before(again)) {
		again = s.queue[0].at
	}
	return p, again, nil
}

// ReadFrom implements net.PacketConn. The rest of a packet that is larger than b is lost.
func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		now := time.Now()
		p, again, err := s.take(now)
		if err != nil {
			s.signal() // other readers end too
			return 0, nil, s.failed("read", err)
		}
		if p.from != nil {
			return copy(b, p.data), p.from, nil
		}
		if again.IsZero() {
			<-s.wake
			continue
		}
		timer := time.NewTimer(again.Sub(now))
		select {
		case <-timer.C:
		case <-s.wake:
		}
		timer.Stop()
	}
}

// WriteTo implements net.PacketConn. It never blocks.
func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, s.failed("write", fmt.Errorf("address %v: %w", to, syscall.EAFNOSUPPORT))
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return 0, s.failed("write", net.ErrClosed)
	}
	s.m.mu.Lock()
	gone := s.m.gone
	s.m.mu.Unlock()
	if gone {
		return len(b), nil
	}
	s.m.sent.add(len(b))
	s.m.net.total.add(len(b))
	p := packet{data: append([]byte(nil), b...), from: s.addr, at: time.Now().Add(s.m.net.latency)}
	dest := udp.AddrPort()
	s.m.net.deliver(s.m, netip.AddrPortFrom(dest.Addr().Unmap(), dest.Port()), p)
	return len(b), nil
}

// Close implements net.PacketConn.
func (s *socket) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed, s.queue = true, nil
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.m.mu.Lock()
	delete(s.m.sockets, uint16(s.addr.Port)) //nolint:gosec // a port
	s.m.mu.Unlock()
	s.signal()
	return nil
}

// LocalAddr implements net.PacketConn.
func (s *socket) LocalAddr() net.Addr { return s.addr }

// SetDeadline implements net.PacketConn.
func (s *socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (s *socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	s.deadline = t
	s.mu.Unlock()
	s.signal()
	return nil
}

// SetWriteDeadline implements net.PacketConn: a write never waits.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// SetReadBuffer and SetWriteBuffer accept any size; QUIC complains about sockets without them.
func (s *socket) SetReadBuffer(int) error { return nil }

// SetWriteBuffer accepts any size.
func (s *socket) SetWriteBuffer(int) error { return nil }

func (s *socket) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "virtual", Source: s.addr, Err: err}
}
