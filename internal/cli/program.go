package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hypertensor-blockchain/mesh"
)

// Program is a binary with the commands of mesh.
type Program struct {
	Name    string   // as it is called, "mesh"
	Short   string   // one line for --help
	Version string   // "" takes what the Go toolchain recorded
	App     mesh.App // of the nodes that it runs; nil scores by heartbeat and serves nothing
	Default []string // arguments that stand for none; nil shows the help
	Alias   string   // the name that the process was called by; that of a Python command makes it take its flags
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// failure is a command that could not do what was asked: what and why, and what to do next.
type failure struct {
	err  error
	next string
}

func (e *failure) Error() string { return e.err.Error() }
func (e *failure) Unwrap() error { return e.err }

func failf(next, format string, args ...any) error {
	return &failure{err: fmt.Errorf(format, args...), next: next}
}

// silentError ends a command with a status whose reason was printed already.
type silentError struct{ error }

// env is what every command is given.
type env struct {
	program Program
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	log     logFlags
}

// Main runs a command line and returns the exit code. ctx ends the command in an orderly way, as does the first interrupt; the
// second interrupt ends the process at once.
func Main(ctx context.Context, p Program, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	e := &env{program: p, stdin: stdin, stdout: stdout, stderr: stderr}
	defer func() {
		if r := recover(); r != nil {
			if os.Getenv("MESH_TRACE") != "" {
				fmt.Fprintf(stderr, "%s\n", debug.Stack())
			}
			fmt.Fprintf(stderr, "%s: internal error: %v\n  this is a bug; please report it with the command line. MESH_TRACE=1 shows where.\n", p.Name, r)
			code = exitFailed
		}
	}()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // from the second interrupt on the system's default holds
	root := e.root(p.Alias)              //nolint:contextcheck // commands take theirs from cobra
	switch {
	case p.Alias != "" && root.Name() != p.Name:
		args = spreadLists(args)
	case len(args) == 0:
		args = p.Default
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return e.report(cmd, err)
}

// report prints a failure and returns the exit code.
func (e *env) report(cmd *cobra.Command, err error) int {
	var silent silentError
	var usage usageError
	var f *failure
	var start *mesh.StartError
	name := e.program.Name
	if cmd != nil {
		name = cmd.CommandPath()
	}
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &silent):
		return exitFailed
	case errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag"):
		fmt.Fprintf(e.stderr, "%s: %s\n  see `%s --help`\n", name, oneLine(err), name)
		return exitUsage
	case errors.As(err, &start):
		fmt.Fprintf(e.stderr, "%s: %s\n  %s\n", name, oneLine(start), start.Next)
	case errors.As(err, &f) && f.next != "":
		fmt.Fprintf(e.stderr, "%s: %s\n  %s\n", name, oneLine(f), f.next)
	default:
		fmt.Fprintf(e.stderr, "%s: %s\n", name, oneLine(err))
	}
	return exitFailed
}

// numberParser is how the standard library's parsers begin their complaints, after the flag and its value were named already.
var numberParser = regexp.MustCompile(`strconv\.\w+: parsing "[^"]*": `)

func oneLine(err error) string {
	return numberParser.ReplaceAllString(strings.Join(strings.Fields(err.Error()), " "), "")
}

// root is the command tree, or the one command that the binary's other name stands for.
func (e *env) root(alias string) *cobra.Command {
	if c := e.compat(alias); c != nil {
		return e.dress(c)
	}
	root := e.tree()
	root.AddCommand(e.upCmd(), e.chainCmd(), e.nodeCmd(), e.bootnodeCmd(), e.keygenCmd(), e.keyviewCmd(), e.versionCmd())
	root.AddCommand(e.subnetCmd(), e.stakeCmd(), e.overwatchCmd(), e.accountCmd(), e.simCmd(), e.dhtCmd(), e.benchCmd())
	return e.dress(root)
}

