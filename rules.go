package mesh

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/record"
)

// RecordRules is an App that keeps records of its own in the DHT, or is stricter than the network about the network's. Without it only
// the network's keys are accepted: heartbeat, commit_epoch_N and reveal_epoch_N.
//
// Rules hold on every node that keeps the records, so all nodes of a subnet must have the same, bootnodes too: run those with the App's
// own binary.
type RecordRules interface {
	// AllowKey admits further keys, for which the network then has no rules but sizes and signatures: anybody in the swarm may write
	// them, as far as Validators does not object; see [Node.MembersOnly]. It must answer from memory.
	AllowKey(k record.Key) bool
	// Validators returns further rules, for any key. It is called once, before Start, and on a bootnode without Start. n may be kept:
	// when a rule judges a record, Members, Epoch and PeerID can be asked.
	Validators(n *Node) ([]record.Validator, error)
}

// PhaseRules is an App that changes what the network says about commits and reveals, by default: commits of any form in the first half of
// an epoch, reveals up to 60 % of it. As with RecordRules, all nodes of a subnet must have the same.
type PhaseRules interface {
	// PhaseRules is called once, before Start. The zero value of a field is the network's rule. With a Binding, commits and reveals have
	// the form of [record.Commit] and [record.RevealValue], and a node refuses a reveal that belies its commit as far as it knows
	// that one; a Binding without Lookup looks among the records that this node keeps or has cached. Allow is used unless the App is
	// RecordRules too.
	PhaseRules() record.PhasesConfig
}

// validators are the rules for records in this subnet.
func (n *Node) validators() (record.Chain, error) {
	var cfg record.PhasesConfig
	if app, ok := n.rules.(PhaseRules); ok {
		cfg = app.PhaseRules()
	}
	if err := cfg.Validate(); err != nil {
		return record.Chain{}, fmt.Errorf("mesh: the App's rules for phases: %w", err)
	}
	if cfg.Heartbeat == nil {
		cfg.Heartbeat = heartbeat.Check
	}
	if cfg.Binding != nil && cfg.Binding.Lookup == nil {
		cfg.Binding = &record.Binding{Lookup: n.commitHere, Require: cfg.Binding.Require}
	}
	var more []record.Validator
	if app, ok := n.rules.(RecordRules); ok {
		cfg.Allow = app.AllowKey
		var err error
		if more, err = app.Validators(n); err != nil {
			return record.Chain{}, fmt.Errorf("mesh: the App's rules for records: %w", err)
		}
	}
	all := append([]record.Validator{
		record.NewBounds(record.BoundsConfig{}),
		record.NewSignature(n.cfg.Key, record.SignatureConfig{Python: n.cfg.Python}),
		record.NewPhases(cfg),
		record.NewPredicate("member", n.byMember(cfg.Allow)),
	}, more...)
	return record.NewChain(all...), nil
}

// byMember refuses to keep records of the network's own keys whose owner is no member: keys are free, so one member that signs with
// many could fill the heartbeats' place and leave none for the others. Keys that the App admits are the App's business.
func (n *Node) byMember(allow func(record.Key) bool) record.Check {
	return func(r record.Record, q record.Request) error {
		if q.Kind != record.Post || allow != nil && allow(r.Key) {
			return nil
		}
		owner, err := q.Owner(r)
		if err != nil {
			return err
		}
		if owner == nil {
			return errors.New("the subkey names no owner")
		}
		if owner.Peer == n.id {
			return nil
		}
		if d := n.members.Load().Admit(owner.Peer); !d.OK {
			return fmt.Errorf("the owner is %s", d.Reason)
		}
		return nil
	}
}

// MembersOnly is a rule for keys that [RecordRules] admits: their records must name an owner, as [Node.OwnSubkey] does, and it must be a
// member of the subnet. The network's own keys have that rule anyhow.
func (n *Node) MembersOnly(keys ...record.Key) record.Validator {
	return record.NewPredicate("member", n.byMember(func(k record.Key) bool { return !slices.Contains(keys, k) }))
}
