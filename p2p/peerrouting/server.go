package peerrouting

import (
	"bufio"
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// serve answers the requests of one stream until the peer ends it.
func (r *Router) serve(s network.Stream) {
	if !r.enter(s) {
		r.reset(s)
		return
	}
	defer r.leave(s)
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("peerrouting: panic while serving", "value", v)
			r.reset(s)
		}
	}()
	if err := r.answerAll(s); err != nil {
		r.log.Debug("peerrouting: stream refused", "peer", s.Conn().RemotePeer(), "err", err)
		r.reset(s)
		return
	}
	if err := s.Close(); err != nil {
		r.log.Debug("peerrouting: close", "err", err)
	}
}

func (r *Router) answerAll(s network.Stream) error {
	in := bufio.NewReaderSize(s, 512)
	for {
		if err := s.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
			return err
		}
		body, err := readFrame(in, maxRequest)
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		req, err := decode(body)
		if err != nil {
			return err
		}
		answer, err := r.answer(s.Conn().RemotePeer(), &req)
		if err != nil {
			return err
		}
		if err := s.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if _, err := s.Write(appendFrame(nil, answer)); err != nil {
			return err
		}
	}
}

func (r *Router) answer(from peer.ID, req *message) (*message, error) {
	switch req.kind {
	case typePing:
		return &message{kind: typePing}, nil
	case typeFindNode:
		target, err := peer.IDFromBytes(req.key)
		if err != nil { // old nodes search for arbitrary bytes to refresh their tables
			target = peer.ID(req.key)
		}
		return &message{kind: typeFindNode, key: req.key, closest: r.nearest(target, from)}, nil
	}
	return nil, ErrMalformed
}

// nearest returns the target itself, if its addresses are known, and the connected peers nearest to it.
func (r *Router) nearest(target, from peer.ID) []peer.AddrInfo {
	var infos []peer.AddrInfo
	for _, p := range r.h.Network().Peers() {
		if p == from || p == target {
			continue
		}
		if addrs := r.h.Peerstore().Addrs(p); len(addrs) > 0 {
			infos = append(infos, peer.AddrInfo{ID: p, Addrs: addrs})
		}
	}
	sortByDistance(infos, target)
	infos = infos[:min(len(infos), closest)]
	switch {
	case target == r.h.ID():
		infos = append([]peer.AddrInfo{{ID: target, Addrs: r.h.Addrs()}}, infos...)
	case target != from && target.Validate() == nil:
		if addrs := r.h.Peerstore().Addrs(target); len(addrs) > 0 {
			infos = append([]peer.AddrInfo{{ID: target, Addrs: addrs}}, infos...)
		}
	}
	return infos
}
