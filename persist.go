package mesh

import "github.com/hypertensor-blockchain/mesh/dht"

// persist makes the DHT keep its records in the data folder, and take back those of the run before. A node whose file cannot be used
// goes on without: the other replicas have its records.
func (n *Node) persist(d *dht.Node, name string) {
	path := n.file(name)
	if path == "" {
		return
	}
	r, err := d.Persist(path)
	if err != nil {
		n.log.Warn("records are not kept on disk; move the file away and start again", "path", path, "err", err)
		return
	}
	if r.Records+r.Refused > 0 || r.Damaged > 0 {
		n.log.Info("took records of the last run back", "records", r.Records, "expired", r.Expired, "refused", r.Refused, "damaged_bytes", r.Damaged)
	}
}
