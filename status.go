package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/consensus"
	"github.com/hypertensor-blockchain/mesh/internal/inspect"
)

// StatusFile is the name of the file in a node's data folder that holds the address where its status is served.
const StatusFile = "status.addr"

const shownRefusals = 10 // in Status

// Status is what a node shows of itself to people and tools.
type Status struct {
	PeerID   string         `json:"peer_id"`
	NodeID   chain.NodeID   `json:"node_id"` // 0 while unknown, and for a bootnode
	Subnet   chain.SubnetID `json:"subnet_id"`
	Bootnode bool           `json:"bootnode"`
	PID      int            `json:"pid"`
	Phase    Phase          `json:"phase"`
	Detail   string         `json:"detail,omitempty"` // what is waited for
	Started  time.Time      `json:"started"`
	Addrs    []string       `json:"addrs"`
	// Reachability is whether others can dial the node: public, private, or unknown while nobody has tried.
	Reachability string `json:"reachability,omitempty"`

	Block       chain.BlockNumber `json:"block"`
	HeadAge     float64           `json:"head_age_seconds"` // since the last head came
	Epoch       chain.Epoch       `json:"epoch"`
	ChainSilent bool              `json:"chain_silent"`

	Members  int            `json:"members"` // peers that would be admitted
	Peers    int            `json:"peers"`   // connected
	Table    int            `json:"table"`   // in the routing table
	Alive    int            `json:"alive"`   // nodes with a living heartbeat
	Records  int            `json:"records"` // kept for the swarm
	Refused  map[string]int `json:"refused"` // connections by reason
	Refusals []RefusalInfo  `json:"refusals"`

	Consensus consensus.Status `json:"consensus"`
}

// RefusalInfo is one refused connection in words.
type RefusalInfo struct {
	Time    time.Time `json:"time"`
	Peer    string    `json:"peer"`
	Inbound bool      `json:"inbound"`
	Reason  string    `json:"reason"`
	Detail  string    `json:"detail"` // what the chain has on the peer
}

// Status returns the current state.
func (n *Node) Status() Status {
	n.mu.Lock()
	s := Status{Phase: n.phase, Detail: n.detail, Started: n.started}
	n.mu.Unlock()
	s.PeerID, s.Bootnode, s.PID = n.id.String(), n.cfg.Bootnode, os.Getpid()
	if s.Phase == PhaseNew || s.Phase == PhaseConnecting || n.chain == nil {
		s.Subnet, s.NodeID = n.cfg.Subnet, n.cfg.Node
		return s
	}
	s.Subnet, s.NodeID = n.Subnet(), n.ID()
	head, at, _, _ := n.chain.newest()
	s.Block = head.Number
	if !at.IsZero() {
		s.HeadAge = time.Since(at).Seconds()
	}
	s.Epoch, _ = n.chain.epoch()
	snapshot := n.Members()
	s.Members = snapshot.Len()
	if e := n.engine.Load(); e != nil {
		s.Consensus = e.Status()
	}
	_, silent := n.chain.silence(time.Now())
	s.ChainSilent = silent || s.Consensus.Silent
	if d := n.dht.Load(); d != nil {
		st := d.Stats()
		s.Table, s.Records = st.Peers, st.Keys
	}
	if s.Phase == PhaseOnline && n.beats != nil {
		s.Alive = len(n.beats.online())
	}
	if h := n.host.Load(); h != nil {
		s.Peers, s.Reachability = len(h.Peers()), h.Reachability().String()
		for _, a := range h.Addrs() {
			s.Addrs = append(s.Addrs, a.String())
		}
		s.Refused = make(map[string]int)
		for reason, count := range h.RefusalCounts() {
			s.Refused[reason] = int(min(count, 1<<31))
		}
		for i, r := range h.Refusals() {
			if i == shownRefusals {
				break
			}
			s.Refusals = append(s.Refusals, RefusalInfo{Time: r.Time, Peer: r.Peer.String(), Inbound: r.Inbound, Reason: r.Reason, Detail: snapshot.Explain(r.Peer)})
		}
	}
	return s
}

// statusServer serves the status until it is closed.
type statusServer struct {
	srv   *http.Server
	file  string
	local *localAPI
	wg    sync.WaitGroup
}

// serveStatus starts the server, or one that does nothing when no address is configured.
func (n *Node) serveStatus(ctx context.Context) (*statusServer, error) {
	s := &statusServer{}
	if n.cfg.Status == "" {
		return s, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", n.cfg.Status)
	if err != nil {
		return nil, &StartError{Kind: ErrAddressInUse, What: "cannot serve the status", Err: err, Next: "give another address with --status, or none to switch it off"}
	}
	if s.local, err = n.newLocalAPI(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/dht/", s.local)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(n.Status()); err != nil {
			n.log.Debug("status not sent", "err", err)
		}
	})
	s.srv = &http.Server{
		Handler: inspect.Guard(mux), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	s.file = filepath.Join(n.cfg.DataDir, StatusFile)
	if err := writeFile(s.file, []byte(l.Addr().String())); err != nil {
		return nil, errors.Join(fmt.Errorf("mesh: status: %w", err), s.local.close(), l.Close())
	}
	s.wg.Go(func() {
		if err := s.srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			n.log.Warn("status is not served any more", "err", err)
		}
	})
	return s, nil
}

// Close stops the server and removes the file with its address.
func (s *statusServer) Close() error {
	if s.srv == nil {
		return nil
	}
	err := s.srv.Close()
	s.wg.Wait()
	err = errors.Join(err, s.local.close())
	if rm := os.Remove(s.file); !errors.Is(rm, os.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	return err
}

// writeFile replaces a small file atomically.
func writeFile(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
