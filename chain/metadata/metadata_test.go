package metadata

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// testDefs are the types of the tests' runtime: one of each kind.
func testDefs() []Definition {
	return []Definition{
		{"U8", "u8"},
		{"U32", "u32"},
		{"U128", "u128"},
		{"Unit", "()"},
		{"AccountId20", "[u8;20]"},
		{"PeerId", "Vec<u8>"},
		{"PeerInfo", "{peer_id: PeerId, multiaddr: Option<Vec<u8>>}"},
		{"Node", `{id: u32, hotkey: AccountId20, peer_info: PeerInfo, bootnode_peer_info: Option<PeerInfo>, client_peer_info: Option<PeerInfo>,
			classification: {node_class: u8, start_epoch: u32}, delegate_reward_rate: u128, last_update: u32,
			unique: Option<Vec<u8>>, non_unique: Option<Vec<u8>>, delegate_account: Option<(AccountId20,u128)>}`},
		{"Account", "{nonce: u32, consumers: u32, providers: u32, sufficients: u32, data: {free: u128, reserved: u128, frozen: u128, flags: u128}}"},
		{"Everything", `{b: bool, s: str, a: u8, c: u16, d: u32, e: u64, f: u128, g: u256, h: i8, i: i16, j: i32, k: i64, l: i128, m: i256,
			list: Vec<u32>, set: BTreeSet<u32>, map: BTreeMap<u32,u128>, pair: (u32,bool), arr: [u16;3], bytes: [u8;4], blob: Vec<u8>,
			some: Option<u32>, none: Option<u32>, nested: Option<Option<u8>>, small: Compact<u32>, large: Compact<u128>, empty: ()}`},
		{"SmallMap", "BTreeMap<u32,u32>"},
	}
}

