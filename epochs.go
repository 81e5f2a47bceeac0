package mesh

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// Epoch is where the subnet's epoch stands, as of the newest head: what the rules for records go by. It is not known before Start is
// called, nor while the subnet has no epochs.
func (n *Node) Epoch() record.Phase {
	if n.members.Load() == nil { // stored after chain
		return record.Phase{}
	}
	return n.chain.phase()
}

// AwaitEpoch returns where the epoch stands as soon as ok says that it will do, or fails when ctx ends. ok is asked at once and after
// each head, not while the epoch is unknown; it must not block. Other nodes see a head a moment earlier or later: who stores at the very
// beginning of a phase is refused by those that are not there yet.
func (n *Node) AwaitEpoch(ctx context.Context, ok func(record.Phase) bool) (record.Phase, error) {
	if n.members.Load() == nil {
		return record.Phase{}, errors.New("mesh: no epoch is known before the node starts")
	}
	return n.chain.await(ctx, ok)
}

// EpochTime is how long an epoch takes, by the pace of the last blocks: the measure for the life of a record. 0 before Start is called.
func (n *Node) EpochTime() time.Duration {
	if n.members.Load() == nil {
		return 0
	}
	return n.chain.epochTime()
}

// Revealed reads what was revealed in an epoch, by author: what is under its author's own subkey, matches the commit there, and is of a
// present member of the subnet. Whatever else is found under these keys is left out: a lying holder can show commits and reveals by any
// number of keys of its own. The map is empty when there is nothing.
//
// It is the same on all nodes once the time for reveals is over, as far as nobody lies to them or is cut off.
func (n *Node) Revealed(ctx context.Context, epoch chain.Epoch) (map[peer.ID][]byte, error) {
	d := n.dht.Load()
	if d == nil {
		return nil, errors.New("mesh: no records can be read before the node starts")
	}
	revealed := make(map[peer.ID][]byte)
	keys := []record.Key{record.CommitKey(uint32(epoch)), record.RevealKey(uint32(epoch))}
	found := d.GetMany(ctx, keys, dht.Latest(), dht.NoCache())
	for _, f := range found {
		if errors.Is(f.Err, dht.ErrNotFound) {
			return revealed, nil
		}
		if f.Err != nil {
			return nil, f.Err
		}
	}
	commits, reveals := found[0].Value, found[1].Value
	for _, reveal := range reveals.Entries {
		author, _, err := heartbeat.ParseSubkey(reveal.Subkey)
		if err != nil {
			continue // a second answer of somebody
		}
		if author != n.id && !n.members.Load().Admit(author).OK {
			continue
		}
		commit, ok := commits.Entry(msgpack.Raw(reveal.Subkey))
		if !ok {
			continue
		}
		if body, err := record.OpenReveal(uint32(epoch), author, commit.Raw, reveal.Raw); err == nil {
			revealed[author] = body
		}
	}
	return revealed, nil
}

// commitHere returns the value of a commit that this node keeps or has cached.
func (n *Node) commitHere(commits record.Key, subkey []byte) ([]byte, bool) {
	d := n.dht.Load()
	if d == nil {
		return nil, false
	}
	return d.Held(commits, subkey)
}
