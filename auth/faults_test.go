package auth_test

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/internal/pb/authpb"
	"github.com/hypertensor-blockchain/mesh/internal/pb/dhtpb"
)

// TestFaultTokensNobodyChecks: each message carried an access token with a signature and an expiry of its own, which nobody looked at: two
// hundred bytes and a second signature that proved nothing. Here a token gives no rights, whose ever it is and however fresh: only the
// signature of the message counts, and it covers the token. And one token serves many messages, so that a message costs one signature.
func TestFaultTokensNobodyChecks(t *testing.T) {
	victimKey, thiefKey, targetKey := newKey(t, identity.Ed25519), newKey(t, identity.Ed25519), newKey(t, identity.Ed25519)
	target := idOf(t, targetKey)
	request := func(s *auth.Signature) *dhtpb.PingRequest {
		signed, _, err := s.SignRequest(target, ping(t))
		if err != nil {
			t.Fatal(err)
		}
		var m dhtpb.PingRequest
		if err := proto.Unmarshal(signed, &m); err != nil {
			t.Fatal(err)
		}
		return &m
	}
	signAgain := func(m *dhtpb.PingRequest, s func(unsigned []byte) string) {
		m.Auth.Signature = nil
		unsigned, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		m.Auth.Signature = []byte(s(unsigned))
	}
	byThief := func(b []byte) string {
		sig, err := identity.SignText(thiefKey, b)
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	token := func() *authpb.AccessToken { // fresh, and truly the victim's
		return request(newSignature(t, victimKey, auth.SignatureConfig{})).GetAuth().GetClientAccessToken()
	}
	for name, tt := range map[string]struct {
		change func(m *dhtpb.PingRequest)
		any    auth.Reason // where any signer will do
		peer   auth.Reason // where it must be the peer of the channel
	}{
		"another's token": {func(m *dhtpb.PingRequest) {
			m.Auth.ClientAccessToken = token()
			signAgain(m, byThief)
		}, auth.WrongSignature, auth.WrongPeer},
		"another's token beside the old signature": {func(m *dhtpb.PingRequest) { m.Auth.ClientAccessToken = token() }, auth.WrongSignature, auth.WrongPeer},
		"a later expiry":    {func(m *dhtpb.PingRequest) { m.Auth.ClientAccessToken.ExpirationTime = "2099-01-01 00:00:00+00:00" }, auth.WrongSignature, auth.WrongSignature},
		"another signature": {func(m *dhtpb.PingRequest) { m.Auth.ClientAccessToken.Signature = []byte("AAAA") }, auth.WrongSignature, auth.WrongSignature},
		"a user's name":     {func(m *dhtpb.PingRequest) { m.Auth.ClientAccessToken.Username = "root" }, auth.WrongSignature, auth.WrongSignature},
		"no token": {func(m *dhtpb.PingRequest) {
			m.Auth.ClientAccessToken = nil
			signAgain(m, byThief)
		}, auth.Malformed, auth.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			m := request(newSignature(t, thiefKey, auth.SignatureConfig{}))
			tt.change(m)
			msg, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			for anySigner, want := range map[bool]auth.Reason{false: tt.peer, true: tt.any} {
				guard := newSignature(t, targetKey, auth.SignatureConfig{AnySigner: anySigner})
				_, err := guard.VerifyRequest(idOf(t, thiefKey), msg)
				if reason, ok := auth.ReasonOf(err); !ok || reason != want {
					t.Errorf("any signer %v: %v", anySigner, err)
				}
			}
		})
	}

	// What a stale token leaves open is nothing: the message has a time of its own.
	now := time.Unix(1_700_000_000, 0)
	s := newSignature(t, victimKey, auth.SignatureConfig{Now: func() time.Time { return now }})
	guard := newSignature(t, targetKey, auth.SignatureConfig{Now: func() time.Time { return now }})
	first := request(s)
	old, err := proto.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(20 * time.Second)
	second := request(s)
	if !proto.Equal(first.GetAuth().GetClientAccessToken(), second.GetAuth().GetClientAccessToken()) {
		t.Error("a token for every message")
	}
	now = now.Add(20 * time.Second)
	if third := request(s); bytes.Equal(third.GetAuth().GetClientAccessToken().GetSignature(), first.GetAuth().GetClientAccessToken().GetSignature()) {
		t.Error("a token is used until it expires")
	}
	now = now.Add(21 * time.Second)
	if _, err := guard.VerifyRequest(idOf(t, victimKey), old); err == nil {
		t.Error("a message of a minute ago was accepted")
	} else if reason, _ := auth.ReasonOf(err); reason != auth.WrongTime {
		t.Errorf("a message of a minute ago: %v", err)
	}
}
