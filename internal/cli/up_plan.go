package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

const (
	planFile   = "up.json"
	planForm   = 1
	firstPort  = 20000 // below the ports that systems hand out for outgoing connections
	lastPort   = 30000
	portProbes = 200
)

// plan is what `up` keeps in its folder, so that a second run goes on where the first one ended. Secrets are in files beside it.
type plan struct {
	Form        int            `json:"form"`
	Nodes       int            `json:"nodes"`
	EpochLength uint32         `json:"epoch_length"`
	Subnet      chain.SubnetID `json:"subnet_id"` // 0 until registered
	ChainPort   int            `json:"chain_port"`
	BootPort    int            `json:"bootnode_port"`
	NodePorts   []int          `json:"node_ports"`

	dir string
}

// openPlan reads the plan of a folder, or makes one.
func openPlan(dir string, nodes int, epochLength uint32) (*plan, error) {
	b, err := os.ReadFile(filepath.Join(dir, planFile))
	if errors.Is(err, fs.ErrNotExist) {
		if err := checkEmpty(dir); err != nil {
			return nil, err
		}
		p := &plan{Form: planForm, Nodes: nodes, EpochLength: epochLength, dir: dir}
		ports, err := freePorts(nodes + 2)
		if err != nil {
			return nil, err
		}
		p.ChainPort, p.BootPort, p.NodePorts = ports[0], ports[1], ports[2:]
		return p, p.save()
	}
	if err != nil {
		return nil, err
	}
	p := &plan{dir: dir}
	if err := json.Unmarshal(b, p); err != nil || p.Form != planForm || len(p.NodePorts) != p.Nodes {
		return nil, failf("give another folder with --data-dir, or delete it", "data folder %s holds something that this version does not understand", dir)
	}
	if p.Nodes != nodes || p.EpochLength != epochLength {
		return nil, failf("give the same flags, or another folder with --data-dir",
			"data folder %s was made with --nodes %d --epoch-length %d", dir, p.Nodes, p.EpochLength)
	}
	return p, nil
}

// checkEmpty refuses a folder that holds something else.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "LOCK" {
			return failf("give an empty folder, or one of an earlier run, with --data-dir", "data folder %s holds other files, such as %s", dir, e.Name())
		}
	}
	return nil
}

func (p *plan) save() error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(p.path(planFile), append(b, '\n'))
}

func (p *plan) path(elem ...string) string { return filepath.Join(append([]string{p.dir}, elem...)...) }

func (p *plan) nodeDir(i int) string   { return p.path(fmt.Sprintf("node-%d", i+1)) }
func (p *plan) bootDir() string        { return p.path("bootnode") }
func (p *plan) chainDir() string       { return p.path("chain") }
func (p *plan) rpcURL() string         { return fmt.Sprintf("ws://127.0.0.1:%d", p.ChainPort) }
func (p *plan) listen(port int) string { return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port) }

// peerKey reads the peer key in a folder, or makes one.
func (p *plan) peerKey(dir string) (crypto.PrivKey, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "peer.key")
	key, err := identity.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = identity.Generate(identity.Ed25519); err != nil {
			return nil, err
		}
		return key, identity.Save(path, key, false)
	}
	return key, err
}

// accountFile is where an account's key is.
func (p *plan) accountFile(name string) string { return p.path("accounts", name+".json") }

// account reads an account of the folder, or makes one.
func (p *plan) account(name string) (*account.Account, error) {
	path := p.accountFile(name)
	a, err := account.LoadFile(path, nil)
	if !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if a, err = account.Generate(); err != nil {
		return nil, err
	}
	return a, a.SavePlainFile(path, false)
}

// publicAddr is the address of a peer in this folder as the chain wants it.
func publicAddr(key crypto.PrivKey, port int) (chain.PeerAddr, error) {
	id, err := identity.PeerID(key)
	if err != nil {
		return chain.PeerAddr{}, err
	}
	m, err := multiaddr.NewMultiaddr(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", port, id))
	if err != nil {
		return chain.PeerAddr{}, err
	}
	return chain.PeerAddr{PeerID: id.String(), Multiaddr: m.Bytes()}, nil
}

// freePorts finds n ports on which nobody listens. They are not held: another program may take one before the child does, which
// then says so.
func freePorts(n int) ([]int, error) {
	var out []int
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for range portProbes {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // returns at once
		if err != nil {
			continue
		}
		held = append(held, l)
		if out = append(out, port); len(out) == n {
			return out, nil
		}
	}
	return nil, failf("stop other programs", "no free ports between %d and %d", firstPort, lastPort)
}

// publicPort is the TCP port of an address of ours on the chain.
func publicPort(a chain.PeerAddr) (int, error) {
	m, err := multiaddr.NewMultiaddrBytes(a.Multiaddr)
	if err != nil {
		return 0, err
	}
	text, err := m.ValueForProtocol(multiaddr.P_TCP)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}
