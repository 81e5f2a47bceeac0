package dht

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// Store signs a record and stores it at the nodes nearest to its key. The error is that of StoreResult.Failure.
func (n *Node) Store(ctx context.Context, req StoreRequest) (StoreResult, error) {
	res := n.StoreMany(ctx, []StoreRequest{req})[0]
	return res, res.Failure()
}

// StoreMany stores many records with as few searches as possible and returns one result per request, in order. Records
// of one key travel together; each succeeds or fails by itself.
func (n *Node) StoreMany(ctx context.Context, reqs []StoreRequest) []StoreResult {
	results := make([]StoreResult, len(reqs))
	if n.life.Err() != nil {
		for i := range results {
			results[i] = StoreResult{Key: reqs[i].Key, Err: ErrClosed}
		}
		return results
	}
	parcels := n.pack(reqs, results)
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	batches := batchesOf(parcels)
	workers := min(len(batches), searchesAtOnce)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(batches); i += workers {
				n.storeBatch(ctx, batches[i])
			}
		})
	}
	wg.Wait()
	return results
}

// batchesOf cuts parcels into those that are searched for together: not too many, and over the same number of paths.
func batchesOf(parcels []*parcel) (batches [][]*parcel) {
	slices.SortStableFunc(parcels, func(a, b *parcel) int { return a.paths - b.paths })
	for len(parcels) > 0 {
		k := 1
		for k < min(len(parcels), targetsPerSearch) && parcels[k].paths == parcels[0].paths {
			k++
		}
		batches = append(batches, parcels[:k:k])
		parcels = parcels[k:]
	}
	return batches
}

// parcel is all records of one key in one operation.
type parcel struct {
	key    record.Key
	recs   []record.Record
	region bool
	paths  int // that the caller asked for; 0: none

	places kad.Places
	doubt  kad.Doubt
	seen   []kad.Contact // nearest to the key, and known to exist
	extra  []kad.Contact // of the region, holders or not: get the record afterwards

	mu      sync.Mutex
	results []*StoreResult // one per record
	holders []kad.Contact  // to be asked first
	spare   []kad.Contact  // asked in place of those that do not answer, nearest first
}

// pack encodes and signs the records and sorts them by key. What cannot be encoded or signed gets its result at once.
func (n *Node) pack(reqs []StoreRequest, results []StoreResult) []*parcel {
	var parcels []*parcel
	byKey := make(map[record.Key]*parcel, len(reqs))
	for i, req := range reqs {
		res := &results[i]
		res.Key, res.Wanted = req.Key, n.cfg.Replicas
		r, err := n.sign(req)
		if err != nil {
			res.Err = err
			continue
		}
		if !r.Regular() {
			res.Subkey = r.Subkey
		}
		p := byKey[req.Key]
		if p == nil {
			p = &parcel{key: req.Key}
			byKey[req.Key] = p
			parcels = append(parcels, p)
		}
		p.region = p.region || req.Region
		p.paths = max(p.paths, req.Paths)
		p.recs = append(p.recs, r)
		p.results = append(p.results, res)
	}
	return parcels
}

// sign turns a request into the record that travels. Every record is signed once.
func (n *Node) sign(req StoreRequest) (record.Record, error) {
	r := record.Record{Key: req.Key, Expiration: record.ExpirationAt(req.Expiration)}
	var err error
	if r.Subkey, err = record.SubkeyOf(req.Subkey); err != nil {
		return r, err
	}
	if r.Value, err = msgpack.Marshal(req.Value); err != nil {
		return r, err
	}
	if r.Value, err = n.rules().Sign(r); err != nil {
		return r, err
	}
	if len(r.Value) > n.cfg.MaxValue || len(r.Subkey) > n.cfg.MaxSubkey {
		return r, &record.Fault{Side: record.SideOurs, Code: record.CodeTooLarge, Reason: "larger than every node accepts"}
	}
	if r.Expiration.Expired(n.now()) {
		return r, &record.Fault{Side: record.SideOurs, Code: record.CodeExpired, Reason: "expired before it was stored"}
	}
	return r, nil
}

// storeBatch searches the holders of some parcels together and sends all of them off; those whose place is in doubt are
// searched for again, and follow. When half of the time is over they go to the best places known by then.
func (n *Node) storeBatch(ctx context.Context, parcels []*parcel) {
	left := n.cfg.SearchTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	looking, stop := context.WithTimeout(ctx, left/2)
	defer stop()
	d := n.defence(n.pathsOr(parcels[0].paths))
	todo := parcels
	var memory memory
	var off sync.WaitGroup
	for depth := firstLook(parcels[0].paths); len(todo) > 0; depth++ {
		settled, again := n.lookForPlaces(looking, d, depth, todo, &memory)
		off.Go(func() {
			n.deliver(ctx, settled) // together, so that records for one node share a request
			for _, p := range settled {
				n.alarm(p, d)
			}
			n.insure(settled)
		})
		todo = again
	}
	off.Wait()
	if ctx.Err() == nil {
		return
	}
	for _, p := range parcels {
		for _, res := range p.results {
			if !res.OK() && res.Err == nil {
				res.Err = n.ended(ctx)
			}
		}
	}
}

