package record

import "fmt"

// Permille is a share in thousandths.
type Permille uint32

// Whole is all of it.
const Whole Permille = 1000

// Phase is where the subnet's own epoch stands. The zero value says that nobody knows.
type Phase struct {
	Epoch    uint32
	Progress Permille // rounded up: 500 exactly until half of the epoch has passed
	Known    bool
	// Overtime is how many epochs' worth of time passed since the chain was last heard: quotas that are only a rate go on with it.
	Overtime uint32
}

// PhaseAt returns the phase at the given block offset into an epoch of length blocks. Progress is rounded up, so
// that comparing it with <= decides as the exact fraction would.
func PhaseAt(epoch, offset, length uint32) Phase {
	if length == 0 {
		return Phase{}
	}
	offset = min(offset, length)
	progress := (uint64(offset)*uint64(Whole) + uint64(length) - 1) / uint64(length)
	return Phase{Epoch: epoch, Progress: Permille(progress), Known: true} //nolint:gosec // at most 1000
}

// String describes the phase: "epoch 7, 50.0 %".
func (p Phase) String() string {
	if !p.Known {
		return "epoch unknown"
	}
	return fmt.Sprintf("epoch %d, %d.%d %%", p.Epoch, p.Progress/10, p.Progress%10)
}
