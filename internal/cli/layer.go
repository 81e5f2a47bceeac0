package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	envPrefix = "MESH_"
	noEnv     = "mesh_no_env" // annotation of a flag that the environment does not fill
)

// layer fills the flags that the command line leaves open from the environment and from the configuration file. A key of the file
// that no command has is an error, because it is a typing mistake.
func layer(cmd *cobra.Command, config string, lookup func(string) (string, bool)) error {
	if config == "" {
		config, _ = lookup(envPrefix + "CONFIG")
	}
	k := koanf.New("\x00") // keys are flat
	if config != "" {
		err := k.Load(file.Provider(config), yaml.Parser())
		if errors.Is(err, fs.ErrNotExist) {
			return failf("check --config", "configuration file %s does not exist", config)
		}
		if err != nil {
			return failf("it is YAML with names of flags as keys, such as `subnet-id: 5`", "configuration file %s: %w", config, err)
		}
	}
	values := make(map[string]any, len(k.Keys()))
	known := flagNames(cmd.Root())
	for key, v := range k.All() {
		name := strings.ReplaceAll(key, "_", "-")
		if !known[name] {
			return failf("no command has a flag of that name; see --help", "configuration file %s: unknown key %q", config, key)
		}
		values[name] = v
	}
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if err != nil || f.Changed || f.Name == "config" || f.Name == "help" {
			return
		}
		source, text := "", []string(nil)
		variable := envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v, ok := lookup(variable); ok && f.Annotations[noEnv] == nil {
			source, text = variable, splitList(f, v)
		} else if v, ok := values[f.Name]; ok {
			source, text = fmt.Sprintf("%s in %s", f.Name, config), texts(v)
		}
		for _, t := range text {
			if e := cmd.Flags().Set(f.Name, t); e != nil {
				err = usagef("%s: %w", source, e)
			}
		}
	})
	return err
}

func splitList(f *pflag.Flag, v string) []string {
	if _, list := f.Value.(pflag.SliceValue); list {
		return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
	}
	return []string{v}
}

func texts(v any) []string {
	if list, ok := v.([]any); ok {
		out := make([]string, 0, len(list))
		for _, x := range list {
			out = append(out, fmt.Sprint(x))
		}
		return out
	}
	return []string{fmt.Sprint(v)}
}

// flagNames collects the flags of all commands.
func flagNames(c *cobra.Command) map[string]bool {
	names := make(map[string]bool)
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) { names[f.Name] = true })
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(c)
	return names
}
