package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/identity/account"
	"github.com/hypertensor-blockchain/mesh/p2p"
)

const defaultRPC = "ws://127.0.0.1:9944"

// nodeFlags are common to nodes and bootnodes.
type nodeFlags struct {
	dataDir, identityPath   string
	rpc                     []string
	genesis                 string
	subnet, node            uint32
	listen, announce, peers []string
	newSwarm, python        bool
	minClass                string
	noRelay, relayService   bool
	holePunching, autoNAT   bool
	natPortMap              bool
	staticRelays            []string
	reachability            string
	hotkey, passwordFile    string
	publicName              string
	updatePeriod            time.Duration
	status                  string
	withParent              bool
}

func (n *nodeFlags) register(f *pflag.FlagSet) {
	f.StringVar(&n.dataDir, "data-dir", "", "`folder` for journal, address book and keys; locked while the node runs (required)")
	f.StringVar(&n.identityPath, "identity-path", "", "peer key `file`; default peer.key in the data folder, made when it does not exist")
	f.StringSliceVar(&n.rpc, "rpc", []string{defaultRPC}, "WebSocket `address` of the chain; may be repeated, the healthiest is used")
	f.StringVar(&n.genesis, "genesis", "", "genesis `hash` of the chain; empty takes what the first address serves")
	f.Uint32Var(&n.subnet, "subnet-id", 0, "`ID` or friendly ID of the subnet (required)")
	f.StringSliceVar(&n.listen, "host-maddrs", []string{"/ip4/0.0.0.0/tcp/0"}, "multiaddr to listen on; may be repeated")
	f.StringSliceVar(&n.announce, "announce-maddrs", nil, "multiaddr told to others instead of those listened on; may be repeated")
	f.StringSliceVar(&n.peers, "initial-peers", nil, "multiaddr with /p2p/.. to join by; default those that the chain lists; may be repeated")
	f.BoolVar(&n.newSwarm, "new-swarm", false, "be the first node: join by nobody")
	f.BoolVar(&n.python, "python", false, "let nodes of the Python mesh into the swarm")
	f.StringVar(&n.minClass, "min-class", "registered", "what a peer must be to be admitted: registered, idle, included or validator")
	f.BoolVar(&n.noRelay, "no-relay", false, "do not use relays")
	f.BoolVar(&n.relayService, "relay-service", false, "relay for others")
	f.BoolVar(&n.holePunching, "hole-punching", false, "upgrade relayed connections to direct ones")
	f.BoolVar(&n.autoNAT, "auto-nat", false, "help others to find out whether they can be reached")
	f.BoolVar(&n.natPortMap, "nat-port-map", false, "ask the router for a port")
	f.StringSliceVar(&n.staticRelays, "static-relays", nil, "multiaddr of relays to be reachable by; default the peers that it joins by, if they relay; may be repeated")
	f.StringVar(&n.reachability, "reachability", "unknown", "whether others can dial this node: public, private, or unknown, which asks those that run with --auto-nat; with --relay-service unknown is public")
	f.StringVar(&n.status, "status", "127.0.0.1:0", "loopback `address` where the state is served as JSON, written to status.addr in the data folder; empty: none")
	f.BoolVar(&n.withParent, "with-parent", false, "stop when stdin ends")
	if err := f.MarkHidden("with-parent"); err != nil {
		panic(err) // the line above defines it
	}
}

