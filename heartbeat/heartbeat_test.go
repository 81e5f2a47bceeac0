package heartbeat_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

var start = time.Unix(1_700_000_000, 0)

func key(t testing.TB, n byte) crypto.PrivKey {
	t.Helper()
	k, _, err := crypto.GenerateEd25519Key(bytes.NewReader(bytes.Repeat([]byte{n}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pack(t testing.TB, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The heartbeat of a Python node, byte for byte.
func TestGoldenVector(t *testing.T) {
	const want = "c74a409402a976616c696461746f72cb3ff000000000000084ab7075626c69635f6e616d65c0a776657273696f6ea5312e302e30" +
		"ab7573696e675f72656c6179c2aa6e6578745f70696e677380"
	info := heartbeat.Info{State: heartbeat.Online, Role: heartbeat.RoleValidator, Throughput: 1, Version: "1.0.0"}
	packed, err := info.Marshal()
	if err != nil || hex.EncodeToString(packed) != want {
		t.Fatalf("%x, %v", packed, err)
	}
	back, err := heartbeat.Parse(packed)
	if err != nil {
		t.Fatal(err)
	}
	info.NextPings = map[peer.ID]time.Duration{}
	if diff := cmp.Diff(info, back); diff != "" {
		t.Error(diff)
	}
	if heartbeat.Key().String() != "a46d6b70223dbc8c5e40bcdbd435a6f35f7ab7b5" {
		t.Error(heartbeat.Key())
	}
}

func TestRoundTrip(t *testing.T) {
	a, err := peer.IDFromPrivateKey(key(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	info := heartbeat.Info{
		State: heartbeat.Joining, Role: "hoster", Throughput: 12.5, PublicName: "ålith", Version: "2", UsingRelay: true,
		NextPings: map[peer.ID]time.Duration{a: 1500 * time.Microsecond}, Epoch: 7, HasEpoch: true,
		Extra: msgpack.Map{{Key: "gpu", Value: "none"}},
	}
	packed, err := info.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := heartbeat.Parse(packed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(info, back); diff != "" {
		t.Error(diff)
	}
}

func TestWhatPythonLeavesOut(t *testing.T) {
	for _, v := range []any{
		msgpack.Tuple{2, "validator", 1.0},
		msgpack.Tuple{2, "validator", 1.0, msgpack.Map{}},
		msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "public_name", Value: nil}, {Key: "next_pings", Value: nil}, {Key: "using_relay", Value: nil}}},
		msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "new in Python", Value: []any{1}}}},
		msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "next_pings", Value: msgpack.Map{
			{Key: "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB", Value: math.Inf(1)},
		}}}},
	} {
		info, err := heartbeat.Parse(pack(t, v))
		if err != nil || info.State != heartbeat.Online {
			t.Errorf("%v: %+v, %v", v, info, err)
		}
	}
}

var badHeartbeats = map[string]any{
	"":                  1,
	"nothing":           nil,
	"list":              []any{2, "validator", 1.0, msgpack.Map{}},
	"short":             msgpack.Tuple{2, "validator"},
	"long":              msgpack.Tuple{2, "validator", 1.0, msgpack.Map{}, 1},
	"state text":        msgpack.Tuple{"2", "validator", 1.0, msgpack.Map{}},
	"state bool":        msgpack.Tuple{true, "validator", 1.0, msgpack.Map{}},
	"state 3":           msgpack.Tuple{3, "validator", 1.0, msgpack.Map{}},
	"state -1":          msgpack.Tuple{-1, "validator", 1.0, msgpack.Map{}},
	"state float":       msgpack.Tuple{2.0, "validator", 1.0, msgpack.Map{}},
	"role bytes":        msgpack.Tuple{2, []byte("validator"), 1.0, msgpack.Map{}},
	"role long":         msgpack.Tuple{2, string(make([]byte, 257)), 1.0, msgpack.Map{}},
	"throughput int":    msgpack.Tuple{2, "validator", 1, msgpack.Map{}},
	"throughput less":   msgpack.Tuple{2, "validator", -1.0, msgpack.Map{}},
	"throughput nan":    msgpack.Tuple{2, "validator", math.NaN(), msgpack.Map{}},
	"throughput inf":    msgpack.Tuple{2, "validator", math.Inf(1), msgpack.Map{}},
	"fields list":       msgpack.Tuple{2, "validator", 1.0, []any{}},
	"fields name":       msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: []byte("x"), Value: 1}}},
	"public_name":       msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "public_name", Value: 1}}},
	"version":           msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "version", Value: 1}}},
	"using_relay":       msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "using_relay", Value: 1}}},
	"next_pings":        msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "next_pings", Value: []any{}}}},
	"next_pings peer":   msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "next_pings", Value: msgpack.Map{{Key: "x", Value: 1.0}}}}},
	"next_pings key":    msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "next_pings", Value: msgpack.Map{{Key: []byte("x"), Value: 1.0}}}}},
	"next_pings int":    ping(1),
	"next_pings less":   ping(-0.5),
	"next_pings nan":    ping(math.NaN()),
	"epoch text":        msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "epoch", Value: "7"}}},
	"epoch less":        msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "epoch", Value: -7}}},
	"epoch big":         msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "epoch", Value: 1 << 40}}},
	"too many fields":   msgpack.Tuple{2, "validator", 1.0, many(65)},
	"too many elements": msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "x", Value: make([]any, 2000)}}},
}

