package dht

import (
	"context"
	"slices"
	"sync"

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
	workers := min((len(parcels)+targetsPerSearch-1)/targetsPerSearch, searchesAtOnce)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w * targetsPerSearch; i < len(parcels); i += workers * targetsPerSearch {
				n.storeBatch(ctx, parcels[i:min(i+targetsPerSearch, len(parcels))])
			}
		})
	}
	wg.Wait()
	return results
}

// parcel is all records of one key in one operation.
type parcel struct {
	key    record.Key
	recs   []record.Record
	region bool
	want   int

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
			p = &parcel{key: req.Key, want: n.cfg.Replicas}
			byKey[req.Key] = p
			parcels = append(parcels, p)
		}
		p.region = p.region || req.Region || n.cfg.Region
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

// storeBatch searches the holders of some parcels together and then sends all of them off.
func (n *Node) storeBatch(ctx context.Context, parcels []*parcel) {
	byID := make(map[kad.ID]*parcel, len(parcels))
	targets := make([]kad.ID, 0, len(parcels))
	for _, p := range parcels {
		byID[kad.ID(p.key)] = p
		targets = append(targets, kad.ID(p.key))
	}
	s := &search{
		n: n, targets: targets, paths: n.cfg.Paths, want: n.confirm(), nearestOnly: true,
		answered: func(kad.Contact, []kad.ID, *answer) []kad.ID { return nil },
	}
	s.finished = func(l *kad.Lookup, target kad.ID) {
		p := byID[target]
		near := make([]kad.Contact, 0, n.cfg.BucketSize+1)
		if n.cfg.Paths > 1 {
			near = l.Nearest(near, target, n.cfg.BucketSize)
		} else {
			near = l.Known(near, target, n.cfg.BucketSize)
		}
		n.choose(p, near)
		if len(parcels) == 1 {
			n.deliver(ctx, parcels)
		}
	}
	s.run(ctx)
	if len(parcels) > 1 { // together, so that records for one node share a request
		n.deliver(ctx, parcels)
	}
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

// confirm is how many of the nearest nodes must answer a search before a store believes in them. Among honest nodes the
// store itself shows who is there, and replaces who is not; liars could name nodes that are not, so that with disjoint
// paths every holder must have answered.
func (n *Node) confirm() int {
	if n.cfg.Paths > 1 {
		return n.cfg.Replicas
	}
	return min(n.cfg.Replicas, confirmed)
}

// choose decides who holds a parcel: the nearest nodes that answered, this one among them if it is near enough, and with
// the region option all those in the key's region.
func (n *Node) choose(p *parcel, near []kad.Contact) {
	target := kad.ID(p.key)
	if !n.cfg.ClientMode {
		at := 0
		for at < len(near) && kad.Nearer(target, near[at].ID, n.self) {
			at++
		}
		near = append(near, kad.Contact{})
		copy(near[at+1:], near[at:])
		near[at] = kad.Contact{ID: n.self, Peer: n.me}
	}
	policy := kad.ReplicaPolicy{Replicas: n.cfg.Replicas}
	size, confident := n.contacts.networkSize()
	if confident {
		if dense := kad.Crowding(target, near, size); dense >= suspiciousCrowding {
			n.event(Event{Kind: EventSybils, Key: p.key, Count: int(dense)})
			n.count.crowded.Add(1)
		}
		if p.region {
			policy.Region = kad.RegionOf(target, size, n.cfg.Replicas)
		}
	}
	p.holders = kad.SelectReplicas(nil, near, policy)
	if n.cfg.Python { // Python nodes look at the nearest of any kind, and agree on what is new only with the same holders
		p.holders = union(near, near[:min(len(near), n.cfg.Replicas)], p.holders)
	}
	chosen := 0
	for _, c := range near {
		if chosen < len(p.holders) && p.holders[chosen].Peer == c.Peer {
			chosen++
			continue
		}
		p.spare = append(p.spare, c)
	}
	for _, res := range p.results {
		res.Wanted = max(min(len(p.holders), len(near)), 1)
	}
}

// union returns the contacts of all that are in one of the lists, in their order.
func union(all []kad.Contact, lists ...[]kad.Contact) []kad.Contact {
	var chosen []kad.Contact
	for _, c := range all {
		for _, l := range lists {
			if slices.ContainsFunc(l, func(o kad.Contact) bool { return o.Peer == c.Peer }) {
				chosen = append(chosen, c)
				break
			}
		}
	}
	return chosen
}

const suspiciousCrowding = 5 // times denser than chance puts nodes; see kad.Crowding

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
