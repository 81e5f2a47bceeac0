package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/internal/inspect"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
	"github.com/hypertensor-blockchain/mesh/stake"
)

// guest is a client of a swarm for as long as a command takes: it asks, and serves nothing.
type guest struct {
	inspect.Direct
	closers []io.Closer // in the order of closing
}

// Close leaves the swarm.
func (g *guest) Close() error {
	var err error
	for _, c := range g.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// invitation is what a guest must know to join.
type invitation struct {
	namespace string
	bootstrap []peer.AddrInfo
	members   *stake.Snapshot // nil: the chain is not asked
}

// openGuest joins a swarm as a client.
func (e *env) openGuest(ctx context.Context, f *dhtFlags) (*guest, error) {
	key, err := loadKey(f.identityPath)
	if err != nil {
		return nil, err
	}
	id, err := identity.PeerID(key)
	if err != nil {
		return nil, err
	}
	inv, err := f.invitation(ctx, id)
	if err != nil {
		return nil, err
	}
	g, err := newGuest(key, inv, f.python) //nolint:contextcheck // constructors take none
	if err != nil {
		return nil, err
	}
	if err := g.DHT.Bootstrap(ctx); err != nil {
		err = errors.Join(err, g.Close())
		next := "are those nodes running, and reachable from here?"
		switch {
		case errors.Is(err, dht.ErrClock):
			next = "set the clock of this machine"
		case ctx.Err() != nil:
			next = "give it more time with --timeout"
		case inv.members == nil:
			next = "they admit only peers with stake in their subnet: is " + id.String() + " one? Are --genesis and --subnet-id right? Do Python nodes need --python?"
		}
		return nil, failf(next, "cannot join as %s: %w", id, err)
	}
	return g, nil
}

// invitation finds out whom to join by, and whether the chain lists us.
func (f *dhtFlags) invitation(ctx context.Context, id peer.ID) (*invitation, error) {
	inv := &invitation{namespace: "/mesh"}
	var err error
	if inv.bootstrap, err = p2p.ParsePeers(f.peers); err != nil {
		return nil, usagef("--initial-peers: %w", err)
	}
	if f.subnet == 0 {
		if !f.python || len(inv.bootstrap) == 0 {
			return nil, usagef("--subnet-id is missing: which subnet? Only Python swarms can be joined without, with --python and --initial-peers")
		}
		return inv, nil
	}
	var genesis chain.Hash
	if f.genesis != "" {
		if genesis, err = chain.ParseHash(f.genesis); err != nil {
			return nil, usagef("--genesis: %w", err)
		}
	}
	if f.genesis != "" && len(inv.bootstrap) > 0 {
		inv.namespace = namespaceOf(genesis, chain.SubnetID(f.subnet))
		return inv, nil
	}
	return inv, f.askChain(ctx, inv, id)
}

func namespaceOf(genesis chain.Hash, id chain.SubnetID) string {
	return fmt.Sprintf("/mesh/%x/%d", genesis[:4], id)
}

// askChain completes an invitation with what the chain knows.
func (f *dhtFlags) askChain(ctx context.Context, inv *invitation, id peer.ID) error {
	c, err := (&chainFlags{rpc: f.rpc, genesis: f.genesis}).dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // only read
	subnet, err := resolveSubnet(ctx, c, chain.Hash{}, strconv.FormatUint(uint64(f.subnet), 10))
	if err != nil {
		return err
	}
	p, err := c.Params(ctx)
	if err != nil {
		return fmt.Errorf("read the chain's constants: %w", err)
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	heads, err := c.SubscribeHeads(following)
	if err != nil {
		return fmt.Errorf("follow the chain: %w", err)
	}
	head, ok := <-heads
	if !ok {
		return fmt.Errorf("follow the chain: %w", ctx.Err())
	}
	s, err := c.Subnet(ctx, head.Hash, subnet)
	if err != nil {
		return fmt.Errorf("read subnet %d: %w", subnet, err)
	}
	nodes, err := c.Nodes(ctx, head.Hash, subnet)
	if err != nil {
		return fmt.Errorf("read the nodes of subnet %d: %w", subnet, err)
	}
	inv.namespace = namespaceOf(p.Genesis, subnet)
	inv.members = stake.NewSnapshot(head, p.EpochAt(head.Number, s.Slot), s, nodes, stake.Rule{})
	if d := inv.members.Admit(id); !d.OK {
		return failf("the swarm admits only keys that the chain lists with stake: give the client key of a node (`mesh node register --client`), or use --data-dir of a node that runs here",
			"subnet %d would refuse %s: %s", subnet, id, inv.members.Explain(id))
	}
	if len(inv.bootstrap) == 0 {
		inv.bootstrap = mesh.BootstrapPeers(s, nodes, id)
	}
	if len(inv.bootstrap) == 0 {
		return failf("give one with --initial-peers", "the chain lists no address of a node of subnet %d", subnet)
	}
	return nil
}

// newGuest starts the parts of a client. Nobody is called yet.
func newGuest(key crypto.PrivKey, inv *invitation, python bool) (*guest, error) {
	cfg := p2p.Config{Key: key, Namespace: inv.namespace, PythonCompat: python}
	for _, b := range inv.bootstrap {
		cfg.Allow = append(cfg.Allow, b.ID)
	}
	rc := rpc.Config{Namespace: inv.namespace, Python: python}
	g := &guest{Direct: inspect.Direct{Marker: record.OwnerMarker(key.GetPublic())}}
	if inv.members != nil {
		gate := p2p.GateFunc(func(p peer.ID) p2p.Decision {
			if slices.Contains(cfg.Allow, p) {
				return p2p.Decision{OK: true}
			}
			return inv.members.Admit(p)
		})
		cfg.Gate = gate
		rc.Interceptors = []rpc.Interceptor{auth.NewStake(gate)}
		g.About = inv.members.Explain
	}
	host, err := p2p.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	calls := rpc.NewNode(host, rc)
	node, err := dht.New(calls, dht.Config{
		// The rules of the subnet's keys are left out: they are known to its nodes, which judge what we store. What is read must
		// have its owner's signature.
		Validators: record.NewChain(record.NewBounds(record.BoundsConfig{}), record.NewSignature(key, record.SignatureConfig{Python: python})),
		Bootstrap:  inv.bootstrap, Python: python, ClientMode: true, NoCacheLocally: true, NoCacheOnStore: true, CacheNearest: -1,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("join: %w", err), calls.Close(), host.Close())
	}
	g.DHT, g.Host = node, host
	g.closers = []io.Closer{node, calls, host}
	return g, nil
}
