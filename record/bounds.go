package record

import "time"

// BoundsConfig limits what a record may be. The zero value of a field is its default.
type BoundsConfig struct {
	MaxSubkey  int           // bytes of the packed subkey; default 2 KiB: an owner marker with RSA takes 450
	MaxValue   int           // bytes of the value with its signature; default 64 KiB
	MaxHorizon time.Duration // how far ahead a record may expire; default 24 h
	Clock      time.Duration // tolerated difference between clocks, added to MaxHorizon; default 3 s
}

const (
	defaultMaxSubkey  = 2 << 10
	defaultMaxValue   = 64 << 10
	defaultMaxHorizon = 24 * time.Hour
	defaultClock      = 3 * time.Second // what the Python mesh tolerates between peers
)

func (c BoundsConfig) withDefaults() BoundsConfig {
	if c.MaxSubkey <= 0 {
		c.MaxSubkey = defaultMaxSubkey
	}
	if c.MaxValue <= 0 {
		c.MaxValue = defaultMaxValue
	}
	if c.MaxHorizon <= 0 {
		c.MaxHorizon = defaultMaxHorizon
	}
	if c.Clock <= 0 {
		c.Clock = defaultClock
	}
	return c
}

// Bounds refuses records that are too large, expired, or expire too far ahead. It runs first, since it costs
// next to nothing.
type Bounds struct {
	config BoundsConfig
}

// NewBounds returns a Bounds.
func NewBounds(config BoundsConfig) *Bounds { return &Bounds{config: config.withDefaults()} }

// Config returns the limits in force.
func (b *Bounds) Config() BoundsConfig { return b.config }

// Priority returns PriorityBounds.
func (b *Bounds) Priority() int { return PriorityBounds }

// Sign refuses records that every node with these limits would refuse for their size.
func (b *Bounds) Sign(r Record) ([]byte, error) { return r.Value, b.size(r) }

// Strip returns the value unchanged.
func (b *Bounds) Strip(r Record) []byte { return r.Value }

// Validate checks sizes and expiration.
func (b *Bounds) Validate(r Record, q Request) error {
	if err := b.size(r); err != nil {
		return err
	}
	if r.Expiration.Expired(q.Now) {
		return fault(SideSender, CodeExpired, "expired at %s", r.Expiration.Time().UTC())
	}
	if r.Expiration > expirationAfter(q.Now, b.config.MaxHorizon+b.config.Clock) {
		return fault(SideSender, CodeHorizon, "expires at %v, more than %s ahead", float64(r.Expiration), b.config.MaxHorizon)
	}
	return nil
}

func (b *Bounds) size(r Record) error {
	if len(r.Subkey) > b.config.MaxSubkey {
		return fault(SideSender, CodeTooLarge, "subkey of %d bytes, limit %d", len(r.Subkey), b.config.MaxSubkey)
	}
	if len(r.Value) > b.config.MaxValue {
		return fault(SideSender, CodeTooLarge, "value of %d bytes, limit %d", len(r.Value), b.config.MaxValue)
	}
	return nil
}

// Merge returns the tighter of both limits each.
func (b *Bounds) Merge(other Validator) (Validator, bool) {
	o, ok := other.(*Bounds)
	if !ok {
		return nil, false
	}
	return &Bounds{config: BoundsConfig{
		MaxSubkey:  min(b.config.MaxSubkey, o.config.MaxSubkey),
		MaxValue:   min(b.config.MaxValue, o.config.MaxValue),
		MaxHorizon: min(b.config.MaxHorizon, o.config.MaxHorizon),
		Clock:      min(b.config.Clock, o.config.Clock),
	}}, true
}
