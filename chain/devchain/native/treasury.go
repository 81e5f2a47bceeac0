package native

import (
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/network"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

const treasuryIndex = 19

// treasury is the part of the pallet of that name that runs by itself: it keeps
// account of the issuance that lies idle in its pot. The chain configures its
// clock to stand still, so it never spends or burns.
type treasury struct {
	system      *frame.System
	balances    *frame.Balances
	account     chain.AccountID
	deactivated *frame.Value[u128.U128]
	lastPeriod  *frame.Value[uint32]
}

func newTreasury(m *metadata.Metadata, y *frame.System, b *frame.Balances) *treasury {
	it := frame.NewItems(m, "Treasury")
	return &treasury{
		system: y, balances: b, account: network.TreasuryAccount(),
		deactivated: frame.NewValue(it, "Deactivated", frame.U128()),
		lastPeriod:  frame.NewValue(it, "LastSpendPeriod", frame.U32()),
	}
}

// genesis keeps the treasury's account alive.
func (t *treasury) genesis(st frame.State) {
	if t.balances.Free(st, t.account).IsZero() {
		t.balances.SetGenesis(st, t.account, u128.From64(frame.ExistentialDeposit))
	}
}

func (t *treasury) onInitialize(st frame.State) {
	pot := t.balances.Free(st, t.account).SatSub(u128.From64(frame.ExistentialDeposit))
	if before := t.deactivated.Get(st); pot != before {
		t.balances.Deactivate(st, before, pot)
		t.deactivated.Set(st, pot)
		ev := frame.NewEvent(treasuryIndex, 6)
		ev.U128(before)
		ev.U128(pot)
		t.system.Deposit(st, ev.Buf)
	}
	if _, ok := t.lastPeriod.Find(st); !ok {
		t.lastPeriod.Set(st, 0)
	}
}
