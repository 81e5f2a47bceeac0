package network

import (
	"slices"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/libm"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// commitment is an overwatch node's sealed opinion of a subnet.
type commitment struct {
	subnet uint32
	hash   chain.Hash
}

// opinion is an overwatch node's opened opinion of a subnet.
type opinion struct {
	subnet uint32
	weight u128.U128
	salt   string
}

func overwatchCalls() map[string]handler {
	commits := frame.Vec(frame.Codec[commitment]{
		Enc: func(e *scale.Encoder, v commitment) { e.U32(v.subnet); e.Raw(v.hash[:]) },
		Dec: func(d *scale.Decoder) commitment { return commitment{d.U32(), frame.Hash().Dec(d)} },
	}, 36)
	reveals := frame.Vec(frame.Codec[opinion]{
		Enc: func(e *scale.Encoder, v opinion) { e.U32(v.subnet); e.U128(v.weight); e.Text(v.salt) },
		Dec: func(d *scale.Decoder) opinion { return opinion{d.U32(), d.U128(), frame.Bytes().Dec(d)} },
	}, 21)
	return map[string]handler{
		"register_overwatch_node": func(d *scale.Decoder) action {
			hotkey, amount := frame.Account().Dec(d), d.U128()
			return signed(func(x *exec, who chain.AccountID) error { return x.registerOverwatch(who, hotkey, amount) })
		},
		"remove_overwatch_node": func(d *scale.Decoder) action {
			oid := d.U32()
			return signed(func(x *exec, who chain.AccountID) error {
				if err := x.ensureOverwatchKey(who, oid); err != nil {
					return err
				}
				if !x.OverwatchNodes.Has(x, oid) {
					return fail(ErrInvalidOverwatchNodeId)
				}
				x.removeOverwatch(oid)
				return nil
			})
		},
		"anyone_remove_overwatch_node": func(d *scale.Decoder) action {
			oid := d.U32()
			return signed(func(x *exec, _ chain.AccountID) error {
				hotkey, ok := x.OverwatchNodeIdHotkey.Find(x, oid)
				if !ok {
					return fail(ErrInvalidOverwatchNodeId)
				}
				if x.qualified(x.HotkeyOwner.Get(x, hotkey)) {
					return fail(ErrColdkeyOverwatchQualified)
				}
				x.removeOverwatch(oid)
				return nil
			})
		},
		"set_overwatch_node_peer_id": func(d *scale.Decoder) action {
			sid, oid, id := d.U32(), d.U32(), frame.Bytes().Dec(d)
			return waived(func(x *exec, who chain.AccountID) error { return x.setOverwatchPeer(who, sid, oid, id) })
		},
		"commit_overwatch_subnet_weights": func(d *scale.Decoder) action {
			oid, list := d.U32(), commits.Dec(d)
			return waived(func(x *exec, who chain.AccountID) error { return x.commit(who, oid, list) })
		},
		"reveal_overwatch_subnet_weights": func(d *scale.Decoder) action {
			oid, list := d.U32(), reveals.Dec(d)
			return waived(func(x *exec, who chain.AccountID) error { return x.reveal(who, oid, list) })
		},
		"add_to_overwatch_stake": func(d *scale.Decoder) action {
			oid, hotkey, amount := d.U32(), frame.Account().Dec(d), d.U128()
			return signed(func(x *exec, who chain.AccountID) error {
				if err := first(
					ensure(x.OverwatchNodes.Has(x, oid), ErrInvalidSubnetId),
					ensure(x.HotkeyOwner.Get(x, hotkey) == who, ErrNotKeyOwner),
				); err != nil {
					return err
				}
				return x.addOverwatchStake(who, hotkey, amount)
			})
		},
		"remove_overwatch_stake": func(d *scale.Decoder) action {
			hotkey, amount := frame.Account().Dec(d), d.U128()
			return signed(func(x *exec, who chain.AccountID) error { return x.removeOverwatchStake(who, hotkey, amount) })
		},
	}
}

func (x *exec) registerOverwatch(coldkey, hotkey chain.AccountID, amount u128.U128) error {
	_, known := x.ColdkeyHotkeys.Get(x, coldkey)[hotkey]
	if err := first(
		ensure(!x.OverwatchNodeBlacklist.Get(x, coldkey), ErrColdkeyBlacklisted),
		ensure(x.overwatchEpoch() > 0, ErrOverwatchEpochIsZero),
		ensure(x.TotalOverwatchNodes.Get(x) < x.MaxOverwatchNodes.Get(x), ErrMaxOverwatchNodes),
		ensure(hotkey != coldkey, ErrColdkeyMatchesHotkey),
		ensure(!x.HotkeyOwner.Has(x, hotkey), ErrHotkeyHasOwner),
		ensure(!known, ErrHotkeyAlreadyRegisteredToColdkey),
	); err != nil {
		return err
	}
	x.addHotkey(coldkey, hotkey)
	if !x.qualified(coldkey) {
		return fail(ErrColdkeyNotOverwatchQualified)
	}
	if err := x.addOverwatchStake(coldkey, hotkey, amount); err != nil {
		return err
	}
	oid := x.TotalOverwatchNodeUids.Get(x) + 1
	x.TotalOverwatchNodeUids.Set(x, oid)
	x.HotkeyOwner.Set(x, hotkey, coldkey)
	x.HotkeyOverwatchNodeId.Set(x, hotkey, oid)
	x.OverwatchNodeIdHotkey.Set(x, oid, hotkey)
	x.OverwatchNodes.Set(x, oid, OverwatchNode{oid, hotkey})
	x.TotalOverwatchNodes.Update(x, add1)
	return nil
}

// qualified reports whether a coldkey may run an overwatch node.
func (x *exec) qualified(coldkey chain.AccountID) bool {
	rep, ok := x.ColdkeyReputation.Find(x, coldkey)
	age := x.OverwatchMinAge.Get(x)
	epoch := x.epoch()
	if !ok || epoch <= age || epoch-min(rep.StartEpoch, epoch) < age || rep.Score.Less(x.OverwatchMinRepScore.Get(x)) {
		return false
	}
	x.cleanColdkey(coldkey)
	subnets := uint32(0)
	for sid, nodes := range x.ColdkeySubnetNodes.Get(x, coldkey) {
		at := x.subnetEpoch(sid)
		for nid := range nodes {
			if n, ok := x.SubnetNodesData.Find(x, sid, nid); ok && n.has(ClassValidator, at) {
				subnets++
				break
			}
		}
	}
	diversification := one()
	if active := x.TotalActiveSubnets.Get(x); subnets < active {
		diversification = ratio(subnets, active)
	}
	return !diversification.Less(x.OverwatchMinDiversificationRatio.Get(x)) &&
		!rep.AverageAttestation.Less(x.OverwatchMinAvgAttestationRatio.Get(x))
}

// overwatchKeys returns the keys of an overwatch node.
func (x *exec) overwatchKeys(oid uint32) (hotkey, coldkey chain.AccountID, ok bool) {
	if hotkey, ok = x.OverwatchNodeIdHotkey.Find(x, oid); !ok {
		return hotkey, coldkey, false
	}
	coldkey, ok = x.HotkeyOwner.Find(x, hotkey)
	return hotkey, coldkey, ok
}

func (x *exec) ensureOverwatchKey(who chain.AccountID, oid uint32) error {
	hotkey, coldkey, ok := x.overwatchKeys(oid)
	return ensure(ok && (who == hotkey || who == coldkey), ErrNotKeyOwner)
}

func (x *exec) removeOverwatch(oid uint32) {
	if _, ok := x.OverwatchNodes.Take(x, oid); !ok {
		return
	}
	if hotkey, ok := x.OverwatchNodeIdHotkey.Take(x, oid); ok {
		x.HotkeyOverwatchNodeId.Delete(x, hotkey)
	}
	peers, _ := x.OverwatchNodeIndex.Take(x, oid)
	for sid, id := range peers {
		x.PeerIdOverwatchNodeId.Delete(x, sid, id)
	}
	x.TotalOverwatchNodes.Update(x, sub1)
}

func (x *exec) setOverwatchPeer(who chain.AccountID, sid, oid uint32, id string) error {
	if err := first(
		ensure(x.SubnetsData.Has(x, sid), ErrInvalidSubnetId),
		x.ensureOverwatchKey(who, oid),
		ensure(validPeerID(id), ErrInvalidPeerId),
		ensure(!x.peerTaken(sid, id), ErrPeerIdExist),
	); err != nil {
		return err
	}
	x.PeerIdOverwatchNodeId.Set(x, sid, id, oid)
	peers := x.OverwatchNodeIndex.Get(x, oid)
	if peers == nil {
		peers = map[uint32]string{}
	}
	peers[sid] = id
	x.OverwatchNodeIndex.Set(x, oid, peers)
	return nil
}

// ensureOverwatch checks who commits or reveals, and that its coldkey is not
// barred.
func (x *exec) ensureOverwatch(who chain.AccountID, oid uint32) error {
	if err := x.ensureOverwatchKey(who, oid); err != nil {
		return err
	}
	_, coldkey, _ := x.overwatchKeys(oid)
	return ensure(!x.OverwatchNodeBlacklist.Get(x, coldkey), ErrColdkeyBlacklisted)
}

// committing reports whether this is the part of the overwatch epoch for
// commitments.
func (x *exec) committing() bool {
	length := x.overwatchLength()
	cutoff := percentMul(u128.From64(uint64(length)), x.OverwatchCommitCutoffPercent.Get(x))
	return uint64(x.block) < uint64(length)*uint64(x.overwatchEpoch())+cutoff.Uint64()
}

func (x *exec) commit(who chain.AccountID, oid uint32, list []commitment) error {
	if err := first(x.ensureOverwatch(who, oid), ensure(x.committing(), ErrNotCommitPeriod)); err != nil {
		return err
	}
	list = slices.CompactFunc(list, func(a, b commitment) bool { return a.subnet == b.subnet })
	list = slices.DeleteFunc(list, func(c commitment) bool { return !x.SubnetsData.Has(x, c.subnet) })
	if len(list) == 0 {
		return fail(ErrCommitsEmpty)
	}
	epoch := x.overwatchEpoch()
	for _, c := range list {
		if _, ok := x.OverwatchCommits.Find(x, epoch, oid, c.subnet); ok {
			return fail(ErrAlreadyCommitted)
		}
		x.OverwatchCommits.Set(x, epoch, oid, c.subnet, c.hash)
	}
	return nil
}

func (x *exec) reveal(who chain.AccountID, oid uint32, list []opinion) error {
	if err := first(x.ensureOverwatch(who, oid), ensure(!x.committing(), ErrNotRevealPeriod)); err != nil {
		return err
	}
	epoch := x.overwatchEpoch()
	for _, o := range list {
		if one().Less(o.weight) {
			return fail(ErrInvalidWeight)
		}
		hash, ok := x.OverwatchCommits.Find(x, epoch, oid, o.subnet)
		if !ok {
			return fail(ErrNoCommitFound)
		}
		var e scale.Encoder
		e.U128(o.weight)
		e.Text(o.salt)
		if blake2b.Sum256(e.Buf) != hash {
			return fail(ErrRevealMismatch)
		}
		x.OverwatchReveals.Set(x, epoch, o.subnet, oid, o.weight)
	}
	return nil
}

func (x *exec) addOverwatchStake(coldkey, hotkey chain.AccountID, amount u128.U128) error {
	total := x.AccountOverwatchStake.Get(x, hotkey).SatAdd(amount)
	if err := first(
		ensure(!total.Less(x.OverwatchMinStakeBalance.Get(x)), ErrMinStakeNotReached),
		ensure(x.canPay(coldkey, amount), ErrNotEnoughBalanceToStake),
	); err != nil {
		return err
	}
	if !x.pay(coldkey, amount) {
		return fail(ErrBalanceWithdrawalError)
	}
	x.increaseOverwatchStake(hotkey, amount)
	return nil
}

func (x *exec) increaseOverwatchStake(hotkey chain.AccountID, amount u128.U128) {
	x.AccountOverwatchStake.Update(x, hotkey, plus(amount))
	x.TotalOverwatchStake.Update(x, plus(amount))
}

func (x *exec) removeOverwatchStake(coldkey, hotkey chain.AccountID, amount u128.U128) error {
	left, under := x.AccountOverwatchStake.Get(x, hotkey).Sub(amount)
	isNode := x.HotkeyOverwatchNodeId.Has(x, hotkey)
	if err := first(
		ensure(x.HotkeyOwner.Get(x, hotkey) == coldkey, ErrNotKeyOwner),
		ensure(!amount.IsZero(), ErrAmountZero),
		ensure(!under, ErrNotEnoughStakeToWithdraw),
		ensure(!isNode || !left.Less(x.OverwatchMinStakeBalance.Get(x)), ErrMinStakeNotReached),
	); err != nil {
		return err
	}
	x.AccountOverwatchStake.Update(x, hotkey, minus(amount))
	x.TotalOverwatchStake.Update(x, minus(amount))
	return x.unbond(coldkey, amount, x.StakeCooldownEpochs.Get(x))
}

// settleOverwatch turns the opinions of the last overwatch epoch into subnet
// weights and pays for them.
func (x *exec) settleOverwatch() {
	last := x.overwatchEpoch() - min(x.overwatchEpoch(), 1)
	stakes, hotkeys, opinions := x.overwatchOpinions(last)
	scores, total := map[uint32]u128.U128{}, u128.U128{}
	for _, sid := range frame.SortedKeys(opinions, frame.CompareU32) {
		var w u128.U128
		for oid, o := range opinions[sid] {
			w, _ = w.Add(percentMul(o, stakes[oid]))
		}
		w = minU128(w, one())
		x.OverwatchSubnetWeights.Set(x, last, sid, w)
		for oid, o := range opinions[sid] {
			score := percentMul(one().SatSub(absDiff(o, w)), w)
			scores[oid] = scores[oid].SatAdd(score)
			total = total.SatAdd(score)
		}
	}
	if total.IsZero() {
		return
	}
	emissions := OverwatchEmissions(x.cfg.EpochLength)
	var paid []frame.Pair[uint32, u128.U128]
	for _, oid := range frame.SortedKeys(scores, frame.CompareU32) {
		if scores[oid].IsZero() {
			continue
		}
		share := percentDiv(scores[oid], total)
		x.OverwatchNodeWeights.Set(x, last, oid, share)
		amount := percentMul(share, emissions)
		if hotkey, ok := hotkeys[oid]; ok && !amount.IsZero() {
			x.increaseOverwatchStake(hotkey, amount)
			paid = append(paid, frame.Pair[uint32, u128.U128]{A: oid, B: amount})
		}
	}
	x.emit(evOverwatchRewards, encoded(frame.Vec(frame.PairOf(frame.U32(), frame.U128()), 20), paid))
}

// overwatchOpinions returns the share of each overwatch node that revealed, its
// hotkey, and the opinions by subnet.
func (x *exec) overwatchOpinions(epoch uint32) (
	stakes map[uint32]u128.U128, hotkeys map[uint32]chain.AccountID, opinions map[uint32]map[uint32]u128.U128,
) {
	stakes, hotkeys = map[uint32]u128.U128{}, map[uint32]chain.AccountID{}
	opinions = map[uint32]map[uint32]u128.U128{}
	power := toFloat(x.OverwatchStakeWeightFactor.Get(x))
	var total u128.U128
	for _, e := range x.OverwatchReveals.Under(x, epoch) {
		sid, oid := e.A.A, e.A.B
		if _, ok := stakes[oid]; !ok {
			node, ok := x.OverwatchNodes.Find(x, oid)
			if !ok {
				continue
			}
			stakes[oid] = fromFloat(libm.Pow(x.AccountOverwatchStake.Get(x, node.Hotkey).Float64(), power))
			hotkeys[oid] = node.Hotkey
			total, _ = total.Add(stakes[oid]) // wraps, as on the chain, above 65,000 TENSOR of stake
		}
		if opinions[sid] == nil {
			opinions[sid] = map[uint32]u128.U128{}
		}
		opinions[sid][oid] = e.B
	}
	for oid, w := range stakes {
		stakes[oid] = percentDiv(w, total)
	}
	return stakes, hotkeys, opinions
}
