// Package virtualnet is a network of datagrams in memory, for tests with hundreds of real hosts: each host is a machine with
// an address of its own, its packets take the latency of the network, machines can be unplugged, and the network can be cut
// in parts and joined again. It counts what every machine sends.
//
// It carries whatever runs over a net.PacketConn, so QUIC with all that stands on it. It is meant for testing/synctest: no
// goroutine is started and nothing polls, so that in a bubble hours of traffic take seconds and every run waits for the
// same things. It loses and reorders nothing by itself; only what is sent to an unplugged machine, across a cut or into a
// full queue is gone.
//
//	net := virtualnet.New(25 * time.Millisecond)
//	m := net.Attach()
//	host, err := p2p.New(p2p.Config{Key: key, Listen: []multiaddr.Multiaddr{m.QUIC()}, ListenUDP: m.ListenUDP})
//	...
//	net.Split(func(m *virtualnet.Machine) int { return side[m] })
//	net.Heal()
//	m.Unplug()
package virtualnet
