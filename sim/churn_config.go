package sim

import (
	"errors"
	"fmt"
	"time"
)

// ChurnConfig describes a dynamic experiment. The zero value of each field means its
// default.
type ChurnConfig struct {
	// Hosts is the size of the swarm, kept constant: whoever leaves is replaced by a
	// newcomer at once. Default 200.
	Hosts int
	// Seed makes everything: the same seed, the same report.
	Seed uint64
	// MedianSession is the median of the exponential time that a host stays; it goes without
	// a word. Default 1.4 min (the hardest of Rhea et al. 2004). Negative: nobody leaves.
	MedianSession time.Duration
	// Duration is how long is measured, after a minute of joining and one of settling.
	// Default 30 min.
	Duration time.Duration
	// StoresPerSecond and GetsPerSecond are the load of the whole swarm. Defaults 1 and 10.
	StoresPerSecond, GetsPerSecond float64
	// Expiry is how long a value lives. Default 10 min.
	Expiry time.Duration
	// ValueBytes is the size of a value. Default 256.
	ValueBytes int
	// Replicas, Paths, BucketSize and DepthModulo are as in Config, but for the default of
	// DepthModulo, 5.
	Replicas, Paths, BucketSize, DepthModulo int
	// Refresh is how long a bucket may go without an answer until it is refreshed. Default
	// 2 min.
	Refresh time.Duration
	// Repair is how often a holder looks whether its values are where they belong. Default
	// 20 s.
	Repair time.Duration
	// PartitionFor splits the hosts into two halves for some time, from PartitionAt (after
	// the minutes of joining and settling) on. Default: no partition.
	PartitionAt, PartitionFor time.Duration
	// Log, when set, is called with each event of note.
	Log func(line string)
}

func (c ChurnConfig) withDefaults() ChurnConfig {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	set(&c.Hosts, 200)
	set(&c.ValueBytes, 256)
	set(&c.Replicas, 8)
	set(&c.Paths, 4)
	set(&c.BucketSize, 20)
	set(&c.DepthModulo, 5)
	span(&c.MedianSession, 84*time.Second)
	span(&c.Duration, 30*time.Minute)
	span(&c.Expiry, 10*time.Minute)
	span(&c.Refresh, 2*time.Minute)
	span(&c.Repair, 20*time.Second)
	if c.StoresPerSecond == 0 {
		c.StoresPerSecond = 1
	}
	if c.GetsPerSecond == 0 {
		c.GetsPerSecond = 10
	}
	return c
}

// Validate reports what is wrong with a configuration.
func (c ChurnConfig) Validate() error {
	c = c.withDefaults()
	var errs []error
	for _, f := range []struct {
		name    string
		v       float64
		low, up float64
	}{
		{"hosts", float64(c.Hosts), 10, 10_000},
		{"value bytes", float64(c.ValueBytes), 1, 1 << 20},
		{"replicas", float64(c.Replicas), 1, float64(c.Hosts)},
		{"paths", float64(c.Paths), 1, 32},
		{"bucket size", float64(c.BucketSize), 1, 1_000},
		{"depth modulo", float64(c.DepthModulo), 1, 160},
		{"duration in seconds", c.Duration.Seconds(), 1, 7 * 86_400},
		{"expiry in seconds", c.Expiry.Seconds(), 1, 7 * 86_400},
		{"refresh in seconds", c.Refresh.Seconds(), 1, 86_400},
		{"repair in seconds", c.Repair.Seconds(), 1, 86_400},
		{"stores per second", c.StoresPerSecond, 0.001, 1_000},
		{"gets per second", c.GetsPerSecond, 0.001, 10_000},
		{"partition in seconds", (c.PartitionAt + c.PartitionFor).Seconds(), 0, c.Duration.Seconds()},
	} {
		if !(f.v >= f.low && f.v <= f.up) {
			errs = append(errs, fmt.Errorf("%w: %s %v is not within %v..%v", ErrConfig, f.name, f.v, f.low, f.up))
		}
	}
	if c.MedianSession > 0 && c.MedianSession < time.Second {
		errs = append(errs, fmt.Errorf("%w: the median session %v is below a second", ErrConfig, c.MedianSession))
	}
	return errors.Join(errs...)
}

// ChurnReport is the outcome of a dynamic experiment.
type ChurnReport struct {
	Success       float64 `json:"success"` // share of gets that found the value
	Gets          int     `json:"gets"`
	Found         int     `json:"found"`
	Stores        int     `json:"stores"`
	StoresFailed  int     `json:"stores_failed"`   // no holder at all
	UpkeepBytes   float64 `json:"upkeep_bytes"`    // per second and host: sent for checks, joins, refresh and repair
	CheckBytes    float64 `json:"check_bytes"`     // of these, for checks
	JoinBytes     float64 `json:"join_bytes"`      // for joins
	RefreshBytes  float64 `json:"refresh_bytes"`   // for refresh lookups
	RepairBytes   float64 `json:"repair_bytes"`    // for values sent to where they belong
	UserBytes     float64 `json:"user_bytes"`      // per second and host: for gets and stores
	ExpiredServed int     `json:"expired_served"`  // values found after their expiry
	TableMean     float64 `json:"table_contacts"`  // live contacts of a host at the end
	DeadShare     float64 `json:"table_dead"`      // of these, gone already
	P50Millis     float64 `json:"p50_ms"`          // of the gets that found the value
	P99Millis     float64 `json:"p99_ms"`          //
	Diverged      int     `json:"diverged"`        // keys whose freshest copies differed between the sides when the partition healed
	StaleEarly    int     `json:"stale_early"`     // reads that missed the freshest value, up to two refresh periods after the healing
	StaleAfter    int     `json:"stale_reads"`     // the same from then on
	FreshReads    int     `json:"freshness_reads"` // reads then
	Left          int     `json:"left"`            // hosts that went
	Seed          uint64  `json:"seed"`
	EventsHash    string  `json:"events_hash"`
}
