package journal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hypertensor-blockchain/mesh/record"
)

// Report says what reading a journal found.
type Report struct {
	Records int   // intact ones
	Damaged int64 // bytes in the middle that belong to no intact frame
	Torn    int64 // bytes after the last intact frame
}

// Read calls load for every intact record in a journal file, in the order of writing. The record is a copy. It fails
// if r does not begin as a journal does, or cannot be read.
func Read(r io.Reader, load func(record.Held)) (Report, error) {
	in := bufio.NewReaderSize(r, bufferFor(r))
	header, err := in.Peek(headerSize)
	if notEOF(err) != nil {
		return Report{}, fmt.Errorf("journal: read: %w", err)
	}
	if len(header) < headerSize || string(header[:len(fileMagic)]) != fileMagic {
		return Report{}, fmt.Errorf("journal: %w", errNoJournal)
	}
	check := newChecker(header[len(fileMagic):])
	if _, err := in.Discard(headerSize); err != nil {
		return Report{}, fmt.Errorf("journal: read: %w", err)
	}
	return readFrames(in, check, load)
}

// bufferFor returns a size in which the longest frame fits, or all of a short file.
func bufferFor(r io.Reader) int {
	const enough int64 = 2 * (int64(frameHeader) + maxPayload)
	if sized, ok := r.(interface{ Size() int64 }); ok {
		return int(min(sized.Size()+int64(headerSize), enough))
	}
	return int(enough)
}

func readFrames(in *bufio.Reader, check checker, load func(record.Held)) (Report, error) {
	var report Report
	for {
		frame, held, err := nextFrame(in, check)
		if err != nil {
			return report, fmt.Errorf("journal: read: %w", err)
		}
		if frame > 0 {
			report.Records++
			report.Damaged += report.Torn
			report.Torn = 0
			load(held.clone())
			if _, err := in.Discard(frame); err != nil {
				return report, fmt.Errorf("journal: read: %w", err)
			}
			continue
		}
		n, err := skipToMark(in)
		report.Torn += int64(n)
		if errors.Is(err, io.EOF) {
			return report, nil
		}
		if err != nil {
			return report, fmt.Errorf("journal: read: %w", err)
		}
	}
}

type held record.Held

func (h held) clone() record.Held { return record.Held{Record: h.Record.Clone(), Author: h.Author} }

// nextFrame returns the length of the intact frame at the reader's position, 0 if there is none.
func nextFrame(in *bufio.Reader, check checker) (int, held, error) {
	header, err := in.Peek(frameHeader)
	if err != nil || string(header[:4]) != frameMark {
		return 0, held{}, notEOF(err)
	}
	size := binary.BigEndian.Uint32(header[4:])
	sum := binary.BigEndian.Uint32(header[8:])
	if size > maxPayload {
		return 0, held{}, nil
	}
	frame, err := in.Peek(frameHeader + int(size))
	if err != nil {
		return 0, held{}, notEOF(err)
	}
	payload := frame[frameHeader:]
	if check.sum(payload) != sum {
		return 0, held{}, nil
	}
	h, err := parsePayload(payload)
	if err != nil {
		return 0, held{}, nil //nolint:nilerr // a frame of another version is passed over as damage
	}
	return len(frame), held(h), nil
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) { // full: longer than the whole file
		return nil
	}
	return err
}

// skipToMark discards at least one byte and then all before the next mark. It returns io.EOF at the end.
func skipToMark(in *bufio.Reader) (int, error) {
	skipped, err := in.Discard(1)
	for err == nil {
		var ahead []byte
		ahead, err = in.Peek(max(in.Buffered(), len(frameMark)))
		n := bytes.Index(ahead, []byte(frameMark))
		if n < 0 {
			n = max(0, len(ahead)-len(frameMark)+1) // the mark may begin in the last bytes
			if err != nil {
				n = len(ahead)
			}
		} else {
			err = nil
		}
		d, _ := in.Discard(n)
		skipped += d
		if d == 0 || bytes.HasPrefix(ahead[d:], []byte(frameMark)) {
			break
		}
	}
	return skipped, err
}
