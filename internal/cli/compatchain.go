package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// compatChain returns the original's chain and key commands by their names, or nil.
func (e *env) compatChain(name string) *cobra.Command {
	var c *cobra.Command
	switch name {
	case "keygen":
		return e.keygenCmd()
	case "keyview":
		return e.keyviewCmd()
	case "generate-key":
		return e.compatGenerateKey()
	case "register-subnet":
		c = e.compatRegisterSubnet()
	case "activate-subnet":
		c = e.compatActivateSubnet()
	case "register-node":
		c = e.compatRegisterNode()
	case "activate-node":
		c = e.compatActivateNode()
	}
	return c
}

// compatSign are the flags that the original's chain commands share.
type compatSign struct {
	signFlags
	localRPC           bool
	phrase, privateKey string
}

func (c *compatSign) register(cmd *cobra.Command) {
	f := cmd.Flags()
	c.signFlags.register(f)
	c.registerChain(f)
	f.StringVar(&c.phrase, "phrase", "", "refused: secrets do not belong on a command line; set PHRASE, or use --key")
	f.StringVar(&c.privateKey, "private-key", "", "refused: as --phrase; use --key with a key file")
}

func (c *compatSign) registerChain(f *pflag.FlagSet) {
	f.BoolVar(&c.localRPC, "local-rpc", false, "use the chain at LOCAL_RPC, default "+defaultRPC+"; otherwise at DEV_RPC")
}

// settle turns the original's flags and .env into ours.
func (c *compatSign) settle(cmd *cobra.Command) error {
	if c.phrase != "" || c.privateKey != "" {
		return usagef("--phrase and --private-key are refused: every user of the machine can read a command line. Put the phrase into the environment or .env as PHRASE, or give a key file with --key")
	}
	dotenv, err := readDotenv(".env")
	if err != nil {
		return err
	}
	switch {
	case cmd.Flags().Changed("rpc"):
	case c.localRPC && dotenv.get("LOCAL_RPC") != "":
		c.rpc = []string{dotenv.get("LOCAL_RPC")}
	case !c.localRPC && dotenv.get("DEV_RPC") != "":
		c.rpc = []string{dotenv.get("DEV_RPC")}
	}
	return dotenv.export("PHRASE")
}

func (e *env) compatGenerateKey() *cobra.Command {
	var f keyFileFlags
	var words int
	var phraseFile string
	c := &cobra.Command{
		Use:   "generate-key",
		Short: "Make an account of the chain, with the flags of the Python mesh",
		Long:  "Make an account of the chain. Unlike the original nothing secret is printed: phrase and key go into files of mode 0600.",
		RunE: func(*cobra.Command, []string) error {
			if err := f.saveWithPhrase(e, phraseFile, words); err != nil {
				return err
			}
			fmt.Fprintf(e.stderr, "the phrase is in %s\n", phraseFile)
			return nil
		},
	}
	f.register(c)
	c.Flags().IntVar(&words, "words", 12, "words of the phrase: 12, 15, 18, 21 or 24")
	c.Flags().StringVar(&phraseFile, "phrase-file", "account.phrase", "`file` for the phrase")
	return c
}

func (e *env) compatRegisterSubnet() *cobra.Command {
	var f compatSign
	var maxCost, minStake, maxStake amountFlag
	var share shareFlag
	var r substrate.SubnetRegistration
	var coldkeys, bootnodes, kinds []string
	c := &cobra.Command{
		Use:   "register-subnet",
		Short: "Register a subnet, with the flags of the Python mesh",
		Long:  "Register a subnet, with the flags of the Python mesh. Amounts are exact decimals of TENSOR. `mesh subnet register` is the same.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.settle(cmd); err != nil {
				return err
			}
			var err error
			if r.Bootnodes, err = bootnodeMap(bootnodes); err != nil {
				return err
			}
			if r.InitialColdkeys, err = coldkeyCounts(coldkeys); err != nil {
				return err
			}
			if r.KeyTypes, err = keyTypeNames(kinds); err != nil {
				return err
			}
			r.MinStake, r.MaxStake, r.DelegateStakePercentage = minStake.value, maxStake.value, share.value
			return e.submit(cmd, &f.signFlags, fixed(substrate.RegisterSubnet(maxCost.value, r)), proveRegistered)
		},
	}
	f.register(c)
	fl := c.Flags()
	fl.Var(&maxCost, "max-cost", "the most to pay")
	fl.StringVar(&r.Name, "name", "", "name, unique on the chain")
	fl.StringVar(&r.Repo, "repo", "", "`URL` of the code, unique on the chain")
	fl.StringVar(&r.Description, "description", "", "what it is for")
	fl.StringVar(&r.Misc, "misc", "", "anything else")
	fl.Var(&minStake, "min-stake", "the least stake of a node")
	fl.Var(&maxStake, "max-stake", "the most stake of a node")
	fl.Var(&share, "delegate-stake-percentage", "share of the rewards for those who delegate, 0.05 to 0.95")
	fl.StringSliceVar(&coldkeys, "initial-coldkey", nil, "`COLDKEY COUNT` that may register so many nodes; at least three")
	fl.StringSliceVar(&bootnodes, "bootnodes", nil, "`multiaddrs` of entry points, with /p2p/..")
	fl.StringSliceVar(&kinds, "key-types", nil, "kinds of peer keys, on chains that want them: Rsa, Ed25519, Secp256k1, Ecdsa")
	for _, name := range []string{"max-cost", "name", "min-stake", "max-stake", "delegate-stake-percentage", "initial-coldkey", "bootnodes"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // the lines above define it
		}
	}
	return c
}

