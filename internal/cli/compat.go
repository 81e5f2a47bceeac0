package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh"
)

// The names of the binary under which it takes the command lines of the Python mesh.
const (
	nameDHT    = "mesh-dht"
	nameServer = "mesh-server-mock"
)

// isList reports whether a flag takes several values after one name, as argparse does.
func isList(name string) bool {
	switch strings.ReplaceAll(name, "_", "-") {
	case "initial-peers", "host-maddrs", "announce-maddrs", "bootnodes", "key-types":
		return true
	}
	return false
}

// compat returns the command that the binary's name stands for, or nil.
func (e *env) compat(name string) *cobra.Command {
	switch base := strings.TrimSuffix(filepath.Base(name), ".exe"); base {
	case nameDHT:
		return e.compatDHT()
	case nameServer:
		return e.compatServer()
	default:
		return e.compatChain(base)
	}
}

// compatFlags are those that both commands have beside a node's own.
type compatFlags struct {
	nodeFlags
	localRPC, noRPC, chainBootnodes bool
	phrase, privateKey              string
	refresh                         time.Duration
	refreshSeconds                  float64
	expiration                      float64
	port                            int
	publicIP                        string
	ignored                         struct {
		useIPFS, useRelay, autoRelay, noAutoRelay bool
		fileLimit                                 int
		startup                                   float64
	}
}

func (c *compatFlags) registerCommon(cmd *cobra.Command) {
	f := cmd.Flags()
	c.register(f)
	f.BoolVar(&c.localRPC, "local-rpc", false, "use the chain at LOCAL_RPC, default "+defaultRPC+"; otherwise at DEV_RPC")
	f.BoolVar(&c.noRPC, "no-blockchain-rpc", false, "not offered: there is no mock chain; see \"mesh chain dev\" and --local-rpc")
	f.StringVar(&c.phrase, "phrase", "", "refused: secrets do not belong on a command line; set PHRASE, or use --hotkey")
	f.StringVar(&c.privateKey, "private-key", "", "refused: as --phrase; use --hotkey with a key file")
	f.IntVar(&c.ignored.fileLimit, "increase-file-limit", 4096, "not needed: the limit is raised by itself")
	f.Float64Var(&c.ignored.startup, "daemon-startup-timeout", 60, "not needed: there is no daemon")
	f.BoolVar(&c.ignored.useIPFS, "use-ipfs", false, "not needed: nodes are found by the subnet's own swarm")
	f.BoolVar(&c.ignored.useRelay, "use-relay", false, "relays are used unless --no-relay is given")
	f.BoolVar(&c.ignored.autoRelay, "use-auto-relay", false, "as --use-relay")
	f.BoolVar(&c.ignored.noAutoRelay, "no-auto-relay", false, "find no relays by itself; static ones are used")
}

// settle turns the original's flags into a node's.
func (c *compatFlags) settle(dotenv dotenv) error {
	if c.phrase != "" || c.privateKey != "" {
		return usagef("--phrase and --private-key are refused: every user of the machine can read a command line. Put the phrase into the environment or .env as PHRASE, or give a key file with --hotkey")
	}
	if c.noRPC {
		return usagef("--no-blockchain-rpc is not offered: start a chain with `mesh chain dev` and use --local-rpc, or see `mesh up`")
	}
	switch {
	case c.localRPC:
		c.rpc = []string{defaultRPC}
		if v := dotenv.get("LOCAL_RPC"); v != "" {
			c.rpc = []string{v}
		}
	case dotenv.get("DEV_RPC") != "" && slices.Equal(c.rpc, []string{defaultRPC}):
		c.rpc = []string{dotenv.get("DEV_RPC")}
	}
	if err := dotenv.export("PHRASE"); err != nil {
		return err
	}
	if v := dotenv.get("PUBLIC_INITIAL_PEERS"); v != "" && len(c.peers) == 0 && !c.newSwarm {
		if err := json.Unmarshal([]byte(v), &c.peers); err != nil {
			return failf("it is a JSON list of multiaddrs", "PUBLIC_INITIAL_PEERS: %w", err)
		}
	}
	if c.port != 0 {
		c.listen = []string{fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", c.port), fmt.Sprintf("/ip6/::/tcp/%d", c.port)}
	}
	if c.publicIP != "" {
		if c.port == 0 || len(c.announce) > 0 {
			return usagef("--public-ip needs --port and excludes --announce-maddrs")
		}
		c.announce = []string{fmt.Sprintf("/ip4/%s/tcp/%d", c.publicIP, c.port)}
	}
	if c.identityPath == "" {
		return usagef("--identity-path is missing; make a key with `mesh keygen`")
	}
	if c.dataDir == "" {
		c.dataDir = c.identityPath + ".data"
	}
	c.refresh = time.Duration(c.refreshSeconds * float64(time.Second))
	c.python = true
	return nil
}

func (e *env) compatDHT() *cobra.Command {
	var c compatFlags
	cmd := &cobra.Command{
		Use:   nameDHT,
		Short: "Run a bootnode, with the flags of the Python mesh",
		Long:  "Run a bootnode: the first of a new swarm, or joining one by --initial_peers. This is `mesh bootnode --python` with the original's flag names.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			dotenv, err := readDotenv(".env")
			if err != nil {
				return err
			}
			if err := c.settle(dotenv); err != nil {
				return err
			}
			c.newSwarm = c.newSwarm || len(c.peers) == 0
			return e.runCompat(cmd.Context(), &c, true)
		},
	}
	c.registerCommon(cmd)
	cmd.Flags().Float64Var(&c.refreshSeconds, "refresh-period", 30, "seconds between reports")
	return cmd
}

