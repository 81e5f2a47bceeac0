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

// nodeInfoFields is a node of G2 with nothing special.
func nodeInfoFields(peer map[string]any) map[string]any {
	zero := make([]byte, 20)
	identity := map[string]any{}
	for _, name := range []string{"name", "url", "image", "discord", "x", "telegram", "github", "hugging_face", "description", "misc"} {
		identity[name] = ""
	}
	return map[string]any{
		"subnet_id": 128001, "subnet_node_id": 7, "coldkey": zero, "hotkey": zero, "peer_info": peer, "bootnode_peer_info": peer,
		"identity": identity, "classification": map[string]any{"node_class": "Validator", "start_epoch": 3},
		"delegate_reward_rate": 0, "last_delegate_reward_rate_update": 0, "stake_balance": "100000000000000000000",
		"total_node_delegate_stake_shares": 0, "node_delegate_stake_balance": 0,
		"coldkey_reputation": map[string]any{
			"start_epoch": 0, "score": 0, "lifetime_node_count": 0, "total_active_nodes": 0, "total_increases": 0, "total_decreases": 0,
			"average_attestation": 0, "last_validator_epoch": 0, "ow_score": 0,
		},
		"subnet_node_reputation": "1000000000000000000", "consecutive_idle_epochs": 0, "consecutive_included_epochs": 0,
	}
}

func encodeAny(rt *runtime, id metadata.TypeID, v any) ([]byte, error) {
	var e scale.Encoder
	err := rt.reg.EncodeValue(&e, id, v)
	return e.Buf, err
}
