package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

func (e *env) chainInfoCmd() *cobra.Command {
	var f chainFlags
	c := &cobra.Command{
		Use:   "info",
		Short: "Show a chain: genesis, generation, heads, constants",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
				best, err := c.Head(ctx, chain.Hash{})
				if err != nil {
					return err
				}
				final, err := c.FinalizedHead(ctx)
				if err != nil {
					return err
				}
				p, err := c.Params(ctx)
				if err != nil {
					return err
				}
				ver := c.Version()
				m := c.Registry().Metadata()
				v := map[string]any{
					"genesis": p.Genesis, "generation": p.Generation, "spec": ver.SpecName, "spec_version": ver.SpecVersion,
					"transaction_version": ver.TransactionVersion, "best": best.Number, "best_hash": best.Hash,
					"finalized": final.Number, "finalized_hash": final.Hash, "epoch": p.GeneralEpoch(best.Number),
					"epoch_length": p.EpochLength, "block_time_ms": p.BlockTime.Milliseconds(), "metadata": m.Version, "pallets": len(m.Pallets),
				}
				return e.show(f.json, v, func() string {
					var b strings.Builder
					w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
					fmt.Fprintf(w, "chain\t%s, generation %s, spec version %d\n", ver.SpecName, p.Generation, ver.SpecVersion)
					fmt.Fprintf(w, "genesis\t%s\n", p.Genesis)
					fmt.Fprintf(w, "best block\t%d %s\n", best.Number, best.Hash)
					fmt.Fprintf(w, "finalized\t%d %s\n", final.Number, final.Hash)
					fmt.Fprintf(w, "epoch\t%d, %d blocks of %s each\n", p.GeneralEpoch(best.Number), p.EpochLength, p.BlockTime)
					fmt.Fprintf(w, "metadata\tversion %d, %d pallets, %d types\n", m.Version, len(m.Pallets), len(m.Types))
					flush(w)
					return b.String()
				})
			})
		},
	}
	f.register(c.Flags())
	return c
}

