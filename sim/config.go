package sim

import (
	"errors"
	"fmt"
	"strings"
)

// ErrConfig is returned for a configuration that makes no sense.
var ErrConfig = errors.New("sim: bad configuration")

// Config describes a static experiment. The zero value of each field means its default.
type Config struct {
	// Nodes is the size of the swarm, the dead included. Default 10,000. A node costs some
	// 50 KiB once it is asked something.
	Nodes int
	// Lookups is how many values are stored and searched for. Default 1,000.
	Lookups int
	// Seed makes everything: the same seed, the same report.
	Seed uint64
	// Dead is the share of nodes (0..1) that die at once after all values are stored.
	Dead float64
	// Silent, Forging, Colluding and Flooding are shares of the nodes that live, drawn
	// without overlap; they lie from the start, when values are stored too. All of them
	// confirm a store (but for the silent ones) and keep nothing.
	//
	// Silent nodes never answer. Forging ones name invented contacts that are nearer to the
	// target than any real one and that nobody answers for. Colluding ones name the
	// colluders nearest to the target, and no others. Flooding ones send lists of hundreds
	// of invented contacts, each twice.
	Silent, Forging, Colluding, Flooding float64
	// ForgedAnswer lets the invented contacts answer too, with more of their kind: an
	// attacker who owns all of these identities.
	ForgedAnswer bool
	// ForgedDensity is how many identities the attacker can invent, in multiples of Nodes.
	// Default 20. Contacts invented at random from these look real when it is small.
	ForgedDensity float64
	// Sybils is the number of colluding nodes that are placed nearest to each key, out of
	// the attacker's identities. All lookups then search for one of SybilKeys keys.
	Sybils int
	// SybilKeys is the number of keys under attack. Default 20.
	SybilKeys int
	// Paths is the number of disjoint paths that a store or get takes when its first look is
	// in doubt; see kad.Defence. Default 4, as that of a node.
	Paths int
	// Cautious takes all paths from the first look on, as a node does on request.
	Cautious bool
	// Replicas is the number of nodes that a value is stored at. Default 8.
	Replicas int
	// NoRegion stores at the nearest nodes only. Otherwise a value is stored at all nodes of
	// the region where Replicas nodes are expected too.
	NoRegion bool
	// Attempts bounds the looks of a store or get; see kad.Defence. Default 3.
	Attempts int
	// BucketSize and DepthModulo are those of the tables. Defaults 20 and 1: the smallest
	// table, so that large swarms fit in memory; the default of kad makes fewer hops.
	BucketSize, DepthModulo int
	// Alpha is the number of questions in flight per path. Default 1.
	Alpha int
	// SizeUnknown hides the size of the swarm from the lookups, which turns the judgement of
	// implausible answers off.
	SizeUnknown bool
	// Log, when set, is called with each event, in a form that tests can compare.
	Log func(line string)
}

func (c Config) withDefaults() Config {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&c.Nodes, 10_000)
	set(&c.Lookups, 1_000)
	set(&c.SybilKeys, 20)
	set(&c.Paths, 4)
	set(&c.Replicas, 8)
	set(&c.Attempts, 3)
	set(&c.BucketSize, 20)
	set(&c.DepthModulo, 1)
	set(&c.Alpha, 1)
	if c.ForgedDensity == 0 {
		c.ForgedDensity = 20
	}
	return c
}

