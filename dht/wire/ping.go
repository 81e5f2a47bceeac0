package wire

// PingRequest asks whether the receiver is alive and, with Validate, whether it can reach the sender.
type PingRequest struct {
	Peer     NodeInfo
	Validate bool
}

// Append appends the encoded message to dst.
func (m *PingRequest) Append(dst []byte) []byte {
	dst = appendNodeInfo(dst, 2, m.Peer)
	return appendBool(dst, 3, m.Validate)
}

// Decode replaces m by the message in b.
func (m *PingRequest) Decode(b []byte) error {
	*m = PingRequest{}
	return walk(b, func(f field) (err error) {
		switch f.num {
		case 2:
			m.Peer, err = f.nodeInfo()
		case 3:
			m.Validate, err = f.boolOf("validate")
		}
		return err
	})
}

// PingResponse carries the receiver's ID, its clock in unix seconds, and whether it reached the sender.
type PingResponse struct {
	Peer      NodeInfo
	Time      float64
	Available bool
}

// Append appends the encoded message to dst.
func (m *PingResponse) Append(dst []byte) []byte {
	dst = appendNodeInfo(dst, 2, m.Peer)
	dst = appendDouble(dst, 4, m.Time)
	return appendBool(dst, 5, m.Available)
}

// Decode replaces m by the message in b.
func (m *PingResponse) Decode(b []byte) error {
	*m = PingResponse{}
	return walk(b, func(f field) (err error) {
		switch f.num {
		case 2:
			m.Peer, err = f.nodeInfo()
		case 4:
			m.Time, err = f.doubleOf("dht_time")
		case 5:
			m.Available, err = f.boolOf("available")
		}
		return err
	})
}
