package msgpack_test

import (
	"encoding/hex"
	"testing"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

const heartbeat = "c74a409402a976616c696461746f72cb3ff000000000000084ab7075626c69635f6e616d65c0a776657273696f6ea5312e302e30" +
	"ab7573696e675f72656c6179c2aa6e6578745f70696e677380"

func BenchmarkUnmarshal(b *testing.B) {
	data, _ := hex.DecodeString(heartbeat)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := msgpack.Unmarshal(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValid(b *testing.B) {
	data, _ := hex.DecodeString(heartbeat)
	b.ReportAllocs()
	for b.Loop() {
		if err := msgpack.Valid(data, msgpack.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMarshal(b *testing.B) {
	data, _ := hex.DecodeString(heartbeat)
	v, _ := msgpack.Unmarshal(data)
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := msgpack.Append(buf, v); err != nil {
			b.Fatal(err)
		}
	}
}
