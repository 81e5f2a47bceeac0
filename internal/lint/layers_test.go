package lint

import (
	"strings"
	"testing"
)

// layers gives each package its height: a package imports only lower ones, or packages below its own folder's entry here.
// The longest matching prefix counts, so a subfolder without a line stands at its parent's height.
var layers = map[string]int{
	"chain/u128":            0,
	"chain":                 1,
	"chain/scale":           2,
	"chain/metadata":        3,
	"chain/substrate":       5,
	"chain/devchain":        5,
	"chain/devchain/native": 6,
	"chain/devchain/wasm":   6,
	"chain/devchain/diff":   7,
	"internal/pb":           0,
	"internal/virtualnet":   0,
	"identity":              1,
	"identity/account":      4,
	"record/msgpack":        1,
	"record":                3,
	"heartbeat":             4,
	"kad":                   2,
	"sim":                   4,
	"tensor":                2,
	"p2p":                   4,
	"rpc":                   5,
	"auth":                  6,
	"dht":                   7,
	"stake":                 7,
	"gossip":                7,
	"consensus":             7,
	"gateway":               8,
	"":                      9,
	"internal/inspect":      8,
	"internal/lint":         0,
	"internal/cli":          10,
	"cmd":                   12,
	"subnet":                11,
	"examples":              12,
	"interop":               11,
}

// never lists arrows that the heights would allow but the design does not.
var never = map[string][]string{
	"chain/substrate": {"chain/devchain"},                        // they meet only over RPC
	"chain/devchain":  {"chain/substrate", "p2p", "rpc", "dht"},  //
	"kad":             {"chain", "p2p", "rpc", "record"},         // pure
	"record":          {"p2p", "rpc", "dht"},                     // pure
	"consensus":       {"dht", "p2p", "rpc", "chain/substrate"},  // talks to the chain through package chain
	"stake":           {"dht", "rpc", "auth", "chain/substrate"}, //
	"dht":             {"chain", "stake", "consensus"},           // knows nothing of chains: validators carry that
}

func heightOf(pkg string) (int, bool) {
	for {
		if h, ok := layers[pkg]; ok {
			return h, true
		}
		i := strings.LastIndex(pkg, "/")
		if i < 0 {
			return 0, false
		}
		pkg = pkg[:i]
	}
}

func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

func TestImportsPointDown(t *testing.T) {
	for _, f := range parseAll(t) {
		if f.test {
			continue // tests may bring any twin they like
		}
		own, ok := heightOf(f.pkg)
		if !ok {
			t.Errorf("%s: package %q has no height in layers_test.go", f.path, f.pkg)
			continue
		}
		for _, imp := range f.imports() {
			h, ok := heightOf(imp)
			switch {
			case !ok:
				t.Errorf("%s imports %q, which has no height in layers_test.go", f.path, imp)
			case h >= own && !within(imp, f.pkg) && !(f.pkg != "" && sameFamily(f.pkg, imp)):
				t.Errorf("%s: %q (height %d) imports %q (height %d): imports point down", f.path, f.pkg, own, imp, h)
			}
			for from, banned := range never {
				if !within(f.pkg, from) {
					continue
				}
				for _, b := range banned {
					if within(imp, b) {
						t.Errorf("%s: %s never imports %s", f.path, from, b)
					}
				}
			}
		}
	}
}

// sameFamily reports whether two packages have one entry in layers, as a package and a subfolder without a line of its own.
func sameFamily(a, b string) bool {
	entry := func(pkg string) string {
		for {
			if _, ok := layers[pkg]; ok {
				return pkg
			}
			i := strings.LastIndex(pkg, "/")
			if i < 0 {
				return pkg
			}
			pkg = pkg[:i]
		}
	}
	return entry(a) == entry(b)
}
