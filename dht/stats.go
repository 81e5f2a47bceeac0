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
	Keys, CachedKeys           int
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
	searches                                    atomic.Int64
}
