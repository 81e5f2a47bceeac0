package native_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// chaos makes random transactions from the metadata: every call, with arguments
// from a small world, so that many of them mean something.
type chaos struct {
	*twins
	r        *rand.Rand
	m        *metadata.Metadata
	keys     []*account.Account
	byID     map[chain.AccountID]*account.Account
	hotkeys  []*account.Account
	peers    []string
	calls    []choice
	total    int
	outcomes map[string]int
}

type choice struct {
	pallet *metadata.Pallet
	call   *metadata.Variant
	upto   int
}

// often are the calls that move a subnet along.
func often() map[string]int {
	return map[string]int{
		"register_subnet": 3, "activate_subnet": 12, "register_subnet_node": 25, "add_to_delegate_stake": 10, "add_stake": 6,
		"remove_stake": 8, "claim_unbondings": 6, "remove_delegate_stake": 8, "remove_subnet_node": 3, "owner_deactivate_subnet": 0,
		"owner_pause_subnet": 1, "owner_unpause_subnet": 6, "update_hotkey": 1, "update_coldkey": 0,
		"commit_overwatch_subnet_weights": 10, "reveal_overwatch_subnet_weights": 20, "register_overwatch_node": 10,
		"propose_attestation": 2, "attest": 2, "add_to_node_delegate_stake": 10, "remove_node_delegate_stake": 4,
		"swap_delegate_stake": 4, "swap_node_delegate_stake": 4, "swap_from_node_to_subnet": 4, "swap_from_subnet_to_node": 4,
	}
}

