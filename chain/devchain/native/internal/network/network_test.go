package network

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/schema"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

func declared(t testing.TB) *metadata.Metadata {
	t.Helper()
	m, err := schema.Build(map[string][]byte{
		"System.Version": {0}, "Network.EpochLength": {20, 0, 0, 0}, "Network.EpochsPerYear": {0, 0, 0, 0},
		"Network.OverwatchEpochEmissions": make([]byte, 16),
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pallet(t testing.TB) (*Pallet, *metadata.Pallet, *metadata.Metadata) {
	t.Helper()
	m := declared(t)
	y := frame.NewSystem(m)
	p := New(m, y, frame.NewBalances(m, y), Config{EpochLength: 20})
	return p, &m.Pallets[Index], m
}

// Every call of the metadata is implemented, and decodes exactly what the
// metadata says it takes.
func TestCallsMatchMetadata(t *testing.T) {
	p, meta, m := pallet(t)
	reg, err := metadata.NewRegistry(m)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, v := range m.Types[meta.Calls].Variants {
		names[v.Name] = true
		var e scale.Encoder
		for _, f := range v.Fields {
			zero(t, m, &e, f.Type)
		}
		d := scale.NewDecoder(e.Buf)
		if _, ok := p.Call(v.Name, d); !ok {
			t.Errorf("%s is not implemented", v.Name)
			continue
		}
		if err := d.Finish(); err != nil {
			t.Errorf("%s does not take what the metadata says: %v", v.Name, err)
		}
		d = scale.NewDecoder(e.Buf)
		for _, f := range v.Fields {
			reg.Skip(d, f.Type)
		}
		if err := d.Finish(); err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
	}
	for name := range p.handlers {
		if !names[name] {
			t.Errorf("the metadata has no call %s", name)
		}
	}
}

// zero encodes the value of a type that is not empty: one entry, some, ones.
func zero(t *testing.T, m *metadata.Metadata, e *scale.Encoder, id metadata.TypeID) {
	t.Helper()
	switch typ := &m.Types[id]; typ.Kind {
	case metadata.KindComposite:
		for _, f := range typ.Fields {
			zero(t, m, e, f.Type)
		}
	case metadata.KindVariant:
		v := typ.Variants[len(typ.Variants)-1]
		e.U8(v.Index)
		for _, f := range v.Fields {
			zero(t, m, e, f.Type)
		}
	case metadata.KindSequence:
		e.Len(1)
		zero(t, m, e, typ.Elem)
	case metadata.KindArray:
		for range typ.Len {
			zero(t, m, e, typ.Elem)
		}
	case metadata.KindTuple:
		for _, x := range typ.Tuple {
			zero(t, m, e, x)
		}
	case metadata.KindPrimitive:
		size := map[metadata.Primitive]int{metadata.Bool: 1, metadata.U8: 1, metadata.U32: 4, metadata.U64: 8, metadata.U128: 16}[typ.Primitive]
		if size == 0 {
			t.Fatalf("primitive %d", typ.Primitive)
		}
		e.Raw(append([]byte{1}, make([]byte, size-1)...))
	default:
		t.Fatalf("type %+v", typ)
	}
}

// The constants of this package are the indices of the metadata.
func TestIndices(t *testing.T) {
	_, meta, m := pallet(t)
	check := func(id metadata.TypeID, name string, index uint8) {
		t.Helper()
		v := m.Types[id].Variants[index]
		if v.Name != name || v.Index != index {
			t.Errorf("%d is %s in the metadata, not %s", index, v.Name, name)
		}
	}
	check(meta.Error, "InvalidPeerId", uint8(ErrInvalidPeerId))
	check(meta.Error, "Paused", uint8(ErrPaused))
	check(meta.Error, "MultiaddrTruncated", uint8(ErrMultiaddrTruncated))
	check(meta.Event, "SubnetRewards", uint8(evSubnetRewards))
	check(meta.Event, "SwapCallQueueUpdated", uint8(evSwapCallQueueUpdated))
	if n := len(m.Types[meta.Error].Variants); n != int(ErrMultiaddrTruncated)+1 {
		t.Errorf("%d errors", n)
	}
	if n := len(m.Types[meta.Event].Variants); n != int(evSwapCallQueueUpdated)+1 {
		t.Errorf("%d events", n)
	}
}

// percentMul and percentDiv against big integers.
func TestPercentAgainstBig(t *testing.T) {
	whole := big.NewInt(1e18)
	limit := u128.Max().Big()
	draw := func(t *rapid.T, name string) u128.U128 {
		return u128.U128{Hi: rapid.Uint64().Draw(t, name+" high") >> rapid.IntRange(0, 64).Draw(t, name+" shift"), Lo: rapid.Uint64().Draw(t, name)}
	}
	rapid.Check(t, func(t *rapid.T) {
		x, y := draw(t, "x"), draw(t, "y")
		mul := new(big.Int).Mul(x.Big(), y.Big())
		if mul.Div(mul, whole); mul.Cmp(limit) > 0 {
			mul = limit
		}
		if got := percentMul(x, y).Big(); got.Cmp(mul) != 0 {
			t.Fatalf("percentMul(%s, %s) = %s, want %s", x, y, got, mul)
		}
		if y.IsZero() {
			return
		}
		div := new(big.Int).Mul(x.Big(), whole)
		if div.Div(div, y.Big()); div.Cmp(limit) > 0 {
			div = limit
		}
		if got := percentDiv(x, y).Big(); got.Cmp(div) != 0 {
			t.Fatalf("percentDiv(%s, %s) = %s, want %s", x, y, got, div)
		}
	})
}

// Reputations and ratios stay within one whole.
func TestReputationBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := u128.From64(rapid.Uint64Range(0, 1e18).Draw(t, "reputation"))
		f := u128.From64(rapid.Uint64().Draw(t, "factor"))
		if up := raise(r, f); up.Less(r) || one().Less(up) {
			t.Fatalf("raise(%s, %s) = %s", r, f, up)
		}
		if down := lower(r, f); r.Less(down) {
			t.Fatalf("lower(%s, %s) = %s", r, f, down)
		}
	})
}

