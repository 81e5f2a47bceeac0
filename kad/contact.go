package kad

import (
	"net/netip"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Contact is a peer at a point of the space.
type Contact struct {
	// ID is the point. For a bound contact it is IDFromPeer(Peer).
	ID ID `json:"id"`
	// Peer is the identity proven by the channel.
	Peer peer.ID `json:"peer"`
	// Addr is the address that the connection was seen at, for the limits per IP group.
	// It MUST come from the connection, never from what a peer says. The zero address is
	// not limited, and neither are loopback, private and link-local ones by default.
	Addr netip.Addr `json:"addr"`
}

// Same reports whether it is the same node at the same point, wherever it was seen.
func (c Contact) Same(o Contact) bool { return c.ID == o.ID && c.Peer == o.Peer }

// BoundContact returns the contact of a native node: its ID follows from its identity.
func BoundContact(p peer.ID, addr netip.Addr) Contact {
	return Contact{ID: IDFromPeer(p), Peer: p, Addr: addr}
}

// Bound reports whether the ID follows from the peer identity. It costs one SHA-1.
func (c Contact) Bound() bool { return c.ID == IDFromPeer(c.Peer) }

// Group returns the network that the contact counts against: the /24 of an IPv4 address
// or the /48 of an IPv6 address. The zero prefix means that the contact is not limited.
func (c Contact) Group() netip.Prefix { return GroupOf(c.Addr) }

// GroupOf returns the /24 (IPv4, also mapped into IPv6) or the /48 (IPv6) of an address,
// and the zero prefix for addresses that do not name a public network.
func GroupOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
		return netip.Prefix{}
	}
	return rawGroup(a)
}

// rawGroup is GroupOf without the exemption of local networks.
func rawGroup(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	n := 48 // the usual allocation of a site
	if a.Is4() {
		n = 24 // the smallest network routed on the Internet
	}
	p, err := a.Prefix(n)
	if err != nil { // only for the zero address
		return netip.Prefix{}
	}
	return p
}