// keyTypeNames reads kinds of peer keys by name.
func keyTypeNames(names []string) ([]substrate.KeyType, error) {
	out := make([]substrate.KeyType, 0, len(names))
	for _, n := range names {
		switch strings.ToLower(n) {
		case "rsa":
			out = append(out, substrate.KeyRSA)
		case "ed25519":
			out = append(out, substrate.KeyEd25519)
		case "secp256k1":
			out = append(out, substrate.KeySecp256k1)
		case "ecdsa":
			out = append(out, substrate.KeyECDSA)
		default:
			return nil, usagef("--key-types %q: want Rsa, Ed25519, Secp256k1 or Ecdsa", n)
		}
	}
	return out, nil
}

func (e *env) compatActivateSubnet() *cobra.Command {
	var f compatSign
	var id uint32
	c := &cobra.Command{
		Use:   "activate-subnet",
		Short: "Activate a subnet, with the flags of the Python mesh",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.settle(cmd); err != nil {
				return err
			}
			if id == 0 {
				return usagef("--subnet-id is missing: which subnet?")
			}
			return e.submit(cmd, &f.signFlags, func(ctx context.Context, c *substrate.Client, _ *account.Account) (substrate.Call, error) {
				found, err := resolveSubnet(ctx, c, chain.Hash{}, strconv.FormatUint(uint64(id), 10))
				return substrate.ActivateSubnet(found), err
			}, proveActivated(chain.SubnetID(id)))
		},
	}
	f.register(c)
	c.Flags().Uint32Var(&id, "subnet-id", 0, "`ID` of the subnet (required)")
	return c
}

func (e *env) compatRegisterNode() *cobra.Command {
	var f compatSign
	var n nodeForm
	var bootnodeAddr string
	c := &cobra.Command{
		Use:   "register-node",
		Short: "Register a node, with the flags of the Python mesh",
		Long:  "Register a node, with the flags of the Python mesh. Amounts are exact decimals of TENSOR. `mesh node register` is the same.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.settle(cmd); err != nil {
				return err
			}
			if n.subnet == "" {
				return usagef("--subnet-id is missing: which subnet?")
			}
			if bootnodeAddr != "" {
				n.bootnode = bootnodeAddr // the address names the peer too
			}
			return e.registerNode(cmd, &f.signFlags, &n)
		},
	}
	f.register(c)
	fl := c.Flags()
	fl.StringVar(&n.subnet, "subnet-id", "", "`ID` of the subnet (required)")
	fl.StringVar(&n.hotkey, "hotkey", "", "`account` that proposes and attests (required)")
	fl.StringVar(&n.peer, "peer-id", "", "`peer` of the node (required)")
	fl.StringVar(&n.bootnode, "bootnode-peer-id", "", "`peer` of the operator's bootnode")
	fl.StringVar(&n.client, "client-peer-id", "", "`peer` of the operator's client")
	fl.StringVar(&bootnodeAddr, "bootnode", "", "`multiaddr` of the operator's bootnode, with /p2p/..")
	fl.Var(&n.stake, "stake-to-be-added", "what the node puts in (required)")
	if err := n.maxBurn.Set("1"); err != nil {
		panic(err) // a constant
	}
	fl.Var(&n.maxBurn, "max-burn-amount", "the most that the registration may burn")
	fl.Var(&n.rewardRate, "delegate-reward-rate", "share of the rewards for those who delegate to the node")
	fl.StringVar(&n.unique, "unique", "", "parameter that no other node of the subnet may have")
	fl.StringVar(&n.nonUnique, "non-unique", "", "any parameter")
	return c
}

// compatActivateNode waits for what the chain does by itself.
func (e *env) compatActivateNode() *cobra.Command {
	var f compatSign
	var subnet, node string
	c := &cobra.Command{
		Use:   "activate-node",
		Short: "Wait until a registered node is active, with the flags of the Python mesh",
		Long: `Wait until a registered node is active. No transaction is needed for it: the chain activates the nodes of its queue by itself, a few
in every epoch, and those registered before the subnet runs at once.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.settle(cmd); err != nil {
				return err
			}
			if subnet == "" || node == "" {
				return usagef("--subnet-id and --subnet-node-id are required")
			}
			fmt.Fprintln(e.stderr, "the chain activates nodes by itself; waiting for it")
			return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
				heads, err := c.SubscribeHeads(ctx)
				if err != nil {
					return err
				}
				last := ""
				for range heads {
					n, err := nodeArgs(ctx, c, subnet, node)
					if err != nil {
						return err
					}
					if n.Class > chain.ClassRegistered {
						v := showNode(n)
						return e.show(f.json, v, func() string {
							return fmt.Sprintf("node %d is active as %s since subnet epoch %d", n.ID, n.Class, n.StartEpoch)
						})
					}
					if line := fmt.Sprintf("node %d is in the queue since subnet epoch %d", n.ID, n.StartEpoch); line != last {
						fmt.Fprintln(e.stderr, line)
						last = line
					}
				}
				return failf("it stays in the queue; look again later", "node %s of subnet %s is not active yet", node, subnet)
			})
		},
	}
	f.chainFlags.register(c.Flags())
	f.registerChain(c.Flags())
	c.Flags().StringVar(&subnet, "subnet-id", "", "`ID` of the subnet (required)")
	c.Flags().StringVar(&node, "subnet-node-id", "", "`ID` or peer ID of the node (required)")
	return c
}
