package record_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// start is the time at which tests begin.
var start = time.Unix(1_700_000_000, 0)

func in(d time.Duration) record.Expiration { return record.ExpirationAt(start.Add(d)) }

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pack(t testing.TB, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func subkey(t testing.TB, v any) []byte {
	t.Helper()
	b, err := record.SubkeyOf(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// node is a party with a key.
type node struct {
	key crypto.PrivKey
	id  peer.ID
	sig *record.Signature
}

func party(t testing.TB, key crypto.PrivKey) node {
	t.Helper()
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return node{key: key, id: id, sig: record.NewSignature(key, record.SignatureConfig{})}
}

// ed25519Node returns the party whose seed is 32 times n.
func ed25519Node(t testing.TB, n byte) node {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(bytes.NewReader(bytes.Repeat([]byte{n}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return party(t, key)
}

var rsaKey = sync.OnceValues(func() (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateRSAKeyPair(2048, rand.Reader)
	return key, err
})

// rsaNode returns a party with an RSA key, the same in every test.
func rsaNode(t testing.TB) node {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	return party(t, key)
}

func (n node) marker() string { return n.sig.Marker() }

// name is the subkey of the node's heartbeat before packing.
func (n node) name() []byte { return []byte(n.id.String() + n.marker()) }

// signed returns a record under the node's own subkey.
func (n node) signed(t testing.TB, key record.Key, value []byte, exp record.Expiration) record.Record {
	t.Helper()
	return n.sign(t, record.Record{Key: key, Subkey: subkey(t, n.name()), Value: value, Expiration: exp})
}

func (n node) sign(t testing.TB, r record.Record) record.Record {
	t.Helper()
	value, err := n.sig.Sign(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Value = value
	return r
}

func post(from peer.ID) record.Request {
	return record.Request{Kind: record.Post, Sender: from, Now: start}
}

func answer(from peer.ID) record.Request {
	return record.Request{Kind: record.Get, Sender: from, Now: start}
}

func at(q record.Request, epoch uint32, progress record.Permille) record.Request {
	q.Phase = record.Phase{Epoch: epoch, Progress: progress, Known: true}
	return q
}

// refused checks that err is a fault with a code and a side.
func refused(t testing.TB, err error, side record.Side, code record.Code) {
	t.Helper()
	var f *record.Fault
	if !errors.As(err, &f) {
		t.Fatalf("got %v; want a fault %q of the %s", err, code, side)
	}
	if f.Code != code || f.Side != side {
		t.Fatalf("got %v; want %q of the %s", err, code, side)
	}
}

func accepted(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	inf = math.Inf(1)
	nan = math.NaN()

	errBad = errors.New("bad")
)
