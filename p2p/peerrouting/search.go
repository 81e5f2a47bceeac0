package peerrouting

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// search is one bounded walk towards a target. It belongs to the goroutine that runs it.
type search struct {
	r       *Router
	target  peer.ID
	queue   []peer.AddrInfo // nearest first
	seen    map[peer.ID]struct{}
	asked   int
	dialled int
}

func newSearch(r *Router, target peer.ID) *search {
	s := &search{r: r, target: target, seen: map[peer.ID]struct{}{r.h.ID(): {}, target: {}}}
	for _, p := range r.h.Network().Peers() {
		if p != target && r.speaks(p) {
			s.seen[p] = struct{}{}
			s.queue = append(s.queue, peer.AddrInfo{ID: p})
		}
	}
	sortByDistance(s.queue, target)
	return s
}

// run asks a few peers at a time and returns the first addresses told for the target.
func (s *search) run(ctx context.Context) []multiaddr.Multiaddr {
	ctx, cancel := context.WithCancel(ctx)
	answers := make(chan []peer.AddrInfo, parallel)
	running := 0
	defer func() { // the questions that still run end with ctx
		cancel()
		for ; running > 0; running-- {
			<-answers
		}
	}()
	for {
		for running < parallel {
			p, ok := s.next()
			if !ok {
				break
			}
			running++
			go func() { answers <- s.r.ask(ctx, p, s.target) }()
		}
		if running == 0 {
			return nil
		}
		infos := <-answers
		running--
		if addrs := s.take(infos); len(addrs) > 0 {
			return addrs
		}
	}
}

// next picks the nearest peer that may be asked.
func (s *search) next() (peer.AddrInfo, bool) {
	for len(s.queue) > 0 && s.asked < maxAsked {
		p := s.queue[0]
		s.queue = s.queue[1:]
		if len(p.Addrs) > 0 { // not connected: somebody told about it
			if s.dialled == maxDialled {
				continue
			}
			s.dialled++
		}
		s.asked++
		return p, true
	}
	return peer.AddrInfo{}, false
}

// take reads an answer: the target's addresses, or peers to ask next.
func (s *search) take(infos []peer.AddrInfo) []multiaddr.Multiaddr {
	for _, info := range infos {
		if len(info.Addrs) == 0 {
			continue
		}
		if info.ID == s.target {
			return info.Addrs
		}
		if _, seen := s.seen[info.ID]; !seen {
			s.seen[info.ID] = struct{}{}
			s.queue = append(s.queue, info)
		}
	}
	sortByDistance(s.queue, s.target)
	return nil
}

// ask puts one question; a failure is an empty answer.
func (r *Router) ask(ctx context.Context, p peer.AddrInfo, target peer.ID) (infos []peer.AddrInfo) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("peerrouting: panic while asking", "value", v)
			infos = nil
		}
	}()
	ctx, cancel := context.WithTimeout(network.WithAllowLimitedConn(ctx, "peerrouting"), askTimeout)
	defer cancel()
	infos, err := r.query(ctx, p, target)
	if err != nil {
		r.log.Debug("peerrouting: no answer", "peer", p.ID, "err", err)
	}
	return infos
}

func (r *Router) query(ctx context.Context, p peer.AddrInfo, target peer.ID) (infos []peer.AddrInfo, err error) {
	if len(p.Addrs) > 0 {
		if err := r.h.Connect(ctx, p); err != nil {
			return nil, err
		}
	}
	s, err := r.h.NewStream(ctx, p.ID, r.protocols...)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { r.reset(s) })
	defer func() {
		if stop(); err != nil {
			r.reset(s)
			return
		}
		err = s.Close()
	}()
	if _, err := s.Write(appendFrame(nil, &message{kind: typeFindNode, key: []byte(target)})); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	body, err := readFrame(bufio.NewReaderSize(s, 4096), maxAnswer)
	if err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	m, err := decode(body)
	if err != nil {
		return nil, err
	}
	return m.closest, nil
}
