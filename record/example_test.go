package record_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// A node signs a record, others validate and keep it, and nobody else can replace it.
func Example() {
	key, _, err := crypto.GenerateEd25519Key(bytes.NewReader(make([]byte, 32)))
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Unix(1_700_000_000, 0)
	sub, _ := record.SubkeyOf("weather station" + record.OwnerMarker(key.GetPublic()))
	value, _ := msgpack.Marshal(21.5)
	r := record.Record{Key: record.KeyOf("temperature"), Subkey: sub, Value: value, Expiration: record.ExpirationAt(now.Add(time.Minute))}

	writer := record.NewChain(record.NewSignature(key, record.SignatureConfig{}), record.NewBounds(record.BoundsConfig{}))
	if r.Value, err = writer.Sign(r); err != nil {
		fmt.Println(err)
		return
	}

	keeper := record.NewChain(record.NewSignature(nil, record.SignatureConfig{}), record.NewBounds(record.BoundsConfig{}))
	storage := record.NewStorage(record.StorageConfig{})
	request := record.Request{Kind: record.Post, Sender: "somebody", Now: now}
	if err = keeper.Validate(r, request); err == nil {
		err = storage.Store(r, keeper.Author(r, request.Sender), now)
	}
	fmt.Println("stored:", err)

	forged := r.Clone()
	forged.Expiration++
	err = keeper.Validate(forged, request)
	fmt.Println("forged:", record.CodeOf(err), "by the", record.SideOf(err))

	found, _ := storage.Lookup(r.Key, r.Subkey, now)
	v, _ := msgpack.Unmarshal(keeper.Strip(found))
	fmt.Println("read:", v)
	// Output:
	// stored: <nil>
	// forged: signature by the sender
	// read: 21.5
}

func ExampleParseShape() {
	shape, err := record.ParseShape([]byte(`{"type": "object", "properties": {"loss": {"type": "float"}}, "required": ["loss"]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(shape.Match(msgpack.Map{{Key: "loss", Value: 0.25}}))
	fmt.Println(shape.Match(msgpack.Map{{Key: "loss", Value: int64(1)}}))
	// Output:
	// <nil>
	// "loss": does not have the shape: integer instead of float
}

func ExamplePhases() {
	phases := record.NewPhases(record.PhasesConfig{})
	chain := record.NewChain(phases, record.NewSignature(nil, record.SignatureConfig{}))
	now := time.Unix(1_700_000_000, 0)
	r := record.Record{Key: record.HeartbeatKey(), Subkey: []byte(record.RegularTag), Value: []byte{1}, Expiration: record.ExpirationAt(now.Add(time.Minute))}
	err := chain.Validate(r, record.Request{Kind: record.Post, Now: now, Phase: record.PhaseAt(7, 30, 100)})
	fmt.Println(err)
	// Output:
	// record: refused (sender): the subkey names no owner
}

func ExampleCommit() {
	salt, body := record.Salt{1, 2, 3}, []byte("my scores") // a salt comes from crypto/rand
	commit := record.Commit(7, "alice", salt, body).Value()
	// ... half an epoch later
	reveal := record.RevealValue(salt, body)
	opened, err := record.OpenReveal(7, "alice", commit, reveal)
	fmt.Printf("%s %v\n", opened, err)
	_, err = record.OpenReveal(7, "alice", commit, record.RevealValue(salt, []byte("better scores")))
	fmt.Println(err)
	// Output:
	// my scores <nil>
	// the reveal does not match the commit
}
