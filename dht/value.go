package dht

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// What the operations of a Node fail with; errors.Is tells them apart.
var (
	ErrNotFound  = errors.New("dht: no value found")
	ErrRefused   = errors.New("dht: no replica accepted the record")
	ErrClosed    = errors.New("dht: node is closed")
	ErrBootstrap = errors.New("dht: no bootstrap peer answered")
	ErrNoDial    = errors.New("dht: bootstrap peers cannot reach this node")
	ErrClock     = errors.New("dht: this clock differs from that of the swarm")
)

// Value is what a key holds: a regular value or a dictionary. Its slices are shared and must not be modified.
type Value struct {
	Key        record.Key
	Raw        []byte            // the msgpack bytes without signature; nil for a dictionary
	Expiration record.Expiration // of the value, or the latest of the dictionary
	Entries    []Entry           // sorted by subkey; nil for a regular value
}

// Entry is one subkey of a dictionary.
type Entry struct {
	Subkey     []byte // msgpack
	Raw        []byte // msgpack, without signature
	Expiration record.Expiration
}

// IsDictionary reports whether the key holds subkeys.
func (v *Value) IsDictionary() bool { return v.Entries != nil }

// Decode returns the regular value as package msgpack maps it to Go.
func (v *Value) Decode() (any, error) {
	if v.IsDictionary() {
		return nil, errors.New("dht: decode: the key holds a dictionary")
	}
	return msgpack.Unmarshal(v.Raw)
}

// Entry returns the entry of a subkey, given as a Go value as in StoreRequest.
func (v *Value) Entry(subkey any) (Entry, bool) {
	want, err := msgpack.Marshal(subkey)
	if err != nil {
		return Entry{}, false
	}
	for _, e := range v.Entries {
		if bytes.Equal(e.Subkey, want) {
			return e, true
		}
	}
	return Entry{}, false
}

// DecodeSubkey returns the subkey as package msgpack maps it to Go.
func (e Entry) DecodeSubkey() (any, error) { return msgpack.Unmarshal(e.Subkey) }

// Decode returns the entry's value as package msgpack maps it to Go.
func (e Entry) Decode() (any, error) { return msgpack.Unmarshal(e.Raw) }

// StoreRequest is one record to store.
type StoreRequest struct {
	Key record.Key
	// Subkey, if not nil, makes the record one entry of the key's dictionary. Anything msgpack.Marshal takes.
	Subkey any
	// Value is anything msgpack.Marshal takes; msgpack.Raw for bytes that are packed already.
	Value any
	// Expiration is when the record ends, and its version. Python sees it as float seconds: keep it at microseconds.
	Expiration time.Time
	// Region stores at the key's whole region whatever Config.NoRegion says, and waits for all of it.
	Region bool
	// Paths, if not 0, searches the place for the record over that many disjoint paths from the start, whatever
	// Config.Paths says. Of records of one key the largest number counts.
	Paths int
}

// StoreResult says what became of one record.
type StoreResult struct {
	Key      record.Key
	Subkey   []byte // msgpack; nil for a regular value
	Wanted   int    // replicas that were to be reached
	Accepted int    // replicas that hold the record now
	Older    int    // replicas that said that they hold a newer version
	Answers  []Answer
	// Err is why nobody was asked: the record cannot be encoded or signed, is too large, or the search failed.
	Err error
}

// Answer is what one replica said.
type Answer struct {
	Peer peer.ID   // this node's own for the local copy
	Code wire.Code // CodeNone when a peer that sends no codes refused, or nothing came
	OK   bool      // it holds the record now
	Err  error     // no answer
}

// OK reports whether the record is stored: somebody accepted it, and fewer say that there is a newer version.
func (r *StoreResult) OK() bool { return r.Accepted > r.Older }

// Failure returns nil if the record was accepted, else an error that wraps ErrRefused and names the reasons.
func (r *StoreResult) Failure() error {
	if r.OK() {
		return nil
	}
	if r.Err != nil {
		return r.Err
	}
	reasons := map[string]int{}
	for _, a := range r.Answers {
		switch {
		case a.Err != nil:
			reasons["no answer"]++
		case a.Code == wire.CodeNone:
			reasons["refused"]++
		default:
			reasons[a.Code.String()]++
		}
	}
	return fmt.Errorf("%w: asked %d: %v", ErrRefused, len(r.Answers), reasons)
}

// GetResult is the outcome for one key of GetMany.
type GetResult struct {
	Key   record.Key
	Value *Value // nil with Err
	Err   error  // ErrNotFound, or why the search could not be made
}

// PingResult is what a peer answered.
type PingResult struct {
	ID        [wire.IDSize]byte // the node ID it claims; zero for a client
	RTT       time.Duration
	Offset    time.Duration // how far its clock is ahead of ours, half the round trip taken off
	Available bool          // it could call us back; only when asked for
}

// forever is later than any expiration: no answer suffices.
func forever() record.Expiration { return record.Expiration(math.Inf(1)) }

// GetOption changes one get.
type GetOption func(*getOptions)

type getOptions struct {
	sufficient record.Expiration
	paths      int // from the first look on; 0: as the configuration says
	noCache    bool
	refresh    bool
}

// caution orders searches by how much they doubt: one that trusts, one that does as configured, one on many paths.
func (o *getOptions) caution() int {
	switch o.paths {
	case 0:
		return 1
	case 1:
		return 0
	}
	return o.paths
}

// Latest asks all the nearest nodes and returns the newest value instead of the first.
func Latest() GetOption { return func(o *getOptions) { o.sufficient = forever() } }

// FreshUntil takes the first value that expires at t or later, and otherwise the newest.
func FreshUntil(t time.Time) GetOption {
	return func(o *getOptions) { o.sufficient = record.ExpirationAt(t) }
}

// CriticalPaths is the number of paths for what stake or consensus depends on: where 40 % of all nodes collude, they hide
// one value in a hundred from a get that takes so many, and six from one that does as configured by default.
const CriticalPaths = 8

// Paths searches over n disjoint paths from the start, whatever Config.Paths says, so that n-1 of them may lead to liars.
// With 1 the search believes whom it meets.
func Paths(n int) GetOption { return func(o *getOptions) { o.paths = n } }

// NoCache neither takes the value from this node's cache nor keeps it there.
func NoCache() GetOption { return func(o *getOptions) { o.noCache = true } }
