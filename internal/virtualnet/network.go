package virtualnet

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/multiformats/go-multiaddr"
)

const (
	maxMachines = 1 << 16 // one per /24 of 1.0.0.0/8
	firstPort   = 4001    // what a machine gives out for port 0
)

// Network joins machines.
type Network struct {
	latency time.Duration
	total   counter

	mu       sync.RWMutex // guards the fields below
	machines map[netip.Addr]*Machine
	attached int
}

// New makes a network whose packets take latency from any machine to any other.
func New(latency time.Duration) *Network {
	return &Network{latency: latency, machines: make(map[netip.Addr]*Machine)}
}

// Machine is one address on the network.
type Machine struct {
	net  *Network
	addr netip.Addr
	sent counter
	side atomic.Int32

	mu      sync.Mutex // guards the fields below
	gone    bool
	sockets map[uint16]*socket
}

// Traffic is a number of packets and the bytes in them: the payload of UDP, which adds 28 bytes to each on IPv4.
type Traffic struct {
	Packets, Bytes uint64
}

// Sub returns what was added since an earlier count.
func (t Traffic) Sub(earlier Traffic) Traffic {
	return Traffic{Packets: t.Packets - earlier.Packets, Bytes: t.Bytes - earlier.Bytes}
}

type counter struct{ packets, bytes atomic.Uint64 }

func (c *counter) add(n int) {
	c.packets.Add(1)
	c.bytes.Add(uint64(n)) //nolint:gosec // a length
}

func (c *counter) read() Traffic { return Traffic{Packets: c.packets.Load(), Bytes: c.bytes.Load()} }

// Attach adds a machine in a /24 of its own, as machines of different owners are: limits per subnet do not bind. Its address
// is never used again. More than 65,536 machines panic.
func (n *Network) Attach() *Machine {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.attached == maxMachines {
		panic("virtualnet: out of addresses")
	}
	m := &Machine{
		net: n, addr: netip.AddrFrom4([4]byte{1, byte(n.attached >> 8), byte(n.attached), 1}),
		sockets: make(map[uint16]*socket),
	}
	n.attached++
	n.machines[m.addr] = m
	return m
}

// Split cuts the network: from now on only machines of the same side reach each other. What is under way still arrives.
// Machines attached later are on side 0.
func (n *Network) Split(side func(*Machine) int32) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, m := range n.machines {
		m.side.Store(side(m))
	}
}

// Heal joins all sides.
func (n *Network) Heal() { n.Split(func(*Machine) int32 { return 0 }) }

// Sent returns what all machines together have sent, those that are gone included.
func (n *Network) Sent() Traffic { return n.total.read() }

// deliver brings a packet to the socket that it is for. Like UDP it does not tell whether there is one.
func (n *Network) deliver(from *Machine, to netip.AddrPort, p packet) {
	n.mu.RLock()
	m := n.machines[to.Addr()]
	n.mu.RUnlock()
	if m == nil || m.side.Load() != from.side.Load() {
		return
	}
	m.mu.Lock()
	s := m.sockets[to.Port()]
	m.mu.Unlock()
	if s != nil {
		s.receive(p)
	}
}

// Addr returns the machine's address.
func (m *Machine) Addr() netip.Addr { return m.addr }

// QUIC returns an address to listen on with QUIC.
func (m *Machine) QUIC() multiaddr.Multiaddr {
	return multiaddr.StringCast(fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", m.addr, firstPort))
}

// Sent returns what the machine has sent, whether it arrived or not.
func (m *Machine) Sent() Traffic { return m.sent.read() }

// Unplug takes the machine off the network for good, without a word to anybody. Its sockets stay open and silent, so that
// what runs on it can be closed.
func (m *Machine) Unplug() {
	m.net.mu.Lock()
	delete(m.net.machines, m.addr)
	m.net.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = true
}

// ListenUDP opens a socket at a port of the machine; port 0 takes a free one. The unspecified address means the machine's own.
func (m *Machine) ListenUDP(at *net.UDPAddr) (net.PacketConn, error) {
	if ip := at.AddrPort().Addr().Unmap(); ip.IsValid() && !ip.IsUnspecified() && ip != m.addr {
		return nil, fmt.Errorf("virtualnet: listen on %s: %w", at, syscall.EADDRNOTAVAIL)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	port := uint16(at.Port) //nolint:gosec // a port
	if port == 0 {
		for port = firstPort; m.sockets[port] != nil; port++ {
			continue
		}
	}
	if m.sockets[port] != nil {
		return nil, fmt.Errorf("virtualnet: listen on %s: %w", at, syscall.EADDRINUSE)
	}
	s := &socket{
		m: m, addr: &net.UDPAddr{IP: m.addr.AsSlice(), Port: int(port)},
		wake: make(chan struct{}, 1),
	}
	m.sockets[port] = s
	return s, nil
}
