package diff

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// cast is who takes part: people[0] is root, the first half are coldkeys and
// the second half their hotkeys. One more, the hotkey of
// an overwatch node, is left alone by the random calls.
type cast struct {
	people []*account.Account
}

const (
	castSize = 16       // in random calls
	watchHot = castSize // hotkey of the overwatch node
)

func newCast() (cast, error) {
	var c cast
	for i := range uint32(castSize + 1) {
		a, err := account.FromMnemonic(account.DevMnemonic, i)
		if err != nil {
			return c, err
		}
		c.people = append(c.people, a)
	}
	return c, nil
}

func (c cast) cold(i int) *account.Account { return c.people[i%(castSize/2)] }
func (c cast) hot(i int) *account.Account  { return c.people[castSize/2+i%(castSize/2)] }

// choice is a call that both engines have under the same numbers.
type choice struct {
	pallet *metadata.Pallet
	call   *metadata.Variant
	weight int
}

// choices lists the calls of the pallets under test. Calls that replace the
// runtime or write storage at will say nothing about the subject.
func choices(ref, sub *metadata.Registry, leaveOut []string) ([]choice, error) {
	weights := map[string]int{"System": 2, "Balances": 3, "Utility": 6, "Sudo": 4, "Network": 12}
	leave := []string{
		"set_heap_pages", "set_code", "set_code_without_checks", "set_storage", "kill_storage", "kill_prefix",
		"authorize_upgrade", "authorize_upgrade_without_checks", "apply_authorized_upgrade", "remark_with_event",
		"sudo_unchecked_weight", "with_weight", "dispatch_as", "as_derivative", "remove_key", "set_key",
	}
	var list []choice
	for i := range sub.Metadata().Pallets {
		p := &sub.Metadata().Pallets[i]
		if weights[p.Name] == 0 || p.Calls == metadata.NoType {
			continue
		}
		for _, v := range sub.Type(p.Calls).Variants {
			if slices.Contains(leave, v.Name) || slices.Contains(leaveOut, p.Name+"."+v.Name) {
				continue
			}
			rp, rv, err := ref.Call(p.Name, v.Name)
			if err != nil {
				return nil, fmt.Errorf("%w: the reference has no %s.%s", ErrOtherChain, p.Name, v.Name)
			}
			if rp.Index != p.Index || rv.Index != v.Index {
				return nil, fmt.Errorf("%w: %s.%s has other numbers in the two engines", ErrOtherChain, p.Name, v.Name)
			}
			w := weights[p.Name]
			if strings.HasPrefix(v.Name, "set_") || strings.HasPrefix(v.Name, "collective_") {
				w = 1 // for a council only: one answer for all of them
			}
			if strings.HasPrefix(v.Name, "owner_deactivate") || strings.HasPrefix(v.Name, "owner_pause") ||
				v.Name == "register_subnet" || v.Name == "transfer_subnet_ownership" || v.Name == "update_coldkey" || v.Name == "transfer_all" {
				w = 1 // or little else would happen
			}
			list = append(list, choice{rp, rv, w})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no calls in common", ErrOtherChain)
	}
	return list, nil
}

// encode is a call with arguments by name.
func (r *run) encode(pallet, name string, args map[string]any) ([]byte, error) {
	p, v, err := r.reg.Call(pallet, name)
	if err != nil {
		return nil, err
	}
	e := scale.Encoder{Buf: []byte{p.Index, v.Index}}
	if err := r.reg.EncodeFields(&e, v, args); err != nil {
		return nil, fmt.Errorf("%s.%s: %w", pallet, name, err)
	}
	return e.Buf, nil
}

// random is a random call by a random person.
func (r *run) random() transaction {
	c := r.choose()
	e := scale.Encoder{Buf: []byte{c.pallet.Index, c.call.Index}}
	r.focus = r.rng.IntN(castSize / 2)
	r.root = c.pallet.Name == "Sudo"
	for _, f := range c.call.Fields {
		r.value(&e, f.Type, f.Name, 0)
	}
	who := r.cast.people[r.rng.IntN(castSize)]
	switch {
	case strings.HasPrefix(c.call.Name, "owner_") && !r.one(6):
		who = r.cast.people[0]
	case !r.one(5):
		who = r.cast.cold(r.focus)
	case r.one(2):
		who = r.cast.hot(r.focus)
	}
	nonce := 0
	if r.one(60) {
		nonce = 1 - 2*r.rng.IntN(2)
	}
	t := transaction{who: who, name: c.pallet.Name + "." + c.call.Name, call: e.Buf, nonce: nonce}
	return t
}

func (r *run) one(n int) bool { return r.rng.IntN(n) == 0 }

func (r *run) choose() choice {
	total := 0
	for _, c := range r.calls {
		total += c.weight
	}
	n := r.rng.IntN(total)
	for _, c := range r.calls {
		if n -= c.weight; n < 0 {
			return c
		}
	}
	return r.calls[0]
}

func pick[T any](r *run, list ...T) T { return list[r.rng.IntN(len(list))] }

const maxNesting = 6

// value appends a random value of a type; the name of the field says what would
// make sense.
func (r *run) value(e *scale.Encoder, id metadata.TypeID, name string, depth int) {
	t := r.reg.Type(id)
	last := ""
	if len(t.Path) > 0 {
		last = t.Path[len(t.Path)-1]
	}
	switch last {
	case "AccountId20":
		r.account(e, name)
		return
	case "RuntimeCall":
		r.nested(e, depth)
		return
	case "OpaquePeerId", "PeerId":
		e.Bytes(r.peerID())
		return
	case "BTreeMap", "BTreeSet":
		r.ordered(e, t, name, depth)
		return
	}
	switch t.Kind {
	case metadata.KindComposite:
		for _, f := range t.Fields {
			hint := f.Name
			if hint == "" {
				hint = name
			}
			r.value(e, f.Type, hint, depth+1)
		}
	case metadata.KindTuple:
		for _, x := range t.Tuple {
			r.value(e, x, name, depth+1)
		}
	case metadata.KindVariant:
		r.variant(e, t, last, name, depth)
	case metadata.KindSequence:
		r.sequence(e, t.Elem, name, depth)
	case metadata.KindArray:
		for range t.Len {
			r.value(e, t.Elem, name, depth+1)
		}
	case metadata.KindCompact:
		if r.reg.Type(t.Elem).Primitive == metadata.U128 {
			e.CompactU128(r.amount(name))
		} else {
			e.Compact(uint64(r.u32(name)))
		}
	case metadata.KindPrimitive:
		r.primitive(e, t.Primitive, name)
	case metadata.KindBitSequence:
		e.Len(0)
	}
}

func (r *run) variant(e *scale.Encoder, t *metadata.Type, last, name string, depth int) {
	if last == "Option" {
		if r.one(2) || depth > maxNesting {
			e.None()
			return
		}
	}
	v := t.Variants[r.rng.IntN(len(t.Variants))]
	if last == "Option" {
		v = t.Variants[len(t.Variants)-1]
	}
	e.U8(v.Index)
	for _, f := range v.Fields {
		hint := f.Name
		if hint == "" {
			hint = name
		}
		r.value(e, f.Type, hint, depth+1)
	}
}

func (r *run) sequence(e *scale.Encoder, elem metadata.TypeID, name string, depth int) {
	if t := r.reg.Type(elem); t.Kind == metadata.KindPrimitive && t.Primitive == metadata.U8 {
		e.Bytes(r.bytes(name))
		return
	}
	n := r.rng.IntN(4)
	if depth > maxNesting {
		n = 0
	}
	e.Len(n)
	for range n {
		r.value(e, elem, name, depth+1)
	}
}

// ordered appends a map or a set, with its entries in order and none twice: a
// runtime verifies the signature of the call as it would encode it itself.
func (r *run) ordered(e *scale.Encoder, t *metadata.Type, name string, depth int) {
	if len(t.Fields) != 1 {
		return
	}
	elem := r.reg.Type(t.Fields[0].Type).Elem
	keyType := elem
	if x := r.reg.Type(elem); x.Kind == metadata.KindTuple && len(x.Tuple) == 2 {
		keyType = x.Tuple[0]
	}
	type entry struct{ order, bytes []byte }
	var list []entry
	for range r.rng.IntN(4) {
		var b scale.Encoder
		r.value(&b, keyType, name, depth+1)
		key := bytes.Clone(b.Buf)
		k := r.reg.Type(keyType)
		for k.Kind == metadata.KindComposite && len(k.Fields) == 1 {
			k = r.reg.Type(k.Fields[0].Type)
		}
		switch k.Kind { //nolint:exhaustive // other keys are in the order of their bytes
		case metadata.KindPrimitive:
			slices.Reverse(key) // little endian
		case metadata.KindSequence:
			key = scale.NewDecoder(key).Bytes()
		}
		if keyType != elem {
			r.value(&b, r.reg.Type(elem).Tuple[1], name, depth+1)
		}
		list = append(list, entry{key, b.Buf})
	}
	slices.SortFunc(list, func(a, b entry) int { return bytes.Compare(a.order, b.order) })
	list = slices.CompactFunc(list, func(a, b entry) bool { return bytes.Equal(a.order, b.order) })
	e.Len(len(list))
	for _, x := range list {
		e.Raw(x.bytes)
	}
}

func (r *run) account(e *scale.Encoder, name string) {
	id := r.cast.people[r.rng.IntN(castSize)].ID()
	switch {
	case strings.Contains(name, "hotkey") && !r.one(3):
		id = r.cast.hot(r.focus).ID()
	case strings.Contains(name, "coldkey") && !r.one(3):
		id = r.cast.cold(r.focus).ID()
	}
	if r.one(12) {
		for i := range id {
			id[i] = byte(r.rng.Uint32())
		}
	}
	e.Raw(id[:])
}

// nested is a call in a call. Root does not call the pallet under test: its
// setters are for a council on the real chain, and a development chain without a
// council lets root have them.
func (r *run) nested(e *scale.Encoder, depth int) {
	for {
		c := r.choose()
		inner := c.pallet.Name == "Utility" || c.pallet.Name == "Sudo"
		if inner && (depth > 2 || !r.one(8)) || r.root && c.pallet.Name == "Network" ||
			c.pallet.Name == "Balances" && !strings.HasPrefix(c.call.Name, "transfer") {
			continue
		}
		e.U8(c.pallet.Index)
		e.U8(c.call.Index)
		for _, f := range c.call.Fields {
			r.value(e, f.Type, f.Name, depth+2)
		}
		return
	}
}

func peerText(n int) []byte {
	return fmt.Appendf(nil, "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6%04d", n)
}

func (r *run) peerID() []byte {
	switch {
	case r.one(15):
		return []byte("junk")
	case r.one(20):
		return fmt.Appendf(nil, "Qm%060d", r.rng.IntN(3))
	}
	return peerText(r.rng.IntN(60))
}

func (r *run) multiaddr() []byte {
	good := []byte{4, 127, 0, 0, byte(r.rng.IntN(40)), 6, 0x98, 0x30, 0xa5, 3, 3, 1, 2, byte(r.rng.IntN(3))}
	switch r.rng.IntN(8) {
	case 0:
		return good[:r.rng.IntN(len(good))]
	case 1:
		return append(good, 6, 1, 1)
	case 2:
		return []byte{4, 1, 2, 3, 4, 0x91, 2, 4, 0xd2, 0xcc, 3} // udp and quic-v1
	}
	return good
}

func (r *run) bytes(name string) []byte {
	switch {
	case name == "multiaddr" || strings.Contains(name, "bootnode"):
		return r.multiaddr()
	case name == "peer_id":
		return r.peerID()
	case name == "name" || name == "repo":
		return fmt.Appendf(nil, "%s-%d", name, r.rng.IntN(6))
	}
	b := make([]byte, pick(r, 0, 1, 5, 30, 100))
	for i := range b {
		b[i] = byte(r.rng.Uint32())
	}
	if r.one(40) {
		b = make([]byte, pick(r, 256, 1024, 1025, 5000))
	}
	return b
}

func (r *run) primitive(e *scale.Encoder, p metadata.Primitive, name string) {
	switch p {
	case metadata.Bool:
		e.Bool(r.one(2))
	case metadata.U8, metadata.I8:
		e.U8(byte(r.rng.Uint32()))
	case metadata.U16, metadata.I16:
		e.U16(uint16(r.rng.Uint32())) //nolint:gosec // any will do
	case metadata.U32, metadata.I32, metadata.Char:
		e.U32(r.u32(name))
	case metadata.U64, metadata.I64:
		e.U64(r.rng.Uint64() >> r.rng.IntN(64))
	case metadata.U128, metadata.I128:
		e.U128(r.amount(name))
	case metadata.U256, metadata.I256:
		e.U128(r.amount(name))
		e.U128(u128.Zero())
	case metadata.Str:
		e.Text("text")
	}
}

func (r *run) u32(name string) uint32 {
	switch {
	case strings.Contains(name, "subnet_id"):
		if ids := r.subnets(); len(ids) > 0 && !r.one(15) {
			return ids[r.rng.IntN(len(ids))]
		}
		return pick[uint32](r, 0, 1, 128_001, 128_002, 128_099)
	case strings.Contains(name, "node_id") && !r.one(3):
		return uint32(r.focus) + 1 //nolint:gosec // below 8
	case strings.Contains(name, "node_id"):
		return pick[uint32](r, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 10, 99)
	case strings.Contains(name, "epoch"):
		return pick[uint32](r, 0, 1, 2, 3, 4, 5, 8, 16, 100, 720, math.MaxUint32)
	}
	switch r.rng.IntN(5) {
	case 0:
		return pick[uint32](r, 0, 1, math.MaxUint32)
	case 1:
		return r.rng.Uint32() >> r.rng.IntN(32)
	}
	return r.rng.Uint32N(40)
}

// amount is a balance, a share or a score.
func (r *run) amount(name string) u128.U128 {
	one := chain.OneTensor()
	switch {
	case strings.Contains(name, "burn") || strings.Contains(name, "max_cost"):
		if !r.one(10) {
			return chain.Tensor(1000)
		}
	case strings.Contains(name, "factor") && r.one(2): // 5 % to 50 %
		return u128.From64(5e16 + r.rng.Uint64N(45e16))
	case name == "value" && r.one(2):
		return u128.From64(5e16 + r.rng.Uint64N(45e16))
	case strings.Contains(name, "rate") || strings.Contains(name, "percent") || strings.Contains(name, "factor") || strings.Contains(name, "ratio"):
		if !r.one(6) {
			return u128.From64(r.rng.Uint64N(1e18 + 1))
		}
	}
	switch r.rng.IntN(9) {
	case 0:
		return pick(r, u128.Zero(), u128.From64(1), u128.From64(999), u128.From64(1000), one, u128.From64(5e17), u128.From64(1e18+1), u128.Max())
	case 1:
		return u128.From64(r.rng.Uint64() >> r.rng.IntN(64))
	case 2:
		return u128.U128{Hi: r.rng.Uint64() >> r.rng.IntN(64), Lo: r.rng.Uint64()}
	case 3, 4:
		return pick(r, chain.Tensor(100), chain.Tensor(250), chain.Tensor(1000), chain.Tensor(1))
	case 5:
		return u128.From64(r.rng.Uint64N(1e18))
	}
	return chain.Tensor(r.rng.Uint64N(300)).SatAdd(u128.From64(r.rng.Uint64N(1e18)))
}

// subnets lists what Network.SubnetsData has in the reference.
func (r *run) subnets() (ids []uint32) {
	prefix := StorageKey("Network", "SubnetsData")
	for k := r.ref.st.Next(prefix); len(k) == 36 && string(k[:32]) == string(prefix); k = r.ref.st.Next(k) {
		ids = append(ids, binary.LittleEndian.Uint32(k[32:]))
	}
	return ids
}
