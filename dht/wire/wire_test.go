package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/internal/pb/dhtpb"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const nodeID = "4385dd86f591a8d423f1f7a459360ee917a9d76f" // SHA1(msgpack("node"))

// TestGoldenMessages compares every message with the bytes that the Python implementation produces.
func TestGoldenMessages(t *testing.T) {
	id := unhex(t, nodeID)
	info := wire.NodeInfo{ID: id}
	const unix = 1700000000.25
	type message interface{ Append([]byte) []byte }
	for _, tc := range []struct {
		name string
		hex  string
		msg  message
		dec  func([]byte) (message, error)
	}{
		{"ping request validate", "12160a14" + nodeID + "1801", &wire.PingRequest{Peer: info, Validate: true},
			func(b []byte) (message, error) { var m wire.PingRequest; return &m, m.Decode(b) }},
		{"ping request client mode", "1200", &wire.PingRequest{},
			func(b []byte) (message, error) { var m wire.PingRequest; return &m, m.Decode(b) }},
		{"ping response", "12160a14" + nodeID + "2100001040fc54d9412801", &wire.PingResponse{Peer: info, Time: unix, Available: true},
			func(b []byte) (message, error) { var m wire.PingResponse; return &m, m.Decode(b) }},
		{"store request", "1214" + nodeID + "1a01c02202a1762a0800001040fc54d9413201003a160a14" + nodeID,
			&wire.StoreRequest{Keys: [][]byte{id}, Subkeys: [][]byte{{0xc0}}, Values: [][]byte{{0xa1, 'v'}},
				Expiration: []float64{unix}, InCache: []bool{false}, Peer: info},
			func(b []byte) (message, error) { var m wire.StoreRequest; return &m, m.Decode(b, wire.Limits{}) }},
		{"store response", "120201001a160a14" + nodeID, &wire.StoreResponse{OK: []bool{true, false}, Peer: info},
			func(b []byte) (message, error) { var m wire.StoreResponse; return &m, m.Decode(b, wire.Limits{}) }},
		{"find request", "1214" + nodeID + "1a160a14" + nodeID, &wire.FindRequest{Keys: [][]byte{id}, Peer: info},
			func(b []byte) (message, error) { var m wire.FindRequest; return &m, m.Decode(b, wire.Limits{}) }},
		{"find response", "122908011202a1761900001040fc54d9412214" + nodeID + "2a0200011a160a14" + nodeID,
			&wire.FindResponse{Peer: info, Results: []wire.FindResult{{Type: wire.FoundRegular, Value: []byte{0xa1, 'v'},
				Expiration: unix, NearestIDs: [][]byte{id}, NearestPeers: [][]byte{{0, 1}}}}},
			func(b []byte) (message, error) { var m wire.FindResponse; return &m, m.Decode(b, wire.Limits{}) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := hex.EncodeToString(tc.msg.Append(nil)); got != tc.hex {
				t.Errorf("encoded %s\nwant    %s", got, tc.hex)
			}
			got, err := tc.dec(unhex(t, tc.hex))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.msg, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
		})
	}
}

func genID() *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), wire.IDSize, wire.IDSize) }

func genInfo(t *rapid.T) wire.NodeInfo {
	if rapid.Bool().Draw(t, "client") {
		return wire.NodeInfo{}
	}
	return wire.NodeInfo{ID: genID().Draw(t, "node id")}
}