func (e *env) chainEventsCmd() *cobra.Command {
	var f chainFlags
	var follow bool
	var block int64
	c := &cobra.Command{
		Use:     "events",
		Short:   "Show the events of a block, or of every new block",
		Example: "  mesh chain events --follow\n  mesh chain events --block 43 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
				if !follow {
					head, err := headOf(ctx, c, block)
					if err != nil {
						return err
					}
					return e.showEvents(ctx, c, &f, head)
				}
				heads, err := c.SubscribeHeads(ctx)
				if err != nil {
					return err
				}
				for head := range heads {
					if err := e.showEvents(ctx, c, &f, head); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	f.register(c.Flags())
	c.Flags().BoolVar(&follow, "follow", false, "go on with every new block until interrupted")
	c.Flags().Int64Var(&block, "block", -1, "`number` of the block; default the best one")
	return c
}

// headOf finds a block by number; a negative one is the best.
func headOf(ctx context.Context, c *substrate.Client, number int64) (chain.Head, error) {
	if number < 0 {
		return c.Head(ctx, chain.Hash{})
	}
	hash, err := c.BlockHash(ctx, chain.BlockNumber(number))
	if errors.Is(err, chain.ErrNotFound) {
		return chain.Head{}, failf("`mesh chain info` shows the best block", "there is no block %d yet", number)
	}
	if err != nil {
		return chain.Head{}, err
	}
	return c.Head(ctx, hash)
}

func (e *env) showEvents(ctx context.Context, c *substrate.Client, f *chainFlags, head chain.Head) error {
	events, err := c.Events(ctx, head.Hash)
	if err != nil {
		return err
	}
	type event struct {
		Extrinsic int    `json:"extrinsic"` // -1: the block's own work
		Event     string `json:"event"`
		Fields    any    `json:"fields,omitempty"`
	}
	list := make([]event, 0, len(events))
	for _, ev := range events {
		list = append(list, event{ev.Extrinsic, ev.Pallet + "." + ev.Name, ev.Fields})
	}
	return e.show(f.json, map[string]any{"block": head.Number, "hash": head.Hash, "events": list}, func() string {
		var b strings.Builder
		fmt.Fprintf(&b, "block %d %s\n", head.Number, head.Hash)
		for _, ev := range list {
			at := "block"
			if ev.Extrinsic >= 0 {
				at = fmt.Sprintf("tx %d", ev.Extrinsic)
			}
			fmt.Fprintf(&b, "  %-6s %s %s\n", at, ev.Event, valueText(ev.Fields))
		}
		return b.String()
	})
}

// valueText is a dynamic value in one line.
func valueText(v any) string {
	if v == nil {
		return ""
	}
	b, err := metadata.AppendJSON(nil, v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// parseArgs reads arguments: JSON where it is JSON, else plain text.
func parseArgs(args []string) []any {
	out := make([]any, 0, len(args))
	for _, a := range args {
		if v, err := metadata.ParseJSON([]byte(a)); err == nil {
			out = append(out, v)
		} else {
			out = append(out, a)
		}
	}
	return out
}

// splitName reads "Pallet.Item".
func splitName(text string) (pallet, item string, err error) {
	pallet, item, ok := strings.Cut(text, ".")
	if !ok || pallet == "" || item == "" {
		return "", "", usagef("%q: want Pallet.Name, such as Network.SubnetsData", text)
	}
	return pallet, item, nil
}

func (e *env) chainQueryCmd() *cobra.Command {
	var f chainFlags
	var block int64
	var limit int
	c := &cobra.Command{
		Use:   "query PALLET.ITEM [KEY...]",
		Short: "Read the chain's storage, a constant, or a runtime API",
		Long: `Read a storage entry by its keys (JSON, or text where JSON does not fit), or with fewer keys all entries below them. A name that is a
constant is read as one; Api.method calls a runtime API with the rest as arguments.`,
		Example: `  mesh chain query System.Account 0xf24ff3a9cf04c71dbc94d0b566f7a27b94566cac
  mesh chain query Network.SubnetNodesData 128001 1
  mesh chain query Network.SubnetsData
  mesh chain query Network.EpochLength
  mesh chain query AccountNonceApi.account_nonce 0xf24ff3a9cf04c71dbc94d0b566f7a27b94566cac`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			pallet, item, err := splitName(args[0])
			if err != nil {
				return err
			}
			keys := parseArgs(args[1:])
			return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
				head, err := headOf(ctx, c, block)
				if err != nil {
					return err
				}
				reg := c.Registry()
				entry, err := reg.Storage(pallet, item)
				if err != nil {
					return e.queryOther(ctx, c, &f, head.Hash, pallet, item, keys)
				}
				if len(keys) > len(entry.Hashers) {
					return usagef("%s takes %d keys, not %d", args[0], len(entry.Hashers), len(keys))
				}
				if len(keys) == len(entry.Hashers) {
					v, err := c.QueryStorage(ctx, head.Hash, pallet, item, keys...)
					if errors.Is(err, chain.ErrNotFound) {
						v, err = nil, nil
					}
					if err != nil {
						return err
					}
					return e.show(f.json, jsonValue(v), func() string { return pretty(v) })
				}
				return e.queryMap(ctx, c, &f, head.Hash, pallet, entry, keys, limit)
			})
		},
	}
	f.register(c.Flags())
	c.Flags().Int64Var(&block, "block", -1, "`number` of the block to read at; default the best one")
	c.Flags().IntVar(&limit, "limit", 1000, "the most entries to show")
	return c
}

// queryOther reads a constant or calls a runtime API.
func (e *env) queryOther(ctx context.Context, c *substrate.Client, f *chainFlags, at chain.Hash, pallet, item string, args []any) error {
	if len(args) == 0 {
		if v, err := c.Constant(pallet, item); err == nil {
			return e.show(f.json, jsonValue(v), func() string { return pretty(v) })
		}
	}
	if _, err := c.Registry().APIMethod(pallet, item); err != nil {
		return failf("`mesh chain metadata` lists what there is", "this chain has no storage, constant or API %s.%s", pallet, item)
	}
	v, err := c.RuntimeCall(ctx, at, pallet, item, args...)
	if err != nil {
		return err
	}
	return e.show(f.json, jsonValue(v), func() string { return pretty(v) })
}

func (e *env) queryMap(ctx context.Context, c *substrate.Client, f *chainFlags, at chain.Hash, pallet string, entry *metadata.StorageEntry, keys []any, limit int) error {
	entries, err := c.Map(ctx, at, pallet, entry.Name, keys...)
	if err != nil {
		return err
	}
	reg := c.Registry()
	types := keyTypes(reg, entry)
	type row struct {
		Key   []any `json:"key"`
		Value any   `json:"value"`
	}
	rows := make([]row, 0, min(len(entries), limit))
	for _, x := range entries[:min(len(entries), limit)] {
		r := row{}
		for i, part := range x.Parts {
			if part == nil {
				r.Key = append(r.Key, nil)
				continue
			}
			r.Key = append(r.Key, jsonValue(decodeAs(reg, types[i], part)))
		}
		r.Value = jsonValue(decodeAs(reg, entry.Value, x.Value))
		rows = append(rows, r)
	}
	if len(entries) > limit {
		fmt.Fprintf(e.stderr, "%d of %d entries; more with --limit\n", limit, len(entries))
	}
	return e.show(f.json, rows, func() string {
		if len(rows) == 0 {
			return "no entries"
		}
		var b strings.Builder
		for _, r := range rows {
			k, err := json.Marshal(r.Key)
			if err != nil {
				k = []byte(err.Error())
			}
			v, err := json.Marshal(r.Value)
			if err != nil {
				v = []byte(err.Error())
			}
			fmt.Fprintf(&b, "%s  %s\n", k, v)
		}
		return b.String()
	})
}

func (e *env) chainCallCmd() *cobra.Command {
	f := signFlags{unchecked: true} // it is for those who want to see what the chain does
	var sudo bool
	c := &cobra.Command{
		Use:   "call PALLET.NAME [ARGS]",
		Short: "Submit any call of the chain; ARGS is a JSON object or array",
		Example: `  mesh chain call System.remark '["0x68656c6c6f"]' --dev alith
  mesh chain call Network.set_overwatch_node_blacklist '{"coldkey":"0x3cd0...","blacklist":false}' --sudo --dev alith --dry-run`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			pallet, name, err := splitName(args[0])
			if err != nil {
				return err
			}
			call := substrate.Call{Pallet: pallet, Name: name}
			if len(args) == 2 {
				if call.Args, err = metadata.ParseJSON([]byte(args[1])); err != nil {
					return usagef("ARGS is no JSON: %w", err)
				}
			}
			return e.submit(cmd, &f, func(_ context.Context, c *substrate.Client, _ *account.Account) (substrate.Call, error) {
				if _, _, err := c.Registry().Call(pallet, name); err != nil {
					return substrate.Call{}, failf("`mesh chain metadata --calls` lists them", "this chain has no call %s", call)
				}
				if sudo {
					return substrate.Sudo(call), nil
				}
				return call, nil
			}, func(_ context.Context, _ *substrate.Client, _ chain.Hash, events []substrate.Event) (any, string, error) {
				for _, ev := range events {
					if ev.Pallet == "Sudo" && ev.Name == "Sudid" {
						if r, ok := ev.Field("sudo_result", 0).(metadata.Enum); ok && r.Name == "Err" {
							return nil, "", failf("its fee is spent", "the chain executed sudo, but the call in it failed: %s", valueText(r.Value))
						}
					}
				}
				return nil, "", nil
			})
		},
	}
	f.register(c.Flags())
	c.Flags().BoolVar(&sudo, "sudo", false, "execute it as the chain's root; only the administrator of a development chain may")
	return c
}

