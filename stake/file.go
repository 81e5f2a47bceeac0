package stake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/identity"
)

const maxFile = 4 << 20 // 20,000 members

// file is the form of a snapshot on disk.
type file struct {
	Subnet  chain.SubnetID    `json:"subnet"`
	Epoch   chain.Epoch       `json:"epoch"`
	Block   chain.BlockNumber `json:"block"`
	Hash    chain.Hash        `json:"hash"`
	Members map[string]Member `json:"members"`
}

// save writes the snapshot whole or not at all, also when the power fails.
func (m *Snapshot) save(path string) error {
	f := file{Subnet: m.Subnet, Epoch: m.Epoch, Block: m.At.Number, Hash: m.At.Hash, Members: make(map[string]Member, len(m.members))}
	for id, x := range m.members {
		f.Members[id.String()] = x
	}
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return identity.WriteSecret(path, b, true)
}

// load reads a snapshot; a missing file, and one of another subnet, are none.
func load(path string, subnet chain.SubnetID) (*Snapshot, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // no snapshot is a normal state, and a nil one works
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	m, err := decodeFile(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; delete it to start without", path, err)
	}
	if m.Subnet != subnet {
		return nil, nil //nolint:nilnil // as above
	}
	return m, nil
}

func decodeFile(b []byte) (*Snapshot, error) {
	var x file
	if err := json.Unmarshal(b, &x); err != nil {
		return nil, err
	}
	m := &Snapshot{At: chain.Head{Number: x.Block, Hash: x.Hash}, Epoch: x.Epoch, Subnet: x.Subnet, members: make(map[peer.ID]Member, len(x.Members))}
	for text, member := range x.Members {
		id, ok := decode(text)
		if !ok {
			return nil, fmt.Errorf("%.80q is no peer ID", text)
		}
		m.members[id] = member
	}
	return m, nil
}
