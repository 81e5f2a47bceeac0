package dht

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

const (
	maxRecordsPerCall = 1024            // per store request, ours and theirs
	maxBytesPerCall   = 1 << 20         // of records in one store request of ours: a quarter of the frame limit
	maxPages          = 64              // of one dictionary from one peer
	maxPaged          = 2 * maxKeyBytes // bytes of them: twice what an honest node keeps under a key
)

// errMismatch means that whoever answered is not the node that we called for.
var errMismatch = errors.New("dht: the peer has another node ID")

func isHostile(err error) bool {
	var f *record.Fault
	return errors.As(err, &f) && f.Hostile() && f.Side == record.SideSender
}

// Ping calls a peer. With validate the peer is asked to call back.
func (n *Node) Ping(ctx context.Context, p peer.ID, validate bool) (PingResult, error) {
	res, _, err := n.ping(ctx, p, validate)
	return res, err
}

// ping calls a peer and records the outcome: it is alive and in the table, or failed. A peer without ID is a client.
func (n *Node) ping(ctx context.Context, p peer.ID, validate bool) (PingResult, kad.Contact, error) {
	n.count.pingsSent.Add(1)
	req := wire.PingRequest{Peer: n.info, Validate: validate}
	var resp wire.PingResponse
	start := time.Now()
	err := n.call(ctx, p, MethodPing, req.Append(make([]byte, 0, 64)), resp.Decode)
	rtt := time.Since(start)
	if err != nil {
		n.count.pingsFailed.Add(1)
		switch c, known := n.contactOf(p); {
		case known:
			n.failed(c, err)
		case !errors.Is(err, p2p.ErrNoAddress): // else it was not asked, and may join at any moment: nothing must keep it out then
			n.failed(kad.Contact{Peer: p}, err)
		}
		return PingResult{}, kad.Contact{}, err
	}
	res := PingResult{RTT: rtt, Available: resp.Available}
	if resp.Time > 0 && resp.Time < math.MaxInt32*2 {
		now := n.now()
		res.Offset = record.Expiration(resp.Time).Time().Sub(now.Add(-rtt / 2))
		n.clock.observe(p, res.Offset, now)
	}
	if len(resp.Peer.ID) == 0 {
		n.contacts.pardon(p)
		return res, kad.Contact{Peer: p}, nil
	}
	c := kad.Contact{ID: kad.ID(resp.Peer.ID), Peer: p}
	res.ID = c.ID
	if old, ok := n.contactOf(p); ok && old.ID != c.ID {
		n.moved(old, resp.Peer.ID, rtt)
	} else {
		n.alive(c, rtt)
	}
	return res, c, nil
}

// moved records that old.Peer answered us under another ID: a node that restarted with another free ID. It said so
// itself over its own channel, so its old place in the table is void. Bound IDs do not move: the table refuses the new one.
func (n *Node) moved(old kad.Contact, id []byte, rtt time.Duration) {
	n.contacts.mu.Lock()
	n.contacts.table.Remove(old.Peer, n.now())
	n.contacts.mu.Unlock()
	if len(id) == wire.IDSize {
		n.alive(kad.Contact{ID: kad.ID(id), Peer: old.Peer}, rtt)
	}
}

// contactOf returns the contact of a peer that the table has, spare ones included.
func (n *Node) contactOf(p peer.ID) (kad.Contact, bool) {
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	c, _, ok := n.contacts.table.Find(p)
	return c, ok
}

// answer is what one find brought, in the order of its keys.
type answer struct {
	found   []*finding // validated; nil where there is none. nil when no values were wanted
	nearest [][]kad.Contact
	addrs   [][][]byte // of each of nearest; nil from peers that send none
	forged  []bool     // by key: there was a value that no honest node passes on; nil: none
}

// find asks a contact for keys: their nearest contacts and, unless nearestOnly, their values. It records the outcome.
func (n *Node) find(ctx context.Context, c kad.Contact, keys []kad.ID, nearestOnly bool) (*answer, error) {
	n.count.findsSent.Add(1)
	req := wire.FindRequest{Peer: n.info, Want: wire.WantAddrs | wire.WantPages, Keys: make([][]byte, len(keys))}
	if nearestOnly {
		req.Want |= wire.WantNearest
	}
	for i := range keys {
		req.Keys[i] = keys[i][:]
	}
	var resp wire.FindResponse
	start := time.Now()
	err := n.call(ctx, c.Peer, MethodFind, req.Append(make([]byte, 0, 48+24*len(keys))),
		func(b []byte) error { return resp.Decode(b, n.limits) })
	rtt := time.Since(start)
	switch {
	case err != nil:
	case len(resp.Results) != len(keys):
		err = n.hostile(c, "wrong number of results")
	case len(resp.Peer.ID) == 0 || kad.ID(resp.Peer.ID) != c.ID:
		n.count.findsFailed.Add(1)
		n.moved(c, resp.Peer.ID, rtt)
		return nil, errMismatch
	}
	if err != nil {
		n.count.findsFailed.Add(1)
		n.failed(c, err)
		return nil, err
	}
	n.alive(c, rtt)
	return n.read(ctx, c, keys, &resp, nearestOnly)
}

