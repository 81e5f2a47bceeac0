package substrate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// checkChanges wants the shortcut to read what encoding/json reads.
func checkChanges(t *testing.T, b []byte, keys [][]byte) bool {
	t.Helper()
	got, ok := scanChanges(b, keys)
	if !ok {
		return false
	}
	want, err := decodeChanges(b, keys)
	if err != nil {
		t.Fatalf("%s is read, but encoding/json says %v", b, err)
	}
	for i := range keys {
		if !bytes.Equal(got[i], want[i]) || (got[i] == nil) != (want[i] == nil) {
			t.Errorf("%s: value %d is %x, want %x", b, i, got[i], want[i])
		}
	}
	return true
}

func sampleChanges(changes string) []byte {
	return fmt.Appendf(nil, `[{"block":"0x%s","changes":[%s]}]`, strings.Repeat("0a", 32), changes)
}

func TestScanChanges(t *testing.T) {
	keys := [][]byte{{1}, {2, 3}}
	for text, want := range map[string]bool{
		`["0x01","0xff"],["0x0203",null]`:                 true,
		`["0x01","0x"],["0x0203","0x00"]`:                 true,
		`["0x01","0xff"], ["0x0203",null]`:                false,
		`["0x0203",null],["0x01","0xff"]`:                 false,
		`["0x01","0xff"]`:                                 false,
		`["0x01","0xff"],["0x0203",null],["0x04",null]`:   false,
		`["0x01","0xfg"],["0x0203",null]`:                 false,
		`["0x01","0xff],["0x0203",null]`:                  false,
		`["0x01","0xff"],["0x0203",null`:                  false,
		`["0x01","0x\u0030\u0030"],["0x0203",null]`:       false,
		`["0x01",{"v":"0xff"}],["0x0203",{"v":"0x0102"}]`: false,
	} {
		if ok := checkChanges(t, sampleChanges(text), keys); ok != want {
			t.Errorf("%s: read %v, want %v", text, ok, want)
		}
	}
}

func FuzzScanChanges(f *testing.F) {
	f.Add(sampleChanges(`["0x01","0xff"],["0x0203",null]`))
	f.Add([]byte(`[{"block":"0x","changes":[]}]`))
	f.Fuzz(func(t *testing.T, b []byte) { checkChanges(t, b, [][]byte{{1}, {2, 3}}) })
}

func FuzzPlainAnswer(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":7,"result":[1]}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":7,"result":}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":18446744073709551616,"result":1}`))
	pad := strings.Repeat(" ", plainBytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		if head, tail, ok := bytes.Cut(b, []byte(`"result":`)); ok { // large enough
			b = append(append(append(bytes.Clone(head), `"result":`...), pad...), tail...)
		}
		id, result, ok := plainAnswer(b)
		if !ok || !json.Valid(result) {
			return
		}
		var want struct {
			ID     uint64
			Result json.RawMessage
		}
		if err := json.Unmarshal(b, &want); err != nil || want.ID != id || !bytes.Equal(want.Result, bytes.TrimSpace(result)) {
			t.Errorf("%.80s: id %d, want %d, %v", b, id, want.ID, err)
		}
	})
}
