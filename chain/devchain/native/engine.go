package native

import (
	"fmt"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/network"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/schema"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// Config says how an [Engine] deviates from the public chain.
type Config struct {
	// EpochLength is the number of blocks of an epoch; 0 means 20, as on the
	// public chain. At least 4, because slots 0 to 2 are reserved. It is part of
	// the metadata and must not change over the life of a chain.
	EpochLength uint32
	// Seed of the election. Two chains with the same seed and the same
	// transactions elect the same validators.
	Seed [32]byte
	// Elect replaces the election, for scripted runs; nil means drawing from
	// Seed. It must be deterministic.
	Elect func(Election) (winner int)
	// Authorities are the Aura keys whose accounts get the block author's
	// subsidy in turn; none by default, and then no subsidy is paid.
	Authorities [][32]byte
}

const (
	defaultEpochLength = 20 // as on the public chain
	minEpochLength     = 4  // three reserved slots and one for a subnet
)

// Election is one draw of a validator.
type Election struct {
	Subnet     chain.SubnetID
	Epoch      chain.Epoch // subnet epoch
	Block      chain.BlockNumber
	Candidates []chain.NodeID // never empty; the winner is an index into it
}

// Engine is the native engine. It implements devchain.Engine and is safe for
// concurrent use.
type Engine struct {
	cfg      Config
	version  devchain.RuntimeVersion
	meta     map[uint32][]byte
	registry *metadata.Registry

	system    *frame.System
	balances  *frame.Balances
	network   *network.Pallet
	timestamp *timestamp
	sudo      *sudo
	treasury  *treasury
	aura      *aura
	flip      *flip
	spent     *frame.Value[blockWeight] // weight of the block
	// pausedCalls are the calls that TxPause lists.
	pausedCalls *frame.Map[frame.Pair[string, string], struct{}]
	calls       map[[2]uint8]callDecl
}

var _ devchain.Engine = (*Engine)(nil)

// New returns an engine. It panics when the configuration is impossible.
func New(cfg Config) *Engine {
	if cfg.EpochLength == 0 {
		cfg.EpochLength = defaultEpochLength
	}
	if cfg.EpochLength < minEpochLength {
		panic(fmt.Sprintf("native: epoch length %d is below %d", cfg.EpochLength, minEpochLength))
	}
	e := &Engine{cfg: cfg, version: version()}
	perYear := network.EpochsPerYear(cfg.EpochLength)
	m, err := schema.Build(map[string][]byte{
		"System.Version":                  encodeVersion(e.version),
		"Network.EpochLength":             frame.U32().Encode(cfg.EpochLength),
		"Network.EpochsPerYear":           frame.U32().Encode(perYear),
		"Network.OverwatchEpochEmissions": frame.U128().Encode(network.OverwatchEmissions(cfg.EpochLength)),
	})
	if err != nil {
		panic(err) // our own declaration
	}
	e.meta = map[uint32][]byte{14: mustEncode(m.EncodeV14()), 15: mustEncode(m.EncodeV15())}
	if e.registry, err = metadata.NewRegistry(m); err != nil {
		panic(err) // our own declaration
	}
	e.system = frame.NewSystem(m)
	e.balances = frame.NewBalances(m, e.system)
	e.network = network.New(m, e.system, e.balances, network.Config{EpochLength: cfg.EpochLength, Elect: e.elect})
	e.timestamp = newTimestamp(m)
	e.sudo = newSudo(m)
	e.treasury = newTreasury(m, e.system, e.balances)
	e.aura = newAura(m)
	e.flip = newFlip(m)
	e.spent = frame.NewValue(frame.NewItems(m, "System"), "BlockWeight", blockWeights())
	e.pausedCalls = frame.NewMap(frame.NewItems(m, "TxPause"), "PausedCalls",
		frame.PairOf(frame.Bytes(), frame.Bytes()), frame.Unit())
	e.calls = e.declareCalls()
	return e
}

func mustEncode(b []byte, err error) []byte {
	if err != nil {
		panic(err) // our own declaration
	}
	return b
}

// Name implements devchain.Engine.
func (e *Engine) Name() string { return "native" }

// Metadata implements devchain.Engine.
func (e *Engine) Metadata(version uint32) ([]byte, error) {
	b, ok := e.meta[version]
	if !ok {
		return nil, devchain.ErrNoMetadata
	}
	return b, nil
}

// Version implements devchain.Engine.
func (e *Engine) Version() devchain.RuntimeVersion { return e.version }

// apis are the runtime APIs that Call serves, by name and version. The ID of an
// API is the hash of its name.
func apis() []devchain.API {
	var out []devchain.API
	for _, a := range []struct {
		name    string
		version uint32
	}{
		{"Core", 5}, {"Metadata", 2}, {"BlockBuilder", 6}, {"TaggedTransactionQueue", 3}, {"AuraApi", 1},
		{"AccountNonceApi", 1}, {"TransactionPaymentApi", 4}, {"NetworkRuntimeApi", 1},
	} {
		h, _ := blake2b.New(8, nil)    // a valid size
		_, _ = h.Write([]byte(a.name)) // never fails
		api := devchain.API{Version: a.version}
		copy(api.ID[:], h.Sum(nil))
		out = append(out, api)
	}
	return out
}

func version() devchain.RuntimeVersion {
	return devchain.RuntimeVersion{
		SpecName: "hypertensor-node", ImplName: "hypertensor-node",
		AuthoringVersion: 1, SpecVersion: 1, ImplVersion: 1, APIs: apis(), TransactionVersion: 1, StateVersion: 1,
	}
}

func encodeVersion(v devchain.RuntimeVersion) []byte {
	var e scale.Encoder
	e.Text(v.SpecName)
	e.Text(v.ImplName)
	e.U32(v.AuthoringVersion)
	e.U32(v.SpecVersion)
	e.U32(v.ImplVersion)
	e.Len(len(v.APIs))
	for _, a := range v.APIs {
		e.Raw(a.ID[:])
		e.U32(a.Version)
	}
	e.U32(v.TransactionVersion)
	e.U8(v.StateVersion)
	return e.Buf
}

// elect draws a validator: the hash of seed, subnet, epoch, block and attempt,
// rejected while it would favour some candidates.
func (e *Engine) elect(subnet, epoch, block uint32, candidates []uint32) int {
	if e.cfg.Elect != nil {
		nodes := make([]chain.NodeID, len(candidates))
		for i, id := range candidates {
			nodes[i] = chain.NodeID(id)
		}
		return e.cfg.Elect(Election{chain.SubnetID(subnet), chain.Epoch(epoch), chain.BlockNumber(block), nodes})
	}
	n := uint32(len(candidates))
	limit := ^uint32(0) - ^uint32(0)%n
	for attempt := uint32(0); ; attempt++ {
		in := scale.Encoder{Buf: append([]byte(nil), e.cfg.Seed[:]...)}
		for _, v := range []uint32{subnet, epoch, block, attempt} {
			in.U32(v)
		}
		sum := blake2b.Sum256(in.Buf)
		if r := scale.NewDecoder(sum[:4]).U32(); r < limit {
			return int(r % n)
		}
	}
}

// Genesis implements devchain.Engine. The epoch length of g must be 0 or that
// of the engine.
func (e *Engine) Genesis(st devchain.State, g devchain.Genesis) error {
	if g.EpochLength != 0 && g.EpochLength != e.cfg.EpochLength {
		return fmt.Errorf("genesis asks for an epoch length of %d, the engine has %d", g.EpochLength, e.cfg.EpochLength)
	}
	e.system.Genesis(st, e.version.SpecName, e.version.SpecVersion)
	for _, id := range frame.SortedKeys(g.Accounts, frame.CompareAccounts) {
		e.balances.SetGenesis(st, id, g.Accounts[id])
	}
	e.treasury.genesis(st)
	e.sudo.genesis(st, g.Sudo)
	e.aura.genesis(st, e.cfg.Authorities)
	e.network.Genesis(st)
	st.Set(frame.Prefix("TransactionPayment", "NextFeeMultiplier"), frame.U128().Encode(u128.From64(1e18)))
	st.Set(frame.Prefix("TransactionPayment", "StorageVersion"), []byte{1})
	for pallet, v := range storageVersions() {
		st.Set(frame.Prefix(pallet, ":__STORAGE_VERSION__:"), frame.U16().Encode(v))
	}
	return nil
}

// storageVersions are the versions of their storage that the pallets record.
func storageVersions() map[string]uint16 {
	return map[string]uint16{
		"System": 0, "Timestamp": 0, "Aura": 0, "Balances": 1, "TransactionPayment": 0, "Sudo": 0, "EVMChainId": 0,
		"InsecureRandomnessCollectiveFlip": 0, "Utility": 0, "Treasury": 0, "TxPause": 0, "Network": 0, "AuthorSubsidy": 0,
	}
}