// testMetadata is a small runtime with something of each kind, the encoder's and decoder's own vector.
func testMetadata(t testing.TB) *Metadata {
	t.Helper()
	r, err := NewRegistry(&Metadata{}, testDefs()...)
	if err != nil {
		t.Fatal(err)
	}
	m := *r.Metadata()
	id := func(name string) TypeID {
		id, ok := r.TypeByName(name)
		if !ok {
			t.Fatalf("no type %s", name)
		}
		return id
	}
	add := func(x Type) TypeID {
		m.Types = append(m.Types, x)
		return TypeID(len(m.Types) - 1)
	}
	calls := add(Type{Path: []string{"pallet_network", "pallet", "Call"}, Kind: KindVariant, Docs: []string{"Calls."}, Variants: []Variant{
		{Name: "attest", Index: 66, Fields: []Field{{Name: "subnet_id", Type: id("U32"), TypeName: "u32"}, {Name: "peer", Type: id("PeerInfo")}}, Docs: []string{"Votes."}},
		{Name: "nothing", Index: 7},
	}})
	fails := add(Type{Path: []string{"pallet_network", "pallet", "Error"}, Kind: KindVariant, Variants: []Variant{{Name: "InvalidSubnetId", Index: 27, Docs: []string{"No such subnet."}}}})
	events := add(Type{Path: []string{"pallet_network", "pallet", "Event"}, Kind: KindVariant, Variants: []Variant{{Name: "Pair", Index: 3, Fields: []Field{{Type: id("U32")}, {Type: id("U128")}}}}})
	shape := add(Type{Path: []string{"test", "Shape"}, Kind: KindVariant, Variants: []Variant{
		{Name: "Circle", Index: 1, Fields: []Field{{Name: "radius", Type: id("U32")}}},
		{Name: "Named", Index: 4, Fields: []Field{{Type: id("PeerId")}}},
		{Name: "Point", Index: 9},
	}})
	level := add(Type{Path: []string{"test", "Level"}, Kind: KindVariant, Variants: []Variant{{Name: "Low"}, {Name: "High", Index: 1}}})
	list := add(Type{Kind: KindSequence})
	tree := add(Type{Path: []string{"test", "Tree"}, Kind: KindComposite, Fields: []Field{{Name: "value", Type: id("U8")}, {Name: "children", Type: list}}})
	m.Types[list].Elem = tree
	order := add(Type{Path: []string{"bitvec", "order", "Msb0"}, Kind: KindComposite})
	bits := add(Type{Kind: KindBitSequence, Elem: id("U8"), BitOrder: order})
	bounded := add(Type{Path: []string{"bounded", "BoundedVec"}, Params: []Param{{"T", id("U32")}, {"S", NoType}}, Kind: KindComposite, Fields: []Field{{Type: list}}})
	m.Pallets = []Pallet{{
		Name: "Network", Index: 23, Calls: calls, Event: events, Error: fails, Docs: []string{"The network."},
		Storage: &Storage{Prefix: "Network", Entries: []StorageEntry{
			{Name: "Total", Modifier: ModifierDefault, Key: NoType, Value: id("U32"), Default: []byte{1, 0, 0, 0}, Docs: []string{"How many."}},
			{Name: "Nodes", Hashers: []Hasher{Identity, Blake2_128Concat}, Key: add(Type{Kind: KindTuple, Tuple: []TypeID{id("U32"), id("PeerId")}}), Value: id("Node"), Default: []byte{0}},
			{Name: "Shapes", Hashers: []Hasher{Twox64Concat}, Key: id("U32"), Value: shape, Default: []byte{0}},
			{Name: "Hidden", Hashers: []Hasher{Blake2_256}, Key: id("U32"), Value: tree, Default: []byte{0}},
			{Name: "Bits", Hashers: []Hasher{Twox128}, Key: id("U32"), Value: bits, Default: []byte{0}},
			{Name: "Level", Hashers: []Hasher{Twox256}, Key: id("U32"), Value: level, Default: []byte{0}},
			{Name: "Everything", Hashers: []Hasher{Blake2_128}, Key: id("U32"), Value: id("Everything"), Default: []byte{0}},
			{Name: "Forest", Key: NoType, Value: bounded, Default: []byte{0}},
		}},
		Constants: []Constant{{Name: "EpochLength", Type: id("U32"), Value: []byte{20, 0, 0, 0}, Docs: []string{"Blocks."}}},
	}, {Name: "Empty", Index: 3, Calls: NoType, Event: NoType, Error: NoType}}
	x := add(Type{Path: []string{"runtime", "UncheckedExtrinsic"}, Params: []Param{{"Address", id("AccountId20")}, {"Call", calls}, {"Signature", id("U128")}, {"Extra", id("Unit")}}, Kind: KindComposite})
	m.Extrinsic = Extrinsic{
		Version: 4, Type: x, Address: id("AccountId20"), Call: calls, Signature: id("U128"), Extra: id("Unit"),
		SignedExtensions: []SignedExtension{{"CheckNonce", id("U32"), id("Unit")}},
	}
	m.Runtime = id("Unit")
	m.APIs = []API{{Name: "Core", Methods: []Method{{Name: "version", Inputs: []Input{{"at", id("U32")}}, Output: id("U32"), Docs: []string{"The version."}}}, Docs: []string{"Core."}}}
	m.Outer = OuterEnums{calls, events, fails}
	m.Custom = []CustomValue{{"custom", id("U32"), []byte{1, 2, 3, 4}}}
	return &m
}

