package auth

import (
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/p2p"
)

// Checker answers whether a peer holds the stake that is asked for.
type Checker interface {
	// Admit MUST answer from memory.
	Admit(peer.ID) p2p.Decision
}
