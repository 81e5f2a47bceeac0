package dht

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
)

// Config describes a Node. The zero value of each field means its default; see Defaults for the figures.
type Config struct {
	// Validators sign own records and judge all others. The zero chain accepts everything that is well-formed and within bounds.
	Validators record.Chain
	// Phase returns the chain's phase for validators that depend on it. It is called once per inbound request and must
	// answer from memory. nil: unknown.
	Phase func() record.Phase
	// Bootstrap are the peers to join by. Without any, the node is the first of its swarm and ready at once.
	Bootstrap []peer.AddrInfo
	// Restore is what Snapshot returned before a restart. Its contacts are called before any stranger.
	Restore *kad.Snapshot
	// Python admits nodes whose ID is not derived from their peer ID, as those of hivemind and the Python mesh. Set it
	// only in swarms that have such nodes: whoever may choose an ID may choose a place near any key.
	Python bool
	// ClientMode reads and writes but serves nothing and is in nobody's table. For short-lived tools.
	ClientMode bool

	// BucketSize is Kademlia's k: contacts per bucket, nearest peers per answer, width of the search. All nodes of a
	// swarm should agree.
	BucketSize int
	// Replicas is the number of nearest nodes that keep a record. Fewer lose records when many nodes leave at once (5:
	// 2.8 % at half the nodes, 8: 0.4 %); more cost a store its time.
	Replicas int
	// Neighbours is how many of its nearest nodes a newcomer meets when it joins. They learn of it in no other way, and each
	// costs a handshake. Those beyond Replicas make lookups surer, and are met later anyhow; default: BucketSize. Who knows fewer
	// looks around again after 1, 2, 4 ... s.
	Neighbours int
	// DepthModulo is the table's split rule; see kad.TableConfig.
	DepthModulo int
	// Parallel bounds the questions in flight of one search.
	Parallel int
	// Paths is the number of disjoint paths of a search that is in doubt. Every search begins with one path (two to the place
	// of a record, all for the newest value), because honest nodes need no more: in a swarm that the table holds completely a
	// store finds its place with 4 questions, in one of 10,000 nodes with 19, and a get its value with 1 or 2. What such a
	// path says is believed if it holds by itself: a valid value, or nodes that lie around the key as chance puts them, most
	// of them known to this node for some time. If not (nothing found, too many or too few nodes near the key, nodes that
	// nobody reaches, forged records, the size of the swarm still unknown), the search is made again over this many paths
	// that share no node, so that all but one may lead to liars, and at last in the whole region of the key.
	//
	// With 20, 40 and 50 % of 10,000 nodes forging, 4 paths find all of 1,000 values, at up to 30 questions for a get; with
	// 40 % that collude 943, and 8 paths from the start 989 (`mesh sim dht`). More paths cost more traffic under attack and
	// none in peace. 1 believes the first look: for swarms without strangers, and for measurements. See kad.Defence for the
	// rules, and StoreRequest.Paths and the option Paths for single operations that should be cautious from the start.
	Paths int
	// MaxAsks bounds the questions for one key, in each look of a search; see Paths.
	MaxAsks int
	// KeysPerCall bounds the keys packed into one question; one about places around keys names the keys as well.
	KeysPerCall int

	// CallTimeout bounds one call. Searches ask somebody else much earlier, by the peer's own round-trip times.
	CallTimeout time.Duration
	// SearchTimeout bounds an operation: the looks of a get, or those of a store, which take half of it, with the delivery.
	SearchTimeout time.Duration
	// BackoffBase is how long a peer is left out of searches after it failed; doubles with each failure up to
	// BackoffMax, and ends with the first answer. Negative: off.
	BackoffBase, BackoffMax time.Duration

	// NoCacheLocally does not keep values found by a get.
	NoCacheLocally bool
	// CacheNearest is the number of nearest nodes without the value that a successful get gives a copy to. Negative: none.
	CacheNearest int
	// NoCacheOnStore does not keep a copy of what this node stored at others.
	NoCacheOnStore bool
	// CacheRefresh fetches a cached value anew that long before it expires, if it was read. Negative: never.
	CacheRefresh time.Duration
	// NoReuse lets every get search by itself instead of joining one that is under way for the same key.
	NoReuse bool

	// StorageBytes and CacheBytes bound the memory for records kept for the swarm and for copies. What does not fit is
	// refused by the storage, and in the cache displaces what expires first.
	StorageBytes, CacheBytes int
	// MaxValue bounds one value with its signature, MaxSubkey a subkey, in bytes.
	MaxValue, MaxSubkey int
	// MaxSubkeys bounds the entries of one dictionary.
	MaxSubkeys int
	// MaxLifetime bounds how far in the future a record may expire.
	MaxLifetime time.Duration
	// MaxAnswer bounds the bytes of one answer of ours. Larger dictionaries are cut into pages.
	MaxAnswer int
	// MaxClockSkew is how far a peer's clock may be off when we join; beyond it the clock of one of us is wrong.
	MaxClockSkew time.Duration

	// CheckInterval is the pause between two pings of contacts that are new or failed lately; all others are pinged at a
	// third of that rate. It fixes the upkeep traffic, whatever the size of the table.
	CheckInterval time.Duration
	// RefreshInterval looks for new neighbours in parts of the table that were quiet that long, and around this node.
	RefreshInterval time.Duration
	// RepublishInterval sends the records this node is nearest to again to their holders, so that they survive churn.
	// Negative: never.
	RepublishInterval time.Duration
	// MergeInterval contacts one bootstrap or formerly known peer that is not in the table, so that a split swarm grows
	// together again.
	MergeInterval time.Duration
	// LeaveTimeout bounds the hand-off of records when Run ends. Negative: none.
	LeaveTimeout time.Duration
	// NoRegion stores at the nearest nodes only. Otherwise a record that these took goes to the others of the region around
	// its key that should hold Replicas nodes, too, about one more, in the background: Sybils next to a key that are too few
	// to be noticed cannot hide it then. See also StoreRequest.Region.
	NoRegion bool

	// Events bounds the event stream's buffer per subscriber; what does not fit is dropped and counted.
	Events int
	// Logger is where the node reports what an operator should know. nil: silent.
	Logger *slog.Logger
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Seed makes the schedules of the table predictable, for tests. 0: drawn at random.
	Seed uint64
}

