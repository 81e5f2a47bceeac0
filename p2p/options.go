package p2p

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

// graceParts is how often a period of grace the connection manager looks for connections to trim: every 10 s by default.
const graceParts = 12

func newLibp2p(opts []libp2p.Option) (host.Host, error) { return libp2p.New(opts...) }

// options spells everything out; none of the library's defaults for transports, limits or metrics apply.
func options(cfg *Config, g *gater) ([]libp2p.Option, error) {
	limits, err := resourceManager(cfg.Limits)
	if err != nil {
		return nil, err
	}
	conns, err := connmgr.NewConnManager(cfg.Limits.ConnsLow, cfg.Limits.ConnsHigh,
		connmgr.WithGracePeriod(cfg.Limits.ConnsGrace),
		connmgr.WithSilencePeriod(max(cfg.Limits.ConnsGrace/graceParts, time.Second)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connection manager: %w", err), limits.Close())
	}
	agent := cfg.UserAgent
	if agent == "" {
		agent = "mesh"
	}
	opts := []libp2p.Option{
		libp2p.NoListenAddrs, // New listens itself, to see the errors; also turns the relay off
		libp2p.Identity(cfg.Key),
		libp2p.UserAgent(agent),
		libp2p.Security(libp2ptls.ID, libp2ptls.New), // first: faster in bulk
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.ConnectionGater(g),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(conns),
		libp2p.AddrsFactory(announceRule(cfg)),
		// When most dials fail the library takes it that there is no UDP or IPv6 here, and refuses 99 of 100 from then on. After an
		// outage of the network that would keep a node of QUIC from coming back for a long time.
		libp2p.UDPBlackHoleSuccessCounter(nil), libp2p.IPv6BlackHoleSuccessCounter(nil),
		transports(cfg),
		reach(cfg),
	}
	if cfg.Metrics != nil {
		opts = append(opts, libp2p.PrometheusRegisterer(cfg.Metrics))
	} else {
		opts = append(opts, libp2p.DisableMetrics())
	}
	return opts, nil
}

func transports(cfg *Config) libp2p.Option {
	var opts []libp2p.Option
	if !cfg.DisableTCP {
		opts = append(opts, libp2p.Transport(tcp.NewTCPTransport))
	}
	if !cfg.DisableQUIC {
		opts = append(opts, libp2p.Transport(quic.NewTransport))
	}
	return libp2p.ChainOptions(opts...)
}

// reach holds what helps others to reach the host.
func reach(cfg *Config) libp2p.Option {
	var opts []libp2p.Option
	if !cfg.DisableRelay {
		opts = append(opts, libp2p.EnableRelay())
		if len(cfg.StaticRelays) > 0 {
			opts = append(opts, libp2p.EnableAutoRelayWithStaticRelays(cfg.StaticRelays))
		}
		if cfg.RelayService {
			opts = append(opts, libp2p.EnableRelayService())
		}
		if cfg.HolePunching {
			opts = append(opts, libp2p.EnableHolePunching(func(s *holepunch.Service) error {
				cfg.punch = s.DirectConnect
				return nil
			}))
		}
	}
	if cfg.AutoNAT {
		opts = append(opts, libp2p.EnableNATService())
	}
	if cfg.NATPortMap {
		opts = append(opts, libp2p.NATPortMap())
	}
	switch cfg.reachability() {
	case ReachabilityPublic:
		opts = append(opts, libp2p.ForceReachabilityPublic())
	case ReachabilityPrivate:
		opts = append(opts, libp2p.ForceReachabilityPrivate())
	case ReachabilityUnknown:
	}
	return libp2p.ChainOptions(opts...)
}

func announceRule(cfg *Config) func([]multiaddr.Multiaddr) []multiaddr.Multiaddr {
	fixed, publicOnly := cfg.Announce, cfg.PublicOnly
	return func(all []multiaddr.Multiaddr) []multiaddr.Multiaddr {
		if len(fixed) > 0 {
			return fixed
		}
		return announced(all, publicOnly)
	}
}

// resourceManager turns Limits into libp2p's scopes. Scopes that are not named here are bounded by those
// that are: every stream counts for its peer and for the system.
func resourceManager(l Limits) (network.ResourceManager, error) {
	half := func(n int) rcmgr.LimitVal { return rcmgr.LimitVal(max(1, n/2)) }
	limits := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: rcmgr.LimitVal(l.Conns), ConnsInbound: rcmgr.LimitVal(l.Conns), ConnsOutbound: rcmgr.LimitVal(l.Conns),
			Streams: rcmgr.LimitVal(l.Streams), StreamsInbound: rcmgr.LimitVal(l.Streams), StreamsOutbound: rcmgr.LimitVal(l.Streams),
			FD: rcmgr.LimitVal(l.Conns), Memory: rcmgr.LimitVal64(l.Memory),
		},
		Transient: rcmgr.ResourceLimits{ // connections before the handshake, streams before negotiation
			Conns: half(l.Conns), ConnsInbound: half(l.Conns), ConnsOutbound: half(l.Conns), FD: half(l.Conns),
			Streams: half(l.Streams), StreamsInbound: half(l.Streams), StreamsOutbound: half(l.Streams),
			Memory: rcmgr.LimitVal64(max(1, l.Memory/4)),
		},
		PeerDefault: rcmgr.ResourceLimits{
			Conns: rcmgr.LimitVal(l.ConnsPerPeer), ConnsInbound: rcmgr.LimitVal(l.ConnsPerPeer), ConnsOutbound: rcmgr.LimitVal(l.ConnsPerPeer),
			Streams: rcmgr.LimitVal(2 * l.StreamsPerPeer), StreamsInbound: rcmgr.LimitVal(l.StreamsPerPeer),
			StreamsOutbound: rcmgr.LimitVal(l.StreamsPerPeer),
			Memory:          rcmgr.LimitVal64(l.MemoryPerPeer),
		},
	}.Build(rcmgr.InfiniteLimits)
	perIP := func(prefix int) []rcmgr.ConnLimitPerSubnet {
		return []rcmgr.ConnLimitPerSubnet{{PrefixLength: prefix, ConnCount: l.ConnsPerIP}}
	}
	unlimited := func(prefix string) []rcmgr.NetworkPrefixLimit {
		return []rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix(prefix), ConnCount: math.MaxInt}}
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits),
		rcmgr.WithLimitPerSubnet(perIP(32), perIP(64)),
		rcmgr.WithNetworkPrefixLimit(unlimited("127.0.0.0/8"), unlimited("::1/128")),
		rcmgr.WithMetricsDisabled(),
	)
	if err != nil {
		return nil, fmt.Errorf("resource manager: %w", err)
	}
	return m, nil
}