// lookForPlaces makes one look for some parcels, and returns those whose places are beyond doubt, or will not get any
// better, and those that have to be searched for again.
func (n *Node) lookForPlaces(ctx context.Context, d kad.Defence, depth int, todo []*parcel, m *memory) (settled, again []*parcel) {
	if depth > kad.LookPaths && len(todo) > 1 { // rare, and each key has a region of its own
		return n.lookOneByOne(ctx, d, depth, todo, m)
	}
	byID := make(map[kad.ID]*parcel, len(todo))
	for _, p := range todo {
		byID[kad.ID(p.key)] = p
	}
	look := d.Look(kad.ID(todo[0].key), depth, true, todo[0].doubt)
	s := n.newSearch(d, look, m)
	for _, p := range todo[1:] {
		s.look.Targets = append(s.look.Targets, kad.ID(p.key))
	}
	s.nearestOnly = true
	open := len(look.Targets)
	s.finished = func(l *kad.Lookup, target kad.ID) {
		p := byID[target]
		if open--; len(look.Targets) > 1 { // one parcel and its region
			if p = todo[0]; open > 0 {
				return
			}
		}
		key := kad.ID(p.key)
		p.places.Add(d, l, key, look)
		p.doubt = d.Judge(l, key, look, kad.DoubtNone)
		if d.Deeper(look, p.doubt) && ctx.Err() == nil {
			n.doubted(key, p.doubt)
			again = append(again, p)
			return
		}
		if depth == kad.LookFirst && p.doubt == kad.DoubtNone { // plausible as it is, so it counts although few have confirmed it
			n.contacts.sample(key, p.places.Near)
		}
		n.choose(p, d, look)
		settled = append(settled, p)
	}
	s.run(ctx)
	return settled, again
}

// lookOneByOne is lookForPlaces with a search for each parcel, a few at once.
func (n *Node) lookOneByOne(ctx context.Context, d kad.Defence, depth int, todo []*parcel, m *memory) (settled, again []*parcel) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, searchesAtOnce)
	for _, p := range todo {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s, a := n.lookForPlaces(ctx, d, depth, []*parcel{p}, m)
			mu.Lock()
			defer mu.Unlock()
			settled, again = append(settled, s...), append(again, a...)
		})
	}
	wg.Wait()
	return settled, again
}

// choose decides who holds a parcel: the nearest nodes, this one among them if it is near enough, and all those in the
// key's region.
func (n *Node) choose(p *parcel, d kad.Defence, look kad.Look) {
	target := kad.ID(p.key)
	p.seen = nil
	if look.Depth > kad.LookFirst { // those of the first look were mostly named, not seen
		p.seen = slices.Clone(p.places.Near)
	}
	if !n.cfg.ClientMode {
		p.places.Include(kad.Contact{ID: n.self, Peer: n.me}, target)
	}
	policy, wide := kad.ReplicaPolicy{Replicas: n.cfg.Replicas}, kad.ReplicaPolicy{Replicas: n.cfg.Replicas}
	switch {
	case p.region:
		wide.Region = kad.RegionOf(target, d.Size, n.cfg.Replicas)
	case !n.cfg.NoRegion:
		wide.Region = p.places.Region
	}
	if p.region || p.places.Crowd > 0 {
		policy = wide
	}
	p.holders, p.spare = p.places.Holders(target, policy)
	if policy != wide {
		p.extra, _ = p.places.Holders(target, wide)
	}
	if near := p.places.Near; n.cfg.Python { // Python nodes look at the nearest of any kind, and agree on what is new only with the same holders
		p.holders = kad.SortNearest(append(p.holders, near[:min(len(near), n.cfg.Replicas)]...), target)
		p.spare = slices.DeleteFunc(p.spare, func(c kad.Contact) bool { return slices.ContainsFunc(p.holders, c.Same) })
	}
	for _, res := range p.results {
		res.Wanted = max(len(p.holders), 1)
	}
}

// alarm tells when more nodes than chance puts there stand around the key of a delivered parcel: those that answered the
// search, or the store. What was only named may be an invention.
func (n *Node) alarm(p *parcel, d kad.Defence) {
	target := kad.ID(p.key)
	for _, c := range p.holders {
		if slices.ContainsFunc(p.results[0].Answers, func(a Answer) bool { return a.Peer == c.Peer && a.Err == nil }) {
			p.seen = append(p.seen, c)
		}
	}
	p.seen = kad.SortNearest(p.seen, target)
	if d.Crowded(target, p.seen) {
		n.event(Event{Kind: EventSybils, Key: p.key, Count: int(kad.Crowding(target, p.seen[:min(len(p.seen), n.cfg.BucketSize)], d.Size))})
		n.count.crowded.Add(1)
	}
	p.seen = nil
}