// config makes the common part of a node's configuration.
func (n *nodeFlags) config(log *slog.Logger, version string) (mesh.Config, error) {
	c := mesh.Config{
		Subnet: chain.SubnetID(n.subnet), Node: chain.NodeID(n.node), Endpoints: n.rpc, DataDir: n.dataDir, NewSwarm: n.newSwarm,
		Python: n.python, DisableRelay: n.noRelay, RelayService: n.relayService, HolePunching: n.holePunching, AutoNAT: n.autoNAT,
		NATPortMap: n.natPortMap, PublicName: n.publicName, UpdatePeriod: n.updatePeriod, Status: n.status, Version: version, Logger: log,
	}
	switch {
	case n.subnet == 0:
		return c, usagef("--subnet-id is missing: which subnet?")
	case n.dataDir == "":
		return c, usagef("--data-dir is missing: where may the node keep its journal and key?")
	case n.newSwarm && len(n.peers) > 0:
		return c, usagef("--new-swarm and --initial-peers exclude each other")
	}
	var err error
	if n.genesis != "" {
		if c.Genesis, err = chain.ParseHash(n.genesis); err != nil {
			return c, usagef("--genesis: %w", err)
		}
	}
	if c.MinClass, err = parseClass(n.minClass); err != nil {
		return c, err
	}
	if c.Listen, err = p2p.ParseAddrs(n.listen); err != nil {
		return c, usagef("--host-maddrs: %w", err)
	}
	if c.Announce, err = p2p.ParseAddrs(n.announce); err != nil {
		return c, usagef("--announce-maddrs: %w", err)
	}
	if c.Bootstrap, err = p2p.ParsePeers(n.peers); err != nil {
		return c, usagef("--initial-peers: %w", err)
	}
	if c.StaticRelays, err = p2p.ParsePeers(n.staticRelays); err != nil {
		return c, usagef("--static-relays: %w", err)
	}
	if c.Reachability, err = parseReachability(n.reachability); err != nil {
		return c, err
	}
	if c.Key, err = n.key(log); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

func parseClass(s string) (chain.Class, error) {
	for c := chain.ClassRegistered; c <= chain.ClassValidator; c++ {
		if strings.EqualFold(s, c.String()) {
			return c, nil
		}
	}
	return 0, usagef("--min-class %q: want registered, idle, included or validator", s)
}

func parseReachability(s string) (p2p.Reachability, error) {
	for r := p2p.ReachabilityUnknown; r <= p2p.ReachabilityPrivate; r++ {
		if strings.EqualFold(s, r.String()) {
			return r, nil
		}
	}
	return 0, usagef("--reachability %q: want public, private or unknown", s)
}

// key reads the peer key; the default one in the data folder is made when it does not exist.
func (n *nodeFlags) key(log *slog.Logger) (crypto.PrivKey, error) {
	if n.identityPath != "" {
		return loadKey(n.identityPath)
	}
	path := filepath.Join(n.dataDir, "peer.key")
	key, err := identity.Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return loadKey(path) // says it in words
		}
		return key, nil
	}
	if err := os.MkdirAll(n.dataDir, 0o700); err != nil {
		return nil, err
	}
	if key, err = identity.Generate(identity.Ed25519); err != nil {
		return nil, err
	}
	id, err := identity.PeerID(key)
	if err != nil {
		return nil, err
	}
	log.Info("made a new peer key", "path", path, "peer_id", id.String())
	return key, saveKey(path, key, false)
}

// signer reads the hotkey: a file, or the environment for the original's users.
func (n *nodeFlags) signer(e *env) (substrate.Signer, error) {
	if n.hotkey == "" {
		if phrase := os.Getenv("PHRASE"); phrase != "" {
			a, err := account.FromMnemonic(phrase, 0)
			if err != nil {
				return nil, failf("it must be a BIP-39 phrase", "environment PHRASE: %w", err)
			}
			return a, nil
		}
		return nil, nil //nolint:nilnil // no hotkey: the node watches
	}
	a, err := account.LoadFile(n.hotkey, e.password("hotkey", n.passwordFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failf("give the file of the hotkey that the node was registered with", "hotkey file %s does not exist", n.hotkey)
	case errors.Is(err, account.ErrPermissions):
		return nil, failf("chmod 600 "+n.hotkey, "hotkey file %s can be read by others", n.hotkey)
	case errors.Is(err, errNoTerminal):
		return nil, failf("give it with --hotkey-password-file or MESH_HOTKEY_PASSWORD", "hotkey file %s is encrypted, and its password is missing", n.hotkey)
	case errors.Is(err, account.ErrPassword):
		return nil, failf("give the right password with --hotkey-password-file or MESH_HOTKEY_PASSWORD", "hotkey file %s: %w", n.hotkey, err)
	case err != nil:
		return nil, failf("it must be a file that `mesh account` made", "hotkey file %s: %w", n.hotkey, err)
	}
	return a, nil
}

// errNoTerminal is a password that was not given and that nobody can be asked for.
var errNoTerminal = errors.New("there is no terminal to ask for it")

// password asks for the password of a key file: from a file, from MESH_<WHAT>_PASSWORD, or at the terminal.
func (e *env) password(what, path string) account.Password {
	return func() ([]byte, error) {
		if path != "" {
			b, err := os.ReadFile(path)
			return []byte(strings.TrimRight(string(b), "\r\n")), err
		}
		if p, ok := os.LookupEnv(envPrefix + strings.ToUpper(what) + "_PASSWORD"); ok {
			return []byte(p), nil
		}
		b, ok, err := e.hidden("password of the " + what)
		if !ok {
			return nil, errNoTerminal
		}
		return b, err
	}
}

// hidden asks at the terminal without echo; false without a terminal.
func (e *env) hidden(prompt string) ([]byte, bool, error) {
	f, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, false, nil
	}
	fmt.Fprintf(e.stderr, "%s: ", prompt)
	defer fmt.Fprintln(e.stderr)
	b, err := term.ReadPassword(int(f.Fd()))
	return b, true, err
}
