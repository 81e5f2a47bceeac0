package devchain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// toyEngine is the smallest engine that uses everything the chain core offers.
// An extrinsic is compact length, account (1 byte), nonce (u32), tip (1 byte),
// operation (1 byte), payload. Inherents have account 0xff.
type toyEngine struct {
	failInit  func(n chain.BlockNumber) error
	longevity uint64
	validated func() // called after each validation
}

const (
	opSet      = 's' // payload: key byte, value
	opFail     = 'f' // dispatch error
	opPanic    = 'p' // engine panics
	opBad      = 'b' // refused when applied, though valid for the pool
	opLeak     = 'l' // leaves a transaction open
	opExhaust  = 'x'
	toyAccount = "nonce:"
)

func toyTx(account byte, nonce uint32, tip byte, op byte, payload ...byte) []byte {
	body := []byte{account}
	body = binary.LittleEndian.AppendUint32(body, nonce)
	body = append(body, tip, op)
	body = append(body, payload...)
	return append(appendCompact(nil, uint64(len(body))), body...)
}

func (e *toyEngine) Name() string { return "toy" }

func (e *toyEngine) Metadata(v uint32) ([]byte, error) {
	if v != 14 {
		return nil, ErrNoMetadata
	}
	return []byte("meta\x0etoy"), nil
}

func (e *toyEngine) Version() RuntimeVersion {
	return RuntimeVersion{SpecName: "toy", ImplName: "toy", SpecVersion: 1, TransactionVersion: 1, APIs: []API{{[8]byte{1}, 2}}}
}

func (e *toyEngine) Genesis(st State, g Genesis) error {
	st.Set([]byte("seed"), g.Seed[:])
	for a, b := range g.Accounts {
		v := make([]byte, 16)
		b.PutLE(v)
		st.Set(append([]byte("bal:"), a[:]...), v)
	}
	return nil
}

func (e *toyEngine) InitBlock(st State, h BlockHeader) error {
	if e.failInit != nil {
		if err := e.failInit(h.Number); err != nil {
			return err
		}
	}
	st.Set([]byte("number"), binary.LittleEndian.AppendUint32(nil, uint32(h.Number)))
	st.Set([]byte("parent"), h.Parent[:])
	return nil
}

func (e *toyEngine) Inherents(_ State, ms uint64) ([][]byte, error) {
	return [][]byte{toyTx(0xff, 0, 0, opSet, append([]byte{'t'}, fmt.Sprint(ms)...)...)}, nil
}

func nonceKey(a byte) []byte { return append([]byte(toyAccount), a) }

func (e *toyEngine) nonce(st State, a byte) uint32 {
	if v := st.Get(nonceKey(a)); v != nil {
		return binary.LittleEndian.Uint32(v)
	}
	return 0
}

func toyTag(a byte, n uint32) []byte {
	return binary.LittleEndian.AppendUint32(append(make([]byte, 19), a), n)
}

func (e *toyEngine) ValidateTx(st State, xt []byte) (Validity, error) {
	if e.validated != nil {
		defer e.validated()
	}
	_, n := readCompact(xt)
	b := xt[n:]
	if len(b) < 7 || b[0] == 0xff {
		return Validity{}, NewTxError(TxUndecodable)
	}
	nonce, have := binary.LittleEndian.Uint32(b[1:]), e.nonce(st, b[0])
	if nonce < have {
		return Validity{}, NewTxError(TxStale)
	}
	v := Validity{Priority: uint64(b[5]), Provides: [][]byte{toyTag(b[0], nonce)}, Longevity: 64}
	if e.longevity != 0 {
		v.Longevity = e.longevity
	}
	if nonce > have {
		v.Requires = [][]byte{toyTag(b[0], nonce-1)}
	}
	return v, nil
}

func (e *toyEngine) ApplyExtrinsic(st State, xt []byte) ([]byte, error) {
	_, n := readCompact(xt)
	b := xt[n:]
	if b[0] != 0xff {
		nonce, have := binary.LittleEndian.Uint32(b[1:]), e.nonce(st, b[0])
		switch {
		case nonce < have:
			return append([]byte{1}, NewTxError(TxStale).Raw...), nil
		case nonce > have:
			return append([]byte{1}, NewTxError(TxFuture).Raw...), nil
		}
	}
	if b[6] == opBad {
		return append([]byte{1}, NewTxError(TxPayment).Raw...), nil
	}
	if b[6] == opExhaust {
		return append([]byte{1}, NewTxError(TxExhausted).Raw...), nil
	}
	if b[0] != 0xff {
		st.Set(nonceKey(b[0]), binary.LittleEndian.AppendUint32(nil, binary.LittleEndian.Uint32(b[1:])+1))
	}
	switch b[6] {
	case opPanic:
		st.Begin()
		st.Set([]byte("junk"), []byte("junk"))
		panic("boom")
	case opFail:
		return []byte{0, 1, 3, 23, 1, 0, 0, 0}, nil
	case opLeak:
		st.Begin()
		return nil, errors.New("leak")
	}
	st.Set(append([]byte("user:"), b[7]), b[8:])
	return []byte{0, 0}, nil
}

func (e *toyEngine) FinalizeBlock(State) (Header, error) { return Header{}, nil }

func (e *toyEngine) Call(st State, method string, args []byte) ([]byte, error) {
	switch method {
	case "AccountNonceApi_account_nonce":
		return binary.LittleEndian.AppendUint32(nil, e.nonce(st, args[len(args)-1])), nil
	case "TransactionPaymentApi_query_info":
		out := appendCompact(nil, 5)
		out = append(appendCompact(out, 6), 0)
		return append(out, append(binary.LittleEndian.AppendUint32(nil, uint32(len(args))), make([]byte, 12)...)...), nil
	case "NetworkRuntimeApi_get_subnet_info":
		return append(appendCompact(nil, uint64(len(args))), args...), nil
	case "NetworkRuntimeApi_proof_of_stake":
		if bytes.Contains(args, []byte("peer")) {
			return []byte{1}, nil
		}
		return []byte{0}, nil
	case "Toy_panic":
		panic("boom")
	}
	return nil, ErrUnknownMethod
}
