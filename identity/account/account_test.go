package account

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestDevAccounts compares with the published development accounts.
func TestDevAccounts(t *testing.T) {
	want := []struct{ name, address, key string }{
		{"Alith", "0xf24ff3a9cf04c71dbc94d0b566f7a27b94566cac", "5fb92d6e98884f76"},
		{"baltathar", "0x3cd0a705a2dc65e5b1e1205896baa2be8a07c6e0", "8075991ce870b93a"},
		{"CHARLETH", "0x798d4ba9baf0064ec19eb4f0a1a45785ae9d6dfc", "0b6e18cafb6ed996"},
		{"Dorothy", "0x773539d4ac0e786233d90a233654ccee26a613d9", "39539ab1876910bb"},
		{"Ethan", "0xff64d3f6efe2317ee2807d223a0bdc4c0c49dfdb", "7dce9bc8babb68fe"},
		{"Faith", "0xc0f0f4ab324c46e55d02d0033343b4be8a55532d", "b9d2ea9a615f3165"},
	}
	for _, w := range want {
		a, err := Dev(w.name)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.ID().String(); got != w.address {
			t.Errorf("%s has the address %s, want %s", w.name, got, w.address)
		}
		if got := hex.EncodeToString(a.PrivateKey()); !strings.HasPrefix(got, w.key) {
			t.Errorf("%s has the key %s, want %s...", w.name, got, w.key)
		}
	}
	if _, err := Dev("Mallory"); err == nil {
		t.Error("an unknown name gives an account")
	}
}

// TestBIP39 uses vectors of the standard: entropy and phrase.
func TestBIP39(t *testing.T) {
	for entropy, phrase := range map[string]string{
		"00000000000000000000000000000000":                                 strings.Repeat("abandon ", 11) + "about",
		"7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f":                                 "legal winner thank year wave sausage worth useful legal winner thank yellow",
		"ffffffffffffffffffffffffffffffff":                                 strings.Repeat("zoo ", 11) + "wrong",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff": strings.Repeat("zoo ", 23) + "vote",
	} {
		b, err := hex.DecodeString(entropy)
		if err != nil {
			t.Fatal(err)
		}
		if got := mnemonicOf(b); got != phrase {
			t.Errorf("%s -> %s, want %s", entropy, got, phrase)
		}
		if err := CheckMnemonic(phrase); err != nil {
			t.Errorf("%s: %v", phrase, err)
		}
	}
	for _, bad := range []string{
		"", "abandon", strings.Repeat("abandon ", 12), strings.Repeat("zoo ", 11) + "vote",
		strings.Repeat("abandon ", 11) + "mesh", strings.Repeat("abandon ", 13) + "about",
	} {
		if err := CheckMnemonic(bad); !errors.Is(err, ErrMnemonic) {
			t.Errorf("%q: %v, want ErrMnemonic", bad, err)
		}
	}
}

// TestBIP32 uses a vector of the standard: seed 000102...0f, chain m/0'/1/2'/2/1000000000.
func TestBIP32(t *testing.T) {
	seed, err := hex.DecodeString("000102030405060708090a0b0c0d0e0f")
	if err != nil {
		t.Fatal(err)
	}
	a, err := fromSeed(seed, hardened, 1, 2|hardened, 2, 1000000000)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(a.PrivateKey()); got != "471b76e389e528d6de6d816857e012c5455051cad6660850e58372a6c3e6e7c8" {
		t.Errorf("derived %s", got)
	}
}

func TestNewMnemonic(t *testing.T) {
	for _, n := range []int{12, 15, 18, 21, 24} {
		phrase, err := NewMnemonic(n)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(strings.Fields(phrase)); got != n {
			t.Errorf("%d words, want %d", got, n)
		}
		if _, err := FromMnemonic(phrase, 0); err != nil {
			t.Error(err)
		}
	}
	if _, err := NewMnemonic(13); !errors.Is(err, ErrMnemonic) {
		t.Errorf("13 words: %v", err)
	}
}

// TestSign signs short and long payloads and recovers the signer; both forms of the recovery number are taken.
func TestSign(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		seed[0], seed[31] = 1, seed[31]|1
		a, err := FromPrivateKey(seed)
		if err != nil {
			t.Fatal(err)
		}
		payload := rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "payload")
		sig, err := a.Sign(payload)
		if err != nil || len(sig) != SignatureSize || sig[64] > 1 {
			t.Fatalf("Sign = %x, %v", sig, err)
		}
		if who, err := Recover(payload, sig); err != nil || who != a.ID() {
			t.Fatalf("Recover = %v, %v; want %v", who, err, a.ID())
		}
		sig[64] += 27
		if who, err := Recover(payload, sig); err != nil || who != a.ID() {
			t.Fatalf("Recover with 27 added = %v, %v; want %v", who, err, a.ID())
		}
		if who, err := Recover(append(payload, 1), sig); err == nil && who == a.ID() {
			t.Fatal("the signature holds for another payload")
		}
	})
}

