package diff

import (
	"bytes"
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// script is the life of one subnet between the random calls: it comes to be,
// and its nodes propose and attest, most of them, most of the time.
type script struct {
	step   int
	subnet uint32
}

const scriptNodes = 5

// plan lists the transactions of the present block.
func (r *run) plan() []transaction {
	var list []transaction
	add := func(who *account.Account, pallet, name string, args map[string]any) {
		call, err := r.encode(pallet, name, args)
		if err != nil { // the reference has another generation of this call
			r.cfg.Logger.Warn("scripted call cannot be made", "call", pallet+"."+name, "err", err)
			return
		}
		list = append(list, transaction{who: who, name: pallet + "." + name, call: call})
	}
	if r.number >= 2 {
		r.life(add)
	}
	for range r.cfg.PerBlock {
		if r.settled && !r.one(4) {
			list = append(list, r.random())
		}
	}
	return list
}

type adder func(who *account.Account, pallet, name string, args map[string]any)

func (r *run) life(add adder) {
	s := &r.script
	known := r.subnets()
	switch {
	case s.step == 0:
		r.found(add)
	case s.step == 1 && len(known) > 0:
		s.subnet = known[0]
		for i := range scriptNodes {
			add(r.cast.cold(i), "Network", "register_subnet_node", r.node(i))
		}
		add(r.cast.cold(0), "Network", "add_to_delegate_stake", map[string]any{"subnet_id": s.subnet, "stake_to_be_added": chain.Tensor(1000)})
	case s.step == 2:
		add(r.cast.cold(0), "Network", "activate_subnet", map[string]any{"subnet_id": s.subnet})
	default:
		r.settled = true
		for _, id := range known {
			r.consensus(add, id)
		}
		if r.one(15) {
			add(r.cast.cold(5), "Network", "register_subnet_node", r.node(5+r.rng.IntN(3)))
		}
	}
	if r.settled {
		r.watch(add, known)
	}
	if len(known) == 0 && s.step > 3 {
		s.step = -1 // it has been removed: found another one
	}
	s.step++
}

func (r *run) found(add adder) {
	var ids []chain.AccountID
	for i := range scriptNodes + 3 {
		ids = append(ids, r.cast.cold(i).ID())
	}
	slices.SortFunc(ids, func(a, b chain.AccountID) int { return bytes.Compare(a[:], b[:]) })
	var coldkeys []any
	for _, id := range ids {
		coldkeys = append(coldkeys, []any{id, 3})
	}
	add(r.cast.cold(0), "Network", "register_subnet", map[string]any{
		"max_cost": chain.Tensor(1000),
		"subnet_data": map[string]any{
			"name": r.bytes("name"), "repo": r.bytes("repo"), "description": []byte("d"), "misc": []byte{},
			"min_stake": chain.Tensor(100), "max_stake": chain.Tensor(1000), "delegate_stake_percentage": chain.Balance{Lo: 1e17},
			"initial_coldkeys": coldkeys,
			"bootnodes":        []any{[]any{peerText(999), []byte{4, 127, 0, 0, 1, 6, 0x98, 0x30, 0xa5, 3, 3, 1, 2, 3}}},
		},
	})
}

func (r *run) node(i int) map[string]any {
	return map[string]any{
		"subnet_id": r.script.subnet, "hotkey": r.cast.hot(i).ID(),
		"peer_info":          map[string]any{"peer_id": peerText(100 + i), "multiaddr": nil},
		"bootnode_peer_info": nil, "client_peer_info": nil,
		"delegate_reward_rate": chain.Balance{Lo: 1e17}, "stake_to_be_added": chain.Tensor(uint64(100 + i)),
		"unique": nil, "non_unique": nil, "delegate_account": nil, "max_burn_amount": chain.Tensor(1),
	}
}

// consensus proposes and attests for one subnet, if it is time.
func (r *run) consensus(add adder, subnet uint32) {
	length := r.u32At("EpochLength")
	slot, ok := r.stored("SubnetSlot", subnet)
	if !ok || length == 0 || uint32(r.number) < slot {
		return
	}
	offset, epoch := (uint32(r.number)-slot)%length, (uint32(r.number)-slot)/length
	mood := (epoch*7 + subnet) % 6 // 0: nobody proposes; 1: hardly anybody attests
	elected, ok := r.stored("SubnetElectedValidator", subnet, epoch)
	if !ok {
		return
	}
	switch {
	case mood == 0:
	case offset == 2+epoch%9:
		var data []any
		for id := uint32(1); id <= 10; id++ {
			if !r.one(5) {
				data = append(data, map[string]any{"subnet_node_id": id, "score": r.amount("score")})
			}
		}
		if who := r.hotkey(subnet, elected); who != nil {
			add(who, "Network", "propose_attestation", map[string]any{
				"subnet_id": subnet, "data": data, "prioritize_queue_node_id": nil, "remove_queue_node_id": nil, "args": nil, "attest_data": nil,
			})
		}
	case offset > 2+epoch%9:
		for id := uint32(1); id <= 12; id++ {
			if id == elected || !r.one(6) || mood == 1 && !r.one(6) {
				continue
			}
			if who := r.hotkey(subnet, id); who != nil {
				add(who, "Network", "attest", map[string]any{"subnet_id": subnet, "attest_data": nil})
			}
		}
	}
}

// watch is the life of an overwatch node: it commits to weights in the first
// part of an overwatch epoch and reveals them, or others, in the second.
func (r *run) watch(add adder, subnets []uint32) {
	length := r.u32At("EpochLength")
	cold, hot := r.cast.cold(1), r.cast.people[watchHot]
	id := uint32(0)
	prefix := StorageKey("Network", "OverwatchNodeIdHotkey")
	for k := r.ref.st.Next(prefix); len(k) == 36 && string(k[:32]) == string(prefix); k = r.ref.st.Next(k) {
		if a := hot.ID(); string(r.ref.st.Get(k)) == string(a[:]) {
			id = binary.LittleEndian.Uint32(k[32:])
		}
	}
	if length == 0 {
		return
	}
	epoch, offset := uint32(r.number)/length, uint32(r.number)%length
	if id == 0 {
		if offset == 7 {
			add(cold, "Network", "register_overwatch_node", map[string]any{"hotkey": hot.ID(), "stake_to_be_added": chain.Tensor(200)})
		}
		return
	}
	secret := func(subnet uint32) (weight chain.Balance, salt, encoded []byte) {
		weight, salt = chain.Balance{Lo: 1e17 * uint64(1+(subnet+epoch)%10)}, []byte{byte(subnet), byte(epoch), 7}
		var e scale.Encoder
		e.U128(weight)
		e.Bytes(salt)
		return weight, salt, e.Buf
	}
	var commits, reveals []any
	for _, subnet := range subnets {
		weight, salt, encoded := secret(subnet)
		commits = append(commits, map[string]any{"subnet_id": subnet, "weight": chain.Hash(blake2b.Sum256(encoded))})
		if r.one(8) {
			weight = weight.SatAdd(weight)
		}
		reveals = append(reveals, map[string]any{"subnet_id": subnet, "weight": weight, "salt": salt})
	}
	switch {
	case offset == 4 || r.one(30):
		add(hot, "Network", "commit_overwatch_subnet_weights", map[string]any{"overwatch_node_id": id, "commit_weights": commits})
	case offset == 17 || r.one(30):
		add(hot, "Network", "reveal_overwatch_subnet_weights", map[string]any{"overwatch_node_id": id, "reveals": reveals})
	case offset == 10 && epoch%4 == 0:
		add(cold, "Network", "add_to_overwatch_stake", map[string]any{"overwatch_node_id": id, "hotkey": hot.ID(), "stake_to_be_added": chain.Tensor(10)})
	case offset == 10 && epoch%4 == 1 && len(subnets) > 0:
		add(cold, "Network", "set_overwatch_node_peer_id", map[string]any{"subnet_id": subnets[0], "overwatch_node_id": id, "peer_id": peerText(int(500 + epoch))})
	case offset == 10 && epoch%4 == 2:
		add(cold, "Network", "remove_overwatch_stake", map[string]any{"hotkey": hot.ID(), "stake_to_be_removed": chain.Tensor(5)})
	case offset == 12 && epoch%15 == 14:
		add(cold, "Network", "remove_overwatch_node", map[string]any{"overwatch_node_id": id})
	}
}

func (r *run) u32At(constant string) uint32 {
	c, err := r.reg.Constant("Network", constant)
	if err != nil || len(c.Value) != 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(c.Value)
}

// stored reads a number from a map of Network with plain keys.
func (r *run) stored(item string, keys ...uint32) (uint32, bool) {
	k := StorageKey("Network", item)
	for _, n := range keys {
		k = binary.LittleEndian.AppendUint32(k, n)
	}
	v := r.ref.st.Get(k)
	if len(v) != 4 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(v), true
}

// hotkey is the account that signs for a node, nil when it is none of the cast.
func (r *run) hotkey(subnet, node uint32) *account.Account {
	k := StorageKey("Network", "SubnetNodeIdHotkey")
	k = binary.LittleEndian.AppendUint32(k, subnet)
	k = binary.LittleEndian.AppendUint32(k, node)
	v := r.ref.st.Get(k)
	for _, a := range r.cast.people {
		if id := a.ID(); string(id[:]) == string(v) {
			return a
		}
	}
	return nil
}