// A depositor never gets out more than was put in.
func TestSharesNeverGain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := u128.From64(rapid.Uint64().Draw(t, "pool"))
		shares := u128.From64(rapid.Uint64Range(1, 1<<63).Draw(t, "shares"))
		in := u128.From64(rapid.Uint64().Draw(t, "deposit"))
		got := toShares(in, shares, pool)
		if out := toBalance(got, shares.SatAdd(got), pool.SatAdd(in)); in.Less(out) {
			t.Fatalf("%s in, %s out", in, out)
		}
	})
}

// The chain's figures: a node's reputation after a proposal with a quarter of
// the votes, and one step up.
func TestReputationVectors(t *testing.T) {
	delta := one().SatSub(percentDiv(u128.From64(25e16), u128.From64(66e16)))
	r := lower(one(), percentMul(u128.From64(5e16), delta))
	r = lower(r, percentMul(u128.From64(1e17), delta))
	if want := "908747704315886135"; r.String() != want {
		t.Errorf("after the slash %s, want %s", r, want)
	}
	if got, want := raise(r, u128.From64(1e17)).String(), "917872933884297521"; got != want {
		t.Errorf("after one step %s, want %s", got, want)
	}
}

func TestMultiaddr(t *testing.T) {
	for addr, want := range map[string]error{
		"\x04\x7f\x00\x00\x01\x06\x98\x30\xa5\x03\x03\x01\x02\x03":             nil,
		"\x36\x03abc\x06\x00\x01\xdd\x03\xa5\x03\x01\x05":                      nil,
		"\x29" + strings.Repeat("\x01", 16) + "\x06\x00\x01\xa5\x03\x01\x05":   nil,
		"\x04\x7f\x00\x00\x01\x06\x98\x30":                                     fail(ErrMultiaddrInvalidProtocol), // no peer ID
		"\x04\x7f\x00\x00\x01\x91\x02\x06\x98\xcc\x03\xa5\x03\x03\x01\x02\x03": fail(ErrMultiaddrInvalidProtocol), // QUIC
		"\xa5\x03\x09\x01": fail(ErrMultiaddrTruncated),
		"\x04\x7f":         fail(ErrMultiaddrTruncated),
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff": fail(ErrMultiaddrInvalidVarint),
		"": fail(ErrMultiaddrInvalidProtocol),
	} {
		if got := checkMultiaddr(addr); got != want { //nolint:errorlint // comparable
			t.Errorf("%x: %v, want %v", addr, got, want)
		}
	}
}

func TestSignedNumbers(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 1 << 62, -1 << 62} {
		b := i128().Encode(big.NewInt(n))
		back, err := i128().Decode(b)
		if err != nil || back.Int64() != n || len(b) != 16 {
			t.Errorf("%d -> %x -> %v %v", n, b, back, err)
		}
	}
}

func TestSubmissionRoundTrip(t *testing.T) {
	s := Submission{
		Validator: 3, Block: 9, Progress: u128.From64(1), RewardFactor: one(),
		Attests: map[uint32]Attest{256: {Block: 1}, 2: {Block: 2, Data: frame.Some("x")}},
		Nodes: []Node{{
			ID: 1, Peer: PeerInfo{"id", frame.Some("a")}, Bootnode: frame.Some(PeerInfo{ID: "b"}), Unique: frame.Some(""),
			DelegateAccount: frame.Some(DelegateAccount{Rate: one()}),
		}},
		Remove: frame.Some(uint32(4)), Data: []Score{{1, one()}}, Args: frame.Some("args"),
	}
	back, err := submission().Decode(submission().Encode(s))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, back); diff != "" {
		t.Error(diff)
	}
}

// The chain divides its yearly emissions among epochs of twenty blocks.
func ExampleEpochsPerYear() {
	fmt.Println(EpochsPerYear(20), OverwatchEmissions(20))
	// Output: 262800 38051750380517503
}
