package kad

import "slices"

// Places is where a record may be stored, as the looks of a store found it.
type Places struct {
	// Near are contacts around the key, nearest first, and Crowd is how many of the nearest
	// of them are too many to be there by chance.
	Near  []Contact
	Crowd int
	// Core are the nearest of all after a second look, asked or not, whatever the density says.
	// Should the size of the swarm be wrong, they are no crowd but the true neighbours.
	Core []Contact
	// Region is the region that the record is to fill, for the ReplicaPolicy. It has radius
	// zero while the size of the swarm is a guess and nothing looks odd.
	Region Region
}

// Add takes what a look of a store found. What the first look said is forgotten when a
// second one is made, because it may all be one liar's word.
func (p *Places) Add(d Defence, l *Lookup, key ID, look Look) {
	if look.Depth == LookFirst {
		p.Near = l.Known(make([]Contact, 0, d.Beam+1), key, d.Beam)
		if d.Sure {
			p.Region = RegionOf(key, d.Size, d.Replicas)
		}
		return
	}
	if look.Depth == LookPaths {
		p.Near = p.Near[:0]
		p.Region = RegionOf(key, d.Size, d.Replicas)
	}
	for _, t := range look.Targets {
		p.Near = l.Nearest(p.Near, t, d.Beam)
	}
	p.Near = SortNearest(p.Near, key)
	p.Core = SortNearest(l.core(p.Core, key, d.Replicas), key)
	p.Core = p.Core[:min(len(p.Core), d.Replicas)]
	p.Crowd = crowdAt(key, p.Near, d.Size*d.margin())
}

// Include adds a contact that no look brings: the asker itself.
func (p *Places) Include(c Contact, key ID) {
	at := 0
	for at < len(p.Near) && Nearer(key, p.Near[at].ID, c.ID) {
		at++
	}
	p.Near = slices.Insert(p.Near, at, c)
	if at < p.Crowd {
		p.Crowd++
	}
}

// Holders returns who is to hold the record, and who takes the place of those that cannot,
// both nearest first. Beside a crowd there are as many holders as without it, and the
// nearest of the crowd get the record too.
func (p *Places) Holders(key ID, policy ReplicaPolicy) (holders, spare []Contact) {
	holders = SelectReplicas(nil, p.Near, policy)
	if p.Crowd > 0 {
		policy.Region = Region{}
		holders = SelectReplicas(holders, p.Near[p.Crowd:], policy)
	}
	for _, c := range p.Core { // nearer ones that the lookups put aside
		if !slices.ContainsFunc(p.Near, c.Same) {
			holders = append(holders, c)
		}
	}
	holders = SortNearest(holders, key)
	for _, c := range p.Near {
		if !slices.ContainsFunc(holders, c.Same) {
			spare = append(spare, c)
		}
	}
	return holders, spare
}