func (e *env) compatServer() *cobra.Command {
	var c compatFlags
	cmd := &cobra.Command{
		Use:   nameServer,
		Short: "Run a node, with the flags of the Python mesh",
		Long:  "Run a node of a subnet that scores by heartbeat. This is `mesh node run --python` with the original's flag names.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			dotenv, err := readDotenv(".env")
			if err != nil {
				return err
			}
			if err := c.settle(dotenv); err != nil {
				return err
			}
			return e.runCompat(cmd.Context(), &c, false)
		},
	}
	c.registerCommon(cmd)
	f := cmd.Flags()
	e.registerNodeOnly(cmd, &c.nodeFlags)
	f.Lookup("update-period").Value = (*seconds)(&c.updatePeriod)
	f.Float64Var(&c.expiration, "expiration", 0, "not needed: a heartbeat lives two periods")
	f.IntVar(&c.port, "port", 0, "listen on this TCP port of all addresses, IPv4 and IPv6")
	f.StringVar(&c.publicIP, "public-ip", "", "announce this address with --port")
	f.BoolVar(&c.chainBootnodes, "use-chain-bootnodes", false, "join by the bootnodes that the chain lists; the default without --initial-peers")
	return cmd
}

// seconds is a duration that may be given as a bare number, as in the original.
type seconds time.Duration

func (s *seconds) String() string { return time.Duration(*s).String() }
func (s *seconds) Type() string   { return "duration" }

// Set reads "30", "0.5" or "30s".
func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		if d, err = time.ParseDuration(text + "s"); err != nil {
			return fmt.Errorf("%q: want seconds", text)
		}
	}
	*s = seconds(d)
	return nil
}

// runCompat runs a node and prints what the original's users look for.
func (e *env) runCompat(ctx context.Context, c *compatFlags, bootnode bool) error {
	return e.runWith(ctx, &c.nodeFlags, bootnode, func(ctx context.Context, n *mesh.Node) {
		if n.Await(ctx, mesh.PhaseOnline) != nil {
			return
		}
		s := n.Status()
		if len(s.Addrs) > 0 {
			fmt.Fprintf(e.stdout, "Running a DHT instance. To connect other peers to this one, use --initial_peers %s\n", s.Addrs[0])
			fmt.Fprintf(e.stdout, "Full list of visible multiaddresses: %s\n", strings.Join(s.Addrs, " "))
		}
		if c.refresh <= 0 {
			return
		}
		t := time.NewTicker(c.refresh)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				s := n.Status()
				fmt.Fprintf(e.stdout, "%d DHT nodes (including this one) are in the local routing table\nLocal storage contains %d keys\n", s.Table+1, s.Records)
			}
		}
	})
}

// spreadLists repeats the name of a list flag before each of its values: `--initial_peers A B` becomes
// `--initial_peers A --initial_peers B`; and joins pairs: `--initial_coldkey A 2` becomes `--initial_coldkey A=2`.
func spreadLists(args []string) []string {
	var out []string
	list := ""
	for i := 0; i < len(args); i++ {
		a := args[i]
		name, isFlag := strings.CutPrefix(a, "--")
		switch {
		case isFlag && strings.ReplaceAll(name, "_", "-") == "initial-coldkey" && i+2 < len(args) && !strings.HasPrefix(args[i+2], "-"):
			list = ""
			out = append(out, a, args[i+1]+"="+args[i+2])
			i += 2
		case isFlag && !strings.Contains(a, "=") && isList(name):
			list = a
		case isFlag || strings.HasPrefix(a, "-"):
			list = ""
			out = append(out, a)
		case list != "":
			out = append(out, list, a)
		default:
			out = append(out, a)
		}
	}
	return out
}

// dotenv holds the settings of a .env file, over which the environment wins.
type dotenv map[string]string

func (d dotenv) get(name string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return d[name]
}

// export puts a setting into the environment, where the rest of the program looks for it.
func (d dotenv) export(name string) error {
	if d[name] == "" || os.Getenv(name) != "" {
		return nil
	}
	return os.Setenv(name, d[name])
}

// readDotenv reads NAME=VALUE lines; a missing file is empty.
func readDotenv(path string) (dotenv, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // a nil map reads as empty
	}
	if err != nil {
		return nil, err
	}
	out := make(dotenv)
	for _, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "export "))
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		out[strings.TrimSpace(name)] = value
	}
	return out, nil
}