func ping(v any) any {
	return msgpack.Tuple{2, "validator", 1.0, msgpack.Map{{Key: "next_pings", Value: msgpack.Map{
		{Key: "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB", Value: v},
	}}}}
}

func many(n int) msgpack.Map {
	m := make(msgpack.Map, n)
	for i := range m {
		m[i] = msgpack.Entry{Key: fmt.Sprint(i), Value: 1}
	}
	return m
}

// One heartbeat that is none was enough to stop every reader of the original. Here it is refused where it arrives, and
// a reader that meets one all the same leaves it out.
func TestPoisonHeartbeatIsRefused(t *testing.T) {
	alice, bob := key(t, 1), key(t, 2)
	chain := record.NewChain(
		record.NewSignature(alice, record.SignatureConfig{}), record.NewPhases(record.PhasesConfig{Heartbeat: heartbeat.Check}))
	sub, err := heartbeat.Subkey(alice.GetPublic())
	if err != nil {
		t.Fatal(err)
	}
	other, err := heartbeat.Subkey(bob.GetPublic())
	if err != nil {
		t.Fatal(err)
	}
	good, err := heartbeat.Info{State: heartbeat.Online}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range badHeartbeats {
		t.Run(name, func(t *testing.T) {
			packed := pack(t, v)
			var bad *heartbeat.Error
			if info, err := heartbeat.Parse(packed); !errors.As(err, &bad) || bad.Error() == "" {
				t.Fatalf("%+v, %v", info, err)
			}
			r := record.Record{Key: heartbeat.Key(), Subkey: sub, Value: packed, Expiration: record.ExpirationAt(start.Add(time.Minute))}
			if r.Value, err = chain.Sign(r); err != nil {
				t.Fatal(err)
			}
			for _, kind := range []record.Kind{record.Post, record.Get} {
				err := chain.Validate(r, record.Request{Kind: kind, Sender: "x", Now: start})
				if record.CodeOf(err) != record.CodeSchema || record.SideOf(err) != record.SideAuthor || !errors.As(err, &bad) {
					t.Errorf("%s: %v", kind, err)
				}
			}
			list, skipped := heartbeat.List(record.Dictionary{Entries: []record.Entry{
				{Subkey: sub, Value: packed, Expiration: 1}, {Subkey: other, Value: good, Expiration: 1},
			}})
			if len(list) != 1 || len(skipped) != 1 {
				t.Errorf("%+v, %v", list, skipped)
			}
		})
	}
	r := record.Record{Key: heartbeat.Key(), Subkey: sub, Value: good, Expiration: record.ExpirationAt(start.Add(time.Minute))}
	if r.Value, err = chain.Sign(r); err != nil {
		t.Fatal(err)
	}
	if err := chain.Validate(r, record.Request{Kind: record.Post, Sender: "x", Now: start}); err != nil {
		t.Error(err)
	}
}

func TestSubkeys(t *testing.T) {
	alice := key(t, 1)
	id, err := peer.IDFromPrivateKey(alice)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := heartbeat.Subkey(alice.GetPublic())
	if err != nil {
		t.Fatal(err)
	}
	got, pub, err := heartbeat.ParseSubkey(packed)
	if err != nil || got != id || !pub.Equals(alice.GetPublic()) {
		t.Errorf("%s, %v, %v", got, pub, err)
	}
	name, err := heartbeat.Name(alice.GetPublic())
	if err != nil {
		t.Fatal(err)
	}
	marker := record.OwnerMarker(alice.GetPublic())
	for _, v := range []any{string(name), []byte(marker), []byte("x" + marker), append(name, 'x'), 7, []byte("[owner:x]"), []byte(id.String())} {
		var bad *heartbeat.Error
		if got, _, err := heartbeat.ParseSubkey(pack(t, v)); !errors.As(err, &bad) {
			t.Errorf("%q: %s, %v", v, got, err)
		}
	}
	if _, _, err := heartbeat.ParseSubkey([]byte(record.RegularTag)); err == nil {
		t.Error("no subkey")
	}
}

