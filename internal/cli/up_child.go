package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// child is a process that `up` started.
type child struct {
	name  string
	args  []string
	log   string // file with what it printed, which is its last words where it reports to another file
	cmd   *exec.Cmd
	stdin io.WriteCloser // closed to ask it to stop
	out   *os.File
	done  chan struct{} // closed when it has ended
	err   error         // why; set before done is closed
}

// startChild starts a process that reports as this one was told to.
func (u *up) startChild(name, log string, args ...string) (*child, error) {
	report, err := u.env.log.passOn(u.flags.given, name)
	if err != nil {
		return nil, err
	}
	return startChild(name, log, append(args, report...)...)
}

// startChild starts this binary again with other arguments. Its stdin tells it when its parent is gone, whatever the reason.
func startChild(name, log string, args ...string) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	c := &child{name: name, args: args, log: log, out: out, done: make(chan struct{})}
	c.cmd = exec.Command(exe, append(append([]string(nil), args...), "--with-parent")...) //nolint:noctx // it is stopped in order, not killed with a context
	c.cmd.Stdout, c.cmd.Stderr = out, out
	ownGroup(c.cmd) // Ctrl-C goes to the parent alone, which stops the children in order
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		out.Close()
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		out.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { // stop waits for it
		defer close(c.done)
		c.err = c.cmd.Wait()
		out.Close()
	}()
	return c, nil
}

// ended reports whether the process is gone.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// stop asks the process to stop, and kills it when it does not within the grace.
func (c *child) stop(grace time.Duration) error {
	_ = c.stdin.Close() // it may have ended already
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-c.done:
		return nil
	case <-t.C:
	}
	_ = c.cmd.Process.Kill() // as above
	<-c.done
	return fmt.Errorf("%s did not stop within %v and was killed", c.name, grace)
}

// commandLine is what restarts the process by hand.
func (c *child) commandLine() string {
	words := append([]string{c.cmd.Path}, c.args...)
	for i, w := range words {
		words[i] = shellQuote(w)
	}
	return strings.Join(words, " ")
}

func shellQuote(w string) string {
	plain := strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+") == ""
	if plain && w != "" {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// lastWords is the end of what the process printed, in one line.
func (c *child) lastWords() string {
	f, err := os.Open(c.log)
	if err != nil {
		return ""
	}
	defer f.Close()
	const tail = 8 << 10
	if st, err := f.Stat(); err == nil && st.Size() > tail {
		if _, err := f.Seek(-tail, io.SeekEnd); err != nil {
			return ""
		}
	}
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if t := strings.TrimSpace(s.Text()); t != "" {
			lines = append(lines, t)
		}
	}
	return strings.Join(lines[max(0, len(lines)-2):], "; ")
}

// awaitFile waits until a child has written a file, and returns its content.
func awaitFile(ctx context.Context, c *child, path string) (string, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(b)), nil
		}
		select {
		case <-c.done:
			return "", failf("its log is "+c.log, "%s ended at its start: %s", c.name, c.lastWords())
		case <-ctx.Done():
			return "", ctx.Err()
		case <-tick.C:
		}
	}
}
