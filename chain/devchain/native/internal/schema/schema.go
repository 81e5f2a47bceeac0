package schema

import (
	_ "embed" // for the declaration
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

//go:embed types.txt
var typesText string

//go:embed pallets.txt
var palletsText string

//go:embed network.txt
var networkText string

//go:embed apis.txt
var apisText string

// Build returns the metadata. Each constant that is declared as dynamic takes
// its encoded value from dynamic, under "Pallet.Name".
func Build(dynamic map[string][]byte) (m *metadata.Metadata, err error) {
	defer func() {
		if r := recover(); r != nil {
			bad, ok := r.(syntaxError)
			if !ok {
				panic(r)
			}
			m, err = nil, fmt.Errorf("schema: %s", bad.msg)
		}
	}()
	doc := new(document)
	doc.parse("types.txt", typesText)
	doc.parse("pallets.txt", palletsText)
	doc.parse("network.txt", networkText)
	doc.parse("apis.txt", apisText)
	return newRegistry(doc).build(dynamic), nil
}
