package devchain

import (
	"errors"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// State is the storage that an [Engine] reads and writes: an ordered map of
// byte keys with nested transactional layers.
//
// One State is used by one goroutine at a time. Layers nest: every Begin MUST
// be matched by exactly one Commit or Rollback before the engine method that
// opened it returns.
type State interface {
	// Get returns the value under key, nil when there is none. A present empty
	// value is a non-nil empty slice. The caller MUST NOT modify the result.
	Get(key []byte) []byte
	// Set stores a copy of value under a copy of key.
	Set(key, value []byte)
	// Delete removes key; it does nothing when key is absent.
	Delete(key []byte)
	// Next returns the smallest present key that is strictly greater than key,
	// nil when there is none. The caller MUST NOT modify the result.
	Next(key []byte) []byte
	// DeletePrefix removes every key that starts with prefix.
	DeletePrefix(prefix []byte)
	// Begin opens a layer on top of the current one.
	Begin()
	// Commit folds the top layer into the one below it.
	Commit()
	// Rollback drops the top layer.
	Rollback()
}

// Engine is the state transition function of a chain. It holds no chain state
// of its own: everything that it must remember between two calls lies in the
// State that it is given (keys outside the pallets' prefixes are allowed).
//
// Methods MUST be safe for concurrent use on different States. They MUST be
// deterministic in the State and their arguments.
//
// A block is built as InitBlock, Inherents, ApplyExtrinsic for each inherent
// and then for each transaction, FinalizeBlock, all on one State.
type Engine interface {
	// Name is the short name that logs and system_version show: "native".
	Name() string
	// Metadata returns the full metadata bytes of a version, beginning with
	// "meta" and the version byte. It MUST support 14 and SHOULD support 15; other versions
	// return [ErrNoMetadata].
	Metadata(version uint32) ([]byte, error)
	// Version is the runtime version.
	Version() RuntimeVersion
	// Genesis writes the state of block 0. An engine whose specification fixes
	// the genesis ignores what it cannot apply.
	Genesis(st State, g Genesis) error
	// InitBlock starts a block: system bookkeeping and the on_initialize hooks.
	InitBlock(st State, h BlockHeader) error
	// Inherents returns the encoded inherent extrinsics of the block being
	// built, each with its compact length prefix.
	Inherents(st State, timestampMs uint64) ([][]byte, error)
	// ValidateTx says whether the pool may take xt on top of the state of the
	// best block, whose hash the chain has already entered under System.BlockHash
	// (see [HeadHash]). The caller discards changes. A refused transaction is a
	// *[TxError].
	ValidateTx(st State, xt []byte) (Validity, error)
	// ApplyExtrinsic executes one extrinsic (with its compact length prefix)
	// and returns the SCALE ApplyExtrinsicResult: 00 00 success, 00 01 ... a
	// dispatch error, 01 ... a TransactionValidityError. After 01 the state MUST
	// be as before. An error return means that the engine itself failed; the
	// block is then abandoned.
	ApplyExtrinsic(st State, xt []byte) ([]byte, error)
	// FinalizeBlock ends the block and returns its header. A zero StateRoot or
	// ExtrinsicsRoot is filled in by the chain.
	FinalizeBlock(st State) (Header, error)
	// Call executes a runtime API function, raw SCALE in and out, for example
	// "AccountNonceApi_account_nonce". The caller discards changes. An unknown
	// method is [ErrUnknownMethod].
	Call(st State, method string, args []byte) ([]byte, error)
}

// Errors that engines return.
var (
	ErrNoMetadata    = errors.New("metadata version not supported")
	ErrUnknownMethod = errors.New("runtime has no such exported method")
)

// BlockHeader is what is known of a block before it is executed.
type BlockHeader struct {
	Number    chain.BlockNumber
	Parent    chain.Hash
	Timestamp uint64 // milliseconds since 1970, what Inherents will be given
	Slot      uint64 // Aura slot, Timestamp divided by the slot duration; strictly increasing
}

// Digest returns the digest logs that a block starts with: one Aura pre-runtime
// digest that carries the slot.
func (h BlockHeader) Digest() [][]byte {
	log := []byte{6, 'a', 'u', 'r', 'a', 8 << 2} // PreRuntime(engine id, 8 bytes)
	for i := range 8 {
		log = append(log, byte(h.Slot>>(8*i)))
	}
	return [][]byte{log}
}

// Genesis is what a fresh chain starts with.
type Genesis struct {
	Accounts    map[chain.AccountID]chain.Balance // free balances
	Sudo        chain.AccountID                   // the sudo key; zero = none
	EpochLength uint32                            // blocks per epoch; 0 = the engine's default
	Timestamp   uint64                            // milliseconds; time of block 0
	Seed        [32]byte                          // of the engine's randomness
}

// Validity is what a transaction offers to the pool.
type Validity struct {
	Priority  uint64
	Requires  [][]byte // tags that must be provided before
	Provides  [][]byte // tags that it provides
	Longevity uint64   // blocks for which this stays true
	Propagate bool
}

// TxKind is the reason why a transaction is refused, one for each reason that a
// Substrate runtime knows. The zero value is TxOther.
type TxKind uint8

// The kinds; the comments give the wire form after the leading 01 of a Result.
const (
	TxOther             TxKind = iota // whatever Raw says
	TxCall                            // 00 00 unexpected call
	TxPayment                         // 00 01 cannot pay fees
	TxFuture                          // 00 02 nonce too high
	TxStale                           // 00 03 nonce too low
	TxBadProof                        // 00 04 bad signature
	TxAncientBirthBlock               // 00 05 era too old
	TxExhausted                       // 00 06 exhausts resources
	TxCustom                          // 00 07 xx
	TxBadMandatory                    // 00 08
	TxMandatory                       // 00 09 mandatory dispatch from outside
	TxBadSigner                       // 00 0a
	TxUndecodable                     // the bytes are no extrinsic of this runtime; Raw is empty
	TxCannotLookup                    // 01 00
	TxNoUnsigned                      // 01 01 no unsigned validator
)

// TxError is the refusal of a transaction by the runtime.
type TxError struct {
	Kind TxKind
	Raw  []byte // SCALE TransactionValidityError, without the Result byte
}

// NewTxError returns the error of a kind with its wire form filled in.
func NewTxError(kind TxKind) *TxError {
	e := &TxError{Kind: kind}
	switch {
	case kind >= TxCall && kind <= TxExhausted:
		e.Raw = []byte{0, byte(kind - TxCall)}
	case kind == TxCustom:
		e.Raw = []byte{0, 7, 0}
	case kind >= TxBadMandatory && kind <= TxBadSigner:
		e.Raw = []byte{0, byte(kind - TxCall)}
	case kind == TxCannotLookup:
		e.Raw = []byte{1, 0}
	case kind == TxNoUnsigned:
		e.Raw = []byte{1, 1}
	}
	return e
}

// ParseTxError reads a SCALE TransactionValidityError.
func ParseTxError(raw []byte) *TxError {
	e := &TxError{Raw: raw}
	if len(raw) < 2 {
		return e
	}
	switch {
	case raw[0] == 0 && raw[1] <= 10:
		e.Kind = TxCall + TxKind(raw[1])
	case raw[0] == 1 && raw[1] == 0:
		e.Kind = TxCannotLookup
	case raw[0] == 1 && raw[1] == 1:
		e.Kind = TxNoUnsigned
	}
	return e
}

// Invalid reports whether the runtime called the transaction invalid, as
// opposed to one whose validity it cannot determine.
func (e *TxError) Invalid() bool { return len(e.Raw) == 0 || e.Raw[0] == 0 }

// Text is the sentence that a Substrate node puts into the data field of its
// answer.
func (e *TxError) Text() string {
	switch e.Kind {
	case TxCall:
		return "Transaction call is not expected"
	case TxPayment:
		return "Inability to pay some fees (e.g. account balance too low)"
	case TxFuture:
		return "Transaction will be valid in the future"
	case TxStale:
		return "Transaction is outdated"
	case TxBadProof:
		return "Transaction has a bad signature"
	case TxAncientBirthBlock:
		return "Transaction has an ancient birth block"
	case TxExhausted:
		return "Transaction would exhaust the block limits"
	case TxCustom:
		code := 0
		if len(e.Raw) > 2 {
			code = int(e.Raw[2])
		}
		return fmt.Sprintf("Custom error: %d", code)
	case TxBadMandatory:
		return "A call was labelled as mandatory, but resulted in an Error."
	case TxMandatory:
		return "Transaction dispatch is mandatory; transactions must not be validated."
	case TxBadSigner:
		return "Invalid signing address"
	case TxUndecodable:
		return "Could not decode the extrinsic"
	case TxCannotLookup:
		return "Could not lookup information required to validate the transaction"
	case TxNoUnsigned:
		return "Could not find an unsigned validator for the unsigned transaction"
	default:
		return fmt.Sprintf("Unknown error 0x%x", e.Raw)
	}
}

// Error implements error.
func (e *TxError) Error() string { return e.Text() }

// RuntimeVersion names a runtime; its fields are those of the Core_version
// runtime API.
type RuntimeVersion struct {
	SpecName           string
	ImplName           string
	AuthoringVersion   uint32
	SpecVersion        uint32
	ImplVersion        uint32
	APIs               []API
	TransactionVersion uint32
	StateVersion       uint8
}

// API is one runtime API: its 8-byte name hash and its version.
type API struct {
	ID      [8]byte
	Version uint32
}
