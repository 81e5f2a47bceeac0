package native_test

import (
	"encoding/hex"
	"testing"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// The public test keys of the chain's documentation, coldkey and hotkey of
// Alith, Baltathar, Charleth and Dorothy.
func testKeys() (cold, hot [4]*account.Account) {
	for i, s := range [8]string{
		"5fb92d6e98884f76de468fa3f6278f8807c48bebc13595d45af5bdc4da702133",
		"883189525adc71f940606d02671bd8b7dfe3b2f75e2a6ed1f5179ac794566b40",
		"8075991ce870b93a8870eca0c0f91913d12f47948ca0fd25b49c6fa7cdbeee8b",
		"6cbf451fc5850e75cd78055363725dcf8c80b3f1dfb9c29d131fece6dfb72490",
		"0b6e18cafb6ed99687ec547bd28139cafdd2bffe70e6b688025de6b445aa5c5b",
		"51b7c50c1cd27de89a361210431e8f03a7ddda1a0c8c5ff4e4658ca81ac02720",
		"39539ab1876910bbf3a223d84a29e28f1cb4e2e456503e7e91ed39b2e7223d68",
		"a1983be71acf4b323612067ac9ae91308da19c2956b227618e8c611bd4746056",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			panic(err)
		}
		a, err := account.FromPrivateKey(b)
		if err != nil {
			panic(err)
		}
		if i%2 == 0 {
			cold[i/2] = a
		} else {
			hot[i/2] = a
		}
	}
	return cold, hot
}

// testChain drives an engine block by block.
type testChain struct {
	t       testing.TB
	engine  devchain.Engine
	st      devchain.State
	number  uint32
	head    chain.Hash
	genesis chain.Hash
}

func newTestChain(t testing.TB, cfg native.Config) *testChain {
	t.Helper()
	return startTestChain(t, native.New(cfg))
}

func startTestChain(t testing.TB, engine devchain.Engine) *testChain {
	t.Helper()
	c := &testChain{t: t, engine: engine, st: newMemState()}
	cold, hot := testKeys()
	million := u128.From64(1_000_000).SatMul(u128.From64(1e18))
	g := devchain.Genesis{Accounts: map[chain.AccountID]chain.Balance{}, Sudo: cold[0].ID()}
	for i := range cold {
		g.Accounts[cold[i].ID()] = million
		g.Accounts[hot[i].ID()] = million
	}
	if err := c.engine.Genesis(c.st, g); err != nil {
		t.Fatal(err)
	}
	c.genesis = blake2b.Sum256([]byte("genesis"))
	c.head = c.genesis
	return c
}

// begin opens the next block.
func (c *testChain) begin() {
	c.t.Helper()
	c.number++
	ms := uint64(c.number) * 6000
	h := devchain.BlockHeader{Number: chain.BlockNumber(c.number), Parent: c.head, Timestamp: ms, Slot: uint64(c.number)}
	if err := c.engine.InitBlock(c.st, h); err != nil {
		c.t.Fatalf("block %d: %v", c.number, err)
	}
	xts, err := c.engine.Inherents(c.st, ms)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, xt := range xts {
		if r := c.apply(xt); r != "0000" {
			c.t.Fatalf("block %d: inherent: %s", c.number, r)
		}
	}
}

// end closes the block.
func (c *testChain) end() {
	c.t.Helper()
	h, err := c.engine.FinalizeBlock(c.st)
	if err != nil {
		c.t.Fatalf("block %d: %v", c.number, err)
	}
	if m, ok := c.st.(*memState); ok && len(m.undo) != 0 {
		c.t.Fatalf("block %d: the engine left a layer open", c.number)
	}
	c.head = h.Hash()
}

// runTo closes blocks until block n is open.
func (c *testChain) runTo(n uint32) {
	c.t.Helper()
	for c.number < n {
		if c.number > 0 {
			c.end()
		}
		c.begin()
	}
}

func (c *testChain) apply(xt []byte) string {
	c.t.Helper()
	r, err := c.engine.ApplyExtrinsic(c.st, xt)
	if err != nil {
		c.t.Fatalf("block %d: %v", c.number, err)
	}
	return hex.EncodeToString(r)
}

// must applies an extrinsic that has to succeed.
func (c *testChain) must(xt []byte) {
	c.t.Helper()
	if r := c.apply(xt); r != "0000" {
		c.t.Fatalf("block %d: extrinsic failed: %s", c.number, r)
	}
}

// validity is the encoded answer of the pool's validation.
func (c *testChain) validity(xt []byte) string {
	c.t.Helper()
	c.st.Begin()
	defer c.st.Rollback()
	v, err := c.engine.ValidateTx(c.st, xt)
	if err != nil {
		refused, ok := err.(*devchain.TxError) //nolint:errorlint // exactly that type
		if !ok {
			c.t.Fatal(err)
		}
		return "01" + hex.EncodeToString(refused.Raw)
	}
	e := scale.Encoder{Buf: []byte{0}}
	e.U64(v.Priority)
	for _, tags := range [][][]byte{v.Requires, v.Provides} {
		e.Len(len(tags))
		for _, tag := range tags {
			e.Bytes(tag)
		}
	}
	e.U64(v.Longevity)
	e.Bool(v.Propagate)
	return hex.EncodeToString(e.Buf)
}

