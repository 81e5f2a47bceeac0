package dht

import "github.com/prometheus/client_golang/prometheus"

// metric is one line of the metrics page: where in Stats its value is.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	value      func(*Stats) float64
}

// Collector exposes the node's Stats to Prometheus, under names that begin with mesh_dht_.
func (n *Node) Collector() prometheus.Collector {
	c := &collector{node: n, metrics: metrics()}
	for _, m := range c.metrics {
		c.descs = append(c.descs, prometheus.NewDesc("mesh_dht_"+m.name, m.help, nil, nil))
	}
	return c
}

type collector struct {
	node    *Node
	metrics []metric
	descs   []*prometheus.Desc // parallel to metrics
}

// Describe sends the descriptions of all metrics.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect sends the present values.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.node.Stats()
	for i, m := range c.metrics {
		ch <- prometheus.MustNewConstMetric(c.descs[i], m.kind, m.value(&s))
	}
}

func metrics() []metric {
	gauge := func(name, help string, v func(*Stats) float64) metric {
		return metric{name, help, prometheus.GaugeValue, v}
	}
	counter := func(name, help string, v func(*Stats) uint64) metric {
		return metric{name + "_total", help, prometheus.CounterValue, func(s *Stats) float64 { return float64(v(s)) }}
	}
	return []metric{
		gauge("peers", "Live contacts of the routing table.", func(s *Stats) float64 { return float64(s.Peers) }),
		gauge("peers_spare", "Contacts that wait for a place.", func(s *Stats) float64 { return float64(s.SparePeers) }),
		gauge("peers_banned", "Peers left out of searches for a while.", func(s *Stats) float64 { return float64(s.Banned) }),
		gauge("peers_offending", "Peers that sent lately what no honest node sends.", func(s *Stats) float64 { return float64(s.Offenders) }),
		gauge("peers_shunned", "Peers refused for it.", func(s *Stats) float64 { return float64(s.Shunned) }),
		gauge("buckets", "Buckets of the routing table.", func(s *Stats) float64 { return float64(s.Buckets) }),
		gauge("network_size", "Estimated number of nodes.", func(s *Stats) float64 { return s.NetworkSize }),
		gauge("clock_offset_seconds", "Median by which other clocks are ahead.", func(s *Stats) float64 { return s.ClockOffset.Seconds() }),
		gauge("records", "Records kept for the swarm.", func(s *Stats) float64 { return float64(s.Records) }),
		gauge("records_bytes", "Memory they take.", func(s *Stats) float64 { return float64(s.StorageBytes) }),
		gauge("cached_records", "Copies of other nodes' records.", func(s *Stats) float64 { return float64(s.CachedRecords) }),
		gauge("cached_bytes", "Memory they take.", func(s *Stats) float64 { return float64(s.CacheBytes) }),
		gauge("searches", "Searches under way.", func(s *Stats) float64 { return float64(s.Searches) }),
		counter("pings_sent", "Pings sent.", func(s *Stats) uint64 { return s.PingsSent }),
		counter("pings_failed", "Pings without answer.", func(s *Stats) uint64 { return s.PingsFailed }),
		counter("finds_sent", "Find requests sent.", func(s *Stats) uint64 { return s.FindsSent }),
		counter("finds_failed", "Find requests without usable answer.", func(s *Stats) uint64 { return s.FindsFailed }),
		counter("stores_sent", "Store requests sent.", func(s *Stats) uint64 { return s.StoresSent }),
		counter("stores_failed", "Store requests without answer.", func(s *Stats) uint64 { return s.StoresFailed }),
		counter("lookups", "Keys searched for.", func(s *Stats) uint64 { return s.Lookups }),
		counter("lookups_unconverged", "Searches of a get that ran out of nodes to ask.", func(s *Stats) uint64 { return s.LookupsUnconverged }),
		counter("gets", "Keys asked for by the application.", func(s *Stats) uint64 { return s.Gets }),
		counter("gets_found", "Of these, those with a value.", func(s *Stats) uint64 { return s.GetsFound }),
		counter("gets_local", "Gets answered from the own records.", func(s *Stats) uint64 { return s.GetsLocal }),
		counter("gets_cached", "Gets answered from the cache.", func(s *Stats) uint64 { return s.GetsCached }),
		counter("gets_shared", "Gets that joined a search under way.", func(s *Stats) uint64 { return s.GetsShared }),
		counter("replicas_accepted", "Answers of replicas that hold the record.", func(s *Stats) uint64 { return s.ReplicasAccepted }),
		counter("replicas_refused", "Answers of replicas that refused it.", func(s *Stats) uint64 { return s.ReplicasRefused }),
		counter("replicas_unreachable", "Replicas that did not answer.", func(s *Stats) uint64 { return s.ReplicasUnreachable }),
		counter("cache_pushes", "Copies sent to nearest nodes.", func(s *Stats) uint64 { return s.CachePushes }),
		counter("cache_refreshes", "Cached keys fetched anew.", func(s *Stats) uint64 { return s.CacheRefreshes }),
		counter("handed_over", "Records handed to newcomers and on leaving.", func(s *Stats) uint64 { return s.HandedOver }),
		counter("republished", "Records sent to their holders again.", func(s *Stats) uint64 { return s.Republished }),
		counter("answers_invalid", "Records in answers that validators refused.", func(s *Stats) uint64 { return s.AnswersInvalid }),
		counter("answers_hostile", "Messages that no honest node sends.", func(s *Stats) uint64 { return s.AnswersHostile }),
		counter("pages_read", "Further pages of large dictionaries fetched.", func(s *Stats) uint64 { return s.PagesRead }),
		counter("pings_served", "Pings answered.", func(s *Stats) uint64 { return s.PingsServed }),
		counter("finds_served", "Find requests answered.", func(s *Stats) uint64 { return s.FindsServed }),
		counter("stores_served", "Store requests answered.", func(s *Stats) uint64 { return s.StoresServed }),
		counter("requests_malformed", "Requests that could not be decoded.", func(s *Stats) uint64 { return s.MalformedRequests }),
		counter("requests_shunned", "Requests of shunned peers, refused.", func(s *Stats) uint64 { return s.ShunnedRequests }),
		counter("answers_truncated", "Answers that had no room for all of a dictionary.", func(s *Stats) uint64 { return s.Truncated }),
		counter("records_stored", "Records accepted from others and ourselves.", func(s *Stats) uint64 { return s.RecordsStored }),
		counter("records_refused", "Records refused by a validator or for want of room.", func(s *Stats) uint64 { return s.RecordsRefused }),
		counter("records_stale", "Records of which the same or a newer version was held.", func(s *Stats) uint64 { return s.RecordsStale }),
		counter("peers_added", "Peers that entered the table.", func(s *Stats) uint64 { return s.PeersAdded }),
		counter("peers_removed", "Peers that left it.", func(s *Stats) uint64 { return s.PeersRemoved }),
		counter("peers_refused", "Peers that it did not take.", func(s *Stats) uint64 { return s.PeersRefused }),
		counter("checks_dropped", "Pings of new contacts dropped for want of room.", func(s *Stats) uint64 { return s.VerifyDropped }),
		counter("bans", "Times that a peer was put into back-off.", func(s *Stats) uint64 { return s.Bans }),
		counter("bootstraps_failed", "Attempts to join that nobody answered.", func(s *Stats) uint64 { return s.BootstrapsFailed }),
		counter("keys_crowded", "Stores at keys near which nodes lie suspiciously dense.", func(s *Stats) uint64 { return s.Crowded }),
		counter("doubts", "Looks of searches that were followed by a wider one.", func(s *Stats) uint64 { return s.Doubts }),
		counter("events_dropped", "Events that a subscriber was too slow for.", func(s *Stats) uint64 { return s.EventsDropped }),
		counter("panics", "Handlers that failed by a fault of ours.", func(s *Stats) uint64 { return s.Panics }),
	}
}
