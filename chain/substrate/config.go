package substrate

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Config configures a Client. The zero value of each field but Endpoints stands for its default.
type Config struct {
	// Endpoints are WebSocket URLs ("ws://127.0.0.1:9944"; http and https are read as ws and wss) of nodes of one chain. At
	// least one; the healthiest is used.
	Endpoints []string

	// Genesis pins the chain. Zero pins what the first endpoint serves.
	Genesis chain.Hash

	// CallTimeout bounds one request when the caller's context does not end earlier, waiting for a reconnect included.
	// Default 15 s. Too short fails under load, too long makes a hanging node noticed late.
	CallTimeout time.Duration

	// MaxMessage bounds one message of the node in bytes. Default 16 MiB: metadata is some 0.4 MiB of hex, a page of
	// storage less.
	MaxMessage int64

	// PingInterval is how often an idle connection is probed. Default 15 s. A node that does not answer a probe within half
	// of it is left.
	PingInterval time.Duration

	// MinBackoff and MaxBackoff bound the wait before an endpoint that failed is tried again; it doubles each time and is
	// varied by half. Defaults 200 ms and 20 s.
	MinBackoff, MaxBackoff time.Duration

	// StallAfter is how long an endpoint may bring no new head before another one is tried; only with several endpoints.
	// Default 1 min, ten blocks of the public chain.
	StallAfter time.Duration

	// Era is how many blocks a signed transaction stays valid. A power of two from 4 to 128; default 64.
	Era uint32

	// SubmitTimeout bounds the tracking of one submission when the caller's context does not end earlier. Default 15 min,
	// above the 64 blocks of 6 s that a transaction lives.
	SubmitTimeout time.Duration

	// Journal keeps transactions between signing and inclusion, so that a crash in between does not lead to a second
	// submission. Nil keeps none.
	Journal Journal

	// Logger receives lost connections, refused endpoints and upgrades. Nil discards.
	Logger *slog.Logger
}

// Validate reports what is wrong with the configuration.
func (c Config) Validate() error {
	_, err := c.complete()
	return err
}

// complete returns the configuration with defaults filled in.
func (c Config) complete() (Config, error) {
	var errs []error
	if len(c.Endpoints) == 0 {
		errs = append(errs, errors.New("no endpoint"))
	}
	endpoints := make([]string, len(c.Endpoints))
	for i, e := range c.Endpoints {
		u, err := url.Parse(e)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("endpoint %.100q: %w", e, err))
			continue
		case u.Scheme == "http":
			u.Scheme = "ws"
		case u.Scheme == "https":
			u.Scheme = "wss"
		}
		if u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
			errs = append(errs, fmt.Errorf("endpoint %.100q: want ws://host:port or wss://host", e))
		}
		endpoints[i] = u.String()
	}
	c.Endpoints = endpoints
	setDefault(&c.CallTimeout, 15*time.Second)
	setDefault(&c.MaxMessage, 16<<20)
	setDefault(&c.PingInterval, 15*time.Second)
	setDefault(&c.MinBackoff, 200*time.Millisecond)
	setDefault(&c.MaxBackoff, 20*time.Second)
	setDefault(&c.StallAfter, time.Minute)
	setDefault(&c.Era, 64)
	setDefault(&c.SubmitTimeout, 15*time.Minute)
	if c.CallTimeout < 0 || c.MaxMessage < 1<<16 || c.PingInterval < 0 || c.MinBackoff < 0 || c.MaxBackoff < c.MinBackoff || c.StallAfter < 0 || c.SubmitTimeout < 0 {
		errs = append(errs, errors.New("negative or contradictory time or size"))
	}
	if c.Era < 4 || c.Era > 128 || c.Era&(c.Era-1) != 0 {
		errs = append(errs, fmt.Errorf("era of %d blocks; want a power of two from 4 to 128", c.Era))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if len(errs) > 0 {
		return c, fmt.Errorf("substrate: config: %w", errors.Join(errs...))
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
