// Package consensus takes part in the rounds of a subnet: once per epoch the chain elects one validator, it proposes scores of
// the nodes, the other validators compare them with their own and attest, and the chain settles at two thirds.
//
// # The two halves
//
// [Machine] is the protocol: a value that is told what happened and answers with what to do. It starts no goroutine, reads no
// clock, does no I/O and counts in integers, so that the same events give the same actions on every machine, always.
// [Engine] is the shell: one goroutine that owns a Machine, follows the heads, reads the chain, asks the [Scorer], writes the
// journal and submits. Everything that can block runs beside it under a deadline and comes back as an event.
//
// # What is promised
//
//   - Never two different things for one epoch: what will be said is fsynced in the [Journal] before it is signed, and a restart
//     reads the journal and the chain before it acts. A retry submits the same thing again, after a look at the chain.
//   - No attestation is missed while the chain answers: the machine looks at every block until the validator is elected and until
//     its proposal is there, late as it may be, and tries again until the epoch has no block left.
//   - Scores belong to a snapshot point, the begin of the epoch ([Round.Began]). The opinion is asked for again at each block
//     until half of the time is over; what differs between the answers is in flux, and either value is accepted of a proposer.
//   - Two nodes that both saw nobody agree, and attest.
//   - A proposal that moves or removes queued nodes is attested only when the Scorer wants the same.
//
// There is no vote against: not to attest is the only way to disagree, see [Outcome.Why] for the reason that people get.
//
// The rules of the chain are those of its pallet network: propose_attestation, attest, settlement.
package consensus
