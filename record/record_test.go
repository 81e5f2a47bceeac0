package record_test

import (
	"math"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// Keys as the Python mesh hashes them.
func TestKeysHashAsInPython(t *testing.T) {
	for _, c := range []struct {
		key  any
		want string
	}{
		{"heartbeat", "a46d6b70223dbc8c5e40bcdbd435a6f35f7ab7b5"},
		{[]byte("heartbeat"), "a7a5b07adcc32627ec7bf9cb1ad5f4ba58d90e5d"},
		{"commit_epoch_7", "c4b6f0594acafe4fde2892f5573cc7119b4ede29"},
		{"reveal_epoch_7", "100e8071be44ce561564e7f91d2bb648087585a2"},
		{"consensus_epoch_7", "062460250a584c9eb228ba6e0d67ffddfa965183"},
		{7, "5d1be7e9dda1ee8896be5b7e34a85ee16452a7b4"},
		{-1, "85e53271e14006f0265921d02d4d736cdc580b0b"},
		{3.5, "ffd79da143f71c323a08855e2d83976af6dd65e0"},
		{true, "8bf7b464aaa2c2b536aa1d76a1297c19155f5603"},
		{msgpack.Tuple{"a", 1}, "edd01de4b5be93353047fae489cc36b2e8f20fb1"},
		{[]any{"a", 1}, "ce4e6f62a6645381d466267533de7b165d8633c9"},
		{"", "c7da1ff95a25c353f1319604703e8bfd287ee1a1"},
		{msgpack.Tuple{}, "9b1e5f048db197e15c9bdb0f9468c20cf11f4800"},
		{map[string]any{"a": 1}, "2f8bad5262ef3b40e304a325dec4c3871f848d6d"},
	} {
		key, err := record.KeyFrom(c.key)
		if err != nil || key.String() != c.want {
			t.Errorf("%v: %s, %v; want %s", c.key, key, err, c.want)
		}
		if key != record.KeyOf(c.key) {
			t.Errorf("%v: KeyOf differs", c.key)
		}
		if back, err := record.ParseKey(key.String()); back != key || err != nil {
			t.Errorf("%v: parsed %s, %v", c.key, back, err)
		}
	}
	if got := record.CommitKey(7).String(); got != "c4b6f0594acafe4fde2892f5573cc7119b4ede29" {
		t.Error("commit key:", got)
	}
	if got := record.RevealKey(7).String(); got != "100e8071be44ce561564e7f91d2bb648087585a2" {
		t.Error("reveal key:", got)
	}
	if record.HeartbeatKey() != record.KeyOf("heartbeat") {
		t.Error("heartbeat key")
	}
	if _, err := record.KeyFrom(struct{}{}); err == nil {
		t.Error("a struct is no key")
	}
	for _, bad := range []string{"", "00", "a46d6b70223dbc8c5e40bcdbd435a6f35f7ab7b5aa", "g46d6b70223dbc8c5e40bcdbd435a6f35f7ab7b5"} {
		if _, err := record.ParseKey(bad); err == nil {
			t.Errorf("%q parsed", bad)
		}
	}
}

// The keys, subkeys and values of the original's edge cases are all usable, and all different.
func TestEdgeCaseSubkeys(t *testing.T) {
	seen := make(map[string]any)
	for _, v := range []any{0, "", false, true, "abyrvalg", 4555, msgpack.Tuple{}, 1, 1.0, []byte{}, msgpack.Tuple{1, "a", msgpack.Tuple{nil}}} {
		packed, err := record.SubkeyOf(v)
		if err != nil {
			t.Errorf("%v: %v", v, err)
		}
		if other, again := seen[string(packed)]; again {
			t.Errorf("%v and %v are the same", v, other)
		}
		seen[string(packed)] = v
		if _, err := record.ParseSubkey(packed); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
	for _, v := range []any{[]any{}, map[string]any{}, math.NaN(), msgpack.Ext{Code: 0x50}, msgpack.Tuple{[]any{}}, struct{}{}} {
		if _, err := record.SubkeyOf(v); err == nil {
			t.Errorf("%v is no key of a Python dictionary", v)
		}
	}
	if packed, err := record.SubkeyOf(nil); err != nil || string(packed) != record.RegularTag {
		t.Errorf("no subkey: %x, %v", packed, err)
	}
	if v, err := record.ParseSubkey([]byte(record.RegularTag)); v != nil || err != nil {
		t.Errorf("no subkey: %v, %v", v, err)
	}
	for _, long := range []string{"cc01", "d90161", "c5000161", "cf0000000000000001", "d30000000000000001", "c70140" + "90", "ca3f800000"} {
		if _, err := record.ParseSubkey(unhex(t, long)); err == nil {
			t.Errorf("%s is not the shortest form", long)
		}
	}
}

func TestExpirations(t *testing.T) {
	for _, when := range []time.Time{
		time.Unix(0, 0), start, start.Add(250 * time.Millisecond), time.Unix(1, 500), time.Unix(4_102_444_800, 0),
	} {
		back := record.ExpirationAt(when).Time()
		if d := back.Sub(when).Abs(); d > time.Microsecond {
			t.Errorf("%s became %s", when, back)
		}
	}
	if e := record.ExpirationAt(start.Add(250 * time.Millisecond)); e != 1700000000.25 {
		t.Error(float64(e))
	}
	for _, e := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if record.Expiration(e).Finite() {
			t.Errorf("%v is finite", e)
		}
		record.Expiration(e).Time() // must not panic
	}
	for _, c := range []struct {
		e    record.Expiration
		want bool
	}{
		{in(0), true},
		{in(-1), true},
		{in(time.Millisecond), false},
		{record.Expiration(math.NaN()), true},
		{record.Expiration(math.Inf(-1)), true},
	} {
		if got := c.e.Expired(start); got != c.want {
			t.Errorf("%v expired: %v", float64(c.e), got)
		}
	}
}

func TestProgressIsExactAtTheEdges(t *testing.T) {
	for _, c := range []struct {
		offset, length uint32
		want           record.Permille
	}{
		{0, 10, 0},
		{5, 10, 500},
		{6, 10, 600},
		{10, 10, 1000},
		{11, 10, 1000},
		{300, 600, 500},
		{301, 600, 502},
		{1_000_000, 2_000_000, 500},
		{1_000_001, 2_000_000, 501}, // past the half, however little
		{1_200_001, 2_000_000, 601},
		{math.MaxUint32, math.MaxUint32, 1000},
	} {
		p := record.PhaseAt(7, c.offset, c.length)
		if p.Progress != c.want || !p.Known || p.Epoch != 7 {
			t.Errorf("%d of %d: %v", c.offset, c.length, p)
		}
	}
	if record.PhaseAt(7, 1, 0).Known {
		t.Error("an epoch without length is unknown")
	}
	if got := record.PhaseAt(7, 1, 8).String(); got != "epoch 7, 12.5 %" {
		t.Error(got)
	}
}
