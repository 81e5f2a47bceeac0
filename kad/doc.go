// Package kad is the pure core of the distributed hash table: the 160-bit identifier
// space with its XOR metric, the routing table and the iterative lookup.
//
// Nothing here starts a goroutine, reads a clock, does I/O, holds a context or logs.
// Every type is a value machine: its methods take an input and the time, and return what
// to do next. One owner (package dht, or the simulator in sim) drives it; no type is safe
// for concurrent use, except where a method says that it only reads.
//
// The parts:
//
//   - [ID] and [Contact]: a point of the space and a peer at that point. The ID of a
//     native node is bound to its peer identity ([IDFromPeer]); a free ID, chosen by
//     its owner as the Python mesh does, is accepted only when the configuration says
//     so and never displaces a bound one.
//   - [Table]: k-buckets with the split rule of the original (depth modulo), bounded
//     replacement lists, limits per IP group, a revalidation schedule, snapshots.
//     Hearsay never changes a live entry: only a peer that answered our own question
//     is returned by [Table.Nearest].
//   - [Lookup]: a step machine for many targets at once, with disjoint paths, early
//     finish, bounded answers, doubt about implausible ones, and stop reasons.
//   - [Defence]: how widely an operation searches: one path, and where that gives a reason
//     for doubt disjoint paths, and at last the whole region of the key; [Places] is where a
//     store then goes.
//   - [Region], [SizeEstimator] and [RTT]: how large the swarm is, which part of the
//     space a key's replicas occupy, and how long to wait for an answer.
//
// A shell drives a lookup like this:
//
//	l := kad.NewLookup(cfg, seeds)
//	for !l.Done() {
//		for _, ask := range l.Next(now()) {
//			go call(ask) // sends the outcome to a channel
//		}
//		if l.InFlight() == 0 {
//			break // nobody was left to ask
//		}
//		if out := <-outcomes; out.err != nil { // or a timer at l.Wake()
//			l.Failed(now(), out.ask, kad.FailTimeout)
//		} else {
//			l.Answer(now(), out.ask, out.nearest) // after l.Stop if it brought what was sought
//		}
//	}
package kad
