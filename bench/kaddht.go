package main

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// anything accepts every value, so that both sides measure the table and the wire and not a signature.
type anything struct{}

func (anything) Validate(string, []byte) error        { return nil }
func (anything) Select(string, [][]byte) (int, error) { return 0, nil }

// kadDHT is a swarm of go-libp2p-kad-dht nodes.
type kadDHT struct {
	hosts []host.Host
	nodes []*dht.IpfsDHT
}

func newKadDHT(ctx context.Context, n int) (*kadDHT, error) {
	s := new(kadDHT)
	for i := range n {
		cm, err := connmgr.NewConnManager(4*n, 8*n)
		if err != nil {
			return nil, err
		}
		h, err := libp2p.New(
			libp2p.NoTransports, libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New),
			libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.ConnectionManager(cm),
			libp2p.ResourceManager(unlimited()), libp2p.DisableMetrics(), libp2p.DisableRelay(),
		)
		if err != nil {
			return nil, err
		}
		s.hosts = append(s.hosts, h)
		opts := []dht.Option{
			dht.Mode(dht.ModeServer), dht.ProtocolPrefix("/bench"), dht.BucketSize(20), dht.NamespacedValidator("bench", anything{}),
		}
		if i > 0 {
			opts = append(opts, dht.BootstrapPeers(peer.AddrInfo{ID: s.hosts[0].ID(), Addrs: s.hosts[0].Addrs()}))
		}
		node, err := dht.New(h, opts...)
		if err != nil {
			return nil, err
		}
		s.nodes = append(s.nodes, node)
		if i > 0 {
			if err := h.Connect(ctx, peer.AddrInfo{ID: s.hosts[0].ID(), Addrs: s.hosts[0].Addrs()}); err != nil {
				return nil, err
			}
		}
		if err := node.Bootstrap(ctx); err != nil {
			return nil, err
		}
	}
	for range 2 { // until every table has met every neighbourhood
		for _, node := range s.nodes {
			if err := <-node.ForceRefresh(); err != nil {
				return nil, fmt.Errorf("kad-dht refresh: %w", err)
			}
		}
	}
	return s, nil
}

func (s *kadDHT) Name() string { return "kad-dht" }
func (s *kadDHT) Len() int     { return len(s.nodes) }

func (s *kadDHT) Store(ctx context.Context, node int, key string, value []byte) error {
	return s.nodes[node].PutValue(ctx, "/bench/"+key, value)
}

func (s *kadDHT) Get(ctx context.Context, node int, key string) error {
	// Quorum 1 takes the first valid answer, as our get does by default.
	_, err := s.nodes[node].GetValue(ctx, "/bench/"+key, dht.Quorum(1))
	return err
}

func (s *kadDHT) Nearest(ctx context.Context, node int, key string) (int, error) {
	peers, err := s.nodes[node].GetClosestPeers(ctx, key)
	return len(peers), err
}

func (s *kadDHT) Close() {
	for i := range s.nodes {
		_ = s.nodes[i].Close()
		_ = s.hosts[i].Close()
	}
}
