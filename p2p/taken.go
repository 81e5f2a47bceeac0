package p2p

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/identity"
)

// IdentityTaken tells whether somebody answers under a peer ID already: two nodes with one key knock each
// other out. It asks as an anonymous peer that connects to some peers of the swarm, so a swarm that refuses
// strangers cannot be asked; that gives an error. If none of the peers can be reached, that is an error too.
func IdentityTaken(ctx context.Context, id peer.ID, via []peer.AddrInfo, cfg Config) (taken bool, err error) {
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		return false, fmt.Errorf("p2p: identity check: %w", err)
	}
	probe, err := New(Config{
		Key: key, Namespace: cfg.Namespace, PythonCompat: cfg.PythonCompat, PublicOnly: cfg.PublicOnly,
		DisableTCP: cfg.DisableTCP, DisableQUIC: cfg.DisableQUIC, DisableRelay: cfg.DisableRelay, UserAgent: cfg.UserAgent, ListenUDP: cfg.ListenUDP,
	})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, probe.Close()) }()
	var failures []error
	reached := 0
	for _, p := range via {
		if err := probe.Connect(ctx, p); err != nil {
			failures = append(failures, err)
			continue
		}
		if p.ID == id {
			return true, nil
		}
		reached++
	}
	if reached == 0 {
		return false, fmt.Errorf("p2p: identity check: no peer of the swarm can be reached: %w", errors.Join(failures...))
	}
	return probe.Connect(ctx, peer.AddrInfo{ID: id}) == nil, nil
}
