package dht

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// guard recovers a handler at its edge: a fault of ours costs one call, and is counted and logged.
func (n *Node) guard(h rpc.UnaryHandler) rpc.UnaryHandler {
	return func(ctx context.Context, req *rpc.Request) (resp []byte, err error) {
		if n.conduct.shuns(req.Peer, n.now()) {
			n.count.shunnedRequests.Add(1)
			return nil, rpc.Errorf(rpc.PermissionDenied, "you sent too much that no honest node sends")
		}
		defer func() {
			if r := recover(); r != nil {
				n.count.panics.Add(1)
				n.cfg.Logger.Error("dht: handler panicked", "method", string(req.Method), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
				err = rpc.Errorf(rpc.Internal, "handler failed")
			}
		}()
		return h(ctx, req)
	}
}

// malformed refuses a request that cannot be decoded or goes beyond a limit.
func (n *Node) malformed(p peer.ID, err error) error {
	n.count.malformedRequests.Add(1)
	n.blameUnread(p, err, "request cannot be decoded")
	return rpc.Errorf(rpc.InvalidArgument, "%w", err)
}

// greet notes who asked. A claim changes nothing by itself: the table wants an answer to a question of ours first.
func (n *Node) greet(p peer.ID, info wire.NodeInfo) (kad.Contact, bool) {
	if len(info.ID) == 0 || p == n.me {
		return kad.Contact{}, false
	}
	c := kad.Contact{ID: kad.ID(info.ID), Peer: p}
	if !n.cfg.Python && !c.Bound() {
		n.count.peersRefused.Add(1)
		n.event(Event{Kind: EventPeerRefused, Peer: p, Reason: kad.RefusedFree.String()})
		return c, false
	}
	n.offer(c)
	return c, true
}

// servePing answers a ping. Asked to validate, it calls the sender back and says whether the sender is who it claims to
// be; whatever comes of it concerns the sender's own entry only.
func (n *Node) servePing(ctx context.Context, req *rpc.Request) ([]byte, error) {
	n.count.pingsServed.Add(1)
	var m wire.PingRequest
	if err := m.Decode(req.Data); err != nil {
		return nil, n.malformed(req.Peer, err)
	}
	resp := wire.PingResponse{Peer: n.info}
	if claim, ok := n.greet(req.Peer, m.Peer); ok && m.Validate {
		_, c, err := n.ping(ctx, req.Peer, false)
		resp.Available = err == nil && c.ID == claim.ID
	}
	resp.Time = float64(record.ExpirationAt(n.now()))
	return resp.Append(make([]byte, 0, 48)), nil
}

// serveFind answers with what this node holds for each key and with the peers that it knows nearest to it.
func (n *Node) serveFind(_ context.Context, req *rpc.Request) ([]byte, error) {
	n.count.findsServed.Add(1)
	var m wire.FindRequest
	if err := m.Decode(req.Data, n.limits); err != nil {
		return nil, n.malformed(req.Peer, err)
	}
	n.greet(req.Peer, m.Peer)
	exclude := kad.ID{}
	if len(m.Peer.ID) > 0 {
		exclude = kad.ID(m.Peer.ID)
	}
	now := n.now()
	resp := wire.FindResponse{Peer: n.info, Results: make([]wire.FindResult, len(m.Keys))}
	budget := n.cfg.MaxAnswer
	desk := n.desk()
	defer n.desks.Put(desk)
	for i, k := range m.Keys {
		r := &resp.Results[i]
		var after []byte
		if len(m.After) > 0 {
			after = m.After[i]
		}
		if len(after) == 0 && budget > 0 { // a further page has no need of them, and a flood of keys gets no more than one answer holds
			desk.near = n.contacts.nearest(desk.near[:0], kad.ID(k), n.cfg.BucketSize, exclude)
			start := len(desk.buf)
			desk.buf = n.appendNearest(desk, m.Want&wire.WantAddrs != 0, now)
			r.Nearest = desk.buf[start:]
			budget -= len(r.Nearest)
		}
		if m.Want&wire.WantNearest != 0 {
			continue
		}
		// What is left is shared evenly among the keys that are left, so that one large dictionary starves no other key.
		share := max(budget, 0) / (len(m.Keys) - i)
		if n.shelves.answer(r, record.Key(k), after, m.Want&wire.WantPages != 0, share, now) {
			n.count.truncated.Add(1)
		}
		budget -= len(r.Value)
	}
	return resp.Append(make([]byte, 0, resp.Size())), nil
}

// desk is the scratch space for one answer. What is on it is copied into the answer before the desk is used again.
type desk struct {
	near       []kad.Contact
	neighbours []wire.Neighbour
	buf        []byte
}

const maxDesk = 64 << 10 // larger scratch buffers are not kept

func (n *Node) desk() *desk {
	d, ok := n.desks.Get().(*desk)
	if !ok || cap(d.buf) > maxDesk {
		d = &desk{near: make([]kad.Contact, 0, n.cfg.BucketSize), buf: make([]byte, 0, 4<<10)}
	}
	d.buf = d.buf[:0]
	return d
}

// appendNearest encodes the contacts on a desk at the end of its buffer.
func (n *Node) appendNearest(d *desk, addrs bool, now time.Time) []byte {
	d.neighbours = d.neighbours[:0]
	for _, c := range d.near {
		d.neighbours = append(d.neighbours, wire.Neighbour{ID: c.ID, Peer: string(c.Peer)})
	}
	if addrs {
		n.addrsOf(d.neighbours, now)
	}
	return wire.AppendNearest(d.buf, d.neighbours, addrs)
}

// serveStore judges each record by itself: validated first, then stored, and what is refused changes nothing.
func (n *Node) serveStore(_ context.Context, req *rpc.Request) ([]byte, error) {
	n.count.storesServed.Add(1)
	var m wire.StoreRequest
	if err := m.Decode(req.Data, n.limits); err != nil {
		return nil, n.malformed(req.Peer, err)
	}
	n.greet(req.Peer, m.Peer)
	q := record.Request{Kind: record.Post, Sender: req.Peer, Now: n.now(), Phase: n.phase()}
	resp := wire.StoreResponse{Peer: n.info, OK: make([]bool, len(m.Keys))}
	codes := make([]wire.Code, len(m.Keys))
	var f forgeries
	for i := range m.Keys {
		r := record.Record{Key: record.Key(m.Keys[i]), Subkey: m.Subkeys[i], Value: m.Values[i], Expiration: record.Expiration(m.Expiration[i])}
		if len(r.Subkey) == 0 {
			codes[i] = n.acceptDictionary(r, m.InCache[i], q, &f)
		} else {
			codes[i] = n.accept(r, m.InCache[i], q, &f)
		}
		resp.OK[i] = codes[i] == wire.CodeStored
	}
	if f > 0 {
		n.blameRecords(req.Peer, int(f), "records with wrong signatures")
	}
	if m.WantCodes {
		resp.Codes = codes
	}
	return resp.Append(make([]byte, 0, 32+3*len(codes))), nil
}

// maxForgeries bounds the wrong signatures that are verified for one request. An honest node passes on what it has verified itself, so the
// first one is already odd; and a request holds thousands, at the price of one call.
const maxForgeries = 64

// forgeries counts the wrong signatures of one request.
type forgeries int

func (f *forgeries) enough() bool { return *f >= maxForgeries }

// accept validates and stores one record.
func (n *Node) accept(r record.Record, inCache bool, q record.Request, f *forgeries) wire.Code {
	if f.enough() {
		n.count.recordsRefused.Add(1)
		return wire.CodeBusy
	}
	if len(r.Value) > n.cfg.MaxValue || len(r.Subkey) > n.cfg.MaxSubkey {
		return n.refuse(r, q, &record.Fault{Side: record.SideSender, Code: record.CodeTooLarge, Reason: "beyond the limits of this node"})
	}
	if code := n.shelves.outdated(r, inCache, q.Now); code != wire.CodeNone { // no need to verify what cannot win
		n.count.recordsStale.Add(1)
		if code == wire.CodeHeld && !inCache && n.shouldHold(q.Sender, r.Key) { // from anybody else it means nothing
			n.ledger.brought(r, q.Now)
		}
		return code
	}
	if err := n.rules().Validate(r, q); err != nil {
		if record.CodeOf(err) == record.CodeSignature {
			*f++
		}
		return n.refuse(r, q, err)
	}
	if err := n.shelves.keep(r, inCache, n.rules(), q); err != nil {
		return n.refuse(r, q, err)
	}
	if !inCache {
		n.ledger.brought(r, q.Now)
	}
	n.count.recordsStored.Add(1)
	n.event(Event{Kind: EventRecordStored, Peer: q.Sender, Key: r.Key})
	return wire.CodeStored
}

func (n *Node) refuse(r record.Record, q record.Request, err error) wire.Code {
	code := codeOf(err)
	if code == wire.CodeOlder || code == wire.CodeHeld {
		n.count.recordsStale.Add(1)
		return code
	}
	n.count.recordsRefused.Add(1)
	n.event(Event{Kind: EventRecordRefused, Peer: q.Sender, Key: r.Key, Reason: record.CodeOf(err).String()})
	return code
}

// acceptDictionary stores the entries of a dictionary one by one: a bad or an old one costs the others nothing.
func (n *Node) acceptDictionary(r record.Record, inCache bool, q record.Request, f *forgeries) wire.Code {
	if f.enough() {
		n.count.recordsRefused.Add(1)
		return wire.CodeBusy
	}
	d, skipped, err := record.ParseDictionary(r.Value, record.DictionaryLimits{Entries: n.cfg.MaxSubkeys})
	if err != nil {
		return n.refuse(r, q, err)
	}
	n.count.recordsRefused.Add(uint64(len(skipped)))
	stored, older := 0, 0
	worst := wire.CodeMalformed
	for _, e := range d.Entries {
		switch code := n.accept(e.Record(r.Key), inCache, q, f); code {
		case wire.CodeStored:
			stored++
		case wire.CodeOlder, wire.CodeHeld:
			older++
		default:
			worst = code
		}
	}
	switch {
	case stored == len(d.Entries) && stored > 0 && len(skipped) == 0:
		return wire.CodeStored
	case stored > 0:
		return wire.CodePartial
	case older > 0 && older == len(d.Entries):
		return wire.CodeOlder
	}
	return worst
}