func testRegistry(t testing.TB) *Registry {
	t.Helper()
	r, err := NewRegistry(testMetadata(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMetadataRoundTrip encodes the tests' runtime in both versions and decodes it again.
func TestMetadataRoundTrip(t *testing.T) {
	m := testMetadata(t)
	for version, encode := range map[uint8]func() ([]byte, error){14: m.EncodeV14, 15: m.EncodeV15} {
		b, err := encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		want := *m
		want.Version = version
		want.Pallets = append([]Pallet(nil), m.Pallets...)
		if version == 14 { // carries less
			want.APIs, want.Custom, want.Outer = nil, nil, OuterEnums{m.Extrinsic.Call, NoType, NoType}
			want.Pallets[0].Docs = nil
		} else {
			want.Extrinsic.Type = NoType
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("version %d: %s", version, diff)
		}
	}
	m.Pallets[0].Calls = 9999
	if _, err := m.EncodeV14(); err == nil || !strings.Contains(err.Error(), "pallet Network") {
		t.Errorf("a reference into nowhere: %v", err)
	}
}

// TestDecodeRefuses cuts the metadata off at every byte and spoils some.
func TestDecodeRefuses(t *testing.T) {
	b, err := testMetadata(t).EncodeV15()
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := Decode(b[:n]); !errors.Is(err, scale.ErrMalformed) && !errors.Is(err, ErrVersion) {
			t.Fatalf("cut off at %d: %v", n, err)
		}
	}
	if _, err := Decode(append(bytes.Clone(b), 0)); !errors.Is(err, scale.ErrMalformed) {
		t.Errorf("trailing byte: %v", err)
	}
	for v := range uint8(255) {
		if v == 14 || v == 15 {
			continue
		}
		if _, err := Decode([]byte{'m', 'e', 't', 'a', v, 0}); !errors.Is(err, ErrVersion) {
			t.Errorf("version %d: %v", v, err)
		}
	}
}

func TestLookups(t *testing.T) {
	r := testRegistry(t)
	if p, v, err := r.Call("Network", "attest"); err != nil || p.Index != 23 || v.Index != 66 {
		t.Errorf("Call = %v, %v, %v", p, v, err)
	}
	if p, v, err := r.CallByIndex(23, 66); err != nil || p.Name != "Network" || v.Name != "attest" {
		t.Errorf("CallByIndex = %v, %v, %v", p, v, err)
	}
	if _, v, err := r.Error(23, 27); err != nil || v.Name != "InvalidSubnetId" || v.Docs[0] != "No such subnet." {
		t.Errorf("Error = %v, %v", v, err)
	}
	if _, v, err := r.Event("Network", "Pair"); err != nil || v.Index != 3 {
		t.Errorf("Event = %v, %v", v, err)
	}
	if m, err := r.APIMethod("Core", "version"); err != nil || m.Inputs[0].Name != "at" {
		t.Errorf("APIMethod = %v, %v", m, err)
	}
	if c, err := r.Constant("Network", "EpochLength"); err != nil || c.Value[0] != 20 {
		t.Errorf("Constant = %v, %v", c, err)
	}
	for what, err := range map[string]error{
		"pallet": second(r.Pallet("Nothing")), "call": third(r.Call("Network", "x")), "call of none": third(r.Call("Empty", "x")),
		"call index": third(r.CallByIndex(23, 1)), "error": third(r.Error(200, 0)), "event": third(r.Event("Network", "x")),
		"storage": second(r.Storage("Network", "x")), "constant": second(r.Constant("Network", "x")), "api": second(r.APIMethod("Core", "x")),
	} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v, want ErrUnknown", what, err)
		}
	}
	for name, want := range map[string]string{"PeerInfo": "PeerInfo", "U128": "u128"} {
		if id, ok := r.TypeByName(name); name == "PeerInfo" && (!ok || r.TypeName(id) != want) {
			t.Errorf("%s is spelled %s", name, r.TypeName(id))
		}
	}
	twice := testMetadata(t)
	twice.Pallets[1].Index = 23
	if _, err := NewRegistry(twice); err == nil {
		t.Error("two pallets share an index")
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

// TestStorageKeys compares with keys of the public chain.
func TestStorageKeys(t *testing.T) {
	for want, prefix := range map[string][2]string{
		"26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9": {"System", "Account"},
		"26aa394eea5630e07c48ae0c9558cef780d41e5e16056765bc8461851072c9d7": {"System", "Events"},
	} {
		if got := hex.EncodeToString(entryPrefix(prefix[0], prefix[1])); got != want {
			t.Errorf("%v begins with %s, want %s", prefix, got, want)
		}
	}
	r := testRegistry(t)
	e, err := r.Storage("Network", "Nodes")
	if err != nil {
		t.Fatal(err)
	}
	// The hash of this peer ID as PeerIdSubnetNodeId of the public chain has it.
	const peer = "12D3KooWM5J4zS17XR2LHGZgRpmzbeqg4Eibyq8sbRLwRuWxJqsV"
	key, err := r.StorageKey(e, uint32(128001), []byte(peer))
	want := hex.EncodeToString(entryPrefix("Network", "Nodes")) + "01f40100" + "10eeafd299236f7ef9b94c596728da0a" + "d0" + hex.EncodeToString([]byte(peer))
	if err != nil || hex.EncodeToString(key) != want {
		t.Errorf("key %x, %v, want %s", key, err, want)
	}
	parts, err := r.SplitKey(e, key)
	if err != nil || hex.EncodeToString(parts[0]) != "01f40100" || string(parts[1][1:]) != peer {
		t.Errorf("SplitKey = %x, %v", parts, err)
	}
	short, err := r.StorageKey(e, uint32(128001))
	if err != nil || !bytes.HasPrefix(key, short) || len(short) != 36 {
		t.Errorf("prefix %x, %v", short, err)
	}
	if _, err := r.StorageKey(e, 1, "x", 2); err == nil {
		t.Error("too many key parts are taken")
	}
	if _, err := r.StorageKey(e, "no number"); !errors.Is(err, ErrValue) {
		t.Errorf("a key part of the wrong type: %v", err)
	}
	if _, err := r.SplitKey(e, key[:40]); err == nil {
		t.Error("half a key is taken")
	}
	hidden, err := r.Storage("Network", "Hidden")
	if err != nil {
		t.Fatal(err)
	}
	key, err = r.StorageKey(hidden, 7)
	if err != nil || len(key) != 64 {
		t.Fatalf("key %x, %v", key, err)
	}
	if parts, err := r.SplitKey(hidden, key); err != nil || parts[0] != nil {
		t.Errorf("SplitKey = %x, %v", parts, err)
	}
}

// TestDynamic encodes one value of every kind, decodes it, and takes the way through JSON as well.
func TestDynamic(t *testing.T) {
	r := testRegistry(t)
	minus := big.NewInt(-5)
	values := map[string]any{
		"Everything": Fields{
			{"b", true}, {"s", "grüezi"}, {"a", uint64(255)}, {"c", uint64(65535)}, {"d", uint64(1)}, {"e", uint64(1) << 63},
			{"f", u128.Max()}, {"g", new(big.Int).Lsh(big.NewInt(1), 255)}, {"h", int64(-128)}, {"i", int64(-2)}, {"j", int64(-3)}, {"k", int64(-1) << 63},
			{"l", minus}, {"m", minus}, {"list", []any{uint64(1), uint64(2)}}, {"set", []any{}}, {"map", []any{Tuple{uint64(300), u128.From64(9)}}},
			{"pair", Tuple{uint64(7), false}}, {"arr", []any{uint64(1), uint64(2), uint64(3)}}, {"bytes", []byte{1, 2, 3, 4}}, {"blob", []byte{}},
			{"some", uint64(5)}, {"none", nil}, {"nested", Enum{"Some", nil}}, {"small", uint64(1 << 30)}, {"large", u128.Max()}, {"empty", Tuple{}},
		},
		"Shapes": Enum{"Circle", Fields{{"radius", uint64(3)}}},
		"Hidden": Fields{{"value", uint64(1)}, {"children", []any{Fields{{"value", uint64(2)}, {"children", []any{}}}}}},
		"Bits":   Bits{true, false, true, true, false, false, false, false, true},
		"Level":  Enum{Name: "High"},
		"Forest": []any{Fields{{"value", uint64(1)}, {"children", []any{}}}},
	}
	for item, v := range values {
		e, err := r.Storage("Network", item)
		if err != nil {
			t.Fatal(err)
		}
		var b scale.Encoder
		if err := r.EncodeValue(&b, e.Value, v); err != nil {
			t.Errorf("%s: %v", item, err)
			continue
		}
		d := scale.NewDecoder(b.Buf)
		got := r.DecodeValue(d, e.Value)
		if err := d.Finish(); err != nil {
			t.Errorf("%s: %v", item, err)
		}
		if diff := cmp.Diff(v, got, cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); diff != "" {
			t.Errorf("%s: %s", item, diff)
		}
		d = scale.NewDecoder(b.Buf)
		r.Skip(d, e.Value)
		if err := d.Finish(); err != nil {
			t.Errorf("skip %s: %v", item, err)
		}
		text, err := AppendJSON(nil, v)
		if err != nil || !json.Valid(text) {
			t.Errorf("%s as JSON: %s, %v", item, text, err)
		}
		if item == "Bits" || item == "Everything" { // bits, and options within options, have no JSON to read
			continue
		}
		back, err := ParseJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		var c scale.Encoder
		if err := r.EncodeValue(&c, e.Value, back); err != nil || !bytes.Equal(b.Buf, c.Buf) {
			t.Errorf("%s through JSON: %s -> %x, %v", item, text, c.Buf, err)
		}
	}
	if b := (scale.Encoder{}); r.EncodeValue(&b, mustType(t, r, "SmallMap"), map[string]any{"300": 1, "2": 2}) != nil || hex.EncodeToString(b.Buf) != "0802000000020000002c01000001000000" {
		t.Errorf("a map in the order of its numbers: %x", b.Buf)
	}
}

func mustType(t testing.TB, r *Registry, name string) TypeID {
	t.Helper()
	with, err := NewRegistry(r.Metadata(), testDefs()...)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := with.TypeByName(name)
	*r = Registry{m: with.m, pallets: with.pallets, byIndex: with.byIndex, entries: with.entries, keys: with.keys, named: with.named, fixed: with.fixed, least: with.least, bytes: with.bytes}
	return id
}

// TestEncodeRefuses gives the encoder values that do not fit.
func TestEncodeRefuses(t *testing.T) {
	r, err := NewRegistry(&Metadata{}, testDefs()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		typ   string
		value any
	}{
		{"U8", 256}, {"U8", -1}, {"U8", "x"}, {"U8", nil}, {"U8", 1.5}, {"U128", new(big.Int).Lsh(big.NewInt(1), 128)},
		{"AccountId20", []byte{1}}, {"AccountId20", []any{}}, {"PeerInfo", Fields{{"peer_id", "a"}, {"x", 1}, {"y", 2}}},
		{"PeerInfo", Fields{}}, {"PeerInfo", 5}, {"SmallMap", 5}, {"PeerInfo", []any{1}}, {"U8", struct{ A int }{1}},
		{"U8", json.Number("1e3")}, {"U8", strings.Repeat("9", 100)},
	} {
		id, _ := r.TypeByName(k.typ)
		var e scale.Encoder
		if err := r.EncodeValue(&e, id, k.value); !errors.Is(err, ErrValue) && !errors.Is(err, ErrMismatch) {
			t.Errorf("%v as %s: %v", k.value, k.typ, err)
		}
	}
}

type goPeer struct {
	PeerID    string
	Multiaddr *[]byte
}

type goNode struct {
	ID             chain.NodeID
	Hotkey         chain.AccountID
	PeerInfo       goPeer
	Bootnode       *goPeer `scale:"bootnode_peer_info"`
	Client         *goPeer `scale:"client_peer_info"`
	Classification struct {
		NodeClass  chain.Class
		StartEpoch chain.Epoch
	}
	DelegateRewardRate chain.Balance
	LastUpdate         uint32
	Unique, NonUnique  *[]byte
	DelegateAccount    *struct {
		Who  chain.AccountID
		Rate chain.Balance
	}
}

func sampleNode() goNode {
	addr := []byte{4, 127, 0, 0, 1}
	n := goNode{ID: 7, Hotkey: chain.AccountID{1, 2}, PeerInfo: goPeer{"12D3KooWM5J4zS17XR2LHGZgRpmzbeqg4Eibyq8sbRLwRuWxJqsV", nil}, DelegateRewardRate: u128.From64(1e17)}
	n.Bootnode = &goPeer{"12D3KooWMwW1VqH7uWtVc3UGoyMJp1dG26Nkosc6kRkJ7RNiW6Cb", &addr}
	n.Classification.NodeClass, n.Classification.StartEpoch = chain.ClassValidator, 4
	n.DelegateAccount = &struct {
		Who  chain.AccountID
		Rate chain.Balance
	}{chain.AccountID{9}, u128.From64(5)}
	return n
}

// TestBind codes a node statically and dynamically to the same bytes.
func TestBind(t *testing.T) {
	r := testRegistry(t)
	id := mustType(t, r, "Node")
	c, err := Bind[goNode](r, id)
	if err != nil {
		t.Fatal(err)
	}
	want := sampleNode()
	b, err := c.Append(nil, &want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var dynamic scale.Encoder
	if err := r.EncodeValue(&dynamic, id, r.DecodeValue(scale.NewDecoder(b), id)); err != nil || !bytes.Equal(dynamic.Buf, b) {
		t.Errorf("dynamically %x, %v, want %x", dynamic.Buf, err, b)
	}
	for n := range b {
		if _, err := c.Decode(b[:n]); !errors.Is(err, scale.ErrMalformed) {
			t.Fatalf("cut off at %d: %v", n, err)
		}
	}
}

// TestBindForms binds Go types of other forms than the runtime's.
func TestBindForms(t *testing.T) {
	r := testRegistry(t)
	node := mustType(t, r, "Node")
	var full scale.Encoder
	n := sampleNode()
	if err := r.EncodeValue(&full, node, n); err != nil {
		t.Fatal(err)
	}
	part, err := Bind[struct { // only some fields, one that the runtime lacks, raw and dynamic ones
		Classification struct{ NodeClass uint64 }
		Hotkey         Raw
		PeerInfo       any
		Gone           *uint32  `scale:"gone,optional"`
		Ignored        chan int `scale:"-"`
	}](r, node)
	if err != nil {
		t.Fatal(err)
	}
	v, err := part.Decode(full.Buf)
	if err != nil || v.Classification.NodeClass != 3 || len(v.Hotkey) != 20 || v.Gone != nil || !reflect.DeepEqual(v.PeerInfo.(Fields).Get("peer_id"), []byte(n.PeerInfo.PeerID)) {
		t.Errorf("%+v, %v", v, err)
	}
	if part.CanEncode() == nil {
		t.Error("a part can be encoded as the whole")
	}
	if _, err := part.Append(nil, &v); !errors.Is(err, ErrMismatch) {
		t.Errorf("%v, want ErrMismatch", err)
	}
	maps, err := Bind[map[uint32]uint32](r, mustType(t, r, "SmallMap"))
	if err != nil {
		t.Fatal(err)
	}
	m := map[uint32]uint32{300: 1, 2: 2, 70000: 3}
	b, err := maps.Append(nil, &m)
	if err != nil || hex.EncodeToString(b) != "0c02000000020000002c010000010000007011010003000000" {
		t.Errorf("map %x, %v", b, err)
	}
	if back, err := maps.Decode(b); err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("map %v, %v", back, err)
	}
	type shape struct {
		_      struct{} `scale:",enum"`
		Circle *struct{ Radius uint32 }
		Point  *struct{}
	}
	e, err := r.Storage("Network", "Shapes")
	if err != nil {
		t.Fatal(err)
	}
	shapes, err := Bind[shape](r, e.Value)
	if err != nil {
		t.Fatal(err)
	}
	circle := shape{Circle: &struct{ Radius uint32 }{5}}
	if b, err := shapes.Append(nil, &circle); err != nil || hex.EncodeToString(b) != "0105000000" {
		t.Errorf("circle %x, %v", b, err)
	} else if back, err := shapes.Decode(b); err != nil || back.Circle.Radius != 5 || back.Point != nil {
		t.Errorf("circle %+v, %v", back, err)
	}
	for _, bad := range []shape{{}, {Circle: circle.Circle, Point: &struct{}{}}} {
		if _, err := shapes.Append(nil, &bad); !errors.Is(err, ErrValue) {
			t.Errorf("%+v: %v, want ErrValue", bad, err)
		}
	}
	if _, err := shapes.Decode([]byte{4, 0}); !errors.Is(err, scale.ErrMalformed) {
		t.Errorf("a variant without a field: %v", err)
	}
	type tree struct {
		Value    uint8
		Children []tree
	}
	hidden, err := r.Storage("Network", "Hidden")
	if err != nil {
		t.Fatal(err)
	}
	trees, err := Bind[tree](r, hidden.Value)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := trees.Decode([]byte{1, 4, 2, 0}); err != nil || v.Children[0].Value != 2 {
		t.Errorf("tree %+v, %v", v, err)
	}
	bomb := bytes.Repeat([]byte{1, 4}, 100_000)
	if _, err := trees.Decode(bomb); !errors.Is(err, scale.ErrLimit) {
		t.Errorf("a deep tree: %v, want ErrLimit", err)
	}
	d := scale.NewDecoder(bomb)
	r.DecodeValue(d, hidden.Value)
	if !errors.Is(d.Err(), scale.ErrLimit) {
		t.Errorf("a deep tree dynamically: %v, want ErrLimit", d.Err())
	}
	d = scale.NewDecoder(bomb)
	r.Skip(d, hidden.Value)
	if !errors.Is(d.Err(), scale.ErrLimit) {
		t.Errorf("a deep tree skipped: %v, want ErrLimit", d.Err())
	}
}

// TestBindRefuses binds Go types that do not fit.
func TestBindRefuses(t *testing.T) {
	r := testRegistry(t)
	node := mustType(t, r, "Node")
	number, list := mustType(t, r, "U32"), mustType(t, r, "SmallMap")
	for what, err := range map[string]error{
		"narrow":          second(Bind[uint16](r, number)),
		"signed":          second(Bind[int32](r, number)),
		"text":            second(Bind[string](r, number)),
		"pointer":         second(Bind[*uint32](r, number)),
		"struct":          second(Bind[struct{ A int }](r, number)),
		"unknown field":   second(Bind[struct{ Nothing uint32 }](r, node)),
		"field's type":    second(Bind[struct{ ID string }](r, node)),
		"list of numbers": second(Bind[[]uint32](r, list)),
		"float":           second(Bind[float64](r, number)),
		"map of bools":    second(Bind[map[bool]uint32](r, list)),
		"array":           second(Bind[[3]byte](r, mustType(t, r, "AccountId20"))),
		"no such type":    second(Bind[uint32](r, 9999)),
	} {
		if !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: %v, want ErrMismatch", what, err)
		}
	}
}

// TestDefineRefuses reads bad type expressions.
func TestDefineRefuses(t *testing.T) {
	for _, expr := range []string{"", "Nothing", "Vec<", "Vec<u32", "Vec<u32,u32>", "Foo<u32>", "[u8]", "[u8;x]", "{a}", "{a: u32 b: u32}", "(u32 u32)", "u32 u32", strings.Repeat("(", 100)} {
		if _, err := NewRegistry(&Metadata{}, Definition{"X", expr}); err == nil {
			t.Errorf("%q is taken", expr)
		}
	}
}

// TestDynamicProperty decodes arbitrary bytes as every type: what is accepted is encoded to the same bytes.
func TestDynamicProperty(t *testing.T) {
	r := testRegistry(t)
	p, err := r.Pallet("Network")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bytes")
		e := &p.Storage.Entries[rapid.IntRange(0, len(p.Storage.Entries)-1).Draw(t, "entry")]
		checkDynamic(t, r, e.Value, b)
	})
}

