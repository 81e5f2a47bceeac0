package identity_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/hypertensor-blockchain/mesh/identity"
)

func Example() {
	dir, err := os.MkdirTemp("", "identity")
	if err != nil {
		log.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			log.Print(err)
		}
	}()

	path := filepath.Join(dir, "peer.key")
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		log.Fatal(err)
	}
	if err := identity.Save(path, key, false); err != nil {
		log.Fatal(err)
	}
	again, err := identity.Load(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("same key:", again.Equals(key))

	sig, err := identity.SignText(key, []byte("hello"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("signed:", identity.VerifyText(key.GetPublic(), []byte("hello"), sig) == nil)
	// Output:
	// same key: true
	// signed: true
}
