package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// meshDHT is a swarm of our own nodes.
type meshDHT struct {
	hosts []*p2p.Host
	calls []*rpc.Node
	nodes []*dht.Node
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

func newMesh(ctx context.Context, n int) (*meshDHT, error) {
	ctx, stop := context.WithCancel(ctx)
	s := &meshDHT{stop: stop}
	listen, err := p2p.ParseAddrs([]string{"/ip4/127.0.0.1/tcp/0"})
	if err != nil {
		return nil, err
	}
	var bootstrap []peer.AddrInfo
	for range n {
		key, err := identity.Generate(identity.Ed25519)
		if err != nil {
			return nil, err
		}
		h, err := p2p.New(p2p.Config{Key: key, Listen: listen, Namespace: "/mesh/bench/1"})
		if err != nil {
			return nil, err
		}
		calls := rpc.NewNode(h, rpc.Config{Namespace: "/mesh/bench/1"})
		// Replicas and caches as on the other side: twenty copies, and every get goes to the network.
		node, err := dht.New(calls, dht.Config{
			Bootstrap: bootstrap, Replicas: 20, NoCacheLocally: true, NoCacheOnStore: true, CacheNearest: -1, LeaveTimeout: -1,
		})
		if err != nil {
			return nil, err
		}
		if bootstrap == nil {
			if bootstrap, err = p2p.ParsePeers(addrsOf(h)); err != nil {
				return nil, err
			}
		}
		s.hosts, s.calls, s.nodes = append(s.hosts, h), append(s.calls, calls), append(s.nodes, node)
		s.wg.Go(func() { _ = node.Run(ctx) })
		select {
		case <-node.Ready():
		case <-time.After(30 * time.Second):
			return nil, fmt.Errorf("node %d did not join", len(s.nodes))
		}
	}
	for _, node := range s.nodes { // meet the neighbours that came later
		if _, err := node.FindNearest(ctx, node.ID(), 20); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func addrsOf(h *p2p.Host) (texts []string) {
	for _, a := range h.Addrs() {
		texts = append(texts, a.String())
	}
	return texts
}

func (s *meshDHT) Name() string { return "mesh" }
func (s *meshDHT) Len() int     { return len(s.nodes) }

func (s *meshDHT) Store(ctx context.Context, node int, key string, value []byte) error {
	_, err := s.nodes[node].Store(ctx, dht.StoreRequest{Key: record.KeyOfText(key), Value: value, Expiration: time.Now().Add(time.Hour)})
	return err
}

func (s *meshDHT) Get(ctx context.Context, node int, key string) error {
	_, err := s.nodes[node].Get(ctx, record.KeyOfText(key))
	return err
}

func (s *meshDHT) Nearest(ctx context.Context, node int, key string) (int, error) {
	found, err := s.nodes[node].FindNearest(ctx, kad.ID(record.KeyOfText(key)), 20)
	return len(found), err
}

func (s *meshDHT) Close() {
	s.stop()
	for i := range s.nodes {
		_ = s.nodes[i].Close()
		_ = s.calls[i].Close()
		_ = s.hosts[i].Close()
	}
	s.wg.Wait()
}
