package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

type command struct {
	Op    string   `json:"op"` // store, get, ping, nearest, beat, beats, stats, quit
	Items []item   `json:"items,omitempty"`
	Peer  string   `json:"peer,omitempty"`
	Addrs []string `json:"addrs,omitempty"` // where the peer to ping is, if the swarm does not know
	Count int      `json:"count,omitempty"` // of nearest nodes
}

type item struct {
	Key        string  `json:"key"`
	Subkey     string  `json:"subkey,omitempty"`
	Value      string  `json:"value,omitempty"`
	Expiration float64 `json:"expiration,omitempty"`
}

type reply struct {
	OK         bool     `json:"ok"`
	Error      string   `json:"error,omitempty"`
	Value      string   `json:"value,omitempty"`
	Expiration float64  `json:"expiration,omitempty"`
	Entries    []item   `json:"entries,omitempty"`
	Accepted   int      `json:"accepted,omitempty"`
	Nodes      []string `json:"nodes,omitempty"`
	Beats      []beat   `json:"beats,omitempty"`
}

// beat is one heartbeat as this node reads it.
type beat struct {
	Peer       string  `json:"peer"`
	State      string  `json:"state"`
	Role       string  `json:"role"`
	Throughput float64 `json:"throughput"`
	Name       string  `json:"name"`
	Version    string  `json:"version"`
	Expiration float64 `json:"expiration"`
}

func failure(err error) reply { return reply{Error: err.Error()} }

// driver performs commands on a node.
type driver struct {
	node   *dht.Node
	host   *p2p.Host
	key    crypto.PrivKey
	marker string
}

func (d *driver) serve(r io.Reader, w io.Writer) error {
	out := json.NewEncoder(w)
	var addrs []string
	for _, a := range d.host.Addrs() {
		addrs = append(addrs, a.String())
	}
	if err := out.Encode(map[string]any{"peer": d.host.ID().String(), "addrs": addrs, "id": d.node.ID().String(), "marker": d.marker}); err != nil {
		return err
	}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var c command
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return err
		}
		if c.Op == "quit" {
			return nil
		}
		if err := out.Encode(d.perform(c)); err != nil {
			return err
		}
	}
	return in.Err()
}

func (d *driver) perform(c command) any {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	switch c.Op {
	case "store":
		return d.store(ctx, c.Items)
	case "get":
		return d.get(ctx, c.Items)
	case "ping":
		return d.ping(ctx, c)
	case "nearest":
		return d.nearest(ctx, c)
	case "beat":
		return d.beat(ctx, c)
	case "beats":
		return d.beats(ctx)
	case "stats":
		return d.node.Stats()
	default:
		return reply{Error: "unknown command " + c.Op}
	}
}

func (d *driver) ping(ctx context.Context, c command) reply {
	p, err := peer.Decode(c.Peer)
	if err != nil {
		return failure(err)
	}
	if len(c.Addrs) > 0 {
		infos, err := p2p.ParsePeers(c.Addrs)
		if err == nil {
			err = d.host.Connect(ctx, infos[0])
		}
		if err != nil {
			return failure(err)
		}
	}
	res, err := d.node.Ping(ctx, p, true)
	if err != nil {
		return failure(err)
	}
	return reply{OK: res.Available, Value: hex.EncodeToString(res.ID[:])}
}

func (d *driver) nearest(ctx context.Context, c command) reply {
	key, err := keyOf(c.Items[0].Key)
	if err != nil {
		return failure(err)
	}
	near, err := d.node.FindNearest(ctx, kad.ID(key), c.Count)
	if err != nil {
		return failure(err)
	}
	r := reply{OK: true}
	for _, n := range near {
		r.Nodes = append(r.Nodes, n.ID.String())
	}
	return r
}

