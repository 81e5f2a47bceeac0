package record

import "time"

// QuotaConfig says how much one author may write.
type QuotaConfig struct {
	// Limit is the number of records per author and period. Required; less than 1 counts as 1.
	Limit int
	// Window is the length of a period. Default: the subnet's epoch, or an hour while the epoch is unknown.
	Window time.Duration
	// Applies selects the records that count, by key. Default: all.
	Applies func(Key) bool
}

const defaultWindow = time.Hour // also about twice the longest epoch

// Quota limits how many records an author may have accepted in a period. A record counts when it was stored, not when
// it was offered, and only once, however often it is replayed and by whom. Records without owner count for their
// sender. Our own count for nobody.
//
// Two quotas in one chain both hold.
type Quota struct {
	config QuotaConfig
	ledger ledger
}

// NewQuota returns a Quota.
func NewQuota(config QuotaConfig) *Quota {
	config.Limit = max(config.Limit, 1)
	return &Quota{config: config}
}

// Priority returns PriorityQuota.
func (*Quota) Priority() int { return PriorityQuota }

// Sign returns the value unchanged.
func (*Quota) Sign(r Record) ([]byte, error) { return r.Value, nil }

// Strip returns the value unchanged.
func (*Quota) Strip(r Record) []byte { return r.Value }

// Merge returns false: both quotas stay.
func (*Quota) Merge(Validator) (Validator, bool) { return nil, false }

func (u *Quota) counts(r Record, q Request) bool {
	return q.Kind == Post && q.Author(r) != "" && (u.config.Applies == nil || u.config.Applies(r.Key))
}

func (u *Quota) period(q Request) uint64 {
	window := u.config.Window
	if window <= 0 {
		if q.Phase.Known {
			return uint64(q.Phase.Epoch)
		}
		window = defaultWindow
	}
	return 1<<63 | uint64(q.Now.UnixNano()/int64(window)) //nolint:gosec // only told apart
}

// Validate refuses stores beyond the limit.
func (u *Quota) Validate(r Record, q Request) error { return u.Admits(r, q) }

// Admits refuses stores beyond the limit.
func (u *Quota) Admits(r Record, q Request) error {
	if u.counts(r, q) && !u.ledger.admits(u.period(q), classOther, q.Author(r), r, u.config.Limit) {
		return fault(q.blame(r), CodeQuota, "%d records in this period", u.config.Limit)
	}
	return nil
}

// Accepted counts a stored record.
func (u *Quota) Accepted(r Record, q Request) {
	if u.counts(r, q) {
		u.ledger.charge(u.period(q), classOther, q.Author(r), r)
	}
}