// Validate reports what is wrong with a configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	for _, f := range []struct {
		name       string
		v, low, up int
	}{
		{"nodes", c.Nodes, 10, 1_000_000},
		{"lookups", c.Lookups, 1, 10_000_000},
		{"paths", c.Paths, 1, 32},
		{"replicas", c.Replicas, 1, c.Nodes},
		{"attempts", c.Attempts, 1, 10},
		{"sybils", c.Sybils, 0, 1_000},
		{"sybil keys", c.SybilKeys, 1, 10_000},
		{"bucket size", c.BucketSize, 1, 1_000},
		{"depth modulo", c.DepthModulo, 1, 160},
		{"alpha", c.Alpha, 1, 32},
	} {
		if f.v < f.low || f.v > f.up {
			errs = append(errs, fmt.Errorf("%w: %s %d is not within %d..%d", ErrConfig, f.name, f.v, f.low, f.up))
		}
	}
	for _, f := range []struct {
		name string
		v    float64
	}{{"dead", c.Dead}, {"silent", c.Silent}, {"forging", c.Forging}, {"colluding", c.Colluding}, {"flooding", c.Flooding}} {
		if !(f.v >= 0 && f.v <= 1) {
			errs = append(errs, fmt.Errorf("%w: the share %s %v is not within 0..1", ErrConfig, f.name, f.v))
		}
	}
	if !(c.ForgedDensity > 0 && c.ForgedDensity <= 1000) {
		errs = append(errs, fmt.Errorf("%w: forged density %v is not within 0..1000", ErrConfig, c.ForgedDensity))
	}
	if liars := c.Silent + c.Forging + c.Colluding + c.Flooding; liars > 1 {
		errs = append(errs, fmt.Errorf("%w: the liars are %v of the living", ErrConfig, liars))
	} else if honest := (1 - c.Dead) * (1 - liars) * float64(c.Nodes); honest < 2 {
		errs = append(errs, fmt.Errorf("%w: fewer than two honest nodes are left", ErrConfig))
	}
	return errors.Join(errs...)
}

// Command returns the command line that repeats the experiment.
func (c Config) Command() string {
	c = c.withDefaults()
	var b strings.Builder
	fmt.Fprintf(&b, "mesh sim dht --nodes %d --lookups %d --seed %d", c.Nodes, c.Lookups, c.Seed)
	for _, f := range []struct {
		name string
		v    float64
	}{{"dead", c.Dead}, {"silent", c.Silent}, {"forging", c.Forging}, {"colluding", c.Colluding}, {"flooding", c.Flooding}} {
		if f.v != 0 {
			fmt.Fprintf(&b, " --%s %v", f.name, f.v)
		}
	}
	if c.ForgedAnswer {
		b.WriteString(" --forged-answer")
	}
	if c.Sybils != 0 {
		fmt.Fprintf(&b, " --sybils %d", c.Sybils)
	}
	fmt.Fprintf(&b, " --paths %d --replicas %d", c.Paths, c.Replicas)
	if c.Cautious {
		b.WriteString(" --cautious")
	}
	if c.NoRegion {
		b.WriteString(" --no-region")
	}
	if c.Attempts != 3 {
		fmt.Fprintf(&b, " --attempts %d", c.Attempts)
	}
	b.WriteString(" --json")
	return b.String()
}

// Report is the outcome of a static experiment. Means are per lookup.
type Report struct {
	Success  float64 `json:"success"`   // share of values found
	MeanHops float64 `json:"mean_hops"` // of the values found: answers up to the value
	RPCs     float64 `json:"rpcs"`      // questions of a search
	Timeouts float64 `json:"timeouts"`  // of these without an answer

	StoreRPCs  float64 `json:"store_rpcs"` // questions of a store, the stores included
	Holders    float64 `json:"holders"`    // nodes that keep a value after its store
	P50Millis  float64 `json:"p50_ms"`     // virtual time until the value was found
	P99Millis  float64 `json:"p99_ms"`
	SizeGuess  float64 `json:"size_estimate"`
	Restarts   float64 `json:"restarts"` // beams judged implausible
	Nodes      int     `json:"nodes"`
	Lookups    int     `json:"lookups"`
	Seed       uint64  `json:"seed"`
	Dead       int     `json:"dead"`
	Liars      int     `json:"liars"`
	Found      int     `json:"found"`
	TableMean  float64 `json:"table_contacts"`
	Hostile    int     `json:"hostile_answers"` // answers that an honest node could not send
	EventsHash string  `json:"events_hash"`
}
