package diff

import (
	"bytes"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

// StorageKey is the prefix of a pallet, or of one of its items.
func StorageKey(names ...string) (key []byte) {
	for _, n := range names {
		key = metadata.Twox128.Append(key, []byte(n))
	}
	return key
}

// differ notes a difference that is no storage pair.
func (r *run) differ(when, what string, a, b []byte) {
	r.add(Difference{When: when, What: what, Reference: a, Subject: b}, r.answerText(a), r.answerText(b))
}

// answerText is a dispatch result by name, where it is one.
func (r *run) answerText(b []byte) string {
	if name := r.resultName(b); b != nil && !strings.HasPrefix(name, "0x") {
		return name
	}
	return r.text(metadata.NoType, b)
}

func (r *run) add(d Difference, a, b string) {
	if len(r.report.Differences) == maxDifferences {
		return
	}
	d.Block, d.Key, d.Reference, d.Subject = r.number, bytes.Clone(d.Key), bytes.Clone(d.Reference), bytes.Clone(d.Subject)
	d.ReferenceText, d.SubjectText = excerpts(a, b)
	r.report.Differences = append(r.report.Differences, d)
}

// compare walks both states in key order.
func (r *run) compare(when string) {
	if !r.report.Equal() {
		return
	}
	for _, pallet := range r.cfg.Pallets {
		prefix := metadata.Twox128.Append(nil, []byte(pallet))
		next := func(s side, k []byte) []byte {
			if k = s.st.Next(k); bytes.HasPrefix(k, prefix) {
				return k
			}
			return nil
		}
		a, b := next(r.ref, prefix), next(r.sub, prefix)
		for a != nil || b != nil {
			order := bytes.Compare(a, b)
			switch {
			case b == nil || a != nil && order < 0:
				r.pair(when, a, r.ref.st.Get(a), nil)
				a = next(r.ref, a)
			case a == nil || order > 0:
				r.pair(when, b, nil, r.sub.st.Get(b))
				b = next(r.sub, b)
			default:
				r.report.Pairs++
				if x, y := r.ref.st.Get(a), r.sub.st.Get(b); !bytes.Equal(x, y) {
					r.pair(when, a, x, y)
				}
				a, b = next(r.ref, a), next(r.sub, b)
			}
		}
	}
}

// pair notes a storage pair that differs; nil is one that is not there.
func (r *run) pair(when string, key, a, b []byte) {
	item, name, entry := r.name(key)
	if r.ignore[item] {
		r.report.Ignored[item]++
		return
	}
	id := metadata.NoType
	if entry != nil {
		id = entry.Value
	}
	r.add(Difference{When: when, What: name, Key: key, Reference: a, Subject: b}, r.text(id, a), r.text(id, b))
}