// Defaults returns the configuration that the zero value stands for.
func Defaults() Config {
	return Config{
		BucketSize:        20,
		Replicas:          8,
		DepthModulo:       5,
		Parallel:          16,  // on a LAN the third question is on its way before the first answer is read
		Paths:             4,   // 8 lose less to liars who are more than a fifth, and cost twice as much in doubt
		MaxAsks:           240, // 4 hops of 10,000 nodes need 30; the rest is for dead and lying ones
		KeysPerCall:       16,  // chunk size of the original
		CallTimeout:       3 * time.Second,
		SearchTimeout:     20 * time.Second,
		BackoffBase:       5 * time.Second,
		BackoffMax:        10 * time.Minute,
		CacheNearest:      1,
		CacheRefresh:      5 * time.Second,
		StorageBytes:      256 << 20,
		CacheBytes:        64 << 20,
		MaxValue:          64 << 10,
		MaxSubkey:         4 << 10, // an RSA owner's subkey has about 500 bytes
		MaxSubkeys:        1 << 14,
		MaxLifetime:       24 * time.Hour,
		MaxAnswer:         3 << 20, // of the 4 MiB of a frame; one key takes 2 MiB at most
		MaxClockSkew:      3 * time.Second,
		CheckInterval:     3 * time.Second,
		RefreshInterval:   10 * time.Minute,
		RepublishInterval: 10 * time.Minute,
		MergeInterval:     time.Minute,
		LeaveTimeout:      2 * time.Second,
		Events:            256,
	}
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	d := Defaults()
	for _, f := range []struct{ have, def *int }{
		{&c.BucketSize, &d.BucketSize}, {&c.Replicas, &d.Replicas}, {&c.DepthModulo, &d.DepthModulo},
		{&c.Parallel, &d.Parallel}, {&c.Paths, &d.Paths}, {&c.MaxAsks, &d.MaxAsks}, {&c.KeysPerCall, &d.KeysPerCall},
		{&c.CacheNearest, &d.CacheNearest}, {&c.StorageBytes, &d.StorageBytes}, {&c.CacheBytes, &d.CacheBytes},
		{&c.MaxValue, &d.MaxValue}, {&c.MaxSubkey, &d.MaxSubkey}, {&c.MaxSubkeys, &d.MaxSubkeys},
		{&c.MaxAnswer, &d.MaxAnswer}, {&c.Events, &d.Events},
	} {
		if *f.have == 0 {
			*f.have = *f.def
		}
	}
	for _, f := range []struct{ have, def *time.Duration }{
		{&c.CallTimeout, &d.CallTimeout}, {&c.SearchTimeout, &d.SearchTimeout}, {&c.BackoffBase, &d.BackoffBase},
		{&c.BackoffMax, &d.BackoffMax}, {&c.CacheRefresh, &d.CacheRefresh}, {&c.MaxLifetime, &d.MaxLifetime},
		{&c.MaxClockSkew, &d.MaxClockSkew}, {&c.CheckInterval, &d.CheckInterval}, {&c.RefreshInterval, &d.RefreshInterval},
		{&c.RepublishInterval, &d.RepublishInterval}, {&c.MergeInterval, &d.MergeInterval}, {&c.LeaveTimeout, &d.LeaveTimeout},
	} {
		if *f.have == 0 {
			*f.have = *f.def
		}
	}
	if c.Neighbours == 0 {
		c.Neighbours = c.BucketSize
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate tells what is wrong with the configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	positive := func(name string, v int) {
		if v < 1 {
			errs = append(errs, fmt.Errorf("%s is %d, must be at least 1", name, v))
		}
	}
	positive("BucketSize", c.BucketSize)
	positive("Replicas", c.Replicas)
	positive("Neighbours", c.Neighbours)
	positive("DepthModulo", c.DepthModulo)
	positive("Parallel", c.Parallel)
	positive("Paths", c.Paths)
	positive("MaxAsks", c.MaxAsks)
	positive("KeysPerCall", c.KeysPerCall)
	positive("StorageBytes", c.StorageBytes)
	positive("CacheBytes", c.CacheBytes)
	positive("MaxValue", c.MaxValue)
	positive("MaxSubkey", c.MaxSubkey)
	positive("MaxSubkeys", c.MaxSubkeys)
	positive("MaxAnswer", c.MaxAnswer)
	for name, d := range map[string]time.Duration{
		"CallTimeout": c.CallTimeout, "SearchTimeout": c.SearchTimeout, "MaxLifetime": c.MaxLifetime,
		"CheckInterval": c.CheckInterval, "RefreshInterval": c.RefreshInterval, "MergeInterval": c.MergeInterval,
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s is %v, must be positive", name, d))
		}
	}
	if c.Replicas > c.BucketSize {
		errs = append(errs, fmt.Errorf("a search finds BucketSize = %d nodes, fewer than Replicas = %d", c.BucketSize, c.Replicas))
	}
	if c.MaxValue > c.MaxAnswer {
		errs = append(errs, fmt.Errorf("values of MaxValue = %d could be stored but not read, with MaxAnswer = %d", c.MaxValue, c.MaxAnswer))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("dht: configuration: %w", err)
	}
	return nil
}