// read turns a find response into an answer: contacts, and validated values.
func (n *Node) read(ctx context.Context, c kad.Contact, keys []kad.ID, resp *wire.FindResponse, nearestOnly bool) (*answer, error) {
	a := &answer{nearest: make([][]kad.Contact, len(keys)), addrs: make([][][]byte, len(keys))}
	if !nearestOnly {
		a.found = make([]*finding, len(keys))
	}
	q := record.Request{Kind: record.Get, Sender: c.Peer, Now: n.now(), Phase: n.phase()}
	paged := slices.ContainsFunc(resp.Results, func(r wire.FindResult) bool { return len(r.Cursor) > 0 })
	if paged && !nearestOnly { // the pages of all keys together: ctx may be as long as the node lives
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, n.cfg.SearchTimeout)
		defer cancel()
	}
	for i := range resp.Results {
		r := &resp.Results[i]
		a.nearest[i] = n.readNearest(c, r)
		a.addrs[i] = r.NearestAddrs
		if nearestOnly || r.Type == wire.NotFound {
			continue
		}
		var forged bool
		if a.found[i], forged = n.readValue(ctx, c, keys[i], r, q); forged {
			if a.forged == nil {
				a.forged = make([]bool, len(keys))
			}
			a.forged[i] = true
		}
	}
	return a, nil
}

// readNearest turns the nearest peers of a result into contacts, in the same order. A peer ID that is none becomes
// our own, which kad drops.
func (n *Node) readNearest(c kad.Contact, r *wire.FindResult) []kad.Contact {
	count := min(len(r.NearestIDs), 2*n.cfg.BucketSize) // what is looked at; others may have larger buckets
	size := 0
	for _, p := range r.NearestPeers[:count] {
		size += len(p)
	}
	var all strings.Builder // one string for all peer IDs
	all.Grow(size)
	for _, p := range r.NearestPeers[:count] {
		all.Write(p)
	}
	rest := all.String()
	list := make([]kad.Contact, count)
	for j, id := range r.NearestIDs[:count] {
		p := rest[:len(r.NearestPeers[j])]
		rest = rest[len(p):]
		if !isPeerID(p) {
			n.hostile(c, "peer ID is no multihash") //nolint:errcheck // the other contacts are still good
			p = string(n.me)                        // nobody asks oneself
		}
		list[j] = kad.Contact{ID: kad.ID(id), Peer: peer.ID(p)}
	}
	return list
}

// isPeerID reports whether a string is a peer ID: the identity or the SHA-256 multihash of a key.
func isPeerID(p string) bool {
	switch {
	case len(p) == 34 && p[0] == 0x12 && p[1] == 0x20:
		return true
	case len(p) > 2 && len(p) <= 2+42 && p[0] == 0 && int(p[1]) == len(p)-2:
		return true
	}
	_, err := peer.IDFromBytes([]byte(p))
	return err == nil
}

// readValue validates the value of one result, and fetches the rest of a dictionary that comes in pages. It reports whether
// there was something that no honest node passes on.
func (n *Node) readValue(ctx context.Context, c kad.Contact, key kad.ID, r *wire.FindResult, q record.Request) (all *finding, forged bool) {
	size := 0
	for page := 1; ; page++ {
		size += len(r.Value)
		f, err := n.parse(r)
		if err != nil {
			n.count.answersInvalid.Add(1)
			if !errors.Is(err, wire.ErrLimit) && record.CodeOf(err) != record.CodeTooLarge { // its limits may be wider
				n.blame(c.Peer, offenceMessage, "value cannot be read")
			}
			return all, forged // what came before is still good
		}
		good, bad, hostile := n.examine(record.Key(key), f, q)
		if bad > 0 {
			n.count.answersInvalid.Add(uint64(bad)) //nolint:gosec // positive
			n.event(Event{Kind: EventAnswerInvalid, Peer: c.Peer, Key: record.Key(key), Count: bad})
		}
		if hostile {
			forged = true
			n.blameRecords(c.Peer, 1, "value that no honest node passes on")
		}
		all = merge(all, good)
		if len(r.Cursor) == 0 || page >= maxPages || size > maxPaged {
			return all, forged
		}
		next, err := n.nextPage(ctx, c, key, r.Cursor)
		if err != nil {
			return all, forged // what we have is good; others hold the rest
		}
		r = next
	}
}

