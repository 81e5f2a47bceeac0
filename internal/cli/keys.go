package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/identity"
)

func (e *env) keygenCmd() *cobra.Command {
	var path, boot, client, kind string
	var force, asJSON bool
	c := &cobra.Command{
		Use:   "keygen",
		Short: "Make the peer keys of a node",
		Long: `Make the peer keys of a node: its own, and those of its bootnode and client identities, which the chain wants when a node is
registered. The files have mode 0600, are readable by the Python mesh too, and are never overwritten without --force. An empty path
leaves that key out.`,
		Example: "  mesh keygen --path node.key --bootstrap-path '' --client-path ''",
		RunE: func(*cobra.Command, []string) error {
			t, err := parseKeyType(kind)
			if err != nil {
				return err
			}
			keys := slices.DeleteFunc([]keyOut{
				{"peer_id", "Peer ID", path}, {"bootstrap_peer_id", "Bootstrap Peer ID", boot}, {"client_peer_id", "Client Peer ID", client},
			}, func(k keyOut) bool { return k.path == "" })
			if err := canWrite(keys, force); err != nil {
				return err
			}
			out := map[string]string{}
			for _, k := range keys {
				key, err := identity.Generate(t)
				if err != nil {
					return err
				}
				if err := saveKey(k.path, key, force); err != nil {
					return err
				}
				id, err := identity.PeerID(key)
				if err != nil {
					return err
				}
				out[k.name] = id.String()
				if !asJSON {
					fmt.Fprintf(e.stdout, "%s: %s\n  %s, public key %s\n", k.label, id, k.path, identity.OpenSSH(key.GetPublic()))
				}
			}
			if asJSON {
				return json.NewEncoder(e.stdout).Encode(out)
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&path, "path", "private_key.key", "`file` of the node's key")
	f.StringVar(&boot, "bootstrap-path", "bootstrap_private_key.key", "`file` of the bootnode's key")
	f.StringVar(&client, "client-path", "client_private_key.key", "`file` of the client's key")
	f.StringVar(&kind, "key-type", "ed25519", "ed25519 or rsa")
	f.BoolVar(&force, "force", false, "replace existing files; what they held is lost")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// keyOut is a key to be made: its name in JSON and in words, and its file.
type keyOut struct{ name, label, path string }

// canWrite finds what would stop keygen half-way, before the first file is written.
func canWrite(keys []keyOut, force bool) error {
	if len(keys) == 0 {
		return usagef("every path is empty: there is no key to make")
	}
	seen := make(map[string]bool, len(keys))
	for _, k := range keys {
		p := filepath.Clean(k.path)
		if seen[p] {
			return usagef("two keys in one file: %s", k.path)
		}
		seen[p] = true
		info, err := os.Lstat(p)
		switch {
		case err == nil && info.IsDir():
			return failf("give a file in it", "%s is a folder", k.path)
		case err == nil && !force:
			return failf("give another path, or --force to replace it", "%s exists already", k.path)
		}
		if info, err := os.Stat(filepath.Dir(p)); err != nil || !info.IsDir() {
			return failf("make it first, or give another path", "folder %s of %s does not exist", filepath.Dir(p), k.path)
		}
	}
	return nil
}

func parseKeyType(s string) (identity.KeyType, error) {
	switch s {
	case "ed25519":
		return identity.Ed25519, nil
	case "rsa":
		return identity.RSA, nil
	}
	return 0, usagef("--key-type %q: want ed25519 or rsa", s)
}

func saveKey(path string, key crypto.PrivKey, force bool) error {
	err := identity.Save(path, key, force)
	if errors.Is(err, fs.ErrExist) {
		return failf("give another path, or --force to replace it", "%s exists already", path)
	}
	return err
}

// loadKey reads a peer key that must exist.
func loadKey(path string) (crypto.PrivKey, error) {
	key, err := identity.Load(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failf("make one with `mesh keygen --path "+path+"`", "key file %s does not exist", path)
	case errors.Is(err, identity.ErrPermissions):
		return nil, failf("chmod 600 "+path, "key file %s can be read by others", path)
	case err != nil:
		return nil, failf("it must be a file that keygen made", "key file %s: %w", path, err)
	}
	return key, nil
}

func (e *env) keyviewCmd() *cobra.Command {
	var path string
	var asJSON bool
	c := &cobra.Command{
		Use:   "keyview",
		Short: "Show the peer ID of a key file",
		RunE: func(*cobra.Command, []string) error {
			key, err := loadKey(path)
			if err != nil {
				return err
			}
			id, err := identity.PeerID(key)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(e.stdout).Encode(map[string]string{"peer_id": id.String(), "public_key": identity.OpenSSH(key.GetPublic())})
			}
			fmt.Fprintf(e.stdout, "Peer ID %s\nPublic key %s\n", id, identity.OpenSSH(key.GetPublic()))
			return nil
		},
	}
	c.Flags().StringVar(&path, "path", "private_key.key", "key `file`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