func (e *env) tree() *cobra.Command {
	p := e.program
	return &cobra.Command{
		Use:   p.Name,
		Short: p.Short,
		Long: p.Short + `.

Every flag can also be given as environment variable, MESH_ and its name in capitals (--data-dir: MESH_DATA_DIR), or in a YAML file
named by --config, with the flag's name as key. The flag wins over the environment, the environment over the file.`,
	}
}

// dress gives a root command what all have in common.
func (e *env) dress(root *cobra.Command) *cobra.Command {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	var config string
	root.PersistentFlags().StringVar(&config, "config", "", "YAML `file` with flags of any command")
	e.log.register(root.PersistentFlags())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := layer(cmd, config, os.LookupEnv); err != nil {
			return err
		}
		return e.log.validate()
	}
	wrapArgs(root)
	return root
}

// wrapArgs turns complaints about arguments into usage errors, and makes groups of commands say what is missing.
func wrapArgs(c *cobra.Command) {
	check := c.Args
	c.Args = func(cmd *cobra.Command, args []string) error {
		if cmd.HasSubCommands() && len(args) > 0 {
			cmd.SuggestionsMinimumDistance = 2
			err := usagef("unknown command %q", args[0])
			if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
				err = usagef("unknown command %q; did you mean %s?", args[0], strings.Join(s, " or "))
			}
			return err
		}
		if check == nil {
			if len(args) > 0 {
				return usagef("unexpected argument %q", args[0])
			}
			return nil
		}
		if err := check(cmd, args); err != nil {
			return usagef("%w: want `%s`", err, strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		return nil
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}

// logFlags choose what is reported and how.
type logFlags struct {
	level   string
	format  string
	file    string
	process string // said in each record where several processes report to one file; "" where one does
}

func (l *logFlags) register(f *pflag.FlagSet) {
	f.StringVar(&l.level, "log-level", "info", "what is reported: debug, info, warn or error")
	f.StringVar(&l.format, "log-format", "text", "how it is reported: text or json")
	f.StringVar(&l.file, "log-file", "", "report to this `file` instead of stderr")
	f.StringVar(&l.process, "log-process", "", "name of this process in a file that several report to")
	if err := f.MarkHidden("log-process"); err != nil {
		panic(err) // it was just defined
	}
}

// passOn are the flags by which a process that this one starts reports as this one was told to.
func (l *logFlags) passOn(given func(flag string) bool, process string) ([]string, error) {
	var args []string
	if given("log-level") {
		args = append(args, "--log-level", l.level)
	}
	if given("log-format") {
		args = append(args, "--log-format", l.format)
	}
	if l.file == "" {
		return args, nil
	}
	file, err := filepath.Abs(l.file)
	return append(args, "--log-file", file, "--log-process", process), err
}

func (l *logFlags) validate() error {
	if err := new(slog.Level).UnmarshalText([]byte(l.level)); err != nil {
		return usagef("--log-level %q: want debug, info, warn or error", l.level)
	}
	if l.format != "text" && l.format != "json" {
		return usagef("--log-format %q: want text or json", l.format)
	}
	return nil
}

// logger makes the logger; close it at the end.
func (l *logFlags) logger(stderr io.Writer) (*slog.Logger, func() error, error) {
	if err := l.validate(); err != nil {
		return nil, nil, err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, nil, err
	}
	out, done := stderr, func() error { return nil }
	if l.file != "" {
		if err := os.MkdirAll(filepath.Dir(l.file), 0o700); err != nil {
			return nil, nil, failf("give a file that can be written with --log-file", "%w", err)
		}
		// Appending, each record at once: several processes may share it.
		f, err := os.OpenFile(l.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, nil, failf("give a file that can be written with --log-file", "%w", err)
		}
		out, done = f, f.Close
	}
	opts := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(out, opts)
	if l.format == "json" {
		handler = slog.NewJSONHandler(out, opts)
	}
	log := slog.New(handler)
	if l.process != "" {
		log = log.With("process", l.process)
	}
	return log, done, nil
}
