package record_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// subnet is a node's chain of validators and its store.
type subnet struct {
	phases  *record.Phases
	chain   record.Chain
	storage *record.Storage
}

func newSubnet(config record.PhasesConfig) subnet {
	p := record.NewPhases(config)
	return subnet{
		phases:  p,
		chain:   record.NewChain(p, record.NewSignature(nil, record.SignatureConfig{}), record.NewBounds(record.BoundsConfig{})),
		storage: record.NewStorage(record.StorageConfig{}),
	}
}

// offer does what a node does with a record that somebody wants stored.
func (s subnet) offer(r record.Record, q record.Request) error {
	if err := s.chain.Validate(r, q); err != nil {
		return err
	}
	if err := s.chain.Admits(r, q); err != nil {
		return err
	}
	if err := s.storage.Store(r, s.chain.Author(r, q.Sender), q.Now); err != nil {
		return err
	}
	s.chain.Accepted(r, q)
	return nil
}

func (n node) heartbeat(t testing.TB, exp record.Expiration) record.Record {
	return n.signed(t, record.HeartbeatKey(), pack(t, "alive"), exp)
}

func (n node) commit(t testing.TB, epoch uint32, value any) record.Record {
	return n.sign(t, record.Record{
		Key: record.CommitKey(epoch), Subkey: subkey(t, []byte(n.marker())), Value: pack(t, value), Expiration: in(time.Hour),
	})
}

func (n node) reveal(t testing.TB, epoch uint32, value any) record.Record {
	r := n.commit(t, epoch, value)
	r.Key, r.Value = record.RevealKey(epoch), pack(t, value)
	return n.sign(t, r)
}

func TestOnlyTheSubnetsKeys(t *testing.T) {
	alice := ed25519Node(t, 1)
	s := newSubnet(record.PhasesConfig{})
	q := at(post(alice.id), 7, 100)
	accepted(t, s.offer(alice.heartbeat(t, in(time.Minute)), q))
	accepted(t, s.offer(alice.commit(t, 7, "c"), q))
	for _, name := range []string{"consensus_epoch_7", "heartbeats", "commit_epoch_07", "x"} {
		refused(t, s.offer(alice.signed(t, record.KeyOf(name), pack(t, 1), in(time.Minute)), q), record.SideSender, record.CodeRefused)
	}
	refused(t, s.offer(alice.commit(t, 8, "c"), q), record.SideSender, record.CodeRefused)
	refused(t, s.offer(alice.commit(t, 6, "c"), q), record.SideSender, record.CodePhase)

	// No owner, no record: neither stored nor read.
	for _, k := range []any{nil, "alice"} {
		r := record.Record{Key: record.HeartbeatKey(), Subkey: subkey(t, k), Value: pack(t, 1), Expiration: in(time.Minute)}
		refused(t, s.offer(r, q), record.SideSender, record.CodeRefused)
		refused(t, s.chain.Validate(r, at(answer("x"), 7, 100)), record.SideSender, record.CodeRefused)
	}

	// Answers may be of any key and epoch.
	for _, r := range []record.Record{
		alice.commit(t, 3, "c"), alice.reveal(t, 7, "r"), alice.heartbeat(t, in(time.Hour)), alice.signed(t, record.KeyOf("x"), pack(t, 1), in(time.Minute)),
	} {
		accepted(t, s.chain.Validate(r, at(answer("x"), 7, 900)))
		accepted(t, s.chain.Validate(r, answer("x")))
	}

	// Keys of the application pass if it says so.
	own := newSubnet(record.PhasesConfig{Allow: func(k record.Key) bool { return k == record.KeyOf("x") }})
	accepted(t, own.offer(record.Record{Key: record.KeyOf("x"), Subkey: []byte(record.RegularTag), Value: pack(t, 1), Expiration: in(time.Minute)}, q))
}

