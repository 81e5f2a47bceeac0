package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/schema"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

func dynamic() map[string][]byte {
	return map[string][]byte{
		"System.Version": {0}, "Network.EpochLength": {20, 0, 0, 0}, "Network.EpochsPerYear": {0, 0, 0, 0},
		"Network.OverwatchEpochEmissions": make([]byte, 16),
	}
}

func build(t testing.TB) *metadata.Metadata {
	t.Helper()
	m, err := schema.Build(dynamic())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func Example() {
	m, err := schema.Build(dynamic())
	if err != nil {
		panic(err)
	}
	reg, err := metadata.NewRegistry(m)
	if err != nil {
		panic(err)
	}
	p, call, err := reg.Call("Network", "attest")
	fmt.Println(p.Index, call.Index, err)
	// Output: 23 66 <nil>
}

// Both versions survive a round trip.
func TestRoundTrip(t *testing.T) {
	m := build(t)
	for version, encode := range map[int]func() ([]byte, error){14: m.EncodeV14, 15: m.EncodeV15} {
		b, err := encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := metadata.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m.Types, back.Types); diff != "" {
			t.Errorf("types of version %d: %s", version, diff)
		}
		if len(back.Pallets) != 25 {
			t.Errorf("version %d has %d pallets", version, len(back.Pallets))
		}
	}
}

// The figures are those of the chain's own metadata.
func TestCounts(t *testing.T) {
	m := build(t)
	count := func(id metadata.TypeID) int {
		if id == metadata.NoType {
			return 0
		}
		return len(m.Types[id].Variants)
	}
	want := map[string][5]int{ // calls, storage, events, errors, constants
		"System": {11, 18, 7, 9, 6}, "Timestamp": {1, 2, 0, 0, 1}, "Balances": {9, 7, 22, 12, 4},
		"TransactionPayment": {0, 2, 1, 0, 1}, "Sudo": {5, 1, 4, 1, 0}, "Utility": {6, 0, 6, 1, 1},
		"Treasury": {6, 7, 12, 11, 5}, "TxPause": {2, 1, 2, 4, 1}, "Network": {165, 207, 170, 165, 8},
	}
	for i := range m.Pallets {
		p := &m.Pallets[i]
		if int(p.Index) != i {
			t.Errorf("pallet %s has index %d in place %d", p.Name, p.Index, i)
		}
		w, ok := want[p.Name]
		if !ok {
			continue
		}
		items := 0
		if p.Storage != nil {
			items = len(p.Storage.Entries)
		}
		got := [5]int{count(p.Calls), items, count(p.Event), count(p.Error), len(p.Constants)}
		if got != w {
			t.Errorf("%s has %v calls, storage items, events, errors, constants; want %v", p.Name, got, w)
		}
	}
}

// Every default and constant is a value of its type.
func TestDefaults(t *testing.T) {
	m := build(t)
	reg, err := metadata.NewRegistry(m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Pallets {
		p := &m.Pallets[i]
		if p.Storage == nil {
			continue
		}
		for j := range p.Storage.Entries {
			e := &p.Storage.Entries[j]
			if e.Modifier != metadata.ModifierDefault {
				continue
			}
			if err := whole(reg, e.Default, e.Value); err != nil {
				t.Errorf("default of %s.%s: %v", p.Name, e.Name, err)
			}
		}
		for _, c := range p.Constants {
			if c.Name == "Version" {
				continue
			}
			if err := whole(reg, c.Value, c.Type); err != nil {
				t.Errorf("constant %s.%s: %v", p.Name, c.Name, err)
			}
		}
	}
}

// whole reads a value that fills b.
func whole(reg *metadata.Registry, b []byte, id metadata.TypeID) error {
	d := scale.NewDecoder(b)
	reg.DecodeValue(d, id)
	return d.Finish()
}

func TestMissingConstant(t *testing.T) {
	d := dynamic()
	delete(d, "Network.EpochLength")
	if _, err := schema.Build(d); err == nil || !strings.Contains(err.Error(), "EpochLength") {
		t.Errorf("a missing constant gives %v", err)
	}
}

func BenchmarkBuild(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		build(b)
	}
}
