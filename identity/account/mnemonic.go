package account

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed" // the word list
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

//go:embed english.txt
var english string // the 2,048 English words of BIP-39, sorted, one a line

// ErrMnemonic says that a phrase is no BIP-39 mnemonic in English.
var ErrMnemonic = errors.New("account: not a mnemonic")

// wordBits is what one of 2,048 words encodes.
const wordBits = 11

// hardened marks a BIP-32 step that needs the private key.
const hardened = 1 << 31

// NewMnemonic returns a phrase of 12, 15, 18, 21 or 24 words from the system's randomness.
func NewMnemonic(words int) (string, error) {
	if words < 12 || words > 24 || words%3 != 0 {
		return "", fmt.Errorf("%w: %d words; want 12, 15, 18, 21 or 24", ErrMnemonic, words)
	}
	entropy := make([]byte, words/3*4)
	if _, err := rand.Read(entropy); err != nil {
		return "", fmt.Errorf("account: mnemonic: %w", err)
	}
	return mnemonicOf(entropy), nil
}

// mnemonicOf spells entropy of a multiple of 4 bytes, followed by one checksum bit for each 4 bytes.
func mnemonicOf(entropy []byte) string {
	list := strings.Fields(english)
	sum := sha256.Sum256(entropy)
	bits := append(slices.Clone(entropy), sum[0])
	words := make([]string, len(entropy)/4*3)
	for i := range words {
		index := 0
		for k := i * wordBits; k < (i+1)*wordBits; k++ {
			index = index<<1 | int(bits[k/8]>>(7-k%8)&1)
		}
		words[i] = list[index]
	}
	return strings.Join(words, " ")
}

// CheckMnemonic checks words and checksum of a phrase. The error does not repeat the phrase.
func CheckMnemonic(phrase string) error {
	list := strings.Fields(english)
	words := strings.Fields(phrase)
	if len(words) < 12 || len(words) > 24 || len(words)%3 != 0 {
		return fmt.Errorf("%w: %d words; want 12, 15, 18, 21 or 24", ErrMnemonic, len(words))
	}
	bits := make([]byte, len(words)*wordBits/8+1)
	for i, w := range words {
		index, ok := slices.BinarySearch(list, strings.ToLower(w))
		if !ok {
			return fmt.Errorf("%w: word %d is not in the English list", ErrMnemonic, i+1)
		}
		for k := range wordBits {
			if index>>(wordBits-1-k)&1 == 1 {
				at := i*wordBits + k
				bits[at/8] |= 1 << (7 - at%8)
			}
		}
	}
	n := len(words) / 3 // 4 bytes of entropy and 1 bit of checksum for 3 words
	sum := sha256.Sum256(bits[:4*n])
	if (sum[0]^bits[4*n])>>(8-n) != 0 {
		return fmt.Errorf("%w: the checksum is wrong; a word is mistyped or out of place", ErrMnemonic)
	}
	return nil
}

// FromMnemonic derives the account with the given index from a phrase, by the path m/44'/60'/0'/0/index.
func FromMnemonic(phrase string, index uint32) (*Account, error) {
	if err := CheckMnemonic(phrase); err != nil {
		return nil, err
	}
	phrase = strings.ToLower(strings.Join(strings.Fields(phrase), " "))
	seed, err := pbkdf2.Key(sha512.New, phrase, []byte("mnemonic"), 2048, 64)
	if err != nil {
		return nil, fmt.Errorf("account: mnemonic: %w", err)
	}
	return fromSeed(seed, 44|hardened, 60|hardened, hardened, 0, index)
}

// fromSeed walks a BIP-32 path from a seed.
func fromSeed(seed []byte, path ...uint32) (*Account, error) {
	key, code := hmac512([]byte("Bitcoin seed"), seed)
	var k secp256k1.ModNScalar
	if k.SetByteSlice(key) || k.IsZero() {
		return nil, ErrKey // BIP-32: one in 2^127 seeds has no master key
	}
	for _, step := range path {
		var data []byte
		b := k.Bytes()
		if step >= hardened {
			data = append([]byte{0}, b[:]...)
		} else {
			data = secp256k1.NewPrivateKey(&k).PubKey().SerializeCompressed()
		}
		tweak, next := hmac512(code, binary.BigEndian.AppendUint32(data, step))
		var t secp256k1.ModNScalar
		if t.SetByteSlice(tweak) || k.Add(&t).IsZero() {
			return nil, ErrKey // BIP-32: one in 2^127 steps leads nowhere
		}
		code = next
	}
	b := k.Bytes()
	return FromPrivateKey(b[:])
}

// hmac512 returns the halves of an HMAC-SHA512.
func hmac512(key, data []byte) (left, right []byte) {
	h := hmac.New(sha512.New, key)
	_, _ = h.Write(data) // never fails
	sum := h.Sum(nil)
	return sum[:32], sum[32:]
}