func (e *env) chainMetadataCmd() *cobra.Command {
	var f chainFlags
	var raw string
	var version uint32
	var calls, storage, events, failures, constants, apis bool
	c := &cobra.Command{
		Use:   "metadata [PALLET]",
		Short: "Show what a chain can do: calls, storage, events, errors, constants, APIs",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
				if raw != "" {
					return writeMetadata(ctx, c, raw, version)
				}
				if !calls && !storage && !events && !failures && !constants && !apis {
					calls, storage, events, failures, constants, apis = true, true, true, true, true, len(args) == 0
				}
				only := ""
				if len(args) == 1 {
					p, err := c.Registry().Pallet(args[0])
					if err != nil {
						return failf("`mesh chain metadata` lists them", "this chain has no pallet %q", args[0])
					}
					only = p.Name
				}
				lines := describe(c.Registry(), only, calls, storage, events, failures, constants, apis)
				return e.show(f.json, lines, func() string { return strings.Join(lines, "\n") })
			})
		},
	}
	f.register(c.Flags())
	fl := c.Flags()
	fl.StringVar(&raw, "raw", "", "write the metadata as the chain encodes it to this `file`")
	fl.Uint32Var(&version, "version", 14, "version of the metadata for --raw: 14 or 15")
	fl.BoolVar(&calls, "calls", false, "show calls")
	fl.BoolVar(&storage, "storage", false, "show storage")
	fl.BoolVar(&events, "events", false, "show events")
	fl.BoolVar(&failures, "errors", false, "show errors")
	fl.BoolVar(&constants, "constants", false, "show constants")
	fl.BoolVar(&apis, "apis", false, "show runtime APIs")
	return c
}

// writeMetadata saves the metadata bytes.
func writeMetadata(ctx context.Context, c *substrate.Client, path string, version uint32) error {
	m := c.Registry().Metadata()
	var b []byte
	var err error
	switch {
	case version == 14:
		var answer json.RawMessage
		if answer, err = c.Call(ctx, "state_getMetadata"); err == nil {
			var text string
			if err = json.Unmarshal(answer, &text); err == nil {
				b, err = hex.DecodeString(strings.TrimPrefix(text, "0x"))
			}
		}
	case version == 15 && m.Version == 15:
		b, err = m.EncodeV15()
	default:
		return failf("the chain serves version 14, and maybe 15", "metadata of version %d is not to be had", version)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644) //nolint:gosec // public
}
