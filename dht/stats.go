package dht

import (
	"sync/atomic"
	"time"
)

// Stats are the counters and gauges of a node since its creation.
type Stats struct {
	// The present state.
	Peers, SparePeers, Buckets int
	Banned                     int
	Offenders, Shunned         int // peers with a bad score, and those refused for it
	Keys, Records              int
	CachedKeys, CachedRecords  int
	RefreshQueue               int // cached keys that will be fetched anew
	StorageBytes, CacheBytes   int
	Searches                   int // under way
	NetworkSize                float64
	NetworkSizeConfident       bool
	ClockOffset                time.Duration // median over the peers, positive when they are ahead of us
	ClockSamples               int

	// Questions of ours.
	PingsSent, FindsSent, StoresSent          uint64
	PingsFailed, FindsFailed, StoresFailed    uint64
	Lookups, LookupAsks, LookupsUnconverged   uint64
	Gets, GetsLocal, GetsCached, GetsFound    uint64
	GetsShared                                uint64 // joined a search under way
	RecordsSent, ReplicasAccepted             uint64
	ReplicasRefused, ReplicasUnreachable      uint64
	CachePushes, CacheRefreshes               uint64
	HandedOver, Republished                   uint64
	AnswersInvalid, AnswersHostile, PagesRead uint64

	// Questions of others.
	PingsServed, FindsServed, StoresServed      uint64
	MalformedRequests, Truncated                uint64
	RecordsStored, RecordsRefused, RecordsStale uint64
	VerifyQueued, VerifyDropped                 uint64
	PeersAdded, PeersRemoved, PeersRefused      uint64
	Bans, Panics, EventsDropped                 uint64
	Bootstraps, BootstrapsFailed                uint64
	ShunnedRequests                             uint64 // of such peers, refused
	Crowded                                     uint64 // stores at keys near which nodes lie suspiciously dense
	Doubts                                      uint64 // looks of searches that were followed by a wider one
}

// counters are the atomic twins of the counters in Stats.
type counters struct {
	pingsSent, findsSent, storesSent            atomic.Uint64
	pingsFailed, findsFailed, storesFailed      atomic.Uint64
	lookups, lookupAsks, lookupsUnconverged     atomic.Uint64
	gets, getsLocal, getsCached, getsFound      atomic.Uint64
	getsShared                                  atomic.Uint64
	recordsSent, replicasAccepted               atomic.Uint64
	replicasRefused, replicasUnreachable        atomic.Uint64
	cachePushes, cacheRefreshes                 atomic.Uint64
	handedOver, republished                     atomic.Uint64
	answersInvalid, answersHostile, pagesRead   atomic.Uint64
	pingsServed, findsServed, storesServed      atomic.Uint64
	malformedRequests, truncated                atomic.Uint64
	recordsStored, recordsRefused, recordsStale atomic.Uint64
	verifyQueued, verifyDropped                 atomic.Uint64
	peersAdded, peersRemoved, peersRefused      atomic.Uint64
	bans, panics                                atomic.Uint64
	bootstraps, bootstrapsFailed                atomic.Uint64
	crowded, doubts, shunnedRequests            atomic.Uint64
	searches                                    atomic.Int64
}

// Stats returns the counters and gauges.
func (n *Node) Stats() Stats {
	c := &n.count
	s := Stats{
		PingsSent:           c.pingsSent.Load(),
		FindsSent:           c.findsSent.Load(),
		StoresSent:          c.storesSent.Load(),
		PingsFailed:         c.pingsFailed.Load(),
		FindsFailed:         c.findsFailed.Load(),
		StoresFailed:        c.storesFailed.Load(),
		Lookups:             c.lookups.Load(),
		LookupAsks:          c.lookupAsks.Load(),
		LookupsUnconverged:  c.lookupsUnconverged.Load(),
		Gets:                c.gets.Load(),
		GetsLocal:           c.getsLocal.Load(),
		GetsCached:          c.getsCached.Load(),
		GetsFound:           c.getsFound.Load(),
		GetsShared:          c.getsShared.Load(),
		RecordsSent:         c.recordsSent.Load(),
		ReplicasAccepted:    c.replicasAccepted.Load(),
		ReplicasRefused:     c.replicasRefused.Load(),
		ReplicasUnreachable: c.replicasUnreachable.Load(),
		CachePushes:         c.cachePushes.Load(),
		CacheRefreshes:      c.cacheRefreshes.Load(),
		HandedOver:          c.handedOver.Load(),
		Republished:         c.republished.Load(),
		AnswersInvalid:      c.answersInvalid.Load(),
		AnswersHostile:      c.answersHostile.Load(),
		PagesRead:           c.pagesRead.Load(),
		PingsServed:         c.pingsServed.Load(),
		FindsServed:         c.findsServed.Load(),
		StoresServed:        c.storesServed.Load(),
		MalformedRequests:   c.malformedRequests.Load(),
		Truncated:           c.truncated.Load(),
		RecordsStored:       c.recordsStored.Load(),
		RecordsRefused:      c.recordsRefused.Load(),
		RecordsStale:        c.recordsStale.Load(),
		VerifyQueued:        c.verifyQueued.Load(),
		VerifyDropped:       c.verifyDropped.Load(),
		PeersAdded:          c.peersAdded.Load(),
		PeersRemoved:        c.peersRemoved.Load(),
		PeersRefused:        c.peersRefused.Load(),
		Bans:                c.bans.Load(),
		Panics:              c.panics.Load(),
		Bootstraps:          c.bootstraps.Load(),
		BootstrapsFailed:    c.bootstrapsFailed.Load(),
		Crowded:             c.crowded.Load(),
		Doubts:              c.doubts.Load(),
		ShunnedRequests:     c.shunnedRequests.Load(),
		Searches:            int(c.searches.Load()), EventsDropped: n.events.dropped.Load(),
	}
	for _, p := range n.Scores() {
		s.Offenders++
		if !p.Shunned.IsZero() {
			s.Shunned++
		}
	}
	s.NetworkSize, s.NetworkSizeConfident = n.contacts.networkSize()
	s.ClockOffset, s.ClockSamples = n.ClockOffset()
	storage, cache := n.shelves.stats()
	s.Keys, s.Records, s.StorageBytes = storage.Keys, storage.Entries, int(storage.Bytes)
	s.CachedKeys, s.CachedRecords, s.CacheBytes = cache.Keys, cache.Entries, int(cache.Bytes)
	s.RefreshQueue = n.due.len()
	now := n.now()
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	table := n.contacts.table.Stats()
	s.Peers, s.SparePeers, s.Buckets = table.Live, table.Spare, table.Buckets
	for _, b := range n.contacts.banned {
		if now.Before(b.until) {
			s.Banned++
		}
	}
	return s
}
