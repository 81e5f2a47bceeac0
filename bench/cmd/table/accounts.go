package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
)

// comparePolkadot runs accounts/run.sh: both clients read the same accounts of one embedded chain, batch after batch in turns.
func comparePolkadot(ctx context.Context, s *session) ([]row, error) {
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, skip("no %s here", name)
		}
	}
	accounts, reads := s.size(1000, 50), s.size(20, 2)
	file := filepath.Join(s.work, "accounts.json")
	sizes := []string{"ACCOUNTS=" + strconv.Itoa(accounts), "ROUNDS=" + strconv.Itoa(reads), "BATCHES=" + strconv.Itoa(s.rounds)}
	if _, err := s.output(ctx, "", append(sizes, "OUT="+file), "sh", "bench/accounts/run.sh", s.mesh); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 77 {
			return nil, skip("@polkadot/api cannot be installed: %v", err)
		}
		return nil, err
	}
	var r struct {
		Polkadot string
		Ms       map[string][]float64
	}
	if err := readJSON(file, &r); err != nil {
		return nil, err
	}
	one := func(what, name string) row {
		return compare(fmt.Sprintf("read %d accounts, %s, ms", accounts, what), "@polkadot/api "+r.Polkadot,
			fmt.Sprintf("%s %s %s sh bench/accounts/run.sh bin/mesh", sizes[0], sizes[1], sizes[2]), false, r.Ms["mesh"], r.Ms[name])
	}
	return []row{
		one("all values new, `.multi`", "multi-fresh"), one("all values new, `queryMulti`", "queryMulti-fresh"),
		one("values that it knows already, `.multi`", "multi"),
	}, nil
}
