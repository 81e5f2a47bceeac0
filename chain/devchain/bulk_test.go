package devchain

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// checkArray compares the shortcuts with encoding/json.
func checkArray(t *testing.T, b []byte) {
	t.Helper()
	b = bytes.TrimSpace(b)
	var want []json.RawMessage
	if len(b) == 0 || b[0] != '[' || json.Unmarshal(b, &want) != nil {
		return
	}
	got := splitArray(b, len(b))
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", b, len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("%s: element %d is %s, want %s", b, i, got[i], want[i])
		}
	}
	keys, ok := hexArray(b)
	if !ok {
		return
	}
	var list []hexBytes
	if err := json.Unmarshal(b, &list); err != nil || len(list) != len(keys) {
		t.Fatalf("%s: %d keys, encoding/json has %d, %v", b, len(keys), len(list), err)
	}
	for i := range keys {
		if !bytes.Equal(keys[i], list[i]) {
			t.Errorf("%s: key %d is %x, want %x", b, i, keys[i], list[i])
		}
	}
}

func TestArrays(t *testing.T) {
	for _, text := range []string{
		`[]`, `[ ]`, `[1]`, `[ 1 , null,"a,]\"" ]`, `[[1,2],{"a":[3,{"b":"]"}]},"\\"]`, `["0x","0x00ff","0xABcd"]`, `["0x1"]`, `["0x00", "0x01"]`, `[["0x00"],"0x01"]`,
	} {
		checkArray(t, []byte(text))
	}
	if list := splitArray([]byte(`[1,2,3,4]`), 2); len(list) != 2 {
		t.Errorf("%d elements with a limit of 2", len(list))
	}
	for text, want := range map[string]bool{`["0x01","0x"]`: true, `["0x01","0x"`: false, `["0x0"]`: false, `["0x01",1]`: false, `["0x01"]]`: false, `[]`: false} {
		if _, ok := hexArray([]byte(text)); ok != want {
			t.Errorf("hexArray(%s) = %v", text, ok)
		}
	}
}

func FuzzArrays(f *testing.F) {
	for _, text := range []string{`["0x01","0x"]`, `[1,[2,"]"],{"a":3}]`, `[ "\"" , null ]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(checkArray)
}

// TestChangeSets compares with what the types of the answer would give.
func TestChangeSets(t *testing.T) {
	set := changeSet{Block: chain.Hash{1, 2}, Changes: []change{{[]byte{1}, []byte{}}, {[]byte{2, 3}, nil}, {nil, []byte{4}}}}
	const want = `{"block":"0x0102000000000000000000000000000000000000000000000000000000000000","changes":[["0x01","0x"],["0x0203",null],["0x","0x04"]]}`
	b, err := json.Marshal([]changeSet{set})
	if err != nil || string(b) != "["+want+"]" {
		t.Errorf("%s, %v", b, err)
	}
	for _, id := range []string{`1`, `"a"`, ``} {
		got, err := encodeAnswer(json.RawMessage(id)[:len(id):len(id)], rawJSON("["+want+"]"))
		if err != nil {
			t.Fatal(err)
		}
		if id == "" {
			continue // a notification gets no answer
		}
		other, err := encodeAnswer(json.RawMessage(id), []changeSet{set})
		if err != nil || !bytes.Equal(got, other) {
			t.Errorf("%s\n%s, %v", got, other, err)
		}
	}
}