func checkDynamic(t interface{ Fatalf(string, ...any) }, r *Registry, id TypeID, b []byte) {
	d := scale.NewLimitedDecoder(b, 32, 1<<20)
	v := r.DecodeValue(d, id)
	if d.Err() != nil {
		return
	}
	s := scale.NewLimitedDecoder(b, 32, 1<<20)
	if r.Skip(s, id); s.Err() != nil || s.Pos() != d.Pos() {
		t.Fatalf("%s: skipped to %d, decoded to %d: %v", r.TypeName(id), s.Pos(), d.Pos(), s.Err())
	}
	var e scale.Encoder
	if err := r.EncodeValue(&e, id, v); err != nil {
		t.Fatalf("%s: %x -> %v: %v", r.TypeName(id), b[:d.Pos()], v, err)
	}
	if !bytes.Equal(e.Buf, b[:d.Pos()]) && r.m.Types[id].Kind != KindBitSequence { // unused bits are free
		t.Fatalf("%s: %x -> %v -> %x", r.TypeName(id), b[:d.Pos()], v, e.Buf)
	}
	if _, err := AppendJSON(nil, v); err != nil {
		t.Fatalf("%s: %v", r.TypeName(id), err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, encode := range []func() ([]byte, error){testMetadata(f).EncodeV14, testMetadata(f).EncodeV15} {
		b, err := encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		r, err := NewRegistry(m)
		if err != nil {
			return
		}
		again, err := m.EncodeV14()
		if m.Version == 15 {
			again, err = m.EncodeV15()
		}
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Decode(again); err != nil || len(back.Types) != len(m.Types) {
			t.Fatalf("not decoded again: %v", err)
		}
		for i := range m.Types { // types of any shape are walked without harm
			d := scale.NewLimitedDecoder(b, 16, 1<<16)
			r.DecodeValue(d, TypeID(i))
			r.TypeName(TypeID(i))
		}
	})
}

func FuzzValue(f *testing.F) {
	r := testRegistry(f)
	p, err := r.Pallet("Network")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(3), []byte{1, 4, 2, 0})
	f.Add(uint8(4), []byte{36, 0xb0, 0x80})
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		checkDynamic(t, r, p.Storage.Entries[int(n)%len(p.Storage.Entries)].Value, b)
	})
}