// beat stores a heartbeat of this node until the expiration of the first item.
func (d *driver) beat(ctx context.Context, c command) reply {
	name, err := heartbeat.Name(d.key.GetPublic())
	if err != nil {
		return failure(err)
	}
	value, err := heartbeat.Info{State: heartbeat.Online, Role: heartbeat.RoleValidator, Throughput: 1.5, PublicName: "go", Version: "9"}.Marshal()
	if err != nil {
		return failure(err)
	}
	res, err := d.node.Store(ctx, dht.StoreRequest{
		Key: heartbeat.Key(), Subkey: name, Value: msgpack.Raw(value), Expiration: record.Expiration(c.Items[0].Expiration).Time(),
	})
	if err == nil {
		err = res.Failure()
	}
	if err != nil {
		return failure(err)
	}
	return reply{OK: true, Accepted: res.Accepted}
}

// beats lists the heartbeats of the swarm.
func (d *driver) beats(ctx context.Context) reply {
	v, err := d.node.Get(ctx, heartbeat.Key(), dht.Latest(), dht.NoCache())
	if err != nil {
		return failure(err)
	}
	var all record.Dictionary
	for _, e := range v.Entries {
		all.Entries = append(all.Entries, record.Entry{Subkey: e.Subkey, Value: e.Raw, Expiration: e.Expiration})
	}
	list, skipped := heartbeat.List(all)
	if len(skipped) > 0 {
		return reply{Error: fmt.Sprintf("left out: %v", skipped)}
	}
	r := reply{OK: true}
	for _, s := range list {
		r.Beats = append(r.Beats, beat{
			Peer: s.Peer.String(), State: s.Info.State.String(), Role: s.Info.Role, Throughput: s.Info.Throughput,
			Name: s.Info.PublicName, Version: s.Info.Version, Expiration: float64(s.Expiration),
		})
	}
	return r
}

func keyOf(text string) (record.Key, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return record.Key{}, err
	}
	v, err := msgpack.Unmarshal(raw)
	if err != nil {
		return record.Key{}, err
	}
	return record.KeyOf(v), nil
}

func (d *driver) store(ctx context.Context, items []item) []reply {
	replies := make([]reply, len(items))
	reqs := make([]dht.StoreRequest, len(items))
	for i, it := range items {
		key, err := keyOf(it.Key)
		if err != nil {
			return []reply{failure(err)}
		}
		reqs[i] = dht.StoreRequest{Key: key, Expiration: record.Expiration(it.Expiration).Time()}
		if it.Subkey != "" {
			raw, err := hex.DecodeString(it.Subkey)
			if err != nil {
				return []reply{failure(err)}
			}
			reqs[i].Subkey = msgpack.Raw(raw)
		}
		raw, err := hex.DecodeString(it.Value)
		if err != nil {
			return []reply{failure(err)}
		}
		reqs[i].Value = msgpack.Raw(raw)
	}
	for i, res := range d.node.StoreMany(ctx, reqs) {
		replies[i] = reply{OK: res.OK(), Accepted: res.Accepted}
		if err := res.Failure(); err != nil {
			replies[i].Error = err.Error()
		}
	}
	return replies
}

func (d *driver) get(ctx context.Context, items []item) []reply {
	keys := make([]record.Key, len(items))
	for i, it := range items {
		key, err := keyOf(it.Key)
		if err != nil {
			return []reply{failure(err)}
		}
		keys[i] = key
	}
	replies := make([]reply, len(items))
	for i, res := range d.node.GetMany(ctx, keys, dht.Latest()) {
		if res.Err != nil {
			replies[i] = failure(res.Err)
			continue
		}
		replies[i] = reply{OK: true, Value: hex.EncodeToString(res.Value.Raw), Expiration: float64(res.Value.Expiration)}
		for _, e := range res.Value.Entries {
			replies[i].Entries = append(replies[i].Entries, item{Subkey: hex.EncodeToString(e.Subkey), Value: hex.EncodeToString(e.Raw), Expiration: float64(e.Expiration)})
		}
	}
	return replies
}
