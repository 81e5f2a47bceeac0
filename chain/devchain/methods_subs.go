package devchain

import (
	"encoding/json"

	"github.com/hypertensor-blockchain/mesh/chain"
)

const feedBuffer = 1024 // blocks that a subscription may be behind; a finalized run arrives at once

func unsubscribe(c *call) (any, error) {
	id, err := arg[json.RawMessage](c, 0, "subscription")
	if err != nil {
		return nil, err
	}
	var text string
	if json.Unmarshal(id, &text) != nil {
		text = string(id)
	}
	return c.conn != nil && c.conn.unsubscribe(text), nil
}

// follow subscribes and runs each for every event, first once for the state of
// things at the beginning. A client that is too slow loses its connection.
func (s *Server) follow(c *call, name string, first func(k *sink, head, final *Block) bool, each func(k *sink, e Event) bool) (any, error) {
	sub, now, err := s.chain.subscribe(feedBuffer)
	if err != nil {
		return nil, err
	}
	return c.subscribe(name, func(k *sink) {
		if !first(k, now[0], now[1]) {
			return
		}
		for {
			select {
			case <-k.ctx.Done():
				return
			case e, ok := <-sub.Events():
				if !ok {
					if sub.Err() != nil {
						k.conn.cancel()
					}
					return
				}
				if s.faults.stale(e.Block.Number()) {
					continue
				}
				if !each(k, e) {
					return
				}
			}
		}
	}, sub.Close)
}

func (s *Server) subscribeHeads(name string, kind EventKind) method {
	return func(c *call) (any, error) {
		return s.follow(c, name, func(k *sink, head, final *Block) bool {
			if kind == EventFinalized {
				head = final
			}
			return k.send(headerOf(head.Header))
		}, func(k *sink, e Event) bool {
			return e.Kind != kind || k.send(headerOf(e.Block.Header))
		})
	}
}

func (s *Server) subscribeRuntimeVersion(c *call) (any, error) {
	version := func() string { return string(mustJSON(versionOf(s.chain.Engine().Version()))) }
	last := version()
	return s.follow(c, "state_runtimeVersion", func(k *sink, _, _ *Block) bool {
		return k.send(json.RawMessage(last))
	}, func(k *sink, e Event) bool {
		if e.Kind != EventBest {
			return true
		}
		if v := version(); v != last {
			last = v
			return k.send(json.RawMessage(v))
		}
		return true
	})
}

// subscribeStorage follows some keys, or all when there are none given.
func (s *Server) subscribeStorage(c *call) (any, error) {
	keys, some, err := optArg[[]hexBytes](c, 0, "keys")
	if err != nil {
		return nil, err
	}
	if len(keys) > maxQueryKeys {
		return nil, countError(len(keys), maxQueryKeys)
	}
	wanted := make(map[string]bool, len(keys))
	for _, k := range keys {
		wanted[string(k)] = true
	}
	return s.follow(c, "state_storage", func(k *sink, head, _ *Block) bool {
		return !some || k.send(valuesAt(newOverlay(head.state), keys, head.Hash))
	}, func(k *sink, e Event) bool {
		if e.Kind != EventBest {
			return true
		}
		set := changeSet{Block: e.Block.Hash}
		for _, ch := range e.Changes {
			if !some || wanted[string(ch.Key)] {
				set.Changes = append(set.Changes, change{ch.Key, ch.Value})
			}
		}
		return len(set.Changes) == 0 || k.send(set)
	})
}

func (s *Server) submitAndWatch(c *call) (any, error) {
	xt, err := arg[hexBytes](c, 0, "extrinsic")
	if err != nil {
		return nil, err
	}
	if err := s.faults.refuse(); err != nil {
		return nil, err
	}
	if c.conn == nil {
		return nil, &RPCError{Code: codeInternal, Message: "Internal error", Data: "subscriptions need a WebSocket"}
	}
	_, w, err := s.chain.SubmitAndWatch(xt)
	if err != nil {
		return nil, err
	}
	return c.subscribe("author_extrinsicUpdate", func(k *sink) {
		for {
			select {
			case <-k.ctx.Done():
				return
			case n, ok := <-w.ch:
				if !ok || !k.send(statusJSON(n)) {
					return
				}
			}
		}
	}, w.Close)
}

func statusJSON(n txStatus) any {
	block := func(name string) any { return map[string]chain.Hash{name: n.hash} }
	switch n.kind {
	case statusFuture:
		return "future"
	case statusReady:
		return "ready"
	case statusBroadcast:
		return map[string][]string{"broadcast": {}}
	case statusInBlock:
		return block("inBlock")
	case statusRetracted:
		return block("retracted")
	case statusFinalized:
		return block("finalized")
	case statusUsurped:
		return block("usurped")
	case statusDropped:
		return "dropped"
	case statusInvalid:
		return "invalid"
	}
	return nil
}
