package network

import (
	"math/big"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// Bounds of byte strings in calls.
const (
	maxBytes  = 1024 // multiaddresses, parameters, names
	maxURL    = 1024
	maxSocial = 255
	maxArgs   = 4096 // arguments of proposals and attestations
)

// State is the state of a subnet.
type State uint8

// The states.
const (
	Registered State = iota
	Active
	Paused
)

// Class is the class of a node.
type Class uint8

// The classes.
const (
	ClassRegistered Class = iota
	ClassIdle
	ClassIncluded
	ClassValidator
)

// Subnet is a subnet.
type Subnet struct {
	ID, FriendlyID                uint32
	Name, Repo, Description, Misc string
	State                         State
	StartEpoch                    uint32
}

func subnet() frame.Codec[Subnet] {
	return frame.Codec[Subnet]{
		Enc: func(e *scale.Encoder, v Subnet) {
			e.U32(v.ID)
			e.U32(v.FriendlyID)
			e.Text(v.Name)
			e.Text(v.Repo)
			e.Text(v.Description)
			e.Text(v.Misc)
			e.U8(uint8(v.State))
			e.U32(v.StartEpoch)
		},
		Dec: func(d *scale.Decoder) Subnet {
			text := frame.Bytes().Dec
			return Subnet{d.U32(), d.U32(), text(d), text(d), text(d), text(d), State(d.U8()), d.U32()}
		},
	}
}

// PeerInfo names a libp2p peer; ID is the base58 text.
type PeerInfo struct {
	ID        string
	Multiaddr frame.Opt[string]
}

func peerInfo() frame.Codec[PeerInfo] {
	text, addr := frame.Bytes(), frame.Option(frame.BoundedBytes(maxBytes))
	return frame.Codec[PeerInfo]{
		Enc: func(e *scale.Encoder, v PeerInfo) {
			text.Enc(e, v.ID)
			addr.Enc(e, v.Multiaddr)
		},
		Dec: func(d *scale.Decoder) PeerInfo { return PeerInfo{text.Dec(d), addr.Dec(d)} },
	}
}

// Classification is a node's class and the epoch from which it counts.
type Classification struct {
	Class      Class
	StartEpoch uint32
}

// DelegateAccount gets a share of a node's rewards.
type DelegateAccount struct {
	Account chain.AccountID
	Rate    u128.U128
}

func delegateAccount() frame.Codec[DelegateAccount] {
	return frame.Codec[DelegateAccount]{
		Enc: func(e *scale.Encoder, v DelegateAccount) {
			e.Raw(v.Account[:])
			e.U128(v.Rate)
		},
		Dec: func(d *scale.Decoder) DelegateAccount {
			return DelegateAccount{frame.Account().Dec(d), d.U128()}
		},
	}
}

// Node is a subnet node.
type Node struct {
	ID                   uint32
	Hotkey               chain.AccountID
	Peer                 PeerInfo
	Bootnode, Client     frame.Opt[PeerInfo]
	Class                Classification
	DelegateRewardRate   u128.U128
	LastRewardRateUpdate uint32
	Unique, NonUnique    frame.Opt[string]
	DelegateAccount      frame.Opt[DelegateAccount]
}

// has reports whether the node has at least class from an epoch not after epoch.
func (n *Node) has(class Class, epoch uint32) bool {
	return n.Class.Class >= class && n.Class.StartEpoch <= epoch
}

func node() frame.Codec[Node] {
	peer, peerOpt := peerInfo(), frame.Option(peerInfo())
	param, account := frame.Option(frame.Bytes()), frame.Option(delegateAccount())
	return frame.Codec[Node]{
		Enc: func(e *scale.Encoder, v Node) {
			e.U32(v.ID)
			e.Raw(v.Hotkey[:])
			peer.Enc(e, v.Peer)
			peerOpt.Enc(e, v.Bootnode)
			peerOpt.Enc(e, v.Client)
			e.U8(uint8(v.Class.Class))
			e.U32(v.Class.StartEpoch)
			e.U128(v.DelegateRewardRate)
			e.U32(v.LastRewardRateUpdate)
			param.Enc(e, v.Unique)
			param.Enc(e, v.NonUnique)
			account.Enc(e, v.DelegateAccount)
		},
		Dec: func(d *scale.Decoder) (v Node) {
			v.ID = d.U32()
			d.Raw(v.Hotkey[:])
			v.Peer = peer.Dec(d)
			v.Bootnode = peerOpt.Dec(d)
			v.Client = peerOpt.Dec(d)
			v.Class = Classification{Class(d.U8()), d.U32()}
			v.DelegateRewardRate = d.U128()
			v.LastRewardRateUpdate = d.U32()
			v.Unique = param.Dec(d)
			v.NonUnique = param.Dec(d)
			v.DelegateAccount = account.Dec(d)
			return v
		},
	}
}

// Score is a proposed score of a node.
type Score struct {
	Node  uint32
	Score u128.U128
}

func score() frame.Codec[Score] {
	return frame.Codec[Score]{
		Enc: func(e *scale.Encoder, v Score) { e.U32(v.Node); e.U128(v.Score) },
		Dec: func(d *scale.Decoder) Score { return Score{d.U32(), d.U128()} },
	}
}

// Attest is one attestation of a submission.
type Attest struct {
	Block                  uint32
	Progress, RewardFactor u128.U128
	Data                   frame.Opt[string]
}

func attest() frame.Codec[Attest] {
	data := frame.Option(frame.Bytes())
	return frame.Codec[Attest]{
		Enc: func(e *scale.Encoder, v Attest) {
			e.U32(v.Block)
			e.U128(v.Progress)
			e.U128(v.RewardFactor)
			data.Enc(e, v.Data)
		},
		Dec: func(d *scale.Decoder) Attest { return Attest{d.U32(), d.U128(), d.U128(), data.Dec(d)} },
	}
}

// Submission is the elected validator's proposal of an epoch.
type Submission struct {
	Validator              uint32
	Block                  uint32
	Progress, RewardFactor u128.U128
	Attests                map[uint32]Attest
	Nodes                  []Node // snapshot: Idle and above
	Prioritize, Remove     frame.Opt[uint32]
	Data                   []Score
	Args                   frame.Opt[string]
}

func submission() frame.Codec[Submission] {
	attests := frame.Dict(frame.U32(), attest(), frame.CompareU32)
	all, id := nodes(), frame.Option(frame.U32())
	scores, args := frame.Vec(score(), 20), frame.Option(frame.Bytes())
	return frame.Codec[Submission]{
		Enc: func(e *scale.Encoder, v Submission) {
			e.U32(v.Validator)
			e.U32(v.Block)
			e.U128(v.Progress)
			e.U128(v.RewardFactor)
			attests.Enc(e, v.Attests)
			all.Enc(e, v.Nodes)
			id.Enc(e, v.Prioritize)
			id.Enc(e, v.Remove)
			scores.Enc(e, v.Data)
			args.Enc(e, v.Args)
		},
		Dec: func(d *scale.Decoder) Submission {
			return Submission{
				d.U32(), d.U32(), d.U128(), d.U128(), attests.Dec(d), all.Dec(d), id.Dec(d), id.Dec(d), scores.Dec(d), args.Dec(d),
			}
		},
	}
}

// Emergency is an owner's temporary validator set.
type Emergency struct {
	Nodes                               []uint32
	TargetEpochs, MaxEpoch, TotalEpochs uint32
}

func emergency() frame.Codec[Emergency] {
	return frame.Codec[Emergency]{
		Enc: func(e *scale.Encoder, v Emergency) {
			ids().Enc(e, v.Nodes)
			e.U32(v.TargetEpochs)
			e.U32(v.MaxEpoch)
			e.U32(v.TotalEpochs)
		},
		Dec: func(d *scale.Decoder) Emergency {
			return Emergency{ids().Dec(d), d.U32(), d.U32(), d.U32()}
		},
	}
}

// Identity is what a coldkey publishes about itself: name, url, image, discord,
// x, telegram, github, hugging face, description, misc.
type Identity [10]string

// identityBounds are the greatest lengths of the fields.
func identityBounds() [10]int {
	return [10]int{maxBytes, maxURL, maxURL, maxSocial, maxSocial, maxSocial, maxURL, maxURL, maxBytes, maxBytes}
}

func identity() frame.Codec[Identity] {
	return frame.Codec[Identity]{
		Enc: func(e *scale.Encoder, v Identity) {
			for _, s := range v {
				e.Text(s)
			}
		},
		Dec: func(d *scale.Decoder) (v Identity) {
			for i, limit := range identityBounds() {
				v[i] = frame.BoundedBytes(limit).Dec(d)
			}
			return v
		},
	}
}

// Reputation is the record of a coldkey.
type Reputation struct {
	StartEpoch                 uint32
	Score                      u128.U128
	LifetimeNodes, ActiveNodes uint32
	Increases, Decreases       uint32
	AverageAttestation         u128.U128
	LastValidatorEpoch         uint32
	OverwatchScore             u128.U128
}

func reputation() frame.Codec[Reputation] {
	return frame.Codec[Reputation]{
		Enc: func(e *scale.Encoder, v Reputation) {
			e.U32(v.StartEpoch)
			e.U128(v.Score)
			e.U32(v.LifetimeNodes)
			e.U32(v.ActiveNodes)
			e.U32(v.Increases)
			e.U32(v.Decreases)
			e.U128(v.AverageAttestation)
			e.U32(v.LastValidatorEpoch)
			e.U128(v.OverwatchScore)
		},
		Dec: func(d *scale.Decoder) Reputation {
			return Reputation{
				d.U32(), d.U128(), d.U32(), d.U32(), d.U32(), d.U32(), d.U128(), d.U32(), d.U128(),
			}
		},
	}
}

// Distribution is what the subnets share in an epoch.
type Distribution struct {
	Emissions u128.U128
	Weights   map[uint32]u128.U128
}

func distribution() frame.Codec[Distribution] {
	return frame.Codec[Distribution]{
		Enc: func(e *scale.Encoder, v Distribution) {
			e.U128(v.Emissions)
			amounts().Enc(e, v.Weights)
		},
		Dec: func(d *scale.Decoder) Distribution { return Distribution{d.U128(), amounts().Dec(d)} },
	}
}

// OverwatchNode is an overwatch node.
type OverwatchNode struct {
	ID     uint32
	Hotkey chain.AccountID
}

func overwatchNode() frame.Codec[OverwatchNode] {
	return frame.Codec[OverwatchNode]{
		Enc: func(e *scale.Encoder, v OverwatchNode) { e.U32(v.ID); e.Raw(v.Hotkey[:]) },
		Dec: func(d *scale.Decoder) OverwatchNode { return OverwatchNode{d.U32(), frame.Account().Dec(d)} },
	}
}

// Swap moves delegated stake to a subnet, or to a node when ToNode is set.
type Swap struct {
	Account chain.AccountID
	Subnet  uint32
	Node    frame.Opt[uint32]
	Balance u128.U128
}

func swap() frame.Codec[Swap] {
	return frame.Codec[Swap]{
		Enc: func(e *scale.Encoder, v Swap) {
			e.Bool(v.Node.OK)
			e.Raw(v.Account[:])
			e.U32(v.Subnet)
			if v.Node.OK {
				e.U32(v.Node.V)
			}
			e.U128(v.Balance)
		},
		Dec: func(d *scale.Decoder) (v Swap) {
			v.Node.OK = d.Bool()
			d.Raw(v.Account[:])
			v.Subnet = d.U32()
			if v.Node.OK {
				v.Node.V = d.U32()
			}
			v.Balance = d.U128()
			return v
		},
	}
}

// QueuedSwap is a swap that waits.
type QueuedSwap struct {
	ID              uint32
	Call            Swap
	QueuedAt, After uint32 // blocks
}

func queuedSwap() frame.Codec[QueuedSwap] {
	call := swap()
	return frame.Codec[QueuedSwap]{
		Enc: func(e *scale.Encoder, v QueuedSwap) {
			e.U32(v.ID)
			call.Enc(e, v.Call)
			e.U32(v.QueuedAt)
			e.U32(v.After)
		},
		Dec: func(d *scale.Decoder) QueuedSwap { return QueuedSwap{d.U32(), call.Dec(d), d.U32(), d.U32()} },
	}
}

// WeightFactors weigh the parts of a subnet's emission weight.
type WeightFactors struct {
	DelegateStake, NodeCount, NetFlow u128.U128
}

func weightFactors() frame.Codec[WeightFactors] {
	return frame.Codec[WeightFactors]{
		Enc: func(e *scale.Encoder, v WeightFactors) {
			e.U128(v.DelegateStake)
			e.U128(v.NodeCount)
			e.U128(v.NetFlow)
		},
		Dec: func(d *scale.Decoder) WeightFactors { return WeightFactors{d.U128(), d.U128(), d.U128()} },
	}
}

// Codecs of collections.

func ids() frame.Codec[[]uint32] { return frame.Vec(frame.U32(), 4) }

func nodes() frame.Codec[[]Node] { return frame.Vec(node(), 50) }

func idSet() frame.Codec[map[uint32]struct{}] { return frame.Set(frame.U32(), frame.CompareU32) }

func accountSet() frame.Codec[map[chain.AccountID]struct{}] {
	return frame.Set(frame.Account(), frame.CompareAccounts)
}

func accountCounts() frame.Codec[map[chain.AccountID]uint32] {
	return frame.Dict(frame.Account(), frame.U32(), frame.CompareAccounts)
}

func bootnodes() frame.Codec[map[string]string] {
	return frame.Dict(frame.Bytes(), frame.BoundedBytes(maxBytes), frame.CompareBytes)
}

func peerSet() frame.Codec[map[string]struct{}] { return frame.Set(frame.Bytes(), frame.CompareBytes) }

func nodeSets() frame.Codec[map[uint32]map[uint32]struct{}] {
	return frame.Dict(frame.U32(), idSet(), frame.CompareU32)
}

func amounts() frame.Codec[map[uint32]u128.U128] {
	return frame.Dict(frame.U32(), frame.U128(), frame.CompareU32)
}

func peerIDs() frame.Codec[map[uint32]string] {
	return frame.Dict(frame.U32(), frame.Bytes(), frame.CompareU32)
}

// i128 is the codec of signed 128-bit integers in two's complement.
func i128() frame.Codec[*big.Int] {
	whole := new(big.Int).Lsh(big.NewInt(1), 128)
	return frame.Codec[*big.Int]{
		Enc: func(e *scale.Encoder, v *big.Int) {
			if v.Sign() < 0 {
				v = new(big.Int).Add(v, whole)
			}
			b := v.FillBytes(make([]byte, 16))
			slices.Reverse(b)
			e.Raw(b)
		},
		Dec: func(d *scale.Decoder) *big.Int {
			u := d.U128()
			v := u.Big()
			if u.Hi>>63 != 0 {
				v.Sub(v, whole)
			}
			return v
		},
	}
}
