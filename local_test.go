package mesh

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/internal/inspect"
)

func localClient(t *testing.T, dir string) *inspect.Client {
	t.Helper()
	addr, err := os.ReadFile(filepath.Join(dir, StatusFile))
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(dir, TokenFile))
	if err != nil {
		t.Fatal(err)
	}
	return &inspect.Client{Addr: string(addr), Token: string(token)}
}

func refusal(t *testing.T, err error) inspect.Code {
	t.Helper()
	var e *inspect.Error
	if !errors.As(err, &e) {
		t.Errorf("not an inspect.Error: %v", err)
		return ""
	}
	return e.Code
}

// TestLocalAPI looks into a swarm through one of its nodes, as its operator does.
func TestLocalAPI(t *testing.T) {
	s := newSwarm(t, 2, nil)
	ctx, dir := t.Context(), s.dirs[0]
	c := localClient(t, dir)
	st, err := os.Stat(filepath.Join(dir, TokenFile))
	if err != nil || st.Mode().Perm() != 0o600 || len(c.Token) != 64 {
		t.Errorf("token file: %v, %v, %d characters", st.Mode(), err, len(c.Token))
	}
	if other := localClient(t, s.dirs[1]); other.Token == c.Token {
		t.Error("two nodes have one token")
	}

	eventually(t, "both heartbeats are there", func() bool {
		f, err := c.Get(ctx, inspect.Query{Key: heartbeat.Key().String(), Latest: true, Fresh: true})
		return err == nil && len(f.Entries) == 2 && f.Entries[0].Heartbeat != nil && f.Entries[0].Heartbeat.State == "online"
	})
	value, err := heartbeat.Info{State: heartbeat.Online, Role: "mine"}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	write := inspect.Write{Key: heartbeat.Key().String(), Value: value, Sign: true, Life: 600}
	if put, err := c.Put(ctx, write); err != nil || !put.OK || put.Accepted != 3 {
		t.Errorf("put: %+v, %v", put, err)
	}
	write.Key = heartbeat.Key().String()[:38] + "00" // a key that the subnet does not have
	if put, err := c.Put(ctx, write); err != nil || put.OK || put.Accepted > 0 || put.Reason == "" {
		t.Errorf("put of a foreign key: %+v, %v", put, err)
	}
	if p, err := c.Ping(ctx, inspect.PingQuery{Peer: s.nodes[1].PeerID().String()}); err != nil || p.ID == "" {
		t.Errorf("ping: %+v, %v", p, err)
	}
	peers, err := c.Peers(ctx)
	if err != nil || len(peers.Peers) != 2 || peers.Peers[0].About == "" {
		t.Errorf("peers: %+v, %v", peers, err)
	}
	if g, err := c.Crawl(ctx, inspect.CrawlQuery{}); err != nil || len(g.Nodes) != 3 {
		t.Errorf("crawl: %+v, %v", g, err)
	}

	thief := &inspect.Client{Addr: c.Addr, Token: localClient(t, s.dirs[1]).Token}
	if _, err := thief.Get(ctx, inspect.Query{Key: write.Key}); refusal(t, err) != inspect.CodeUnauthorized {
		t.Errorf("get with the token of another node: %v", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Addr+"/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "rebound.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("status under another name: %s", resp.Status)
	}

	s.nodes[0].end()
	for _, name := range []string{TokenFile, StatusFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}

// TestLocalAPIBeforeJoining asks a node that waits for its registration.
func TestLocalAPIBeforeJoining(t *testing.T) {
	s := newSwarm(t, 0, nil)
	key, _ := newKey(t)
	dir := t.TempDir()
	r := runNode(t, Config{Key: key, Subnet: toySubnet, Chain: s.chain, Listen: loopbackAddr(), DataDir: dir, Status: "127.0.0.1:0"}, nil)
	r.await(PhaseRegistration)
	if _, err := localClient(t, dir).Table(t.Context()); refusal(t, err) != inspect.CodeNotReady {
		t.Errorf("table: %v", err)
	}
}

// TestRecordsSurviveRestart stops a whole swarm and finds a record again.
func TestRecordsSurviveRestart(t *testing.T) {
	s := newSwarm(t, 2, nil)
	ctx := t.Context()
	value, err := heartbeat.Info{State: heartbeat.Online, Role: "mine"}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if put, err := localClient(t, s.dirs[1]).Put(ctx, inspect.Write{Key: heartbeat.Key().String(), Value: value, Sign: true, Life: 600}); err != nil || put.Accepted != 3 {
		t.Fatalf("put: %+v, %v", put, err)
	}
	for _, r := range append(s.nodes, s.boot) {
		r.end()
	}
	r := runNode(t, Config{
		Key: s.keys[0], Subnet: toySubnet, Chain: s.chain, Listen: loopbackAddr(), DataDir: s.dirs[0], Status: "127.0.0.1:0", NewSwarm: true,
	}, nil)
	r.await(PhaseOnline)
	f, err := localClient(t, s.dirs[0]).Get(ctx, inspect.Query{Key: heartbeat.Key().String()})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range f.Entries {
		if e.Owner == s.nodes[1].PeerID().String() && e.Heartbeat != nil && e.Heartbeat.Role == "mine" {
			return
		}
	}
	t.Errorf("the record is gone: %+v", f)
}