func TestRefusesBadKeysAndSignatures(t *testing.T) {
	order, err := hex.DecodeString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, make([]byte, 31), make([]byte, 32), make([]byte, 33), order, bytes.Repeat([]byte{0xff}, 32)} {
		if _, err := FromPrivateKey(bad); !errors.Is(err, ErrKey) {
			t.Errorf("%x: %v, want ErrKey", bad, err)
		}
	}
	for _, bad := range [][]byte{nil, make([]byte, 64), make([]byte, 65), bytes.Repeat([]byte{0xff}, 65), append(make([]byte, 64), 2)} {
		if _, err := Recover([]byte("x"), bad); !errors.Is(err, ErrSignature) {
			t.Errorf("%x: %v, want ErrSignature", bad, err)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	a, err := Dev("Alith")
	if err != nil {
		t.Fatal(err)
	}
	encrypted, plain := filepath.Join(dir, "a.json"), filepath.Join(dir, "a.key")
	if err := a.SaveFile(encrypted, []byte("secret"), LightCost(), false); err != nil {
		t.Fatal(err)
	}
	if err := a.SavePlainFile(plain, false); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{encrypted, plain} {
		b, err := LoadFile(path, Fixed("secret"))
		if err != nil || b.ID() != a.ID() {
			t.Errorf("%s: %v, %v", path, b, err)
		}
		if id, err := AddressOf(path); err != nil || id != a.ID() {
			t.Errorf("AddressOf(%s) = %v, %v", path, id, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
	}
	if _, err := LoadFile(encrypted, Fixed("Secret")); !errors.Is(err, ErrPassword) {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := LoadFile(encrypted, nil); !errors.Is(err, ErrPassword) {
		t.Errorf("no password: %v", err)
	}
	if err := a.SavePlainFile(plain, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwriting: %v, want fs.ErrExist", err)
	}
	if err := a.SavePlainFile(plain, true); err != nil {
		t.Errorf("overwriting with force: %v", err)
	}
	if err := os.Chmod(plain, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(plain, nil); !errors.Is(err, ErrPermissions) {
		t.Errorf("a file open to others: %v", err)
	}
	if _, err := LoadFile(filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// TestWeb3Vector opens the example of the Web3 secret storage definition.
func TestWeb3Vector(t *testing.T) {
	const file = `{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
"ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt",
"kdfparams":{"dklen":32,"n":262144,"p":8,"r":1,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
"mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},
"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}`
	a, err := Decrypt([]byte(file), []byte("testpassword"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(a.PrivateKey()); got != "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d" {
		t.Errorf("key %s", got)
	}
}

func FuzzDecrypt(f *testing.F) {
	a, err := Dev("Alith")
	if err != nil {
		f.Fatal(err)
	}
	b, err := a.Encrypt([]byte("p"), Cost{N: 2, P: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":3,"crypto":{"cipher":"aes-128-ctr","kdf":"scrypt","kdfparams":{"n":1073741824,"r":8,"p":1,"dklen":32}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseStorage(data); err == nil && s.Crypto.KDFParams.N > 1<<14 {
			t.Skip("costly")
		}
		if a, err := Decrypt(data, []byte("p")); err == nil && a.ID().IsZero() {
			t.Error("an account without an address")
		}
	})
}

// TestShowsNoSecret prints an account in all ways.
func TestShowsNoSecret(t *testing.T) {
	a, err := Dev("Alith")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%v %+v %#v %s", a, a, a, a.LogValue())
	if strings.Contains(text, "5fb92d6e") || strings.Count(text, a.ID().String()) != 4 {
		t.Errorf("shown as %s", text)
	}
}

func BenchmarkSign(b *testing.B) {
	a, err := Dev("Alith")
	if err != nil {
		b.Fatal(err)
	}
	payload := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Sign(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleFromMnemonic() {
	a, err := FromMnemonic(DevMnemonic, 0)
	if err != nil {
		panic(err)
	}
	fmt.Println(a.ID())
	// Output: 0xf24ff3a9cf04c71dbc94d0b566f7a27b94566cac
}

// TestSS58 uses addresses of well-known keys: Alice of Substrate's development chains on three networks.
func TestSS58(t *testing.T) {
	alice, err := hex.DecodeString("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d")
	if err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[uint16]string{
		42: "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
		0:  "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5",
		2:  "HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F",
	} {
		if got := SS58(prefix, alice); got != want {
			t.Errorf("prefix %d: %s, want %s", prefix, got, want)
		}
	}
}

func TestEd25519(t *testing.T) {
	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	if err != nil {
		t.Fatal(err)
	}
	a, err := FromEd25519Seed(seed)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(a.Address()); got != "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" {
		t.Errorf("public key %s", got)
	}
	sig, err := a.Sign(nil) // the first vector of RFC 8032
	if err != nil || !strings.HasPrefix(hex.EncodeToString(sig), "e5564300c360ac729086e2cc806e828a") {
		t.Errorf("signature %x, %v", sig, err)
	}
	if long, err := a.Sign(make([]byte, 300)); err != nil || len(long) != 64 || a.Scheme() != Ed25519 {
		t.Errorf("signature %x, %v", long, err)
	}
	if _, err := FromEd25519Seed(seed[:31]); err == nil {
		t.Error("a short seed is taken")
	}
	if text := fmt.Sprintf("%v %+v %#v", a, a, a); strings.Contains(text, "9d61b19d") || strings.Count(text, "5") == 0 {
		t.Errorf("shown as %s", text)
	}
	if b, err := GenerateEd25519(); err != nil || b.AccountID() == a.AccountID() {
		t.Errorf("%v, %v", b, err)
	}
}
