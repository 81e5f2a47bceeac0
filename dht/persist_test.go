package dht_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/journal"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// keepers starts a swarm whose nodes keep their records in dir.
func keepers(t *testing.T, dir string, keys []crypto.PrivKey) ([]*member, dht.Recovery) {
	t.Helper()
	var list []*member
	var sum dht.Recovery
	for i, key := range keys {
		cfg := quiet()
		cfg.Validators = record.NewChain(record.NewSignature(key, record.SignatureConfig{}))
		if i > 0 {
			cfg.Bootstrap = []peer.AddrInfo{list[0].info()}
		}
		m := launch(t, cfg, func(p *p2p.Config, _ *rpc.Config) { p.Key = key })
		r, err := m.Persist(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		sum.Records, sum.Expired, sum.Refused, sum.Damaged = sum.Records+r.Records, sum.Expired+r.Expired, sum.Refused+r.Refused, sum.Damaged+r.Damaged
		waitReady(t, m)
		list = append(list, m)
	}
	return list, sum
}

// TestRestartedSwarmKeepsItsRecords stops all nodes of a swarm and starts them again.
func TestRestartedSwarmKeepsItsRecords(t *testing.T) {
	dir := t.TempDir()
	var keys []crypto.PrivKey
	for range 3 {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	m, found := keepers(t, dir, keys)
	if found != (dht.Recovery{}) {
		t.Errorf("new files: %+v", found)
	}
	ctx := t.Context()
	const n = 40
	mine := record.OwnerMarker(keys[1].GetPublic())
	for i := range n {
		req := dht.StoreRequest{Key: record.KeyOf(int64(i / 2)), Subkey: fmt.Sprint(i, mine), Value: int64(i), Expiration: time.Now().Add(time.Hour)}
		for range 2 { // the second is a newer version
			if _, err := m[1].Store(ctx, req); err != nil {
				t.Fatal(err)
			}
			req.Expiration = req.Expiration.Add(time.Minute)
		}
	}
	if _, err := m[0].Persist(filepath.Join(dir, "second")); err == nil {
		t.Error("a second file was taken")
	}
	for _, x := range m {
		x.end()
	}

	// what a stranger writes into a file, what has expired, and damage
	j, _, err := journal.Open(filepath.Join(dir, "0"), journal.Config{}, func(record.Held) {})
	if err != nil {
		t.Fatal(err)
	}
	subkey, err := record.SubkeyOf("0" + mine)
	if err != nil {
		t.Fatal(err)
	}
	forged := record.Record{Key: record.KeyOf(int64(0)), Subkey: subkey, Value: []byte{7}, Expiration: record.ExpirationAt(time.Now().Add(2 * time.Hour))}
	old := record.Record{Key: record.KeyOf("old"), Subkey: []byte(record.RegularTag), Value: []byte{7}, Expiration: record.ExpirationAt(time.Now().Add(-time.Second))}
	if err := j.Append(record.Held{Record: forged}, record.Held{Record: old}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "0"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("torn"); err != nil {
		t.Fatal(err)
	}
	f.Close()

	m, found = keepers(t, dir, keys)
	if found.Refused != 1 || found.Damaged != 4 || found.Expired < 1 || found.Records < 3*n {
		t.Errorf("files of the first run: %+v", found)
	}
	for i := range n {
		v, err := m[2].Get(ctx, record.KeyOf(int64(i/2)), dht.Latest())
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		e, ok := v.Entry(fmt.Sprint(i, mine))
		if got, err := e.Decode(); !ok || err != nil || got != int64(i) {
			t.Errorf("%d is %v, %v, %v", i, got, ok, err)
		}
	}
	if _, err := m[2].Get(ctx, record.KeyOf("old")); err == nil {
		t.Error("what has expired came back")
	}
	for _, x := range m {
		x.end()
	}

	// a file that is something else stays as it is
	path := filepath.Join(dir, "letter")
	if err := os.WriteFile(path, []byte("dear reader, this is no journal of records"), 0o600); err != nil {
		t.Fatal(err)
	}
	last := launch(t, quiet())
	if _, err := last.Persist(path); err == nil {
		t.Error("a letter was taken for a journal")
	}
	last.end()
	if b, err := os.ReadFile(path); err != nil || string(b[:11]) != "dear reader" {
		t.Errorf("the letter is %q, %v", b, err)
	}
	if _, err := last.Persist(filepath.Join(dir, "late")); err == nil {
		t.Error("a closed node took a file")
	}
}