func newChaos(t *testing.T, seed uint64) *chaos {
	w := newTwins(t)
	b, err := w.twin.engine.Metadata(15)
	if err != nil {
		t.Fatal(err)
	}
	m, err := metadata.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	c := &chaos{twins: w, r: rand.New(rand.NewPCG(seed, 1)), m: m, byID: map[chain.AccountID]*account.Account{}, outcomes: map[string]int{}}
	cold, hot := testKeys()
	c.keys = append(append(c.keys, cold[:]...), hot[:]...)
	for i := range 12 {
		a, err := account.FromPrivateKey(bytes.Repeat([]byte{byte(i + 1)}, 32))
		if err != nil {
			t.Fatal(err)
		}
		c.keys = append(c.keys, a)
	}
	for _, k := range c.keys {
		c.byID[k.ID()] = k
	}
	for i := range 24 {
		c.peers = append(c.peers, "12D3KooW"+strings.Repeat(string(rune('A'+i)), 44))
	}
	c.peers = append(c.peers, "bad", "Qm"+strings.Repeat("x", 44), strings.Repeat("1", 129))
	for i := range m.Pallets {
		p := &m.Pallets[i]
		if p.Calls == metadata.NoType || !slices.Contains([]string{"System", "Balances", "Utility", "Sudo", "TxPause", "Network"}, p.Name) {
			continue
		}
		for j := range m.Types[p.Calls].Variants {
			v := &m.Types[p.Calls].Variants[j]
			weight, ok := often()[v.Name]
			switch {
			case ok && p.Name == "Network":
			case p.Name == "Network" && (strings.HasPrefix(v.Name, "set_") || strings.HasPrefix(v.Name, "collective_")):
				continue // reserved for the collective there, for sudo here
			case p.Name == "Network" && (v.Name == "pause" || v.Name == "unpause"):
				continue
			case p.Name == "Network" && strings.HasPrefix(v.Name, "transfer_"):
				continue // the chain lets anybody move shares
			case v.Name == "set_key" || v.Name == "remove_key":
				continue // or nobody refills
			case p.Name == "System" && !strings.HasPrefix(v.Name, "remark"):
				continue
			default:
				weight = 2
			}
			c.total += weight
			c.calls = append(c.calls, choice{p, v, c.total})
		}
	}
	return c
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// randomCall encodes a call.
func (c *chaos) randomCall(depth int) (name string, call []byte) {
	at := c.r.IntN(c.total)
	i := slices.IndexFunc(c.calls, func(x choice) bool { return at < x.upto })
	x := c.calls[i]
	if depth > 0 && (x.pallet.Name == "Utility" || x.pallet.Name == "Sudo") {
		return c.randomCall(depth)
	}
	e := scale.Encoder{Buf: []byte{x.pallet.Index, x.call.Index}}
	for _, f := range x.call.Fields {
		c.value(&e, f.Name, f.Type, depth)
	}
	return x.pallet.Name + "." + x.call.Name, e.Buf
}

func (c *chaos) who() chain.AccountID { return pick(c.r, c.keys).ID() }

// value encodes a random value of a type that suits a field of this name.
func (c *chaos) value(e *scale.Encoder, name string, id metadata.TypeID, depth int) {
	t := &c.m.Types[id]
	last := ""
	if len(t.Path) > 0 {
		last = t.Path[len(t.Path)-1]
	}
	switch last {
	case "AccountId20":
		who := c.who()
		e.Raw(who[:])
		return
	case "OpaquePeerId":
		e.Text(pick(c.r, c.peers))
		return
	case "RuntimeCall":
		_, call := c.randomCall(depth + 1)
		e.Raw(call)
		return
	case "BoundedVec":
		c.text(e, name)
		return
	case "BTreeMap", "BTreeSet":
		c.collection(e, name, t, depth)
		return
	case "H256":
		var o scale.Encoder // the opinion that a reveal may show
		o.U128(c.amount("weight"))
		o.Text("salt")
		hash := blake2b.Sum256(o.Buf)
		e.Raw(hash[:])
		return
	}
	switch t.Kind {
	case metadata.KindComposite:
		for _, f := range t.Fields {
			n := f.Name
			if n == "" {
				n = name
			}
			c.value(e, n, f.Type, depth)
		}
	case metadata.KindVariant:
		v := pick(c.r, t.Variants)
		if last == "Option" && c.r.IntN(2) == 0 {
			v = t.Variants[0]
		}
		e.U8(v.Index)
		for _, f := range v.Fields {
			n := f.Name
			if n == "" {
				n = name
			}
			c.value(e, n, f.Type, depth)
		}
	case metadata.KindSequence:
		if c.m.Types[t.Elem].Kind == metadata.KindPrimitive && c.m.Types[t.Elem].Primitive == metadata.U8 {
			c.text(e, name)
			return
		}
		n := c.r.IntN(5)
		e.Len(n)
		for range n {
			c.value(e, name, t.Elem, depth)
		}
	case metadata.KindTuple:
		for _, id := range t.Tuple {
			c.value(e, name, id, depth)
		}
	case metadata.KindCompact:
		if c.m.Types[t.Elem].Primitive == metadata.U64 {
			e.Compact(pick(c.r, []uint64{0, 1, 1e6, 1e9, 1e12, 1e13, 1e18}))
			return
		}
		e.CompactU128(c.amount(name))
	case metadata.KindPrimitive:
		c.primitive(e, name, t.Primitive)
	default:
		c.t.Fatalf("no random value for %+v", t)
	}
}

func (c *chaos) primitive(e *scale.Encoder, name string, p metadata.Primitive) {
	switch p {
	case metadata.Bool:
		e.Bool(c.r.IntN(2) == 0)
	case metadata.U16:
		e.U16(uint16(c.r.IntN(3)))
	case metadata.U8:
		e.U8(uint8(c.r.IntN(4)))
	case metadata.U32:
		switch {
		case strings.Contains(name, "subnet_id"):
			e.U32(pick(c.r, []uint32{128001, 128001, 128001, 128002, 128002, 128003, 7}))
		case strings.Contains(name, "node_id"):
			e.U32(uint32(c.r.IntN(14)))
		default:
			e.U32(pick(c.r, []uint32{0, 1, 2, 3, 4, 5, 10, 64, 100, 1 << 30}))
		}
	case metadata.U64:
		e.U64(uint64(c.r.IntN(100)))
	case metadata.U128:
		e.U128(c.amount(name))
	default:
		c.t.Fatalf("no random primitive %d", p)
	}
}

func (c *chaos) amount(name string) u128.U128 {
	percent := []uint64{0, 1, 5e16, 1e17, 11e16, 125e15, 3e17, 5e17, 1e18, 2e18}
	switch {
	case name == "max_cost" || name == "max_burn_amount":
		return pick(c.r, []u128.U128{tensor(10_000), tensor(10_000), u128.Max(), u128.From64(1)})
	case name == "min_stake" || name == "min":
		return pick(c.r, []u128.U128{tensor(100), tensor(100), tensor(120), tensor(1)})
	case name == "max_stake" || name == "max":
		return pick(c.r, []u128.U128{tensor(1000), tensor(1000), tensor(900), tensor(5000)})
	case strings.Contains(name, "rate") || strings.Contains(name, "percent") || name == "value" || name == "weight":
		return u128.From64(pick(c.r, percent))
	case name == "stake_to_be_added":
		return pick(c.r, []u128.U128{tensor(100), tensor(100), tensor(150), tensor(200), tensor(99), tensor(1000), tensor(1001), {}})
	case name == "stake_to_be_removed":
		return pick(c.r, []u128.U128{tensor(100), tensor(50), tensor(150), tensor(1), u128.From64(7), {}})
	case strings.Contains(name, "shares"):
		return pick(c.r, []u128.U128{tensor(100), tensor(5), tensor(150), tensor(1), u128.From64(7), {}, tensor(100_000)})
	case name == "score":
		return pick(c.r, []u128.U128{tensor(1), tensor(1), tensor(2), u128.From64(7), {}, u128.Max()})
	}
	return pick(c.r, []u128.U128{
		tensor(100), tensor(100), tensor(150), tensor(10), tensor(1), u128.From64(1000), u128.From64(999), u128.From64(499), {},
		u128.From64(c.r.Uint64() >> 4), tensor(100_000), u128.Max(),
	})
}

func (c *chaos) text(e *scale.Encoder, name string) {
	switch {
	case strings.Contains(name, "multiaddr") || name == "bootnodes" || name == "add":
		addrs := []string{
			"\x04\x7f\x00\x00\x01\x06\x98\x30\xa5\x03\x03\x01\x02\x03", "\x04\x7f\x00\x00\x01\x06\x98\x31\xa5\x03\x03\x01\x02\x03",
			"\x29" + strings.Repeat("\x01", 16) + "\x06\x00\x01\xa5\x03\x01\x05", "\x36\x03abc\x06\x00\x01\xdd\x03\xa5\x03\x01\x05",
			"\x04\x7f\x00\x00\x01\x06\x98\x30", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x99\x01", "\xa5\x03\x09\x01", "",
		}
		if c.r.IntN(3) > 0 {
			e.Text(pick(c.r, addrs[:4]))
			return
		}
		e.Text(pick(c.r, addrs))
	case strings.Contains(name, "unique"):
		e.Text(fmt.Sprint("param ", c.r.IntN(6)))
	case name == "remark":
		e.Text(strings.Repeat("r", c.r.IntN(300)))
	case name == "salt":
		e.Text("salt")
	default:
		e.Text(fmt.Sprint(name, c.r.IntN(8)))
	}
}

// collection encodes a map or set without repeating keys, in the order that the
// chain wants.
func (c *chaos) collection(e *scale.Encoder, name string, t *metadata.Type, depth int) {
	n := c.r.IntN(5)
	if name == "initial_coldkeys" {
		n = 4 + c.r.IntN(6)
	}
	entries := map[string]string{}
	for range n {
		var k, v scale.Encoder
		c.value(&k, name, t.Params[0].Type, depth)
		if len(t.Params) > 1 {
			if name == "initial_coldkeys" {
				v.U32(uint32(c.r.IntN(40)))
			} else {
				c.value(&v, name, t.Params[1].Type, depth)
			}
		}
		entries[string(k.Buf)] = string(v.Buf)
	}
	e.Len(len(entries))
	keys := slices.SortedFunc(mapsKeys(entries), func(a, b string) int {
		skip := 0
		if d := scale.NewDecoder([]byte(a)); !strings.Contains(name, "coldkeys") && d.Compact() > 0 {
			skip = 1 // the length does not count
		}
		return strings.Compare(a[skip:], b[skip:])
	})
	if c.r.IntN(20) == 0 {
		slices.Reverse(keys)
	}
	for _, k := range keys {
		e.Raw([]byte(k + entries[k]))
	}
}

func mapsKeys(m map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// consensus lets the elected nodes propose and most others attest.
func (c *chaos) consensus() {
	for _, sid := range []uint32{128001, 128002, 128003} {
		slot := c.st.Get(append(itemKey("Network", "SubnetSlot"), le32(sid)...))
		if slot == nil || c.number < leU32(slot) {
			continue
		}
		epoch := (c.number - leU32(slot)) / 20
		winner := c.st.Get(key2("SubnetElectedValidator", sid, epoch))
		if winner == nil {
			continue
		}
		nodes := under(c.st, append(itemKey("Network", "SubnetNodesData"), le32(sid)...))
		if c.st.Get(key2("SubnetConsensusSubmission", sid, epoch)) == nil {
			if c.r.IntN(3) == 0 {
				c.proposeFor(sid, leU32(winner), nodes)
			}
			continue
		}
		for _, k := range slices.Sorted(func(yield func(string) bool) {
			for k := range nodes {
				if !yield(k) {
					return
				}
			}
		}) {
			hotkey := chain.AccountID(nodes[k][4:24])
			if who := c.byID[hotkey]; who != nil && c.r.IntN(4) == 0 {
				c.try("attest", who, networkCall(66, func(e *scale.Encoder) { e.U32(sid); e.None() }))
			}
		}
	}
}

func (c *chaos) proposeFor(sid, winner uint32, nodes map[string][]byte) {
	hotkey := c.st.Get(key2("SubnetNodeIdHotkey", sid, winner))
	if hotkey == nil {
		return
	}
	who := c.byID[chain.AccountID(hotkey)]
	if who == nil {
		return
	}
	var ids []uint32
	for _, n := range nodes {
		if c.r.IntN(10) > 0 {
			ids = append(ids, leU32(n))
		}
	}
	slices.Sort(ids)
	if c.r.IntN(8) == 0 {
		c.r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	}
	c.try("propose", who, networkCall(65, func(e *scale.Encoder) {
		e.U32(sid)
		e.Len(len(ids))
		for _, id := range ids {
			e.U32(id)
			e.U128(pick(c.r, []u128.U128{tensor(1), tensor(1), tensor(3), u128.From64(1), {}}))
		}
		for range 2 { // queue wishes
			if c.r.IntN(2) == 0 {
				e.Some()
				e.U32(uint32(c.r.IntN(14)))
			} else {
				e.None()
			}
		}
		e.Raw([]byte{0, 0})
	}))
}

// newSubnet registers a subnet that everybody may join.
func (c *chaos) newSubnet() {
	n := c.r.IntN(1000)
	owner := pick(c.r, c.keys[1:4])
	c.try("new subnet", owner, networkCall(0, func(e *scale.Encoder) {
		e.U128(tensor(10_000))
		for _, s := range []string{"name", "repo", "description", "misc"} {
			e.Text(fmt.Sprint(s, n))
		}
		e.U128(tensor(100))
		e.U128(tensor(1000))
		e.U128(u128.From64(pick(c.r, []uint64{5e16, 1e17, 2e17})))
		ids := []string{}
		for _, k := range c.keys {
			id := k.ID()
			ids = append(ids, string(id[:]))
		}
		slices.Sort(ids)
		e.Len(len(ids))
		for _, id := range ids {
			e.Raw([]byte(id))
			e.U32(uint32(1 + c.r.IntN(2)))
		}
		e.Len(1)
		e.Text(c.peers[0])
		e.Text("\x04\x7f\x00\x00\x01\x06\x98\x30\xa5\x03\x03\x01\x02\x03")
	}))
}

// poke changes parameters of the network behind the engines' backs.
func (c *chaos) poke() {
	type setting struct {
		item   string
		values []uint64
	}
	small := pick(c.r, []setting{
		{"MaxSubnetPauseEpochs", []uint64{0, 1, 2190}}, {"SubnetRegistrationEpochs", []uint64{2, 4, 5053}},
		{"SubnetEnactmentEpochs", []uint64{1, 3, 2526}}, {"MaxSubnets", []uint64{1, 2, 64}}, {"TxRateLimit", []uint64{0, 0, 2}},
		{"MaxUnbondings", []uint64{1, 2, 32}}, {"MaxSubnetNodes", []uint64{5, 6, 256}}, {"MaxSubnetRemovalInterval", []uint64{2, 10}},
		{"MinSubnetRemovalInterval", []uint64{1, 10}}, {"OverwatchEpochLengthMultiplier", []uint64{1, 1, 2}},
		{"MaxSwapQueueCallsPerBlock", []uint64{0, 1, 16}}, {"SubnetPauseCooldownEpochs", []uint64{0, 0, 3}},
		{"RegistrationCostDecayBlocks", []uint64{0, 30, 438290}}, {"MinActiveNodeStakeEpochs", []uint64{0, 1, 4}},
	})
	large := pick(c.r, []setting{
		{"MinSubnetDelegateStakeFactor", []uint64{0, 0, 1e12, 1e13}}, {"MaxMinDelegateStakeMultiplier", []uint64{1e18, 4e18}},
		{"MinAttestationPercentage", []uint64{66e16, 9e17, 51e16}}, {"SuperMajorityAttestationRatio", []uint64{875e15, 7e17}},
		{"MaxSlashAmount", []uint64{1e18, 5e17, 1e19}}, {"InflationSigmoidMidpoint", []uint64{5e17, 1e15}},
		{"SubnetDistributionPower", []uint64{75e16, 5e17, 1e18}}, {"OverwatchStakeWeightFactor", []uint64{9e17, 5e17}},
		{"RegistrationCostAlpha", []uint64{5e17, 1e17}}, {"AttestorMinRewardFactor", []uint64{33e16, 0}},
		{"BaseNodeBurnAmount", []uint64{1e13, 0, 1e18}}, {"ValidatorRewardMidpoint", []uint64{5e17, 2e17}},
	})
	var a, b scale.Encoder
	a.U32(uint32(pick(c.r, small.values)))
	b.U128(u128.From64(pick(c.r, large.values)))
	for _, st := range []devchain.State{c.st, c.twin.st} {
		st.Set(itemKey("Network", small.item), a.Buf)
		st.Set(itemKey("Network", large.item), b.Buf)
	}
}

// refill endows everybody anew, by sudo.
func (c *chaos) refill() {
	for _, k := range append(slices.Clone(c.keys[1:]), c.hotkeys...) {
		id := k.ID()
		amount := tensor(20_000)
		if slices.Contains(c.hotkeys, k) {
			amount = tensor(2)
		}
		e := scale.Encoder{Buf: []byte{6, 0, 4, 8}} // sudo(force_set_balance)
		e.Raw(id[:])
		e.CompactU128(amount)
		c.try("refill", c.keys[0], e.Buf)
	}
}

// newNode registers a node with a hotkey of its own.
func (c *chaos) newNode() {
	sid := pick(c.r, []uint32{128001, 128001, 128002, 128003})
	n := len(c.hotkeys)
	hotkey, err := account.FromPrivateKey(bytes.Repeat([]byte{byte(n), 1, 2, 3}, 8))
	if err != nil {
		c.t.Fatal(err)
	}
	c.hotkeys = append(c.hotkeys, hotkey)
	c.byID[hotkey.ID()] = hotkey
	c.try("new node", pick(c.r, c.keys[1:]), networkCall(38, func(e *scale.Encoder) {
		e.U32(sid)
		id := hotkey.ID()
		e.Raw(id[:])
		e.Text(fmt.Sprintf("12D3KooW%044d", n))
		e.None()
		if c.r.IntN(4) == 0 {
			e.Some()
			e.Text(fmt.Sprintf("12D3KooX%044d", n))
			e.Some()
			e.Text(fmt.Sprintf("\x04\x7f\x00\x00%c\x06\x98\x30\xa5\x03\x03\x01\x02\x03", byte(1+n%100)))
		} else {
			e.None()
		}
		e.None()
		e.U128(u128.From64(pick(c.r, []uint64{0, 1e17, 1e18})))
		e.U128(pick(c.r, []u128.U128{tensor(100), tensor(300)}))
		e.None()
		e.None()
		if c.r.IntN(3) == 0 {
			e.Some()
			to := c.keys[c.r.IntN(len(c.keys))].ID()
			e.Raw(to[:])
			e.U128(u128.From64(pick(c.r, []uint64{1e17, 5e17, 1e18})))
		} else {
			e.None()
		}
		e.U128(tensor(1))
	}))
	// it attests and proposes, so it needs a little
	e := scale.Encoder{Buf: []byte{4, 0}}
	id := hotkey.ID()
	e.Raw(id[:])
	e.CompactU128(tensor(1))
	c.try("fund", c.keys[0], e.Buf)
}

// asSudo wraps a call so that root dispatches it.
func (c *chaos) asSudo() {
	name, call := c.randomCall(1)
	if strings.HasPrefix(name, "Network.") && c.r.IntN(4) > 0 {
		return
	}
	c.try("sudo of "+name, c.keys[0], append([]byte{6, 0}, call...))
}

// signer chooses who sends a call: mostly somebody who may.
func (c *chaos) signer(name string, call []byte) *account.Account {
	others := c.keys[1:] // the first pays for the rest
	if c.r.IntN(6) == 0 || len(call) < 6 {
		return pick(c.r, others)
	}
	sid := leU32(call[2:])
	find := func(item string, key []byte) *account.Account {
		b := c.st.Get(append(itemKey("Network", item), key...))
		if len(b) != 20 {
			return nil
		}
		return c.byID[chain.AccountID(b)]
	}
	var who *account.Account
	coldkeyOf := func(hotkey []byte) *account.Account {
		return find("HotkeyOwner", metadata.Blake2_128Concat.Append(nil, hotkey))
	}
	switch name = strings.TrimPrefix(name, "Network."); {
	case strings.HasPrefix(name, "owner_"), name == "activate_subnet", name == "update_bootnodes":
		who = find("SubnetOwner", le32(sid))
	case strings.HasPrefix(name, "update_") && name != "update_hotkey" && name != "update_coldkey", name == "remove_subnet_node":
		if len(call) < 10 {
			break
		}
		if hotkey := c.st.Get(append(itemKey("Network", "SubnetNodeIdHotkey"), call[2:10]...)); hotkey != nil {
			who = coldkeyOf(hotkey)
		}
	case name == "remove_stake" && len(call) > 26:
		who = coldkeyOf(call[6:26])
	case name == "add_stake" && len(call) > 30:
		who = coldkeyOf(call[10:30])
	case (name == "update_hotkey" || name == "remove_overwatch_stake") && len(call) > 22:
		who = coldkeyOf(call[2:22])
	case strings.HasPrefix(name, "Sudo."):
		who = c.keys[0]
	case strings.Contains(name, "overwatch") && name != "register_overwatch_node":
		if hotkey := c.st.Get(append(itemKey("Network", "OverwatchNodeIdHotkey"), call[2:6]...)); hotkey != nil {
			who = coldkeyOf(hotkey)
		}
	}
	if who == nil {
		who = pick(c.r, others)
	}
	return who
}

// try applies a call to both engines and counts the outcome.
func (c *chaos) try(name string, who *account.Account, call []byte) {
	c.t.Helper()
	xt := c.signed(who, call)
	if v := c.validity(xt); strings.HasPrefix(v, "01") && v == c.twin.validity(xt) {
		c.outcomes[name+" refused "+v]++
		return
	}
	c.what = fmt.Sprintf("%s %x", name, call)
	r := c.do(xt)
	c.outcomes[name+" "+r]++
}

// TestTwinsRandom runs random transactions through both engines. MESH_SEED and
// MESH_BLOCKS choose the run.
func TestTwinsRandom(t *testing.T) {
	number := func(name string, def uint64) uint64 {
		n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
		if err != nil {
			return def
		}
		return n
	}
	seed := number("MESH_SEED", 1)
	t.Logf("MESH_SEED=%d", seed)
	c := newChaos(t, seed)
	defer func() {
		if t.Failed() || testing.Verbose() {
			ok := 0
			for _, k := range slices.Sorted(func(yield func(string) bool) {
				for k := range c.outcomes {
					if !yield(k) {
						return
					}
				}
			}) {
				if strings.HasSuffix(k, " 0000") {
					ok++
				}
				t.Logf("%5d %s", c.outcomes[k], k)
			}
			t.Logf("%d blocks, %d kinds of calls succeeded; %d pairs compared", c.number, ok, c.compared)
		}
	}()
	c.runTo(1)
	for _, k := range c.keys[8:] {
		e := scale.Encoder{Buf: []byte{4, 0}}
		id := k.ID()
		e.Raw(id[:])
		e.CompactU128(tensor(50_000))
		c.ok(c.keys[0], e.Buf)
	}
	for c.number < uint32(number("MESH_BLOCKS", 400)) {
		c.runTo(c.number + 1)
		c.consensus()
		if c.number%40 == 0 {
			c.refill()
		}
		if c.number > 200 && c.r.IntN(15) == 0 {
			c.poke()
		}
		if c.r.IntN(10) == 0 {
			c.newSubnet()
		}
		if c.r.IntN(5) == 0 && len(c.hotkeys) < 250 {
			c.newNode()
		}
		if c.r.IntN(3) == 0 {
			c.asSudo()
		}
		for range c.r.IntN(9) {
			name, call := c.randomCall(0)
			c.try(name, c.signer(name, call), call)
		}
	}
	c.close()
}
