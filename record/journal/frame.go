package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

const (
	fileMagic   = "mesh records 1\r\n" // the line end shows damage by text tools
	saltSize    = 16
	headerSize  = len(fileMagic) + saltSize
	frameMark   = "\xf7\x52\x45\xc1" // never valid UTF-8 or MessagePack: rare by chance
	frameHeader = len(frameMark) + 8 // mark, length, checksum
	maxPayload  = 1 << 20            // longest record on disk
)

var (
	errNoJournal = errors.New("not a journal of records")
	errTooLong   = errors.New("record is too long for the journal")
	errPayload   = errors.New("frame does not hold a record")
)

// checker computes the checksums of one file.
type checker struct {
	table *crc32.Table
	seed  uint32
}

func newChecker(salt []byte) checker {
	table := crc32.MakeTable(crc32.Castagnoli)
	return checker{table: table, seed: crc32.Checksum(salt, table)}
}

func (c checker) sum(payload []byte) uint32 {
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(payload))) //nolint:gosec // at most maxPayload
	return crc32.Update(crc32.Update(c.seed, c.table, size[:]), c.table, payload)
}

// appendFrame appends one record as a frame.
func (c checker) appendFrame(dst []byte, h record.Held) ([]byte, error) {
	start := len(dst)
	dst = append(dst, frameMark...)
	dst = append(dst, make([]byte, 8)...)
	dst = appendPayload(dst, h)
	payload := dst[start+frameHeader:]
	if len(payload) > maxPayload {
		return dst[:start], errTooLong
	}
	binary.BigEndian.PutUint32(dst[start+4:], uint32(len(payload))) //nolint:gosec // checked above
	binary.BigEndian.PutUint32(dst[start+8:], c.sum(payload))
	return dst, nil
}

func appendPayload(dst []byte, h record.Held) []byte {
	dst = msgpack.AppendListHeader(dst, 5)
	dst = msgpack.AppendBytes(dst, h.Key[:])
	dst = msgpack.AppendBytes(dst, h.Subkey)
	dst = msgpack.AppendBytes(dst, h.Value)
	dst = msgpack.AppendFloat(dst, float64(h.Expiration))
	return msgpack.AppendBytes(dst, []byte(h.Author))
}

// parsePayload reads what appendPayload wrote; the record is a view of it.
func parsePayload(payload []byte) (record.Held, error) {
	s := msgpack.NewScanner(payload, msgpack.Limits{Bytes: maxPayload})
	n, err := s.List()
	if err != nil || n != 5 {
		return record.Held{}, errors.Join(errPayload, err)
	}
	var fields [3][]byte
	for i := range fields {
		if fields[i], err = s.Bytes(); err != nil {
			return record.Held{}, errors.Join(errPayload, err)
		}
	}
	expiration, err := s.Number()
	if err != nil {
		return record.Held{}, errors.Join(errPayload, err)
	}
	author, err := s.Bytes()
	if err == nil {
		err = s.Done()
	}
	if err != nil || len(fields[0]) != record.KeySize {
		return record.Held{}, errors.Join(errPayload, err)
	}
	return record.Held{
		Record: record.Record{
			Key: record.Key(fields[0]), Subkey: fields[1], Value: fields[2], Expiration: record.Expiration(expiration),
		},
		Author: peer.ID(author),
	}, nil
}
