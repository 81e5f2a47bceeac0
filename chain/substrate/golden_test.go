package substrate

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// TestGoldenAPIs decodes the results of the real runtime's API with our definitions, all bytes of them, and encodes them back.
func TestGoldenAPIs(t *testing.T) {
	rt := realRuntime(t, "MESH_G2_METADATA")
	path := os.Getenv("MESH_G2_GOLDEN")
	if path == "" {
		t.Skip("MESH_G2_GOLDEN names no file; the test runs with one")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		APIs map[string]string `json:"runtime_apis"`
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for call, result := range golden.APIs {
		function, args, _ := strings.Cut(strings.TrimPrefix(call, "NetworkRuntimeApi_"), "(")
		in, ok := rt.reg.TypeByName(argsPrefix + function)
		if !ok {
			continue
		}
		out, _ := rt.reg.TypeByName(resultPrefix + function)
		checked++
		argBytes := unhex(t, strings.TrimSuffix(args, ")"))
		d := scale.NewDecoder(argBytes)
		rt.reg.DecodeValue(d, in)
		if err := d.Finish(); err != nil {
			t.Errorf("%s: arguments: %v", call, err)
		}
		outer := scale.NewDecoder(unhex(t, result))
		body := outer.BytesView()
		d = scale.NewDecoder(body)
		v := rt.reg.DecodeValue(d, out)
		if err := d.Finish(); err != nil {
			t.Errorf("%s: %v", call, err)
			continue
		}
		var e scale.Encoder
		if err := rt.reg.EncodeValue(&e, out, v); err != nil || string(e.Buf) != string(body) {
			t.Errorf("%s: encoded back to %x, %v", call, e.Buf, err)
		}
		if text, err := metadata.AppendJSON(nil, v); err != nil || !json.Valid(text) {
			t.Errorf("%s: %s, %v", call, text, err)
		}
	}
	if checked < 14 {
		t.Errorf("only %d of %d results were checked", checked, len(golden.APIs))
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