func TestCommitsAndRevealsInTheirPhase(t *testing.T) {
	alice := ed25519Node(t, 1)
	for _, c := range []struct {
		progress       record.Permille
		commit, reveal bool
	}{
		{0, true, false},
		{1, true, false},
		{499, true, false},
		{500, true, false},
		{501, false, true},
		{600, false, true},
		{601, false, false},
		{1000, false, false},
	} {
		t.Run(fmt.Sprint(c.progress), func(t *testing.T) {
			s := newSubnet(record.PhasesConfig{})
			q := at(post(alice.id), 7, c.progress)
			var rules record.PhasesConfig
			if rules.CommitsAt(q.Phase) != c.commit || rules.RevealsAt(q.Phase) != c.reveal || rules.CommitsAt(record.Phase{}) {
				t.Errorf("commits %v, reveals %v", rules.CommitsAt(q.Phase), rules.RevealsAt(q.Phase))
			}
			for _, x := range []struct {
				r  record.Record
				ok bool
			}{{alice.commit(t, 7, "c"), c.commit}, {alice.reveal(t, 7, "r"), c.reveal}} {
				if err := s.offer(x.r, q); x.ok {
					accepted(t, err)
				} else {
					refused(t, err, record.SideSender, record.CodePhase)
				}
			}
			accepted(t, s.offer(alice.heartbeat(t, in(time.Minute)), q))
		})
	}

	// While nobody knows the epoch, heartbeats go on and the rest waits.
	s := newSubnet(record.PhasesConfig{})
	accepted(t, s.offer(alice.heartbeat(t, in(time.Minute)), post(alice.id)))
	refused(t, s.offer(alice.commit(t, 7, "c"), post(alice.id)), record.SideOurs, record.CodePhase)
	if f := new(record.Fault); !errors.As(s.offer(alice.commit(t, 7, "c"), post("x")), &f) || f.Hostile() {
		t.Error("a sender is blamed for what we do not know")
	}
}

func TestHorizons(t *testing.T) {
	alice := ed25519Node(t, 1)
	s := newSubnet(record.PhasesConfig{})
	q := at(post(alice.id), 7, 100)
	refused(t, s.offer(alice.heartbeat(t, in(1984*time.Second)), q), record.SideAuthor, record.CodeHorizon)
	accepted(t, s.offer(alice.heartbeat(t, in(1980*time.Second)), q))
	late := alice.commit(t, 7, "c")
	late.Expiration, late.Value = in(3604*time.Second), pack(t, "c")
	refused(t, s.offer(alice.sign(t, late), q), record.SideAuthor, record.CodeHorizon)
	late.Expiration, late.Value = in(3600*time.Second), pack(t, "c")
	accepted(t, s.offer(alice.sign(t, late), q))
}

func TestQuotasPerAuthorAndEpoch(t *testing.T) {
	alice, bob := ed25519Node(t, 1), ed25519Node(t, 2)
	s := newSubnet(record.PhasesConfig{})
	q := at(post(alice.id), 7, 100)
	beat := func(n node, i int) record.Record { return n.heartbeat(t, in(time.Minute+time.Duration(i)*time.Second)) }
	for i := range 100 {
		accepted(t, s.offer(beat(alice, i), q))
	}
	refused(t, s.offer(beat(alice, 100), q), record.SideAuthor, record.CodeQuota)
	accepted(t, s.offer(beat(bob, 0), q))
	silent := q
	silent.Phase.Overtime = 2 // the chain stands still, and alice is alive all the same
	accepted(t, s.offer(beat(alice, 100), silent))
	accepted(t, s.offer(beat(alice, 101), at(q, 8, 0)))

	accepted(t, s.offer(alice.commit(t, 7, "c"), q))
	second := alice.commit(t, 7, "d")
	second.Expiration, second.Value = in(time.Hour+time.Second), pack(t, "d")
	refused(t, s.offer(alice.sign(t, second), q), record.SideAuthor, record.CodeQuota)
	accepted(t, s.offer(bob.commit(t, 7, "c"), q))
	accepted(t, s.offer(alice.reveal(t, 7, "r"), at(q, 7, 550)))

	if h, c, r := s.phases.Used(7, alice.id); h != 100 || c != 1 || r != 1 {
		t.Errorf("charged %d heartbeats, %d commits, %d reveals", h, c, r)
	}
}

// Records that are validated at the same time do not all take the last free place.
func TestQuotaHoldsForRecordsAtOnce(t *testing.T) {
	alice := ed25519Node(t, 1)
	s := newSubnet(record.PhasesConfig{})
	q := at(post(alice.id), 7, 100)
	other := alice.commit(t, 7, "d")
	other.Expiration, other.Value = other.Expiration+1, pack(t, "d")
	both := []record.Record{alice.commit(t, 7, "c"), alice.sign(t, other)}
	for _, r := range both {
		accepted(t, s.chain.Validate(r, q))
	}
	var taken int
	for _, r := range both {
		if s.chain.Admits(r, q) == nil {
			accepted(t, s.storage.Store(r, alice.id, start))
			s.chain.Accepted(r, q)
			taken++
		}
	}
	if taken != 1 {
		t.Errorf("%d commits", taken)
	}
}

