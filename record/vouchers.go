package record

import "slices"

// Voucher is a validator that takes some records from several senders only: nothing in the record itself shows that it was written in
// time, so that who holds it must say so.
type Voucher interface {
	// NeedsVouchers reports whether records under a key are taken that way in this phase. Then every holder offers them to those that
	// should hold them too, where else one holder would.
	NeedsVouchers(key Key, phase Phase) bool
}

// NeedsVouchers reports whether a validator takes records under a key from several senders only; see Voucher.
func (c Chain) NeedsVouchers(key Key, phase Phase) bool {
	return slices.ContainsFunc(c.validators, func(v Validator) bool {
		voucher, ok := v.(Voucher)
		return ok && voucher.NeedsVouchers(key, phase)
	})
}

// NeedsVouchers reports whether key is one of commits or reveals whose phase is over: see PhasesConfig.Vouchers.
func (p *Phases) NeedsVouchers(key Key, phase Phase) bool {
	c, epoch := p.classify(key, phase)
	return p.config.Vouchers > 0 && (c == classCommit || c == classReveal) && !p.open(c, epoch, phase)
}