func TestCheckNeedsAnOwner(t *testing.T) {
	good, err := heartbeat.Info{}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range [][]byte{[]byte(record.RegularTag), pack(t, "x"), pack(t, "[owner:x]")} {
		if err := heartbeat.Check(record.Record{Key: heartbeat.Key(), Subkey: sub, Value: good}, record.Request{}); record.CodeOf(err) != record.CodeSchema {
			t.Errorf("%q: %v", sub, err)
		}
	}
}

func TestWhatCannotBeMarshalled(t *testing.T) {
	for _, info := range []heartbeat.Info{
		{State: 3},
		{Role: "\xff"},
		{Throughput: math.NaN()},
		{Version: string(make([]byte, 300))},
		{Extra: msgpack.Map{{Key: "epoch", Value: "x"}}},
		{HasEpoch: true, Extra: msgpack.Map{{Key: "epoch", Value: 1}}},
		{Extra: msgpack.Map{{Key: 7, Value: 1}}},
	} {
		if packed, err := info.Marshal(); err == nil {
			t.Errorf("%+v: %x", info, packed)
		}
	}
}

func TestNewestSightingCounts(t *testing.T) {
	alice := key(t, 1)
	sub, err := heartbeat.Subkey(alice.GetPublic())
	if err != nil {
		t.Fatal(err)
	}
	beat := func(s heartbeat.State) []byte {
		b, err := heartbeat.Info{State: s}.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	list, skipped := heartbeat.List(record.Dictionary{Entries: []record.Entry{
		{Subkey: sub, Value: beat(heartbeat.Joining), Expiration: 1}, {Subkey: sub, Value: beat(heartbeat.Online), Expiration: 3},
		{Subkey: sub, Value: beat(heartbeat.Offline), Expiration: 2}, {Subkey: []byte{1}, Value: beat(heartbeat.Offline), Expiration: 2},
	}})
	if len(list) != 1 || list[0].Info.State != heartbeat.Online || list[0].Expiration != 3 || len(skipped) != 1 {
		t.Errorf("%+v, %v", list, skipped)
	}
	if s := heartbeat.Offline.String() + heartbeat.Joining.String() + heartbeat.Online.String(); s != "offlinejoiningonline" {
		t.Error(s)
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range badHeartbeats {
		f.Add(pack(f, v))
	}
	good, _ := heartbeat.Info{State: heartbeat.Online, Role: "validator", HasEpoch: true, Epoch: 7, Extra: msgpack.Map{{Key: "a", Value: 1}}}.Marshal()
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := heartbeat.Parse(data)
		if err != nil {
			var bad *heartbeat.Error
			if !errors.As(err, &bad) {
				t.Fatalf("%T", err)
			}
			return
		}
		packed, err := info.Marshal()
		if err != nil {
			t.Fatalf("%+v read, but not written: %v", info, err)
		}
		if _, err := heartbeat.Parse(packed); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseSubkey(f *testing.F) {
	good, _ := heartbeat.Subkey(key(f, 1).GetPublic())
	f.Add(good)
	f.Add([]byte(record.RegularTag))
	f.Add(pack(f, "[owner:x]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, pub, err := heartbeat.ParseSubkey(data)
		if err != nil {
			return
		}
		if again, err := heartbeat.Subkey(pub); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("a second subkey of one key: %q", data)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	packed, err := heartbeat.Info{State: heartbeat.Online, Role: "validator", Throughput: 1, Version: "1.0.0"}.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := heartbeat.Parse(packed); err != nil {
			b.Fatal(err)
		}
	}
}

func Example() {
	info := heartbeat.Info{State: heartbeat.Online, Role: heartbeat.RoleValidator, Throughput: 1, Version: "1.0.0"}
	packed, err := info.Marshal()
	if err != nil {
		fmt.Println(err)
		return
	}
	back, err := heartbeat.Parse(packed)
	fmt.Println(back.State, back.Role, back.Version, err)
	_, err = heartbeat.Parse([]byte{1})
	fmt.Println(err)
	// Output:
	// online validator 1.0.0 <nil>
	// heartbeat: an integer instead of a tuple
}
