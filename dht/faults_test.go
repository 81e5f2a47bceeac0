package dht_test

import (
	"context"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// The tests called TestFault in this package each show that a known attack on DHTs of this kind, or a known fault of one, has no effect
// here: on real hosts, through the protocol. They are sorted by what the attacker gets at: values, versions, sizes, the table, the
// channel.

var poison = []byte{0xc1, 0xff} // a value that no reader can decode

// held returns what a member itself holds for a key.
func held(m *member, key string) *dht.Value {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	v, _ := m.Get(ctx, record.KeyOfText(key))
	return v
}

func pack(v any) []byte { return must(msgpack.Marshal(v)) }
