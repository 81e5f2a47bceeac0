package account

import (
	"fmt"
	"slices"
	"strings"
)

// DevMnemonic is the publicly known phrase of development chains. Dev derives its accounts from it.
const DevMnemonic = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"

// DevNames lists the development accounts in the order of their index; the first is the administrator of development chains.
func DevNames() []string {
	return []string{"Alith", "Baltathar", "Charleth", "Dorothy", "Ethan", "Faith"}
}

// Dev returns a development account by name, in any case of letters.
func Dev(name string) (*Account, error) {
	i := slices.IndexFunc(DevNames(), func(n string) bool { return strings.EqualFold(n, name) })
	if i < 0 {
		return nil, fmt.Errorf("account: no development account %.40q; there are %s", name, strings.Join(DevNames(), ", "))
	}
	return FromMnemonic(DevMnemonic, uint32(i))
}
