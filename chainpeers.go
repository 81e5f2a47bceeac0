package mesh

import (
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// BootstrapPeers are the peers of a subnet to join by, best first: its official bootnodes, the bootnodes of its nodes, the nodes. Those
// without a usable address are left out, and so is self.
func BootstrapPeers(s chain.Subnet, nodes []chain.Node, self peer.ID) []peer.AddrInfo {
	known := make(map[peer.ID]*peer.AddrInfo)
	var order []peer.ID
	add := func(a chain.PeerAddr) {
		id, err := peer.Decode(a.PeerID)
		if err != nil || id == self || len(a.Multiaddr) == 0 {
			return
		}
		m, err := multiaddr.NewMultiaddrBytes(a.Multiaddr)
		if err != nil {
			return
		}
		transport, suffix := peer.SplitAddr(m)
		if transport == nil || suffix != "" && suffix != id {
			return
		}
		if known[id] == nil {
			known[id] = &peer.AddrInfo{ID: id}
			order = append(order, id)
		}
		known[id].Addrs = append(known[id].Addrs, transport)
	}
	for _, b := range s.Bootnodes {
		add(b)
	}
	for _, x := range nodes {
		if x.Bootnode != nil {
			add(*x.Bootnode)
		}
	}
	for _, x := range nodes {
		add(x.Peer)
	}
	var out []peer.AddrInfo
	for _, id := range order {
		out = append(out, *known[id])
	}
	return out
}
