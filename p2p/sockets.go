package p2p

import (
	"fmt"
	"net"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/config"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// sockets runs QUIC over the sockets of Config.ListenUDP. A libp2p host does not close a manager that it did not make, so
// Close does, after the host. Nil stands for the sockets of the operating system.
type sockets struct {
	cfg     *Config
	manager *quicreuse.ConnManager // nil until the host is made
}

// options makes a host use the sockets. It need not learn from others how they see its address: such a network translates
// none.
func (s *sockets) options() []libp2p.Option {
	if s == nil {
		return nil
	}
	return []libp2p.Option{libp2p.QUICReuse(s.open), libp2p.DisableIdentifyAddressDiscovery()}
}

// open is what the library calls to make its manager of QUIC sockets.
func (s *sockets) open(limits network.ResourceManager) (*quicreuse.ConnManager, error) {
	reset, err := config.PrivKeyToStatelessResetKey(s.cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("QUIC reset key: %w", err)
	}
	token, err := config.PrivKeyToTokenGeneratorKey(s.cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("QUIC token key: %w", err)
	}
	s.manager, err = quicreuse.NewConnManager(reset, token,
		quicreuse.VerifySourceAddress(limits.VerifySourceAddress),
		quicreuse.OverrideListenUDP(func(_ string, at *net.UDPAddr) (net.PacketConn, error) { return s.cfg.ListenUDP(at) }),
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return source(s.cfg.Listen), nil }),
	)
	return s.manager, err
}

// Close closes the sockets. It is idempotent.
func (s *sockets) Close() error {
	if s == nil || s.manager == nil {
		return nil
	}
	m := s.manager
	s.manager = nil
	return m.Close()
}

// source is the addresses that a host listens on; it dials from the first.
type source []multiaddr.Multiaddr

// PreferredSourceIPForDestination implements quicreuse.SourceIPSelector, without a look at the routes of the machine.
func (s source) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	if len(s) == 0 {
		return net.IPv4zero, nil
	}
	return manet.ToIP(s[0])
}
