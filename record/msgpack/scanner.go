package msgpack

import (
	"errors"
	"math"
)

// ErrKind reports a value of another kind than the one asked for.
var ErrKind = errors.New("value of another kind")

// Scanner reads a sequence of values piece by piece, within one budget for all of it. What it returns are views
// of the input. After an error every further call returns it again.
type Scanner struct {
	r   reader
	err error
}

// NewScanner returns a scanner over data, which must not change while it is used.
func NewScanner(data []byte, limits Limits) Scanner {
	limits = limits.withDefaults()
	s := Scanner{r: reader{data: data, limits: limits, left: limits.Elements}}
	if len(data) > limits.Bytes {
		s.err = decodeError(0, ErrTooLong)
	}
	return s
}

func (s *Scanner) fail(err error) error {
	s.err = decodeError(s.r.pos, err)
	return s.err
}

// Raw passes over one complete, checked value and returns its packed form.
func (s *Scanner) Raw() ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	start := s.r.pos
	if err := s.r.skip(s.r.limits.Depth); err != nil {
		return nil, s.fail(err)
	}
	return s.r.data[start:s.r.pos:s.r.pos], nil
}

func (s *Scanner) expect(kinds ...Kind) (header, error) {
	if s.err != nil {
		return header{}, s.err
	}
	h, err := s.r.header()
	if err != nil {
		return header{}, s.fail(err)
	}
	for _, k := range kinds {
		if h.kind == k {
			return h, nil
		}
	}
	return header{}, s.fail(ErrKind)
}

// List reads the header of a list and returns the number of its items, which follow.
func (s *Scanner) List() (int, error) {
	h, err := s.expect(KindList)
	return h.n, err
}

// Ext reads an extension and returns its payload.
func (s *Scanner) Ext() (code int8, payload []byte, err error) {
	h, err := s.expect(KindExt)
	if err != nil {
		return 0, nil, err
	}
	return h.code, s.r.take(h.n), nil
}

// Bytes reads a byte string.
func (s *Scanner) Bytes() ([]byte, error) {
	h, err := s.expect(KindBytes)
	if err != nil {
		return nil, err
	}
	return s.r.take(h.n), nil
}

// Number reads a float or an integer as a float.
func (s *Scanner) Number() (float64, error) {
	h, err := s.expect(KindFloat, KindInt, KindUint)
	switch {
	case err != nil:
		return 0, err
	case h.kind == KindInt:
		return float64(int64(h.bits)), nil
	case h.kind == KindUint:
		return float64(h.bits), nil
	}
	return math.Float64frombits(h.bits), nil
}

// Done reports whether the input is used up: nil, ErrTrailing, or the error that came before.
func (s *Scanner) Done() error {
	if s.err == nil && s.r.pos < len(s.r.data) {
		return s.fail(ErrTrailing)
	}
	return s.err
}