// Nobody but the author can use up an author's quota: not by replaying what is public, however often, and not by
// offering what is refused in the end. The original counted offers, and a hundred replays silenced a node.
func TestReplaysUseUpNobodysQuota(t *testing.T) {
	alice := ed25519Node(t, 1)
	s := newSubnet(record.PhasesConfig{Heartbeats: 3})
	q := at(post("eve"), 7, 100)
	first, second := alice.heartbeat(t, in(time.Minute)), alice.heartbeat(t, in(2*time.Minute))
	accepted(t, s.offer(first, q))
	accepted(t, s.offer(second, q))
	for range 200 {
		refused(t, s.offer(first, q), record.SideSender, record.CodeStale)
		refused(t, s.offer(second, q), record.SideSender, record.CodeDuplicate)
	}
	// Even a node that lost what it stored does not charge for it again.
	empty := subnet{phases: s.phases, chain: s.chain, storage: record.NewStorage(record.StorageConfig{})}
	for _, epoch := range []uint32{7, 8} {
		accepted(t, empty.offer(first, at(q, epoch, 100)))
		accepted(t, empty.offer(second, at(q, epoch, 100)))
		empty.storage.Remove(record.HeartbeatKey())
	}
	if h, _, _ := s.phases.Used(7, alice.id); h != 2 {
		t.Errorf("charged for %d heartbeats in epoch 7", h)
	}
	if h, _, _ := s.phases.Used(8, alice.id); h != 0 {
		t.Errorf("charged for %d heartbeats in epoch 8", h)
	}
	accepted(t, s.offer(alice.heartbeat(t, in(3*time.Minute)), q))
	refused(t, s.offer(alice.heartbeat(t, in(4*time.Minute)), q), record.SideAuthor, record.CodeQuota)
	// The limit is reached: what was charged for is no overdraft, it just is no news.
	refused(t, s.offer(second, q), record.SideSender, record.CodeStale)

	// A refused commit costs nothing: the corrected one is taken.
	refused(t, s.offer(alice.commit(t, 7, "c"), at(q, 7, 501)), record.SideSender, record.CodePhase)
	full := record.NewStorage(record.StorageConfig{MaxEntries: 1})
	accepted(t, full.Store(plain(t, 1), "x", start))
	crowded := subnet{phases: s.phases, chain: s.chain, storage: full}
	refused(t, crowded.offer(alice.commit(t, 7, "c"), q), record.SideOurs, record.CodeFull)
	accepted(t, s.offer(alice.commit(t, 7, "c"), q))

	// Two versions of equal expiration are two records: growing ones cannot be written for free.
	b := ed25519Node(t, 2)
	t2 := newSubnet(record.PhasesConfig{Heartbeats: 2})
	for i, want := range []record.Code{0, 0, record.CodeQuota} {
		r := b.signed(t, record.HeartbeatKey(), pack(t, i), in(time.Minute))
		if got := record.CodeOf(t2.offer(r, q)); got != want {
			t.Errorf("version %d: %s", i, got)
		}
	}
}

// A node has one heartbeat, whatever it writes. In the original "anything[owner:own key]" made as many listings of
// one node as its quota allowed.
func TestOneHeartbeatPerNode(t *testing.T) {
	alice, bob := ed25519Node(t, 1), ed25519Node(t, 2)
	s := newSubnet(record.PhasesConfig{})
	q := at(post(alice.id), 7, 100)
	for _, name := range []any{
		alice.marker(), []byte(alice.marker()), []byte("x" + alice.marker()), []byte(bob.id.String() + alice.marker()),
		string(alice.name()), append(alice.name(), 'x'), append([]byte("x"), alice.name()...), append(alice.name(), alice.marker()...),
	} {
		r := record.Record{Key: record.HeartbeatKey(), Subkey: subkey(t, name), Value: pack(t, 1), Expiration: in(time.Minute)}
		refused(t, s.offer(alice.sign(t, r), q), record.SideAuthor, record.CodeRefused)
	}
	accepted(t, s.offer(alice.heartbeat(t, in(time.Minute)), q))
	if s.storage.Len() != 1 {
		t.Errorf("%d heartbeats", s.storage.Len())
	}
}

