// Package sim is a virtual network for the distributed hash table: thousands of nodes in
// one goroutine and in virtual time, churn and adversaries included, repeatable from a
// seed.
//
// The nodes are the production code, [kad.Table] and [kad.Lookup]; only the wire is
// simulated: a question takes a random latency, a dead or silent node costs a time-out,
// a liar answers what its model says. So what is measured here (hops, questions, success
// under attack) is what the same code does in a swarm, without encryption and scheduling.
//
// [RunDHT] is the static experiment: tables are stabilised, values are stored, some nodes
// die at once, values are searched for; nothing is repaired meanwhile. [RunChurn] is the
// dynamic one: nodes come and go, tables are kept up by their own schedule, the swarm may
// be split for a while and heal.
//
// The same configuration gives the same report, down to the hash over all events, on every
// machine. Nothing here reads the clock or starts a goroutine; a run blocks its caller
// until it ends or its context does.
//
//	report, err := sim.RunDHT(ctx, sim.Config{Nodes: 10_000, Lookups: 500, Seed: 1, Forging: 0.2, Paths: 8})
package sim
