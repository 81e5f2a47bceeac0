package p2p

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/gologshim"
)

func TestAnnounced(t *testing.T) {
	for _, tt := range []struct {
		name       string
		all        []string
		publicOnly bool
		want       []string
	}{
		{"nothing", nil, false, nil},
		{"loopback alone", []string{"/ip4/127.0.0.1/tcp/1"}, false, []string{"/ip4/127.0.0.1/tcp/1"}},
		{"loopback beside others", []string{"/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.2/tcp/1"}, false, []string{"/ip4/192.168.1.2/tcp/1"}},
		{"unspecified and link-local", []string{"/ip4/0.0.0.0/tcp/1", "/ip6/fe80::1/tcp/1", "/ip6/::/tcp/1"}, false, nil},
		{"private ones not wanted", []string{"/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/8.8.8.8/tcp/1"}, true, []string{"/ip4/8.8.8.8/tcp/1"}},
		{"only private ones, not wanted", []string{"/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1"}, true, nil},
	} {
		all, err := ParseAddrs(tt.all)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range announced(all, tt.publicOnly) {
			got = append(got, a.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestRefusalLog(t *testing.T) {
	l := newRefusalLog(3)
	if got := l.last(); len(got) != 0 {
		t.Errorf("empty log: %v", got)
	}
	for i := range 5 {
		l.add(Refusal{Reason: fmt.Sprint(i % 2), Peer: peer.ID(fmt.Sprint(i))})
	}
	var peers []string
	for _, r := range l.last() {
		peers = append(peers, string(r.Peer))
	}
	if diff := cmp.Diff([]string{"4", "3", "2"}, peers); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]uint64{"0": 3, "1": 2}, l.byReason()); diff != "" {
		t.Error(diff)
	}
	for i := range 2 * maxReasons {
		l.add(Refusal{Reason: fmt.Sprint("made up ", i)})
	}
	if got := l.byReason(); len(got) > maxReasons+1 || got[reasonOther] == 0 {
		t.Errorf("%d reasons counted", len(got))
	}
}

func TestBookSurvivesDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.json")
	for _, text := range []string{"", "{", "null", `[{"peer":"junk"}]`, `[{"peer":"x","addrs":["y"]}]`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := openBook(path, 10)
		if err != nil || len(b.peers()) != 0 {
			t.Errorf("%q: %v, %v", text, b.peers(), err)
		}
	}
}

func TestBookForgetsAndBounds(t *testing.T) {
	now := time.Now()
	entry := func(id string, age time.Duration) string {
		return fmt.Sprintf(`{"peer":%q,"addrs":["/ip4/1.2.3.4/tcp/5"],"seen":%q}`, id, now.Add(-age).Format(time.RFC3339Nano))
	}
	ids := []string{
		"12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB", "QmSjcNmhbRvek3YDQAAQ3rV8GKR8WByfW8LC4aMxk6gj7v",
		"QmShJYgxNoKn7xqdRQj5PBcNfPSsbWkgFBPA4mK5PH73JB",
	}
	text := "[" + strings.Join([]string{entry(ids[0], 2*bookAge), entry(ids[1], time.Hour), entry(ids[2], time.Minute)}, ",") + "]"
	path := filepath.Join(t.TempDir(), "peers.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int][]string{5: {ids[2], ids[1]}, 1: {ids[2]}} {
		b, err := openBook(path, size)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range b.peers() {
			got = append(got, p.ID.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("size %d (-want +got):\n%s", size, diff)
		}
	}
}

func TestLibraryLogs(t *testing.T) {
	bridgeLibraryLogs()
	log := gologshim.Logger("test")
	var out bytes.Buffer
	RouteLibraryLogs(slog.NewTextHandler(&out, nil))
	log.With("a", 1).WithGroup("g").Info("heard", "b", 2)
	RouteLibraryLogs(nil)
	log.Error("not heard")
	if got := out.String(); !strings.Contains(got, "heard") || !strings.Contains(got, "a=1") || !strings.Contains(got, "g.b=2") ||
		strings.Contains(got, "not heard") {
		t.Errorf("log: %q", got)
	}
}

func FuzzBook(f *testing.F) {
	f.Add([]byte(`[{"peer":"12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB","addrs":["/ip4/1.2.3.4/tcp/5"],"seen":"2030-01-01T00:00:00Z"}]`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range decodeBook(b, time.Unix(1900000000, 0)) {
			if e.Peer.Validate() != nil || len(e.Addrs) == 0 || len(e.Addrs) > bookAddrs {
				t.Fatalf("%+v", e)
			}
		}
	})
}