// Commits whose phase is over reach new replicas all the same, once enough others vouch for them; a latecomer with a
// helper or two does not get one in. In the original nothing could be handed over after half of the epoch.
func TestLateCommitIsHandedOver(t *testing.T) {
	alice := ed25519Node(t, 1)
	s := newSubnet(record.PhasesConfig{})
	r := alice.commit(t, 7, "c")
	late := func(sender peer.ID) record.Request { return at(post(sender), 7, 700) }
	for _, sender := range []peer.ID{alice.id, "", "b", "b", "c", "c", alice.id} {
		refused(t, s.offer(r, late(sender)), record.SideSender, record.CodePhase)
	}
	accepted(t, s.offer(r, late("d")))

	// Three who vouch for different records vouch for none.
	for i, sender := range []peer.ID{"b", "c", "d"} {
		refused(t, s.offer(ed25519Node(t, 2).commit(t, 7, i), late(sender)), record.SideSender, record.CodePhase)
	}
	// No number of them makes a reveal come early.
	for _, sender := range []peer.ID{"b", "c", "d", "e"} {
		refused(t, s.offer(alice.reveal(t, 7, "r"), at(post(sender), 7, 100)), record.SideSender, record.CodePhase)
	}
	// The epoch before counts, the one before that is nobody's business.
	s = newSubnet(record.PhasesConfig{Vouchers: 1})
	accepted(t, s.offer(alice.reveal(t, 6, "r"), late("b")))
	refused(t, s.offer(alice.commit(t, 5, "c"), late("b")), record.SideSender, record.CodeRefused)
	s = newSubnet(record.PhasesConfig{Vouchers: -1})
	refused(t, s.offer(r, late("b")), record.SideSender, record.CodePhase)
}

func TestRevealsMatchTheirCommits(t *testing.T) {
	alice, bob := ed25519Node(t, 1), ed25519Node(t, 2)
	s := newSubnet(record.PhasesConfig{})
	s.phases = record.NewPhases(record.PhasesConfig{Commits: 5, Reveals: 5, Binding: &record.Binding{
		Require: true,
		Lookup: func(key record.Key, sub []byte) ([]byte, bool) {
			r, ok := s.storage.Lookup(key, sub, start)
			return s.chain.Strip(r), ok
		},
	}})
	s.chain = record.NewChain(s.phases, record.NewSignature(nil, record.SignatureConfig{}))
	early, late := at(post("x"), 7, 100), at(post("x"), 7, 550)
	salt, body := record.Salt{1, 2, 3}, []byte("scores")
	commit := func(n node, c record.Commitment) record.Record {
		r := n.commit(t, 7, nil)
		r.Value = c.Value()
		return n.sign(t, r)
	}
	reveal := func(n node, value []byte) record.Record {
		r := n.reveal(t, 7, nil)
		r.Value = value
		return n.sign(t, r)
	}
	r := alice.commit(t, 7, "no hash")
	refused(t, s.offer(r, early), record.SideAuthor, record.CodeBinding)
	accepted(t, s.offer(commit(alice, record.Commit(7, alice.id, salt, body)), early))

	for name, value := range map[string][]byte{
		"other body": record.RevealValue(salt, []byte("better scores")),
		"other salt": record.RevealValue(record.Salt{}, body),
		"no form":    pack(t, "scores"),
		"list":       pack(t, []any{salt[:], body}),
		"short salt": pack(t, msgpack.Tuple{[]byte{1}, body}),
		"three":      pack(t, msgpack.Tuple{salt[:], body, body}),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, s.offer(reveal(alice, value), late), record.SideAuthor, record.CodeBinding)
		})
	}
	good := reveal(alice, record.RevealValue(salt, body))
	accepted(t, s.offer(good, late))
	accepted(t, s.chain.Validate(good, at(answer("x"), 7, 900)))
	bad := reveal(alice, record.RevealValue(salt, []byte("other")))
	refused(t, s.chain.Validate(bad, at(answer("x"), 7, 900)), record.SideAuthor, record.CodeBinding)

	// A copied commit is worthless: it holds for its author and epoch only.
	accepted(t, s.offer(commit(bob, record.Commit(7, alice.id, salt, body)), early))
	refused(t, s.offer(reveal(bob, record.RevealValue(salt, body)), late), record.SideAuthor, record.CodeBinding)
	if _, err := record.OpenReveal(8, alice.id, record.Commit(7, alice.id, salt, body).Value(), record.RevealValue(salt, body)); err == nil {
		t.Error("opened in another epoch")
	}
	got, err := record.OpenReveal(7, alice.id, record.Commit(7, alice.id, salt, body).Value(), record.RevealValue(salt, body))
	if err != nil || string(got) != string(body) {
		t.Errorf("%q, %v", got, err)
	}

	// Without a commit at hand the configuration decides.
	carol := ed25519Node(t, 3)
	alone := reveal(carol, record.RevealValue(salt, body))
	refused(t, s.offer(alone, late), record.SideOurs, record.CodeBinding)
	trusting := newSubnet(record.PhasesConfig{Binding: &record.Binding{}})
	accepted(t, trusting.offer(alone, late))
}

