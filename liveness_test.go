package mesh

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/record"
)

// TestLiveness tells the story of one peer as one observer sees it, and asks about a moment afterwards.
func TestLiveness(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	type look struct {
		at      float64
		state   heartbeat.State
		expires float64
		absent  bool
	}
	const margin = 2 * time.Second
	for name, c := range map[string]struct {
		looks       []look
		ask         float64
		alive, flux bool
	}{
		"never seen":            {nil, 100, false, false},
		"there before us":       {[]look{{0, heartbeat.Online, 200, false}}, 100, true, false},
		"came long ago":         {[]look{{0, 0, 0, true}, {50, heartbeat.Online, 200, false}}, 100, true, false},
		"came just before":      {[]look{{0, 0, 0, true}, {99, heartbeat.Online, 200, false}}, 100, true, true},
		"came just after":       {[]look{{0, 0, 0, true}, {101, heartbeat.Online, 200, false}}, 100, false, true},
		"came long after":       {[]look{{0, 0, 0, true}, {110, heartbeat.Online, 200, false}}, 100, false, false},
		"only joining":          {[]look{{0, 0, 0, true}, {50, heartbeat.Joining, 200, false}}, 100, false, false},
		"joining, then online":  {[]look{{0, 0, 0, true}, {50, heartbeat.Joining, 200, false}, {60, heartbeat.Online, 201, false}}, 100, true, false},
		"left before":           {[]look{{0, heartbeat.Online, 150, false}, {90, heartbeat.Offline, 190, false}}, 100, false, false},
		"left just before":      {[]look{{0, heartbeat.Online, 150, false}, {99, heartbeat.Offline, 199, false}}, 100, false, true},
		"left just after":       {[]look{{0, heartbeat.Online, 150, false}, {101, heartbeat.Offline, 199, false}}, 100, true, true},
		"left long after":       {[]look{{0, heartbeat.Online, 150, false}, {120, heartbeat.Offline, 199, false}}, 100, true, false},
		"died long before":      {[]look{{0, heartbeat.Online, 50, false}}, 100, false, false},
		"expires just before":   {[]look{{0, heartbeat.Online, 99, false}}, 100, false, true},
		"expires just after":    {[]look{{0, heartbeat.Online, 101, false}}, 100, true, true},
		"an older copy":         {[]look{{0, heartbeat.Online, 150, false}, {10, heartbeat.Offline, 140, false}}, 100, true, false},
		"back after its death":  {[]look{{0, heartbeat.Online, 50, false}, {70, heartbeat.Online, 200, false}}, 100, true, false},
		"back just before":      {[]look{{0, heartbeat.Online, 50, false}, {99, heartbeat.Online, 200, false}}, 100, true, true},
		"renewed while we look": {[]look{{0, heartbeat.Online, 99, false}, {98, heartbeat.Online, 140, false}, {103, heartbeat.Online, 144, false}}, 100, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			var l liveness
			id := peer.ID("somebody")
			for _, k := range c.looks {
				var s []heartbeat.Sighting
				if !k.absent {
					s = append(s, heartbeat.Sighting{Peer: id, Info: heartbeat.Info{State: k.state}, Expiration: record.ExpirationAt(at(k.expires))})
				}
				l.observe(at(k.at), s)
			}
			alive, flux := l.at(id, at(c.ask), margin)
			if alive != c.alive || flux != c.flux {
				t.Errorf("alive %v flux %v, want %v %v", alive, flux, c.alive, c.flux)
			}
			o := l.opinion([]Peer{{Node: chain.Node{ID: 3}, PeerID: id}}, at(c.ask), margin)
			if (len(o.Scores) == 1) != alive || (len(o.InFlux) == 1) != flux {
				t.Errorf("opinion %+v", o)
			}
		})
	}
}

func TestLivenessForgets(t *testing.T) {
	var l liveness
	start := time.Unix(1_700_000_000, 0)
	l.observe(start, []heartbeat.Sighting{{Peer: "a", Info: heartbeat.Info{State: heartbeat.Online}, Expiration: record.ExpirationAt(start.Add(time.Minute))}})
	if got := l.online(start); len(got) != 1 {
		t.Errorf("online %v", got)
	}
	l.observe(start.Add(keepDead+2*time.Minute), nil)
	if len(l.seen) != 0 {
		t.Error("dead peers are kept for ever")
	}
}
