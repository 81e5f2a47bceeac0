package diff

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// transaction is a call that somebody is to sign.
type transaction struct {
	who   *account.Account
	name  string // "Network.attest"
	call  []byte
	nonce int // added to the account's next nonce
}

// sign makes an immortal extrinsic of the fourth format.
func (r *run) sign(t transaction) ([]byte, error) {
	id := t.who.ID()
	out, err := r.ref.engine.Call(r.ref.st, "AccountNonceApi_account_nonce", id[:])
	if err != nil {
		return nil, fmt.Errorf("nonce: %w", err)
	}
	v := r.ref.engine.Version()
	hash := r.genesis[:]
	nonce := uint64(max(int64(scale.NewDecoder(out).U32())+int64(t.nonce), 0)) //nolint:gosec // not negative
	var extra scale.Encoder
	extra.U8(0)
	extra.Compact(nonce)
	extra.Compact(0)
	payload := scale.Encoder{Buf: bytes.Clone(t.call)}
	payload.Raw(extra.Buf)
	payload.U32(v.SpecVersion)
	payload.U32(v.TransactionVersion)
	payload.Raw(hash)
	payload.Raw(hash)
	sig, err := t.who.Sign(payload.Buf)
	if err != nil {
		return nil, err
	}
	body := scale.Encoder{Buf: []byte{0x84}}
	body.Raw(id[:])
	body.Raw(sig)
	body.Raw(extra.Buf)
	body.Raw(t.call)
	var xt scale.Encoder
	xt.Bytes(body.Buf)
	return xt.Buf, nil
}

// validity is what an engine's pool answers.
func validity(s side, xt []byte) ([]byte, error) {
	s.st.Begin()
	v, err := s.engine.ValidateTx(s.st, xt)
	s.st.Rollback()
	var refused *devchain.TxError
	switch {
	case errors.As(err, &refused):
		return append([]byte{1}, refused.Raw...), nil
	case err != nil:
		return nil, err
	}
	return encodeValidity(v), nil
}

// transact signs a call and gives it to both.
func (r *run) transact(t transaction) error {
	xt, err := r.sign(t)
	if err != nil {
		return err
	}
	name := t.name
	var answers [2][]byte
	for i, s := range []side{r.ref, r.sub} {
		if answers[i], err = validity(s, xt); err != nil {
			return fmt.Errorf("validity of %s: %w", name, err)
		}
	}
	r.report.Answers++
	if !bytes.Equal(answers[0], answers[1]) {
		if !strings.HasPrefix(name, "Network.") && onlyPriority(answers) {
			r.report.Unmetered[name]++ // so the fee differs as well
			return nil
		}
		r.differ("validity of "+name, "answer", answers[0], answers[1])
		return nil
	}
	if answers[0][0] == 1 {
		r.report.Refused++
		r.record(name, xt, answers[0], nil)
		return nil
	}
	r.report.Transactions++
	r.report.Calls[name]++
	return r.apply(name, xt, answers[0])
}

// record adds a transaction to the recording.
func (r *run) record(name string, xt, answer, result []byte) {
	if b := r.recorded(); b != nil && answer != nil {
		b.Transactions = append(b.Transactions, RecordedTransaction{name, xt, answer, result})
	}
}

// onlyPriority reports whether two valid answers differ in the priority alone,
// which follows from the weight of the call.
func onlyPriority(answers [2][]byte) bool {
	a, b := answers[0], answers[1]
	return a[0] == 0 && b[0] == 0 && bytes.Equal(a[9:], b[9:])
}

func encodeValidity(v devchain.Validity) []byte {
	e := scale.Encoder{Buf: []byte{0}}
	e.U64(v.Priority)
	for _, tags := range [][][]byte{v.Requires, v.Provides} {
		e.Len(len(tags))
		for _, t := range tags {
			e.Bytes(t)
		}
	}
	e.U64(v.Longevity)
	e.Bool(v.Propagate)
	return e.Buf
}

// apply executes an extrinsic in both; answer is what the pools said, nil for an
// inherent.
func (r *run) apply(name string, xt, answer []byte) error {
	var results [2][]byte
	for i, s := range []side{r.ref, r.sub} {
		var err error
		s.st.Begin()
		if results[i], err = s.engine.ApplyExtrinsic(s.st, xt); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	equal := bytes.Equal(results[0], results[1])
	missing := !equal && r.resultName(results[1]) == "System.CallFiltered"
	for _, s := range []side{r.ref, r.sub} {
		if missing || len(results[0]) > 0 && results[0][0] == 1 { // as a block builder does it
			s.st.Rollback()
		} else {
			s.st.Commit()
		}
	}
	switch {
	case missing:
		r.report.Unsupported[name]++
		return nil
	case !equal:
		r.differ(name, "result", results[0], results[1])
		return nil
	}
	r.report.Answers++
	r.record(name, xt, answer, results[0])
	text := r.resultName(results[0])
	if name != "inherent" {
		r.report.Results[text]++
		if text == "ok" {
			r.report.Succeeded++
			r.report.Done[name]++
		}
	}
	r.compare(name + " (" + text + ")")
	return nil
}

// resultName is the name of a module error, or "ok", or hex.
func (r *run) resultName(res []byte) string {
	if bytes.Equal(res, []byte{0, 0}) {
		return "ok"
	}
	if len(res) >= 5 && res[0] == 0 && res[1] == 1 && res[2] == 3 {
		if p, v, err := r.reg.Error(res[3], res[4]); err == nil {
			return p.Name + "." + v.Name
		}
	}
	return fmt.Sprintf("0x%x", res)
}