func TestQuota(t *testing.T) {
	alice := ed25519Node(t, 1)
	quota := func(config record.QuotaConfig) subnet {
		return subnet{
			chain:   record.NewChain(record.NewQuota(config), record.NewSignature(nil, record.SignatureConfig{})),
			storage: record.NewStorage(record.StorageConfig{}),
		}
	}
	write := func(i int, e time.Duration) record.Record {
		r := plain(t, i)
		r.Key, r.Expiration = record.KeyOf(i), in(e)
		return r
	}
	s := quota(record.QuotaConfig{Limit: 2})
	for i := range 2 {
		accepted(t, s.offer(write(i, time.Minute), at(post("x"), 7, 0)))
	}
	refused(t, s.offer(write(2, time.Minute), at(post("x"), 7, 0)), record.SideSender, record.CodeQuota)
	accepted(t, s.offer(write(2, time.Minute), at(post("y"), 7, 0)))
	accepted(t, s.offer(write(3, time.Minute), at(post("x"), 8, 0)))
	accepted(t, s.offer(write(4, time.Minute), at(post(""), 7, 0))) // our own
	accepted(t, s.offer(alice.signed(t, record.KeyOf("k"), pack(t, 1), in(time.Minute)), at(post("x"), 7, 0)))
	accepted(t, s.chain.Validate(write(9, time.Minute), at(answer("x"), 7, 0)))

	s = quota(record.QuotaConfig{Limit: 1, Window: time.Hour})
	q := post("x")
	accepted(t, s.offer(write(0, 3*time.Hour), q))
	refused(t, s.offer(write(1, 3*time.Hour), q), record.SideSender, record.CodeQuota)
	q.Now = q.Now.Add(time.Hour)
	accepted(t, s.offer(write(1, 3*time.Hour), q))

	s = quota(record.QuotaConfig{Applies: func(k record.Key) bool { return k == record.KeyOf(0) }})
	for i := 1; i < 5; i++ {
		accepted(t, s.offer(write(i, time.Minute), post("x")))
	}
	accepted(t, s.offer(write(0, time.Minute), post("x")))
	refused(t, s.offer(write(0, time.Hour), post("x")), record.SideSender, record.CodeQuota)

	two := record.NewChain(record.NewQuota(record.QuotaConfig{Limit: 5}), record.NewQuota(record.QuotaConfig{Limit: 2}))
	if n := len(two.Validators()); n != 2 {
		t.Errorf("%d quotas", n)
	}
}

// Foreign identities cost memory up to a bound, in every cache and counter.
func TestNothingGrowsWithoutBound(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many records")
	}
	quota := record.NewQuota(record.QuotaConfig{Limit: 1})
	r := plain(t, 1)
	for i := range 200_000 {
		q := at(post(peer.ID(fmt.Sprint(i))), uint32(i%5000), 0)
		accepted(t, quota.Validate(r, q))
		quota.Accepted(r, q)
	}
	if n := record.LedgerSize(quota); n > 3*2*(1<<14) {
		t.Errorf("%d authors remembered", n)
	}
}

func TestPhasesValidate(t *testing.T) {
	for _, c := range []struct {
		record.PhasesConfig
		ok bool
	}{
		{record.PhasesConfig{}, true},
		{record.PhasesConfig{CommitUntil: 300, RevealUntil: 1000}, true},
		{record.PhasesConfig{CommitUntil: 600}, false},
		{record.PhasesConfig{CommitUntil: 700, RevealUntil: 700}, false},
		{record.PhasesConfig{RevealUntil: 1001}, false},
	} {
		if err := c.Validate(); (err == nil) != c.ok {
			t.Errorf("%d to %d: %v", c.CommitUntil, c.RevealUntil, err)
		}
	}
}
