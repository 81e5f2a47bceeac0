package identity

import (
	stdcrypto "crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"golang.org/x/crypto/ssh"
)

// ErrSignature reports a signature that does not belong to the key and the message.
var ErrSignature = errors.New("wrong signature")

const (
	maxSSHText = 2 << 10 // an RSA key of 8192 bits takes 1.4 KiB
	maxSigText = 2 << 10 // so does its signature
)

// OpenSSH returns the one-line text of a public key, "ssh-ed25519 AAAA..." or "ssh-rsa AAAA...", without
// comment and newline. For a key of another kind it returns "".
func OpenSSH(key crypto.PubKey) string {
	std, err := stdPublic(key)
	if err != nil {
		return ""
	}
	pub, err := ssh.NewPublicKey(std)
	if err != nil {
		return ""
	}
	return pub.Type() + " " + base64.StdEncoding.EncodeToString(pub.Marshal())
}

// ParseOpenSSH reads what OpenSSH returns. One key has one text: options, comments, other kinds of keys and
// other spellings of the same bytes are refused.
func ParseOpenSSH(text string) (crypto.PubKey, error) {
	kind, body, found := strings.Cut(text, " ")
	if !found || len(text) > maxSSHText || (kind != ssh.KeyAlgoED25519 && kind != ssh.KeyAlgoRSA) {
		return nil, fmt.Errorf("identity: %w: no OpenSSH text of an Ed25519 or RSA key", ErrMalformed)
	}
	if strings.ContainsAny(body, "\r\n") { // Go's base64 skips them
		return nil, fmt.Errorf("identity: %w: line break in OpenSSH text", ErrMalformed)
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("identity: %w: OpenSSH text: %w", ErrMalformed, err)
	}
	parsed, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, fmt.Errorf("identity: %w: OpenSSH text: %w", ErrMalformed, err)
	}
	wrapped, ok := parsed.(ssh.CryptoPublicKey)
	if !ok || parsed.Type() != kind {
		return nil, fmt.Errorf("identity: %w: OpenSSH text names another kind", ErrMalformed)
	}
	key, err := publicFromStd(wrapped.CryptoPublicKey())
	if err != nil {
		return nil, err
	}
	if OpenSSH(key) != text {
		return nil, fmt.Errorf("identity: %w: OpenSSH text is not canonical", ErrMalformed)
	}
	return key, nil
}

func publicFromStd(std stdcrypto.PublicKey) (crypto.PubKey, error) {
	var (
		key crypto.PubKey
		err error
	)
	switch std := std.(type) {
	case ed25519.PublicKey:
		key, err = crypto.UnmarshalEd25519PublicKey(std)
	case *rsa.PublicKey:
		var der []byte
		if der, err = x509.MarshalPKIXPublicKey(std); err == nil {
			key, err = crypto.UnmarshalRsaPublicKey(der)
		}
	default:
		err = ErrKeyType
	}
	if err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrMalformed, err)
	}
	return key, nil
}

func stdPublic(key crypto.PubKey) (stdcrypto.PublicKey, error) {
	kind, err := TypeOf(key)
	if err != nil {
		return nil, err
	}
	if kind == Ed25519 { // go-libp2p copies; so do we, without its detour
		raw, err := key.Raw()
		if err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
		return ed25519.PublicKey(raw), nil
	}
	std, err := crypto.PubKeyToStdKey(key)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return std, nil
}

// SignText signs msg and returns the signature as standard base64 text: plain Ed25519, or RSA-PSS over
// SHA-256 with the longest salt that fits, which is what Python nodes make and demand.
func SignText(key crypto.PrivKey, msg []byte) (string, error) {
	sig, err := sign(key, msg)
	if err != nil {
		return "", fmt.Errorf("identity: sign: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sig), nil
}

func sign(key crypto.PrivKey, msg []byte) ([]byte, error) {
	kind, err := TypeOf(key)
	if err != nil {
		return nil, err
	}
	if kind == Ed25519 {
		return key.Sign(msg)
	}
	std, err := crypto.PrivKeyToStdKey(key)
	if err != nil {
		return nil, err
	}
	private, ok := std.(*rsa.PrivateKey)
	if !ok {
		return nil, ErrKeyType
	}
	digest := sha256.Sum256(msg)
	return rsa.SignPSS(rand.Reader, private, stdcrypto.SHA256, digest[:], pssOptions(&private.PublicKey))
}

// pssOptions asks for the longest salt: what the padded message has room for beside the digest and two
// bytes of framing. The padded message is one bit shorter than the modulus.
func pssOptions(key *rsa.PublicKey) *rsa.PSSOptions {
	padded := (key.N.BitLen() - 1 + 7) / 8
	return &rsa.PSSOptions{SaltLength: padded - sha256.Size - 2, Hash: stdcrypto.SHA256}
}

// VerifyText checks a signature made by SignText. The text must be the one canonical base64 form, as every
// known signer writes it.
func VerifyText(key crypto.PubKey, msg []byte, sig string) error {
	if len(sig) > maxSigText || strings.ContainsAny(sig, "\r\n") {
		return fmt.Errorf("identity: verify: %w", ErrSignature)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(sig)
	if err != nil {
		return fmt.Errorf("identity: verify: %w: no base64", ErrSignature)
	}
	return verify(key, msg, raw)
}

// VerifyTextLenient checks a signature as Python nodes do: characters that are no base64 are skipped, and
// nothing after complete padding counts. One signature has many such texts; where texts are compared or
// stored, VerifyText is the right choice.
func VerifyTextLenient(key crypto.PubKey, msg []byte, sig string) error {
	if len(sig) > maxSigText {
		return fmt.Errorf("identity: verify: %w", ErrSignature)
	}
	if raw, err := base64.StdEncoding.Strict().DecodeString(sig); err == nil { // as nearly always
		return verify(key, msg, raw)
	}
	raw, ok := decodeLenient(sig)
	if !ok {
		return fmt.Errorf("identity: verify: %w: no base64", ErrSignature)
	}
	return verify(key, msg, raw)
}

func verify(key crypto.PubKey, msg, sig []byte) error {
	std, err := stdPublic(key)
	if err != nil {
		return err
	}
	switch std := std.(type) {
	case ed25519.PublicKey:
		if ed25519.Verify(std, msg, sig) {
			return nil
		}
	case *rsa.PublicKey:
		digest := sha256.Sum256(msg)
		if rsa.VerifyPSS(std, stdcrypto.SHA256, digest[:], sig, pssOptions(std)) == nil {
			return nil
		}
	}
	return fmt.Errorf("identity: verify: %w", ErrSignature)
}

// decodeLenient decodes base64 as Python's b64decode does without validation.
func decodeLenient(text string) ([]byte, bool) {
	out := make([]byte, 0, len(text)/4*3+3)
	var acc uint32
	quad, pads := 0, 0
	for i := range len(text) {
		c := text[i]
		if c == '=' {
			pads++
			if quad >= 2 && quad+pads >= 4 {
				return out, true
			}
			continue
		}
		v := base64Value(c)
		if v < 0 {
			continue
		}
		pads = 0
		acc = acc<<6 | uint32(v)
		quad = (quad + 1) % 4
		switch quad {
		case 2:
			out = append(out, byte(acc>>4))
		case 3:
			out = append(out, byte(acc>>2))
		case 0:
			out = append(out, byte(acc))
		}
	}
	return out, quad == 0
}

func base64Value(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}
