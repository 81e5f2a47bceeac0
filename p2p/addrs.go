package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// AddrInUseError reports that another program, or another node, listens on an address.
type AddrInUseError struct {
	Addr multiaddr.Multiaddr
}

// Error names the address and what to do.
func (e *AddrInUseError) Error() string {
	return fmt.Sprintf("address %s is in use by another process: stop it or listen on another port", e.Addr)
}

// Unwrap returns syscall.EADDRINUSE.
func (*AddrInUseError) Unwrap() error { return syscall.EADDRINUSE }

// ParseAddrs reads multiaddresses.
func ParseAddrs(texts []string) ([]multiaddr.Multiaddr, error) {
	addrs := make([]multiaddr.Multiaddr, 0, len(texts))
	for _, text := range texts {
		a, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("p2p: address %q: %w", text, err)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

// ParsePeers reads multiaddresses that end in /p2p/<id> and joins those of the same peer, in the order in
// which the peers first appear.
func ParsePeers(texts []string) ([]peer.AddrInfo, error) {
	infos := make([]peer.AddrInfo, 0, len(texts))
	index := make(map[peer.ID]int, len(texts))
	for _, text := range texts {
		a, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("p2p: peer address %q: %w", text, err)
		}
		info, err := peer.AddrInfoFromP2pAddr(a)
		if err != nil {
			return nil, fmt.Errorf("p2p: peer address %q must end in /p2p/<peer ID>: %w", text, err)
		}
		i, seen := index[info.ID]
		if !seen {
			index[info.ID] = len(infos)
			infos = append(infos, *info)
			continue
		}
		infos[i].Addrs = append(infos[i].Addrs, info.Addrs...)
	}
	return infos, nil
}

// portOf returns the TCP or UDP port of an address.
func portOf(a multiaddr.Multiaddr) (port int, ok bool) {
	for _, code := range []int{multiaddr.P_TCP, multiaddr.P_UDP} {
		if text, err := a.ValueForProtocol(code); err == nil {
			port, err := strconv.Atoi(text)
			return port, err == nil
		}
	}
	return 0, false
}

// probePorts reports an AddrInUseError for the first of the addresses that is taken.
func probePorts(addrs []multiaddr.Multiaddr) error {
	for _, a := range addrs {
		if err := probePort(a); err != nil {
			return err
		}
	}
	return nil
}

// probePort reports an AddrInUseError if somebody listens on a. The library itself would share the port
// with another libp2p process, and each would get half of the connections.
func probePort(a multiaddr.Multiaddr) error {
	ctx, listen := context.Background(), net.ListenConfig{} // binding does not block
	if port, ok := portOf(a); !ok || port == 0 {
		return nil
	}
	network, address, err := manet.DialArgs(a)
	if err != nil {
		return nil //nolint:nilerr // not an address with a socket of its own; listening on it tells more
	}
	var closer interface{ Close() error }
	switch network {
	case "tcp", "tcp4", "tcp6":
		closer, err = listen.Listen(ctx, network, address)
	case "udp", "udp4", "udp6":
		closer, err = listen.ListenPacket(ctx, network, address)
	default:
		return nil
	}
	if err != nil {
		return listenError(a, err)
	}
	return closer.Close()
}

func listenError(a multiaddr.Multiaddr, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &AddrInUseError{Addr: a}
	}
	return fmt.Errorf("listen on %s: %w", a, err)
}

// announced picks from the addresses the host listens on those that are worth telling: never unspecified or
// link-local ones, loopback only if there is nothing else, private ones only if wanted.
func announced(all []multiaddr.Multiaddr, publicOnly bool) []multiaddr.Multiaddr {
	var far, loopback []multiaddr.Multiaddr
	for _, a := range all {
		switch {
		case manet.IsIPUnspecified(a), manet.IsIP6LinkLocal(a):
		case manet.IsIPLoopback(a):
			loopback = append(loopback, a)
		case publicOnly && manet.IsPrivateAddr(a):
		default:
			far = append(far, a)
		}
	}
	if len(far) > 0 || publicOnly {
		return far
	}
	return loopback
}
