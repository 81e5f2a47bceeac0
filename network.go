package mesh

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
	"github.com/hypertensor-blockchain/mesh/stake"
)

// openNetwork starts host, calls and DHT; the returned function closes them in reverse.
func (n *Node) openNetwork(ctx context.Context) (func() error, error) {
	p, err := n.chain.Params(ctx)
	if err != nil {
		return nil, err
	}
	namespace := fmt.Sprintf("/mesh/%x/%d", p.Genesis[:4], n.Subnet())
	bootstrap := n.bootstrapPeers(ctx)
	allow := make([]peer.ID, 0, len(n.cfg.Bootstrap))
	for _, b := range n.cfg.Bootstrap {
		allow = append(allow, b.ID)
	}
	guards, err := n.interceptors(allow)
	if err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	relays := n.cfg.StaticRelays
	if len(relays) == 0 {
		relays = bootstrap
	}
	rules, err := n.validators()
	if err != nil {
		return nil, err
	}
	host, err := p2p.New(p2p.Config{
		Key: n.cfg.Key, Listen: n.cfg.Listen, Announce: n.cfg.Announce, Gate: n.bans.Gate(n.members.Load()), Allow: allow,
		Namespace: namespace, PythonCompat: n.cfg.Python, DisableRelay: n.cfg.DisableRelay, RelayService: n.cfg.RelayService,
		HolePunching: n.cfg.HolePunching, AutoNAT: n.cfg.AutoNAT, NATPortMap: n.cfg.NATPortMap, StaticRelays: relays,
		Reachability: n.cfg.Reachability, Limits: n.cfg.Limits, AddressBook: n.file("peers.json"), UserAgent: n.cfg.Version, Logger: n.log.With("part", "p2p"),
	})
	var taken *p2p.AddrInUseError
	if errors.As(err, &taken) {
		return nil, &StartError{Kind: ErrAddressInUse, What: "cannot listen", Err: err, Next: "stop the other program, or listen elsewhere with --host-maddrs"}
	}
	if err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	n.host.Store(host)
	calls := rpc.NewNode(host, rpc.Config{
		Namespace: namespace, Python: n.cfg.Python, Interceptors: guards, Logger: n.log.With("part", "rpc"),
	})
	n.calls.Store(calls)
	d, err := dht.New(calls, dht.Config{
		Validators: rules, Phase: n.chain.phase, Bootstrap: bootstrap, Python: n.cfg.Python, Logger: n.log.With("part", "dht"),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mesh: %w", err), calls.Close(), host.Close())
	}
	n.dht.Store(d)
	n.persist(d, fmt.Sprintf("records-%x-%d.journal", p.Genesis[:4], n.Subnet()))
	closeAll := func() error { return errors.Join(d.Close(), calls.Close(), host.Close()) }
	if n.cfg.Bootnode {
		return closeAll, nil
	}
	n.beats, err = newBeats(d, n.cfg.Key, n.id, heartbeat.Info{
		State: heartbeat.Joining, Role: heartbeat.RoleValidator, Throughput: 1, PublicName: n.cfg.PublicName, Version: n.cfg.Version,
	}, n.log.With("part", "heartbeat"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mesh: %w", err), closeAll())
	}
	n.beats.period = n.cfg.UpdatePeriod
	if n.beats.period == 0 {
		n.beats.period = min(max(n.chain.epochTime()/beatsPerEpoch, minUpdatePeriod), maxUpdatePeriod)
	}
	n.beats.look = max(n.beats.period/2, minUpdatePeriod/2)
	n.beats.members = func() []peer.ID { return n.Members().Peers() }
	n.beats.relayed = func() bool { return host.Reachability() == p2p.ReachabilityPrivate }
	n.beats.epoch = func() (uint32, bool) {
		e, ok := n.chain.epoch()
		return uint32(e), ok
	}
	return closeAll, nil
}

func (n *Node) file(name string) string {
	if n.cfg.DataDir == "" {
		return ""
	}
	return filepath.Join(n.cfg.DataDir, name)
}

// interceptors guard every call: the gate already keeps strangers away, and here it is asked again, because a connection may
// outlive a membership.
func (n *Node) interceptors(allow []peer.ID) ([]rpc.Interceptor, error) {
	limit, err := auth.NewRateLimit(auth.RateConfig{Peer: n.cfg.Rate, Ban: n.bans})
	if err != nil {
		return nil, err
	}
	out := []rpc.Interceptor{n.bans, auth.NewStake(allowing{n.members.Load(), allow}), limit}
	if n.cfg.Python {
		sign, err := auth.NewSignature(n.cfg.Key, auth.SignatureConfig{})
		if err != nil {
			return nil, err
		}
		out = append(out, sign)
	}
	return out, nil
}

// allowing admits some peers whatever the membership says.
type allowing struct {
	set   *stake.Set
	peers []peer.ID
}

// Admit asks the membership for all but the allowed peers.
func (a allowing) Admit(id peer.ID) p2p.Decision {
	for _, p := range a.peers {
		if p == id {
			return p2p.Decision{OK: true}
		}
	}
	return a.set.Admit(id)
}