// nonce is the next nonce of an account.
func (c *testChain) nonce(who chain.AccountID) uint32 {
	c.t.Helper()
	b, err := c.engine.Call(c.st, "AccountNonceApi_account_nonce", who[:])
	if err != nil {
		c.t.Fatal(err)
	}
	return scale.NewDecoder(b).U32()
}

// signed is an immortal transaction with the account's next nonce.
func (c *testChain) signed(who *account.Account, call []byte) []byte {
	c.t.Helper()
	return c.sign(who, c.nonce(who.ID()), call)
}

func (c *testChain) sign(who *account.Account, nonce uint32, call []byte) []byte {
	c.t.Helper()
	var extra scale.Encoder
	extra.U8(0) // immortal
	extra.Compact(uint64(nonce))
	extra.Compact(0)
	payload := scale.Encoder{Buf: append([]byte(nil), call...)}
	payload.Raw(extra.Buf)
	payload.U32(1)
	payload.U32(1)
	payload.Raw(c.genesis[:])
	payload.Raw(c.genesis[:])
	sig, err := who.Sign(payload.Buf)
	if err != nil {
		c.t.Fatal(err)
	}
	id := who.ID()
	body := scale.Encoder{Buf: []byte{0x84}}
	body.Raw(id[:])
	body.Raw(sig)
	body.Raw(extra.Buf)
	body.Raw(call)
	var xt scale.Encoder
	xt.Bytes(body.Buf)
	return xt.Buf
}

// free is the free balance of an account.
func (c *testChain) free(who chain.AccountID) u128.U128 {
	key := metadata.Blake2_128Concat.Append(itemKey("System", "Account"), who[:])
	b := c.st.Get(key)
	if b == nil {
		return u128.U128{}
	}
	return u128.FromLE(b[16:32])
}

func itemKey(pallet, item string) []byte {
	return metadata.Twox128.Append(metadata.Twox128.Append(nil, []byte(pallet)), []byte(item))
}

// Calls of pallet Network, encoded by hand so that the engine's own tables are
// under test.

const palletNetwork = 23

func networkCall(index uint8, fill func(e *scale.Encoder)) []byte {
	e := scale.Encoder{Buf: []byte{palletNetwork, index}}
	fill(&e)
	return e.Buf
}

func tensor(n uint64) u128.U128 { return u128.From64(n).SatMul(u128.From64(1e18)) }

const testSubnet = 128001

func registerSubnet(coldkeys []chain.AccountID, bootnode, addr string) []byte {
	return networkCall(0, func(e *scale.Encoder) {
		e.U128(tensor(100))
		for _, s := range []string{"subnet-1", "github.com/subnet-1", "desc", "misc"} {
			e.Text(s)
		}
		e.U128(tensor(100))
		e.U128(tensor(1000))
		e.U128(u128.From64(1e17 + 5)) // 0.1 as the script computed it
		e.Len(len(coldkeys))
		for _, c := range coldkeys {
			e.Raw(c[:])
			e.U32(1)
		}
		e.Len(1)
		e.Text(bootnode)
		e.Text(addr)
	})
}

func registerNode(hotkey chain.AccountID, peer string, stake u128.U128) []byte {
	return networkCall(38, func(e *scale.Encoder) {
		e.U32(testSubnet)
		e.Raw(hotkey[:])
		e.Text(peer)
		e.Raw([]byte{0, 0, 0})      // no address, bootnode, client
		e.U128(u128.From64(125e15)) // delegate reward rate
		e.U128(stake)
		e.Raw([]byte{0, 0, 0}) // no parameters, delegate account
		e.U128(tensor(1))
	})
}

func subnetCall(index uint8) []byte {
	return networkCall(index, func(e *scale.Encoder) { e.U32(testSubnet) })
}

func delegate(amount u128.U128) []byte {
	return networkCall(50, func(e *scale.Encoder) { e.U32(testSubnet); e.U128(amount) })
}

func propose(nodes ...uint32) []byte {
	return networkCall(65, func(e *scale.Encoder) {
		e.U32(testSubnet)
		e.Len(len(nodes))
		for _, n := range nodes {
			e.U32(n)
			e.U128(tensor(1))
		}
		e.Raw([]byte{0, 0, 0, 0})
	})
}

func attest() []byte {
	return networkCall(66, func(e *scale.Encoder) { e.U32(testSubnet); e.None() })
}

func remark(n int) []byte {
	e := scale.Encoder{Buf: []byte{0, 0}}
	e.Bytes(make([]byte, n))
	return e.Buf
}

func transfer(to chain.AccountID, amount uint64) []byte {
	e := scale.Encoder{Buf: []byte{4, 3}} // transfer_keep_alive
	e.Raw(to[:])
	e.Compact(amount)
	return e.Buf
}
