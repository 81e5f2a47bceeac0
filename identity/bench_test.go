package identity_test

import (
	"testing"

	"github.com/hypertensor-blockchain/mesh/identity"
)

// BenchmarkText measures text signatures of both kinds of keys.
func BenchmarkText(b *testing.B) {
	msg := make([]byte, 300)
	for _, kind := range []identity.KeyType{identity.Ed25519, identity.RSA} {
		key, err := identity.Generate(kind)
		if err != nil {
			b.Fatal(err)
		}
		sig, err := identity.SignText(key, msg)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(kind.String()+"/sign", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := identity.SignText(key, msg); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind.String()+"/verify", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := identity.VerifyText(key.GetPublic(), msg, sig); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
