package devchain

import (
	"encoding/binary"
	"errors"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// The records of the data folder: fixed fields, then byte strings with a
// uvarint length.

var errRecord = errors.New("malformed record")

func encodeBlock(b *Block) []byte {
	header := b.Header.Encode()
	size := 32 + 16 + 32 + len(header) + 16
	for _, xt := range b.Extrinsics {
		size += len(xt) + 5
	}
	rec := make([]byte, 0, size)
	rec = append(rec, b.Hash[:]...)
	rec = binary.LittleEndian.AppendUint64(rec, b.Timestamp)
	rec = binary.LittleEndian.AppendUint64(rec, b.Slot)
	rec = append(rec, b.set.bytes()...)
	rec = appendBytes(rec, header)
	for _, xt := range b.Extrinsics {
		rec = appendBytes(rec, xt)
	}
	return rec
}

func decodeBlock(rec []byte) (*Block, error) {
	if len(rec) < 80 {
		return nil, errRecord
	}
	b := &Block{
		Hash:      chain.Hash(rec[:32]),
		Timestamp: binary.LittleEndian.Uint64(rec[32:]),
		Slot:      binary.LittleEndian.Uint64(rec[40:]),
		set:       setHashFrom(rec[48:80]),
	}
	header, rec, err := cutBytes(rec[80:])
	if err != nil {
		return nil, err
	}
	if b.Header, err = DecodeHeader(header); err != nil {
		return nil, err
	}
	for len(rec) > 0 {
		var xt []byte
		if xt, rec, err = cutBytes(rec); err != nil {
			return nil, err
		}
		b.Extrinsics = append(b.Extrinsics, xt)
	}
	return b, nil
}

// encodeChanges keeps the keys and what was there before.
func encodeChanges(changes []Change) []byte {
	size := 0
	for _, c := range changes {
		size += len(c.Key) + len(c.prev) + 11
	}
	rec := make([]byte, 0, size)
	for _, c := range changes {
		rec = appendBytes(rec, c.Key)
		if c.prev == nil {
			rec = append(rec, 0)
			continue
		}
		rec = append(rec, 1)
		rec = appendBytes(rec, c.prev)
	}
	return rec
}

func decodeChanges(rec []byte) ([]Change, error) {
	changes := []Change{}
	for len(rec) > 0 {
		var c Change
		var err error
		if c.Key, rec, err = cutBytes(rec); err != nil {
			return nil, err
		}
		if len(rec) == 0 || rec[0] > 1 {
			return nil, errRecord
		}
		present := rec[0] == 1
		rec = rec[1:]
		if present {
			if c.prev, rec, err = cutBytes(rec); err != nil {
				return nil, err
			}
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func appendBytes(rec, b []byte) []byte {
	return append(binary.AppendUvarint(rec, uint64(len(b))), b...)
}

// cutBytes returns a non-nil byte string, which aliases rec, and the rest.
func cutBytes(rec []byte) (b, rest []byte, err error) {
	n, size := binary.Uvarint(rec)
	if size <= 0 || n > uint64(len(rec)-size) {
		return nil, nil, errRecord
	}
	rec = rec[size:]
	return rec[:n:n], rec[n:], nil
}
