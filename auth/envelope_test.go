package auth

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/internal/pb/authpb"
	"github.com/hypertensor-blockchain/mesh/internal/pb/dhtpb"
)

// The vectors of this file were produced by Python nodes from the seed 00 01 .. 1f.
const (
	goldenKey   = "08011220000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	goldenNonce = "0001020304050607"
	goldenTime  = 1700000000.25
	goldenBody  = "12160a1400000000000000000000000000000000000000001801"
	// A ping request without its signature, in parts, and the signature.
	goldenHead = "0ae4010ace0112507373682d65643235353139204141414143334e7a6143316c5a4449314e5445354141414149414f6842372f7a7a68432b" +
		"48584464474f644c774a6c6e354e59776d36554e58783363686d5153565447341a20323032332d31312d31342032323a31343a32302e323530" +
		"3030302b30303a3030225872624336514277465179426c55356a633769747332725955424c656e2f596879726e6e58327262775a387059727a" +
		"7936304a48704d50693338722b7355345463787459614c51595972714f4431365139656f306842413d3d1900001040fc54d9412208"
	goldenSignature = "6ng+CV1810zDjm8aGYGpRP1ai02mzHpUAULUjbcIcor5Zr7F88hLSLX7FR9IkXX8EQOInV8LDsKrMapCwJYcDQ=="
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goldenPrivate(t testing.TB) crypto.PrivKey {
	t.Helper()
	key, err := identity.Unmarshal(unhex(t, goldenKey))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func goldenUnsignedBytes(t testing.TB) []byte {
	t.Helper()
	return unhex(t, goldenHead+goldenNonce+goldenBody)
}

func goldenSigned(t testing.TB) []byte {
	t.Helper()
	auth, rest, ok := split(goldenUnsignedBytes(t))
	if !ok {
		t.Fatal("golden message does not split")
	}
	return join(appendBytes(bytes.Clone(auth), requestSignature, goldenSignature), rest)
}

func TestGoldenRequest(t *testing.T) {
	key := goldenPrivate(t)
	at := time.UnixMicro(1700000000250000)
	token, err := encodeToken(key, identity.OpenSSH(key.GetPublic()), at.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	unsigned := join(requestPart(token, "", goldenTime, unhex(t, goldenNonce)), unhex(t, goldenBody))
	if diff := cmp.Diff(goldenUnsignedBytes(t), unsigned); diff != "" {
		t.Errorf("unsigned bytes (-want +got):\n%s", diff)
	}
	sig, err := identity.SignText(key, unsigned)
	if err != nil || sig != goldenSignature {
		t.Errorf("signature %q, %v", sig, err)
	}
	signed := goldenSigned(t)
	if signed[0] != 0x0a || signed[1] != 0xbe || signed[2] != 0x02 {
		t.Errorf("signed bytes start %x", signed[:3])
	}
	var ping dhtpb.PingRequest
	if err := proto.Unmarshal(signed, &ping); err != nil || string(ping.GetAuth().GetSignature()) != goldenSignature {
		t.Errorf("protobuf reads %v, %v", ping.GetAuth(), err)
	}
}

func TestVerifyGoldenRequest(t *testing.T) {
	id, err := identity.PeerID(goldenPrivate(t))
	if err != nil {
		t.Fatal(err)
	}
	own, err := identity.Generate(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSignature(own, SignatureConfig{Now: func() time.Time { return time.Unix(1700000059, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	signed := goldenSigned(t)
	before := bytes.Clone(signed)
	nonce, err := s.VerifyRequest(id, signed)
	if err != nil || hex.EncodeToString(nonce) != goldenNonce {
		t.Fatalf("nonce %x, %v", nonce, err)
	}
	if !bytes.Equal(before, signed) {
		t.Error("message was changed")
	}
	if _, err := s.VerifyRequest(id, signed); err == nil {
		t.Error("accepted twice")
	}
}

// The hand-written codec agrees with the generated one.
func TestPartsAgainstProtobuf(t *testing.T) {
	token := &authpb.AccessToken{PublicKey: []byte("key"), ExpirationTime: "until", Signature: []byte("sig")}
	encoded, err := proto.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		got  []byte
		want proto.Message
	}{
		"request": {
			requestPart(encoded, "to", 12.5, []byte{1, 2}),
			&authpb.RequestAuthInfo{ClientAccessToken: token, ServicePublicKey: []byte("to"), Time: 12.5, Nonce: []byte{1, 2}},
		},
		"request without recipient": {
			requestPart(encoded, "", 12.5, []byte{1, 2}),
			&authpb.RequestAuthInfo{ClientAccessToken: token, Time: 12.5, Nonce: []byte{1, 2}},
		},
		"response": {
			responsePart(encoded, []byte{3}), &authpb.ResponseAuthInfo{ServiceAccessToken: token, Nonce: []byte{3}},
		},
	} {
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(tt.want)
		if err != nil || !bytes.Equal(want, tt.got) {
			t.Errorf("%s: %x, want %x, %v", name, tt.got, want, err)
		}
	}
}

func TestPythonTime(t *testing.T) {
	for want, at := range map[string]time.Time{
		"2023-11-14 22:14:20.250000+00:00": time.UnixMicro(1700000060250000),
		"2023-11-14 22:14:20+00:00":        time.Unix(1700000060, 999),
	} {
		if got := pythonTime(at.In(time.FixedZone("elsewhere", 3600))); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSplitRefusesTwoParts(t *testing.T) {
	twice := append(goldenSigned(t), goldenSigned(t)...)
	if _, _, ok := split(twice); ok {
		t.Error("two authentication parts accepted")
	}
}

func TestNonceMemory(t *testing.T) {
	now := time.Unix(1000, 0)
	s := newNonces(time.Minute, 5, 3)
	add := func(after time.Duration, who string, n byte) nonceResult {
		return s.add(now.Add(after), peer.ID(who), []byte{n})
	}
	for i := range byte(3) {
		if got := add(0, "a", i); got != nonceNew {
			t.Fatalf("nonce %d: %d", i, got)
		}
	}
	if got := add(0, "a", 9); got != nonceFull {
		t.Errorf("beyond the signer's share: %d", got)
	}
	if got := add(0, "b", 0); got != nonceNew {
		t.Errorf("another signer's same nonce: %d", got)
	}
	if got := add(119*time.Second, "a", 0); got != nonceSeen {
		t.Errorf("after 119 s: %d", got)
	}
	if got := add(119*time.Second, "c", 0); got != nonceNew {
		t.Errorf("room left: %d", got)
	}
	if got := add(119*time.Second, "d", 0); got != nonceFull {
		t.Errorf("beyond all room: %d", got)
	}
	if got := add(181*time.Second, "a", 0); got != nonceNew {
		t.Errorf("after 181 s: %d", got)
	}
	if got := add(time.Hour, "a", 0); got != nonceNew {
		t.Errorf("after an hour: %d", got)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(goldenSigned(f), true)
	f.Add(goldenUnsignedBytes(f), false)
	f.Add([]byte{0x0a, 0x02, 0x22, 0x00}, true)
	own := goldenPrivate(f)
	id, err := identity.PeerID(own)
	if err != nil {
		f.Fatal(err)
	}
	s, err := NewSignature(own, SignatureConfig{Now: func() time.Time { return time.Unix(1700000000, 0) }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, msg []byte, request bool) {
		before := bytes.Clone(msg)
		if request {
			_, err = s.VerifyRequest(id, msg)
		} else {
			err = s.VerifyResponse(id, []byte{1}, msg)
		}
		if _, rejected := ReasonOf(err); err != nil && !rejected {
			t.Errorf("error without a reason: %v", err)
		}
		if !bytes.Equal(before, msg) {
			t.Error("message was changed")
		}
		if signed, nonce, err := s.SignRequest(id, msg); err == nil {
			if got, err := s.VerifyRequest(id, signed); err != nil || !bytes.Equal(got, nonce) {
				t.Errorf("own request refused: %v", err)
			}
		}
	})
}