// parse reads the value of a result.
func (n *Node) parse(r *wire.FindResult) (*finding, error) {
	if r.Type == wire.FoundRegular {
		if len(r.Value) > n.cfg.MaxValue {
			return nil, wire.ErrLimit
		}
		return &finding{expiration: record.Expiration(r.Expiration), value: r.Value}, nil
	}
	d, _, err := record.ParseDictionary(r.Value, record.DictionaryLimits{Entries: n.cfg.MaxSubkeys})
	if err != nil {
		return nil, err
	}
	return dictionaryFinding(d), nil
}

// nextPage asks for the entries of a dictionary after a cursor.
func (n *Node) nextPage(ctx context.Context, c kad.Contact, key kad.ID, cursor []byte) (*wire.FindResult, error) {
	n.count.pagesRead.Add(1)
	req := wire.FindRequest{Peer: n.info, Want: wire.WantPages, Keys: [][]byte{key[:]}, After: [][]byte{cursor}}
	var resp wire.FindResponse
	err := n.call(ctx, c.Peer, MethodFind, req.Append(nil), func(b []byte) error { return resp.Decode(b, n.limits) })
	if err != nil {
		return nil, err
	}
	if len(resp.Results) != 1 || resp.Results[0].Type != wire.FoundDictionary || string(resp.Results[0].Cursor) == string(cursor) {
		return nil, wire.ErrMalformed
	}
	return &resp.Results[0], nil
}

// sendRecords stores records at a contact, in as many calls as their size needs, and returns one answer per record.
func (n *Node) sendRecords(ctx context.Context, c kad.Contact, recs []record.Record, inCache bool) []Answer {
	answers := make([]Answer, len(recs))
	for from := 0; from < len(recs); {
		to, size := from, 0
		for to < len(recs) && to-from < maxRecordsPerCall && (to == from || size+recs[to].Size() <= maxBytesPerCall) {
			size += recs[to].Size() + 32
			to++
		}
		n.sendBatch(ctx, c, recs[from:to], size, inCache, answers[from:to])
		from = to
	}
	return answers
}

func (n *Node) sendBatch(ctx context.Context, c kad.Contact, recs []record.Record, size int, inCache bool, answers []Answer) {
	n.count.storesSent.Add(1)
	n.count.recordsSent.Add(uint64(len(recs)))
	req := wire.StoreRequest{Peer: n.info, WantCodes: true}
	lists := make([][]byte, 3*len(recs))
	req.Keys, req.Subkeys, req.Values = lists[:len(recs)], lists[len(recs):2*len(recs)], lists[2*len(recs):]
	req.Expiration, req.InCache = make([]float64, len(recs)), make([]bool, len(recs))
	for i := range recs {
		req.Keys[i], req.Subkeys[i], req.Values[i] = recs[i].Key[:], recs[i].Subkey, recs[i].Value
		req.Expiration[i], req.InCache[i] = float64(recs[i].Expiration), inCache
	}
	var resp wire.StoreResponse
	start := time.Now()
	err := n.call(ctx, c.Peer, MethodStore, req.Append(make([]byte, 0, size+64)), func(b []byte) error { return resp.Decode(b, n.limits) })
	rtt := time.Since(start)
	if err == nil && len(resp.OK) != len(recs) {
		err = n.hostile(c, "wrong number of answers")
	}
	if err != nil {
		n.count.storesFailed.Add(1)
		n.failed(c, err)
		for i := range answers {
			answers[i] = Answer{Peer: c.Peer, Err: err}
		}
		return
	}
	if len(resp.Peer.ID) == wire.IDSize && kad.ID(resp.Peer.ID) == c.ID {
		n.alive(c, rtt)
	}
	for i := range answers {
		answers[i] = Answer{Peer: c.Peer, OK: resp.OK[i]}
		if len(resp.Codes) == len(recs) {
			answers[i].Code = resp.Codes[i]
			answers[i].OK = answers[i].OK || answers[i].Code == wire.CodeHeld
		} else if resp.OK[i] {
			answers[i].Code = wire.CodeStored
		}
	}
}

// call performs one call within the node's time limit and decodes the answer.
func (n *Node) call(ctx context.Context, p peer.ID, m rpc.Method, req []byte, decode func([]byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.CallTimeout)
	defer cancel()
	if m != MethodStore { // couriers bound those
		if err := n.gates.enter(ctx, p); err != nil {
			return &rpc.Error{Code: rpc.Canceled, Msg: "too many calls to this peer", Peer: p, Method: m}
		}
		defer n.gates.leave(p)
	}
	b, err := n.calls.Call(ctx, p, m, req)
	if err != nil {
		return err
	}
	if err := decode(b); err != nil {
		n.blameUnread(p, err, "answer cannot be decoded")
		return err
	}
	return nil
}

// hostile blames a contact for an answer that no honest node sends, and returns it as an error.
func (n *Node) hostile(c kad.Contact, why string) error {
	n.blame(c.Peer, offenceMessage, why)
	return errors.New("dht: " + why)
}

func (n *Node) phase() record.Phase {
	if n.cfg.Phase == nil {
		return record.Phase{}
	}
	return n.cfg.Phase()
}
