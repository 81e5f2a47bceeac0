package record

// LedgerSize returns how many authors a quota remembers.
func LedgerSize(u *Quota) int {
	n := 0
	for _, p := range u.ledger.periods {
		n += p.tallies.len()
	}
	return n
}

// EntryOverhead is what a store counts for a record beside its bytes.
const EntryOverhead = entryOverhead