func BenchmarkDecodeNode(b *testing.B) {
	r := testRegistry(b)
	c, err := Bind[goNode](r, mustType(b, r, "Node"))
	if err != nil {
		b.Fatal(err)
	}
	n := sampleNode()
	buf, err := c.Append(nil, &n)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode1000Accounts(b *testing.B) {
	type info struct {
		Nonce uint32
		Data  struct{ Free, Reserved, Frozen chain.Balance }
	}
	r := testRegistry(b)
	c, err := Bind[info](r, mustType(b, r, "Account"))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 80)
	b.ReportAllocs()
	for b.Loop() {
		for range 1000 {
			if _, err := c.Decode(buf); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	raw, err := testMetadata(b).EncodeV15()
	if err != nil {
		b.Fatal(err)
	}
	benchmarkLoad(b, raw)
}

func BenchmarkLoadReal(b *testing.B) { benchmarkLoad(b, realMetadata(b, "MESH_G2_METADATA_V15")) }

func benchmarkLoad(b *testing.B, raw []byte) {
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		m, err := Decode(raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := NewRegistry(m); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleBind() {
	r, err := NewRegistry(&Metadata{},
		Definition{"Score", "{node_id: u32, score: u128}"},
		Definition{"Scores", "Vec<Score>"})
	if err != nil {
		panic(err)
	}
	type score struct {
		NodeID uint32
		Score  u128.U128
	}
	id, _ := r.TypeByName("Scores")
	codec, err := Bind[[]score](r, id)
	if err != nil {
		panic(err)
	}
	scores := []score{{1, u128.From64(100)}, {2, u128.From64(50)}}
	b, err := codec.Append(nil, &scores)
	if err != nil {
		panic(err)
	}
	back, err := codec.Decode(b)
	fmt.Println(len(b), back, err)
	// Output: 41 [{1 100} {2 50}] <nil>
}
