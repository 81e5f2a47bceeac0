package mesh

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/internal/inspect"
	"github.com/hypertensor-blockchain/mesh/record"
)

// TokenFile is the name of the file in a node's data folder that holds the secret for making the running node act: who can read it may
// store, get, ping, trace and crawl through the node. It is drawn anew at each start.
const TokenFile = "status.token"

// localAPI is what the status server offers beside the status, for `mesh dht`.
type localAPI struct {
	*inspect.Handler
	file string
}

// newLocalAPI draws the token and writes it down.
func (n *Node) newLocalAPI() (*localAPI, error) {
	l := &localAPI{file: filepath.Join(n.cfg.DataDir, TokenFile)}
	token := inspect.NewToken()
	l.Handler = inspect.NewHandler(token, n.tools)
	if err := os.Remove(l.file); err != nil && !os.IsNotExist(err) { // an old one may have another mode
		return nil, fmt.Errorf("mesh: status: %w", err)
	}
	if err := writeFile(l.file, []byte(token)); err != nil {
		return nil, fmt.Errorf("mesh: status: %w", err)
	}
	return l, nil
}

// tools are the operations on the node's DHT, once it has one.
func (n *Node) tools() (inspect.Tools, error) {
	n.mu.Lock()
	phase := n.phase
	n.mu.Unlock()
	d, h := n.dht.Load(), n.host.Load()
	if d == nil || h == nil || phase == PhaseStopping || phase == PhaseStopped {
		return nil, &inspect.Error{Code: inspect.CodeNotReady, Text: "the node is not in its swarm: " + string(phase)}
	}
	return &inspect.Direct{
		DHT: d, Host: h, Marker: record.OwnerMarker(n.cfg.Key.GetPublic()),
		About: func(id peer.ID) string { return n.Members().Explain(id) },
	}, nil
}

// close waits for requests under way and takes the token away.
func (l *localAPI) close() error {
	l.Wait()
	if err := os.Remove(l.file); !os.IsNotExist(err) {
		return err
	}
	return nil
}
