package frame

import (
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// ExistentialDeposit is the least free balance that keeps an account alive.
const ExistentialDeposit = 500

func existentialDeposit() u128.U128 { return u128.From64(ExistentialDeposit) }

// Errors of pallet Balances.
const (
	errLiquidityRestrictions = 1
	errInsufficientBalance   = 2
	errExistentialDeposit    = 3
	errExpendability         = 4
	errIssuanceDeactivated   = 10
	errDeltaZero             = 11
)

func balancesError(code uint8) error { return Module(BalancesIndex, code) }

// Balances is the pallet of that name over System's accounts.
type Balances struct {
	System           *System
	TotalIssuance    *Value[u128.U128]
	InactiveIssuance *Value[u128.U128]
}

// NewBalances describes the pallet as m declares it.
func NewBalances(m *metadata.Metadata, y *System) *Balances {
	it := NewItems(m, "Balances")
	return &Balances{
		System:           y,
		TotalIssuance:    NewValue(it, "TotalIssuance", U128()),
		InactiveIssuance: NewValue(it, "InactiveIssuance", U128()),
	}
}

// Free returns the free balance.
func (b *Balances) Free(s State, who chain.AccountID) u128.U128 {
	return b.System.Account.Get(s, who).Data.Free
}

// event deposits an event of accounts and an amount.
func (b *Balances) event(s State, index uint8, amount u128.U128, who ...chain.AccountID) {
	e := NewEvent(BalancesIndex, index)
	for _, a := range who {
		e.Raw(a[:])
	}
	e.U128(amount)
	b.System.Deposit(s, e.Buf)
}

// mutate changes an account's free balance by f, creating or reaping the
// account as needed. It returns the dust of a reaped account. When it fails,
// nothing has changed but what f did itself.
func (b *Balances) mutate(s State, who chain.AccountID, f func(a *AccountData, isNew bool) error) (u128.U128, error) {
	ed := existentialDeposit()
	info := b.System.Account.Get(s, who)
	empty := AccountData{Flags: newLogic()}
	data, isNew := info.Data, info.Data == empty
	provided := data.Free.Cmp(ed) >= 0
	if err := f(&data, isNew); err != nil {
		return u128.U128{}, err
	}
	provides := data.Free.Cmp(ed) >= 0
	switch {
	case !provided && provides:
		b.System.incProviders(s, who)
	case provided && !provides:
		if err := b.System.decProviders(s, who); err != nil {
			return u128.U128{}, err
		}
	}
	endowed, dust := data.Free, u128.U128{}
	if !provides && data.Reserved.IsZero() {
		dust, data = data.Free, empty
	}
	if info = b.System.Account.Get(s, who); info.Providers+info.Sufficients > 0 {
		info.Data = data
		b.System.Account.Set(s, who, info)
	} else {
		b.System.Account.Delete(s, who)
	}
	if isNew {
		b.event(s, 0, endowed, who)
	}
	if !dust.IsZero() {
		b.event(s, 1, dust, who)
	}
	return dust, nil
}

// dropDust takes the dust of reaped accounts out of the issuance.
func (b *Balances) dropDust(s State, dust u128.U128) {
	if !dust.IsZero() {
		b.Burn(s, dust)
	}
}

// Burn lowers the total issuance.
func (b *Balances) Burn(s State, amount u128.U128) {
	b.TotalIssuance.Update(s, func(t u128.U128) u128.U128 { return t.SatSub(amount) })
}

// Mint raises the total issuance.
func (b *Balances) Mint(s State, amount u128.U128) {
	b.TotalIssuance.Update(s, func(t u128.U128) u128.U128 { return t.SatAdd(amount) })
}

// Withdraw takes amount out of existence, keeping the account alive.
func (b *Balances) Withdraw(s State, who chain.AccountID, amount u128.U128) error {
	if amount.IsZero() {
		return nil
	}
	dust, err := b.mutate(s, who, func(a *AccountData, _ bool) error {
		left, under := a.Free.Sub(amount)
		switch ed := existentialDeposit(); {
		case under:
			return balancesError(errInsufficientBalance)
		case left.Less(ed) && !a.Free.Less(ed):
			return balancesError(errExpendability)
		case left.Less(a.Frozen):
			return balancesError(errLiquidityRestrictions)
		}
		a.Free = left
		b.event(s, 8, amount, who)
		return nil
	})
	if err != nil {
		return err
	}
	b.dropDust(s, dust)
	b.Burn(s, amount)
	b.event(s, 16, amount)
	return nil
}

// Deposit brings amount into existence. It does nothing when the account is new
// and the amount too small to keep it alive.
func (b *Balances) Deposit(s State, who chain.AccountID, amount u128.U128) {
	if amount.IsZero() {
		return
	}
	_, err := b.mutate(s, who, func(a *AccountData, isNew bool) error {
		if isNew && amount.Less(existentialDeposit()) {
			return balancesError(errExistentialDeposit)
		}
		sum, over := a.Free.Add(amount)
		if over {
			return Arithmetic(ArithmeticOverflow)
		}
		a.Free = sum
		b.event(s, 7, amount, who)
		return nil
	})
	if err == nil {
		b.Mint(s, amount)
		b.event(s, 15, amount)
	}
}

// Preservation says what may happen to the account that pays.
type Preservation uint8

// The preservations.
const (
	Expendable Preservation = iota // it may be reaped
	Preserve                       // it keeps the existential deposit
)

// Reducible is how much may be taken from an account.
func (b *Balances) Reducible(s State, who chain.AccountID, p Preservation) u128.U128 {
	info := b.System.Account.Get(s, who)
	a := info.Data
	untouchable := a.Frozen.SatSub(a.Reserved)
	if p == Preserve || !a.Free.IsZero() && !info.canDecProviders() {
		if ed := existentialDeposit(); untouchable.Less(ed) {
			untouchable = ed
		}
	}
	return a.Free.SatSub(untouchable)
}

// CanWithdraw reports why amount cannot be withdrawn; keep forbids reaping the
// account.
func (b *Balances) CanWithdraw(s State, who chain.AccountID, amount u128.U128, keep bool) error {
	if amount.IsZero() {
		return nil
	}
	if b.TotalIssuance.Get(s).Less(amount) {
		return Arithmetic(ArithmeticUnderflow)
	}
	info := b.System.Account.Get(s, who)
	left, under := info.Data.Free.Sub(amount)
	switch {
	case under:
		return Token(TokenFundsUnavailable)
	case b.Reducible(s, who, Expendable).Less(amount):
		return Token(TokenFrozen)
	case left.Less(existentialDeposit()) && !info.canDecProviders():
		return Token(TokenOnlyProvider)
	case left.SatAdd(info.Data.Reserved).Less(info.Data.Frozen):
		return Token(TokenFrozen)
	case left.Less(existentialDeposit()) && keep:
		return Token(TokenNotExpendable)
	}
	return nil
}

// Transfer moves amount from one account to another.
func (b *Balances) Transfer(s State, from, to chain.AccountID, amount u128.U128, p Preservation) error {
	if err := b.CanWithdraw(s, from, amount, p != Expendable); err != nil {
		return err
	}
	if err := b.canDeposit(s, to, amount); err != nil {
		return err
	}
	if from == to {
		return nil
	}
	if limit := b.Reducible(s, from, p); limit.Less(amount) {
		amount = limit
	}
	dust, err := b.mutate(s, from, func(a *AccountData, _ bool) error {
		a.Free = a.Free.SatSub(amount)
		return nil
	})
	if err != nil {
		return err
	}
	b.dropDust(s, dust)
	if err := b.increase(s, to, amount); err != nil {
		return err
	}
	b.event(s, 2, amount, from, to)
	return nil
}

func (b *Balances) increase(s State, who chain.AccountID, amount u128.U128) error {
	if amount.IsZero() {
		return nil
	}
	_, err := b.mutate(s, who, func(a *AccountData, _ bool) error {
		a.Free = a.Free.SatAdd(amount)
		return nil
	})
	return err
}

func (b *Balances) canDeposit(s State, who chain.AccountID, amount u128.U128) error {
	if amount.IsZero() {
		return nil
	}
	a := b.System.Account.Get(s, who).Data
	sum, over := a.Free.Add(amount)
	if over {
		return Arithmetic(ArithmeticOverflow)
	}
	if sum.Less(existentialDeposit()) {
		return Token(TokenBelowMinimum)
	}
	if _, over := sum.Add(a.Reserved); over {
		return Arithmetic(ArithmeticOverflow)
	}
	return nil
}

// TakeFee withdraws a transaction fee. The fee leaves the issuance when it is
// settled by [Balances.SettleFee].
func (b *Balances) TakeFee(s State, who chain.AccountID, fee u128.U128) error {
	if b.Reducible(s, who, Preserve).Less(fee) {
		return Token(TokenFundsUnavailable)
	}
	dust, err := b.mutate(s, who, func(a *AccountData, _ bool) error {
		a.Free = a.Free.SatSub(fee)
		return nil
	})
	if err != nil {
		return err
	}
	b.dropDust(s, dust)
	b.event(s, 8, fee, who)
	return nil
}

// SettleFee refunds what was paid above the fee and burns the rest.
func (b *Balances) SettleFee(s State, who chain.AccountID, paid, fee u128.U128) {
	refund := paid.SatSub(fee)
	if !b.Free(s, who).IsZero() { // also when nothing is refunded
		if err := b.increase(s, who, refund); err == nil {
			b.event(s, 7, refund, who)
			paid = fee
		}
	}
	b.Burn(s, paid)
}

// SetGenesis endows an account in block 0.
func (b *Balances) SetGenesis(s State, who chain.AccountID, free u128.U128) {
	b.System.Account.Set(s, who, AccountInfo{Providers: 1, Data: AccountData{Free: free, Flags: newLogic()}})
	b.Mint(s, free)
}

// ForceSet sets a free balance, as root may; it returns the new balance, which
// is zero when it is too small to keep the account alive.
func (b *Balances) ForceSet(s State, who chain.AccountID, free u128.U128) error {
	if free.Less(existentialDeposit()) {
		free = u128.U128{}
	}
	var old u128.U128
	dust, err := b.mutate(s, who, func(a *AccountData, _ bool) error {
		old, a.Free = a.Free, free
		return nil
	})
	if err != nil {
		return err
	}
	b.dropDust(s, dust)
	switch more, less := free.SatSub(old), old.SatSub(free); {
	case !more.IsZero():
		b.Mint(s, more)
		b.event(s, 15, more)
	case !less.IsZero():
		b.Burn(s, less)
		b.event(s, 16, less)
	}
	b.event(s, 3, free, who)
	return nil
}

// Deactivate counts amount as idle issuance instead of before.
func (b *Balances) Deactivate(s State, before, amount u128.U128) {
	b.InactiveIssuance.Update(s, func(v u128.U128) u128.U128 { return v.SatSub(before) })
	limit := b.TotalIssuance.Get(s)
	b.InactiveIssuance.Update(s, func(v u128.U128) u128.U128 {
		if v = v.SatAdd(amount); limit.Less(v) {
			return limit
		}
		return v
	})
}

// AdjustIssuance corrects the total issuance, as root may.
func (b *Balances) AdjustIssuance(s State, delta u128.U128, up bool) error {
	if delta.IsZero() {
		return balancesError(errDeltaZero)
	}
	old := b.TotalIssuance.Get(s)
	next := old.SatSub(delta)
	if up {
		next = old.SatAdd(delta)
	}
	if next.Less(b.InactiveIssuance.Get(s)) {
		return balancesError(errIssuanceDeactivated)
	}
	b.TotalIssuance.Set(s, next)
	e := NewEvent(BalancesIndex, 21)
	e.U128(old)
	e.U128(next)
	b.System.Deposit(s, e.Buf)
	return nil
}

// Unreserve says that nothing was freed, for nothing is ever reserved here.
func (b *Balances) Unreserve(s State, who chain.AccountID, amount u128.U128) {
	if !amount.IsZero() && !b.Free(s, who).IsZero() {
		b.event(s, 5, u128.U128{}, who)
	}
}

// BurnFrom takes amount out of existence at its owner's wish.
func (b *Balances) BurnFrom(s State, who chain.AccountID, amount u128.U128, keep bool) error {
	p := Expendable
	if keep {
		p = Preserve
	}
	if b.Reducible(s, who, p).Less(amount) {
		return Token(TokenFundsUnavailable)
	}
	if b.TotalIssuance.Get(s).Less(amount) {
		return Arithmetic(ArithmeticOverflow)
	}
	dust, err := b.mutate(s, who, func(a *AccountData, _ bool) error {
		a.Free = a.Free.SatSub(amount)
		return nil
	})
	if err != nil {
		return err
	}
	b.dropDust(s, dust)
	b.Burn(s, amount)
	b.event(s, 11, amount, who)
	return nil
}
