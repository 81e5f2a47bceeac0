package mesh

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/consensus"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// statusInUse is an address on which somebody listens.
func statusInUse(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// wrongHotkey signs for an account that no node has.
type wrongHotkey struct{}

func (wrongHotkey) AccountID() chain.AccountID        { return chain.AccountID{1} }
func (wrongHotkey) Scheme() substrate.SignatureScheme { return account.Ethereum }
func (wrongHotkey) Sign([]byte) ([]byte, error)       { return make([]byte, account.SignatureSize), nil }

// brokenJournal is a data folder whose journal is something else.
func brokenJournal(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	name := consensus.JournalName(newToyChain().params().Genesis, toySubnet, 1)
	if err := os.WriteFile(filepath.Join(dir, name), []byte("this is not a journal at all, but long enough to be one"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
