package dht

import "github.com/hypertensor-blockchain/mesh/record"

// rules returns the validators in force.
func (n *Node) rules() record.Chain { return *n.validators.Load() }

// AddValidators adds rules to those of Config.Validators while the node runs. They hold for every record that this node signs, is sent or
// reads from now on. What it stored before stays; readers, which validate what they are answered, judge it by their own rules.
func (n *Node) AddValidators(v ...record.Validator) {
	for {
		old := n.validators.Load()
		next := old.With(v...)
		if n.validators.CompareAndSwap(old, &next) {
			return
		}
	}
}