// TestOracle compares the hand-written codec with the generated one.
func TestOracle(t *testing.T) {
	det := proto.MarshalOptions{Deterministic: true}
	check := func(t *rapid.T, ours []byte, theirs proto.Message) {
		want, err := det.Marshal(theirs)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours, want) {
			t.Fatalf("encoded %x\nwant    %x", ours, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		info := genInfo(t)
		pbInfo := &dhtpb.NodeInfo{NodeId: info.ID}
		blob := rapid.SliceOfN(rapid.Byte(), 0, 40)
		n := rapid.IntRange(0, 5).Draw(t, "n")
		store := wire.StoreRequest{Peer: info}
		find := wire.FindRequest{Peer: info}
		answer := wire.FindResponse{Peer: info}
		pbAnswer := &dhtpb.FindResponse{Peer: pbInfo}
		for range n {
			store.Keys = append(store.Keys, genID().Draw(t, "key"))
			store.Subkeys = append(store.Subkeys, blob.Draw(t, "subkey"))
			store.Values = append(store.Values, blob.Draw(t, "value"))
			store.Expiration = append(store.Expiration, rapid.Float64().Draw(t, "expiration"))
			store.InCache = append(store.InCache, rapid.Bool().Draw(t, "in cache"))
			r := wire.FindResult{Type: wire.ResultType(rapid.IntRange(0, 2).Draw(t, "type")), Value: blob.Draw(t, "value"),
				Expiration: rapid.Float64().Draw(t, "expiration")}
			for range rapid.IntRange(0, 3).Draw(t, "nearest") {
				r.NearestIDs = append(r.NearestIDs, genID().Draw(t, "nearest id"))
				r.NearestPeers = append(r.NearestPeers, blob.Draw(t, "nearest peer"))
			}
			answer.Results = append(answer.Results, r)
			pbAnswer.Results = append(pbAnswer.Results, &dhtpb.FindResult{Type: dhtpb.ResultType(r.Type), Value: r.Value,
				ExpirationTime: r.Expiration, NearestNodeIds: r.NearestIDs, NearestPeerIds: r.NearestPeers})
		}
		find.Keys = store.Keys
		check(t, store.Append(nil), &dhtpb.StoreRequest{Keys: store.Keys, Subkeys: store.Subkeys, Values: store.Values,
			ExpirationTime: store.Expiration, InCache: store.InCache, Peer: pbInfo})
		check(t, find.Append(nil), &dhtpb.FindRequest{Keys: find.Keys, Peer: pbInfo})
		check(t, answer.Append(nil), pbAnswer)
		if got, want := answer.Size(), len(answer.Append(nil)); got != want {
			t.Fatalf("Size() = %d, encoded %d bytes", got, want)
		}
		resp := wire.StoreResponse{OK: store.InCache, Peer: info}
		check(t, resp.Append(nil), &dhtpb.StoreResponse{StoreOk: resp.OK, Peer: pbInfo})
		ping := wire.PingResponse{Peer: info, Time: rapid.Float64().Draw(t, "time"), Available: rapid.Bool().Draw(t, "available")}
		check(t, ping.Append(nil), &dhtpb.PingResponse{Peer: pbInfo, DhtTime: ping.Time, Available: ping.Available})

		// The extension fields survive a round trip.
		find.Want = wire.WantAddrs | wire.WantPages
		for range find.Keys {
			find.After = append(find.After, blob.Draw(t, "after"))
		}
		for i := range answer.Results {
			for range answer.Results[i].NearestIDs {
				answer.Results[i].NearestAddrs = append(answer.Results[i].NearestAddrs, wire.AppendAddr(nil, blob.Draw(t, "addr")))
			}
			answer.Results[i].Cursor = blob.Draw(t, "cursor")
		}
		resp.Codes = []wire.Code{wire.CodeStored, wire.CodeOlder}
		store.WantCodes = true
		var store2 wire.StoreRequest
		var find2 wire.FindRequest
		var answer2 wire.FindResponse
		var resp2 wire.StoreResponse
		for _, err := range []error{
			store2.Decode(store.Append(nil), wire.Limits{}), find2.Decode(find.Append(nil), wire.Limits{}),
			answer2.Decode(answer.Append(nil), wire.Limits{}), resp2.Decode(resp.Append(nil), wire.Limits{}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		opts := cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateNaNs()}
		if d := cmp.Diff(store, store2, opts) + cmp.Diff(find, find2, opts) + cmp.Diff(answer, answer2, opts) + cmp.Diff(resp, resp2, opts); d != "" {
			t.Fatalf("round trip:\n%s", d)
		}
		if got, want := answer.Size(), len(answer.Append(nil)); got != want {
			t.Fatalf("Size() = %d, encoded %d bytes", got, want)
		}
	})
}

// TestLimits shows that every count and length is checked, with an error that says so.
func TestLimits(t *testing.T) {
	id := bytes.Repeat([]byte{7}, wire.IDSize)
	repeat := func(n int, b []byte) [][]byte {
		l := make([][]byte, n)
		for i := range l {
			l[i] = b
		}
		return l
	}
	store := func(n int, value, subkey []byte) []byte {
		return (&wire.StoreRequest{Keys: repeat(n, id), Subkeys: repeat(n, subkey), Values: repeat(n, value),
			Expiration: make([]float64, n), InCache: make([]bool, n)}).Append(nil)
	}
	limits := wire.Limits{Keys: 4, Nearest: 4, Subkey: 8, Value: 16, PeerID: 8, Addrs: 8}
	for _, tc := range []struct {
		name  string
		limit bool
		err   error
	}{
		{"store: keys", true, new(wire.StoreRequest).Decode(store(5, nil, nil), limits)},
		{"store: value", true, new(wire.StoreRequest).Decode(store(1, make([]byte, 17), nil), limits)},
		{"store: subkey", true, new(wire.StoreRequest).Decode(store(1, nil, make([]byte, 9)), limits)},
		{"store: short key", false, new(wire.StoreRequest).Decode((&wire.StoreRequest{Keys: repeat(1, id[1:]), Subkeys: repeat(1, nil),
			Values: repeat(1, nil), Expiration: []float64{1}, InCache: []bool{true}}).Append(nil), limits)},
		{"store: unequal lists", false, new(wire.StoreRequest).Decode((&wire.StoreRequest{Keys: repeat(2, id), Subkeys: repeat(1, nil),
			Values: repeat(2, nil), Expiration: make([]float64, 2), InCache: make([]bool, 2)}).Append(nil), limits)},
		{"find: keys", true, new(wire.FindRequest).Decode((&wire.FindRequest{Keys: repeat(5, id)}).Append(nil), limits)},
		{"find: cursors", false, new(wire.FindRequest).Decode((&wire.FindRequest{Keys: repeat(2, id), After: repeat(1, nil)}).Append(nil), limits)},
		{"answer: results", true, new(wire.FindResponse).Decode((&wire.FindResponse{Results: make([]wire.FindResult, 5)}).Append(nil), limits)},
		{"answer: nearest", true, new(wire.FindResponse).Decode((&wire.FindResponse{Results: []wire.FindResult{
			{NearestIDs: repeat(5, id), NearestPeers: repeat(5, nil)}}}).Append(nil), limits)},
		{"answer: peer ID", true, new(wire.FindResponse).Decode((&wire.FindResponse{Results: []wire.FindResult{
			{NearestIDs: repeat(1, id), NearestPeers: repeat(1, make([]byte, 9))}}}).Append(nil), limits)},
		{"answer: unequal", false, new(wire.FindResponse).Decode((&wire.FindResponse{Results: []wire.FindResult{
			{NearestIDs: repeat(2, id), NearestPeers: repeat(1, nil)}}}).Append(nil), limits)},
		{"response: flags", true, new(wire.StoreResponse).Decode((&wire.StoreResponse{OK: make([]bool, 5)}).Append(nil), limits)},
		{"ping: odd ID", false, new(wire.PingRequest).Decode((&wire.PingRequest{Peer: wire.NodeInfo{ID: id[1:]}}).Append(nil))},
	} {
		if !errors.Is(tc.err, wire.ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", tc.name, tc.err)
		}
		if got := errors.Is(tc.err, wire.ErrLimit); got != tc.limit {
			t.Errorf("%s: ErrLimit is %v, want %v (%v)", tc.name, got, tc.limit, tc.err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"12160a14" + nodeID + "1801", "1200", "12160a14" + nodeID + "2100001040fc54d9412801",
		"1214" + nodeID + "1a01c02202a1762a0800001040fc54d9413201003a160a14" + nodeID,
		"120201001a160a14" + nodeID, "1214" + nodeID + "1a160a14" + nodeID,
		"122908011202a1761900001040fc54d9412214" + nodeID + "2a0200011a160a14" + nodeID,
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var pq wire.PingRequest
		var pr wire.PingResponse
		var sq wire.StoreRequest
		var sr wire.StoreResponse
		var fq wire.FindRequest
		var fr wire.FindResponse
		_ = pq.Decode(b)
		if err := pr.Decode(b); err == nil && !math.IsNaN(pr.Time) {
			var again wire.PingResponse
			if err := again.Decode(pr.Append(nil)); err != nil || cmp.Diff(pr, again, cmpopts.EquateEmpty()) != "" {
				t.Fatalf("ping response does not survive: %v", err)
			}
		}
		if err := sq.Decode(b, wire.Limits{}); err == nil {
			enc := sq.Append(nil)
			if err := new(wire.StoreRequest).Decode(enc, wire.Limits{}); err != nil {
				t.Fatalf("store request does not survive: %v", err)
			}
		}
		_ = sr.Decode(b, wire.Limits{})
		if err := fq.Decode(b, wire.Limits{}); err == nil {
			if err := new(wire.FindRequest).Decode(fq.Append(nil), wire.Limits{}); err != nil {
				t.Fatalf("find request does not survive: %v", err)
			}
		}
		if err := fr.Decode(b, wire.Limits{}); err == nil {
			enc := fr.Append(nil)
			if fr.Size() != len(enc) {
				t.Fatalf("Size() = %d, encoded %d", fr.Size(), len(enc))
			}
			if err := new(wire.FindResponse).Decode(enc, wire.Limits{}); err != nil {
				t.Fatalf("find response does not survive: %v", err)
			}
		}
		wire.Addrs(b, func([]byte) bool { return true })
	})
}

func BenchmarkFindResponse(b *testing.B) {
	r := wire.FindResponse{Peer: wire.NodeInfo{ID: make([]byte, 20)}, Results: make([]wire.FindResult, 1)}
	for range 20 {
		r.Results[0].NearestIDs = append(r.Results[0].NearestIDs, make([]byte, 20))
		r.Results[0].NearestPeers = append(r.Results[0].NearestPeers, make([]byte, 38))
	}
	buf := r.Append(nil)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = r.Append(buf[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		var m wire.FindResponse
		for b.Loop() {
			if err := m.Decode(buf, wire.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestAppendNearest compares the two ways to encode nearest peers.
func TestAppendNearest(t *testing.T) {
	lists := wire.FindResult{Type: wire.FoundRegular, Value: []byte{1}, Expiration: 5, Cursor: []byte{9}}
	raw := lists
	var near []wire.Neighbour
	for i := range byte(20) {
		n := wire.Neighbour{ID: [wire.IDSize]byte{i}, Peer: string([]byte{0, 2, 3, i}), Addrs: wire.AppendAddr(nil, []byte{i, i})}
		near = append(near, n)
		lists.NearestIDs = append(lists.NearestIDs, bytes.Clone(n.ID[:]))
		lists.NearestPeers = append(lists.NearestPeers, []byte(n.Peer))
	}
	for _, addrs := range []bool{false, true} {
		if addrs {
			for _, n := range near {
				lists.NearestAddrs = append(lists.NearestAddrs, n.Addrs)
			}
		}
		raw.Nearest = wire.AppendNearest(nil, near, addrs)
		want := (&wire.FindResponse{Results: []wire.FindResult{lists}}).Append(nil)
		resp := wire.FindResponse{Results: []wire.FindResult{raw}}
		if got := resp.Append(nil); !bytes.Equal(got, want) || resp.Size() != len(got) {
			t.Errorf("addrs %v: %x\nwant %x", addrs, got, want)
		}
	}
}
