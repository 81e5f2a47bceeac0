package identity_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/hypertensor-blockchain/mesh/identity"
)

// The vectors of this file were produced by Python nodes from the seed 00 01 .. 1f.
const (
	goldenPeer = "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
	goldenSSH  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
	goldenSeed = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	goldenPub  = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goldenKey(t testing.TB) crypto.PrivKey {
	t.Helper()
	key, err := identity.Unmarshal(unhex(t, "08011240"+goldenSeed+goldenPub))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestGoldenIdentity(t *testing.T) {
	for name, file := range map[string]string{
		"64 bytes": "08011240" + goldenSeed + goldenPub,
		"32 bytes": "08011220" + goldenSeed,
		"96 bytes": "08011260" + goldenSeed + goldenPub + goldenPub,
	} {
		t.Run(name, func(t *testing.T) {
			key, err := identity.Unmarshal(unhex(t, file))
			if err != nil {
				t.Fatal(err)
			}
			id, err := identity.PeerID(key)
			if err != nil || id.String() != goldenPeer {
				t.Errorf("peer ID = %v, %v; want %s", id, err, goldenPeer)
			}
			if got := identity.OpenSSH(key.GetPublic()); got != goldenSSH {
				t.Errorf("OpenSSH = %q", got)
			}
			out, err := identity.Marshal(key)
			if err != nil || hex.EncodeToString(out) != "08011240"+goldenSeed+goldenPub {
				t.Errorf("Marshal = %x, %v", out, err)
			}
		})
	}
}

func TestGoldenSignatures(t *testing.T) {
	key := goldenKey(t)
	subkey := goldenPeer + "[owner:" + goldenSSH + "]"
	record := unhex(t, "c7ff4094c414a46d6b70223dbc8c5e40bcdbd435a6f35f7ab7b5c48ec48c"+hex.EncodeToString([]byte(subkey))+
		"c44dc74a409402a976616c696461746f72cb3ff000000000000084ab7075626c69635f6e616d65c0a776657273696f6ea5312e302e30"+
		"ab7573696e675f72656c6179c2aa6e6578745f70696e677380cb41d954fc40100000")
	token := " b'" + goldenSSH + "' 2023-11-14 22:14:20.250000+00:00"
	for _, tt := range []struct{ name, msg, want string }{
		{"record", string(record), "iycr/CsJAM+YV5Db6m5JLDKqxUzp/QN9Zc3FtcbpPWa+FMTO0awYG98K7PpIBatsEywDjE9xzH09d1zNPeNOBg=="},
		{"token", token, "rbC6QBwFQyBlU5jc7its2rYUBLen/YhyrnnX2rbwZ8pYrzy60JHpMPi38r+sU4TcxtYaLQYYrqOD16Q9eo0hBA=="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := identity.SignText(key, []byte(tt.msg))
			if err != nil || got != tt.want {
				t.Fatalf("SignText = %q, %v; want %q", got, err, tt.want)
			}
			if err := identity.VerifyText(key.GetPublic(), []byte(tt.msg), got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSignVerifyBothKinds(t *testing.T) {
	for _, kind := range []identity.KeyType{identity.Ed25519, identity.RSA} {
		t.Run(kind.String(), func(t *testing.T) {
			key, err := identity.Generate(kind)
			if err != nil {
				t.Fatal(err)
			}
			msg := []byte("message")
			sig, err := identity.SignText(key, msg)
			if err != nil {
				t.Fatal(err)
			}
			pub, err := identity.ParseOpenSSH(identity.OpenSSH(key.GetPublic()))
			if err != nil || !pub.Equals(key.GetPublic()) {
				t.Fatalf("OpenSSH round trip: %v", err)
			}
			if err := identity.VerifyText(pub, msg, sig); err != nil {
				t.Error(err)
			}
			if err := identity.VerifyText(pub, []byte("massage"), sig); !errors.Is(err, identity.ErrSignature) {
				t.Errorf("other message: %v", err)
			}
			if err := identity.VerifyText(pub, msg, ""); !errors.Is(err, identity.ErrSignature) {
				t.Errorf("no signature: %v", err)
			}
			loose := sig[:7] + "\n !*" + sig[7:] + "trailing"
			if err := identity.VerifyText(pub, msg, loose); !errors.Is(err, identity.ErrSignature) {
				t.Errorf("loose base64 accepted: %v", err)
			}
			if err := identity.VerifyTextLenient(pub, msg, loose); err != nil {
				t.Errorf("loose base64: %v", err)
			}
			if err := identity.VerifyTextLenient(pub, msg, "A"); !errors.Is(err, identity.ErrSignature) {
				t.Errorf("one character: %v", err)
			}
		})
	}
}

func TestFileRoundTrip(t *testing.T) {
	for _, kind := range []identity.KeyType{identity.Ed25519, identity.RSA} {
		t.Run(kind.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "peer.key")
			key, err := identity.Generate(kind)
			if err != nil {
				t.Fatal(err)
			}
			if err := identity.Save(path, key, false); err != nil {
				t.Fatal(err)
			}
			got, err := identity.Load(path)
			if err != nil || !got.Equals(key) {
				t.Fatalf("Load: %v", err)
			}
			info, err := os.Stat(path)
			if err != nil || (runtime.GOOS != "windows" && info.Mode().Perm() != 0o600) {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			other, err := identity.Generate(identity.Ed25519)
			if err != nil {
				t.Fatal(err)
			}
			if err := identity.Save(path, other, false); !errors.Is(err, identity.ErrExists) || !errors.Is(err, fs.ErrExist) {
				t.Errorf("overwrote: %v", err)
			}
			if got, err := identity.Load(path); err != nil || !got.Equals(key) {
				t.Errorf("refused save changed the file: %v", err)
			}
			if err := identity.Save(path, other, true); err != nil {
				t.Fatal(err)
			}
			if got, err := identity.Load(path); err != nil || !got.Equals(other) {
				t.Errorf("forced save: %v", err)
			}
			entries, err := os.ReadDir(filepath.Dir(path))
			if err != nil || len(entries) != 1 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

func TestLoadRefusals(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte, mode fs.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // the umask may have taken bits
			t.Fatal(err)
		}
		return path
	}
	good := unhex(t, "08011240"+goldenSeed+goldenPub)
	wrongPub := bytes.Clone(good)
	wrongPub[len(wrongPub)-1] ^= 1
	for _, tt := range []struct {
		name string
		path string
		want error
	}{
		{"missing", filepath.Join(dir, "none"), fs.ErrNotExist},
		{"empty", write("empty", nil, 0o600), identity.ErrMalformed},
		{"text", write("text", []byte("hello, I am no key"), 0o600), identity.ErrMalformed},
		{"cut", write("cut", good[:40], 0o600), identity.ErrMalformed},
		{"public part of another key", write("pub", wrongPub, 0o600), identity.ErrMalformed},
		{"secp256k1", write("secp", append([]byte{8, 2, 18, 32}, make([]byte, 32)...), 0o600), identity.ErrKeyType},
		{"RSA junk", write("rsa", []byte{8, 0, 18, 2, 1, 2}, 0o600), identity.ErrMalformed},
		{"big", write("big", make([]byte, 1<<20), 0o600), identity.ErrMalformed},
		{"folder", dir, identity.ErrMalformed},
		{"world-readable", write("world", good, 0o644), identity.ErrPermissions},
		{"group-readable", write("group", good, 0o640), identity.ErrPermissions},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if errors.Is(tt.want, identity.ErrPermissions) && runtime.GOOS == "windows" {
				t.Skip("no such modes")
			}
			_, err := identity.Load(tt.path)
			if !errors.Is(err, tt.want) {
				t.Errorf("Load = %v, want %v", err, tt.want)
			}
		})
	}
	if _, err := identity.Load(write("o", good, 0o604)); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("text does not say what to do: %v", err)
	}
	if _, err := identity.Load(write("readonly", good, 0o400)); err != nil {
		t.Errorf("mode 0400, as Python writes: %v", err)
	}
}

func TestParseOpenSSHRefusals(t *testing.T) {
	for _, text := range []string{
		"", "ssh-ed25519", "ssh-ed25519 ", "ssh-dss AAAA", goldenSSH + " comment", goldenSSH + "\n", " " + goldenSSH,
		"ssh-rsa " + strings.TrimPrefix(goldenSSH, "ssh-ed25519 "),
		goldenSSH[:40] + "\n" + goldenSSH[40:],
		"ssh-ed25519 " + strings.Repeat("A", 1<<20),
	} {
		if key, err := identity.ParseOpenSSH(text); !errors.Is(err, identity.ErrMalformed) {
			t.Errorf("ParseOpenSSH(%.60q) = %v, %v", text, key, err)
		}
	}
}

func TestOtherKinds(t *testing.T) {
	key, _, err := crypto.GenerateSecp256k1Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.PeerID(key); !errors.Is(err, identity.ErrKeyType) {
		t.Errorf("PeerID: %v", err)
	}
	if _, err := identity.SignText(key, nil); !errors.Is(err, identity.ErrKeyType) {
		t.Errorf("SignText: %v", err)
	}
	if got := identity.OpenSSH(key.GetPublic()); got != "" {
		t.Errorf("OpenSSH: %q", got)
	}
	if _, err := identity.Generate(9); !errors.Is(err, identity.ErrKeyType) {
		t.Errorf("Generate: %v", err)
	}
	if _, err := identity.ParseKeyType("dsa"); !errors.Is(err, identity.ErrKeyType) {
		t.Errorf("ParseKeyType: %v", err)
	}
	if _, err := identity.PeerID(nil); !errors.Is(err, identity.ErrKeyType) {
		t.Errorf("PeerID(nil): %v", err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(unhex(f, "08011240"+goldenSeed+goldenPub))
	f.Add(unhex(f, "08011220"+goldenSeed))
	f.Add([]byte{8, 0, 18, 2, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := identity.Unmarshal(b)
		if err != nil {
			return
		}
		out, err := identity.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		again, err := identity.Unmarshal(out)
		if err != nil || !again.Equals(key) {
			t.Fatalf("%x does not come back: %v", b, err)
		}
	})
}

func FuzzParseOpenSSH(f *testing.F) {
	f.Add(goldenSSH)
	f.Add("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := identity.ParseOpenSSH(text)
		if err == nil && identity.OpenSSH(key) != text {
			t.Fatalf("%q does not come back", text)
		}
	})
}

func FuzzVerifyTextLenient(f *testing.F) {
	key := goldenKey(f).GetPublic()
	f.Add("AAAA", []byte("m"))
	f.Add("=A=BC=D==", []byte("m"))
	f.Fuzz(func(t *testing.T, sig string, msg []byte) {
		strict := identity.VerifyText(key, msg, sig)
		lenient := identity.VerifyTextLenient(key, msg, sig)
		if strict == nil && lenient != nil {
			t.Fatalf("%q passes strictly only", sig)
		}
		if _, err := base64.StdEncoding.Strict().DecodeString(sig); err != nil && strict == nil {
			t.Fatalf("%q passes strictly", sig)
		}
	})
}
