package subnet_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/subnet"
)

func TestRun(t *testing.T) {
	var out, errs bytes.Buffer
	if code := subnet.Run(t.Context(), "hello", mesh.Liveness{}, []string{"--help"}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if !strings.Contains(out.String(), "hello runs nodes of a Hypertensor subnet") || !strings.Contains(out.String(), "hello [command]") {
		t.Errorf("help:\n%s", out.String())
	}
	if code := subnet.Run(t.Context(), "hello", nil, []string{"node", "run"}, strings.NewReader(""), &out, &errs); code != 2 {
		t.Errorf("exit code %d for wrong usage", code)
	}
}

func ExampleRun() {
	code := subnet.Run(context.Background(), "hello", mesh.Liveness{}, []string{"up", "--nodes", "1"}, os.Stdin, os.Stdout, os.Stdout)
	fmt.Println(code)
	// Output:
	// hello up: --nodes 1: want 3 to 64; the chain activates no subnet with fewer
	//   see `hello up --help`
	// 2
}
