package dht

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

func TestConductForgives(t *testing.T) {
	var c conduct
	c.init(Defaults())
	at := time.Unix(1, 0)
	if c.offend("p", 40, "one", at) || c.shuns("p", at) {
		t.Fatal("shunned after one offence")
	}
	at = at.Add(20 * forgiveness)
	if got := c.marks["p"].now(at); got != -20 {
		t.Errorf("score %v after a while, want -20", got)
	}
	at = at.Add(time.Hour)
	if got := c.marks["p"].now(at); got != 0 {
		t.Errorf("score %v after a long time, want 0: nobody is better than good", got)
	}
	if !c.offend("p", 1000, "two", at) || !c.shuns("p", at) {
		t.Fatal("not shunned at the worst score")
	}
	if got := c.marks["p"].now(at); got != worstScore {
		t.Errorf("score %v, want %d: nothing is worse", got, worstScore)
	}
	if c.offend("p", 10, "three", at.Add(time.Second)) {
		t.Error("shunned twice")
	}
	if end := at.Add(c.pause); !c.shuns("p", end.Add(-1)) || c.shuns("p", end) {
		t.Error("shunned for another time than the longest back-off")
	}
	if c.shuns("another", at) {
		t.Error("a peer is shunned for what another did")
	}
}

func TestConductIsBounded(t *testing.T) {
	var c conduct
	c.init(Defaults())
	at := time.Unix(1, 0)
	for i := range 3 * maxOffenders {
		c.offend(peer.ID(fmt.Sprint(i)), 10, "", at)
	}
	if len(c.marks) > maxOffenders {
		t.Errorf("%d scores kept, limit %d", len(c.marks), maxOffenders)
	}
	c.offend("worst", 100, "", at)
	for i := range 3 * maxOffenders {
		c.offend(peer.ID(fmt.Sprint("more", i)), 20, "", at)
	}
	if !c.shuns("worst", at) {
		t.Error("a crowd of small offenders made room for a great one")
	}
	for i := range 2 * maxOffenders { // all shunned
		c.offend(peer.ID(fmt.Sprint("bad", i)), 100, "", at)
	}
	if len(c.marks) > maxOffenders {
		t.Errorf("%d scores kept of shunned peers, limit %d", len(c.marks), maxOffenders)
	}
}