// insure brings what was stored to the rest of the region of its key, in the background: nothing gives reason for doubt, so
// this is only against Sybils too few to notice, and no caller needs to wait for it. What the nearest refused goes nowhere.
func (n *Node) insure(parcels []*parcel) {
	byPeer := make(map[peer.ID]*shipment)
	for _, p := range parcels {
		for _, c := range p.extra {
			if c.Peer == n.me || slices.ContainsFunc(p.results[0].Answers, func(a Answer) bool { return a.Peer == c.Peer }) {
				continue
			}
			for i, res := range p.results {
				if !res.OK() {
					continue
				}
				s := byPeer[c.Peer]
				if s == nil {
					s = &shipment{to: c}
					byPeer[c.Peer] = s
				}
				s.recs = append(s.recs, p.recs[i])
			}
		}
		p.extra = nil
	}
	for _, s := range byPeer {
		n.group.start(func() { n.deliverRecords(n.life, s.to, s.recs) })
	}
}

// shipment is what several parcels have for one node.
type shipment struct {
	to      kad.Contact
	parcels []*parcel
	recs    []record.Record
}

// deliver stores parcels at all their holders at once. Who does not answer, or has no room, is replaced by the next
// nearest; who refuses the record for what it is, is not: a farther node would only keep a record that should not be.
func (n *Node) deliver(ctx context.Context, parcels []*parcel) {
	byPeer := make(map[peer.ID]*shipment)
	for _, p := range parcels {
		for _, c := range p.holders {
			s := byPeer[c.Peer]
			if s == nil {
				s = &shipment{to: c}
				byPeer[c.Peer] = s
			}
			s.parcels = append(s.parcels, p)
			s.recs = append(s.recs, p.recs...)
		}
	}
	var wg sync.WaitGroup
	for _, s := range byPeer {
		wg.Go(func() { n.ship(ctx, s) })
	}
	wg.Wait()
	for _, p := range parcels {
		n.cacheStored(p)
	}
}

// ship brings a shipment to its node, and what the node did not take to the next ones.
func (n *Node) ship(ctx context.Context, s *shipment) {
	var answers []Answer
	if s.to.Peer == n.me {
		answers = n.keep(s.recs)
	} else {
		answers = n.deliverRecords(ctx, s.to, s.recs)
	}
	for _, p := range s.parcels {
		next, again := n.take(p, answers[:len(p.recs)])
		answers = answers[len(p.recs):]
		if again && ctx.Err() == nil {
			n.ship(ctx, &shipment{to: next, parcels: []*parcel{p}, recs: p.recs})
		}
	}
}

// take adds the answers of one node to the results, and returns the next node to ask if that one was of no use.
func (n *Node) take(p *parcel, answers []Answer) (next kad.Contact, again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	useless := true
	for i, a := range answers {
		res := p.results[i]
		res.Answers = append(res.Answers, a)
		switch {
		case a.OK:
			res.Accepted++
			n.count.replicasAccepted.Add(1)
			useless = false
		case a.Err != nil:
			n.count.replicasUnreachable.Add(1)
		default:
			n.count.replicasRefused.Add(1)
			if a.Code == wire.CodeOlder {
				res.Older++
			}
			if a.Code != wire.CodeFull && a.Code != wire.CodeBusy {
				useless = false
			}
		}
	}
	if !useless || len(p.spare) == 0 {
		return kad.Contact{}, false
	}
	next = p.spare[0]
	p.spare = p.spare[1:]
	return next, true
}

// keep stores our own records here, where this node is one of the holders.
func (n *Node) keep(recs []record.Record) []Answer {
	q := record.Request{Kind: record.Post, Now: n.now(), Phase: n.phase()}
	answers := make([]Answer, len(recs))
	for i, r := range recs {
		code := n.accept(r, false, q, new(forgeries))
		answers[i] = Answer{Peer: n.me, Code: code, OK: code == wire.CodeStored || code == wire.CodeHeld}
	}
	return answers
}

// cacheStored keeps a copy of what was stored at others, so that this node reads what it wrote; if it was refused because
// others have something newer, what is cached here is outdated and fetched anew.
func (n *Node) cacheStored(p *parcel) {
	if n.cfg.NoCacheOnStore {
		return
	}
	now := n.now()
	stored, cached := n.shelves.expirations(p.key, now)
	for i, r := range p.recs {
		switch {
		case p.results[i].OK() && (r.Regular() || cached > 0) && r.Expiration > stored:
			// The cache is ours to lose: what does not fit is not kept.
			_ = n.shelves.put(r, n.rules().Author(r, ""), true, now)
		case !p.results[i].OK() && cached > 0 && cached <= r.Expiration:
			n.due.add(p.key, now)
		}
	}
}
