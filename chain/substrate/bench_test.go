package substrate

import (
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// benchClient is a client of an embedded chain with many accounts.
func benchClient(b *testing.B, accounts int) (*Client, []chain.AccountID) {
	b.Helper()
	ids := make([]chain.AccountID, accounts)
	genesis := devchain.Genesis{Accounts: map[chain.AccountID]chain.Balance{}}
	for i := range ids {
		ids[i] = chain.AccountID{1, byte(i), byte(i >> 8)}
		genesis.Accounts[ids[i]] = u128.From64(1e18)
	}
	c, err := devchain.New(devchain.Config{Seal: devchain.SealManual, Genesis: genesis}, native.New(native.Config{}))
	if err != nil {
		b.Fatal(err)
	}
	srv := devchain.NewServer(c, devchain.ServerConfig{Listen: "127.0.0.1:0"})
	addr, err := srv.Listen()
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(b.Context()) }()
	client, err := Dial(b.Context(), Config{Endpoints: []string{"ws://" + addr.String()}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = client.Close()
		<-done
		_ = c.Close()
	})
	return client, ids
}

// BenchmarkAccounts reads 1,000 accounts over WebSocket on loopback, the node's work included.
func BenchmarkAccounts(b *testing.B) {
	c, ids := benchClient(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Accounts(b.Context(), chain.Hash{}, ids); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAccountMap reads all accounts by their prefix: keys by page, then values.
func BenchmarkAccountMap(b *testing.B) {
	c, _ := benchClient(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if list, err := c.Map(b.Context(), chain.Hash{}, "System", "Account"); err != nil || len(list) < 1000 {
			b.Fatal(len(list), err)
		}
	}
}

// BenchmarkOneAccount is the round trip of the smallest read.
func BenchmarkOneAccount(b *testing.B) {
	c, ids := benchClient(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.AccountInfo(b.Context(), chain.Hash{}, ids[0]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSign encodes and signs an attestation.
func BenchmarkSign(b *testing.B) {
	c, _ := benchClient(b, 1)
	rt := c.rt.Load()
	alith := dev(b, "Alith")
	b.ReportAllocs()
	for b.Loop() {
		body, err := rt.encodeCall(Attest(128001, 1, nil))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := rt.sign(alith, body, &txContext{eraLen: 2}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeNodeInfos decodes the nodes of a subnet of 256 as the runtime API returns them.
func BenchmarkDecodeNodeInfos(b *testing.B) {
	c, _ := benchClient(b, 1)
	rt := c.rt.Load()
	addr := []byte{4, 127, 0, 0, 1, 6, 0x98, 0x30}
	infos := make([]any, 256)
	peer := map[string]any{"peer_id": "12D3KooWGmub3LXuKQixhBD5XwNW4PtSfnrysYzqs1oj19HxMUCF", "multiaddr": addr}
	for i := range infos {
		infos[i] = nodeInfoFields(peer)
	}
	id, _ := rt.reg.TypeByName(resultPrefix + "get_subnet_nodes_info")
	body, err := encodeAny(rt, id, infos)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		list, err := rt.codecs.infos.Decode(body)
		if err != nil || len(list) != len(infos) {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/node")
}
