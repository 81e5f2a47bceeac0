// Package account holds the accounts that sign on the chain: secp256k1 keys with 20-byte addresses, as Ethereum has them.
//
// An [Account] is made from a mnemonic (BIP-39 words, BIP-44 path m/44'/60'/0'/0/index), from 32 bytes of private key, or read
// from a file. Files are either encrypted (the Web3 secret storage, version 3: scrypt, AES-128-CTR, keccak MAC, which other
// Ethereum tools read as well) or the bare key in hex for development; both have mode 0600, are written atomically and never
// replace an existing file unless told to.
//
// The address is the last 20 bytes of the keccak256 of the public key. A signature is r, s and the recovery number (0 or 1),
// 65 bytes, over the keccak256 of the payload; a payload above 256 bytes is first replaced by its blake2_256, as Substrate
// does. [Recover] gives the signer back.
//
// [Dev] returns the publicly known accounts of development chains. Whatever they hold belongs to everybody.
//
// Secrets never appear in String, in errors or in logs. An Account is immutable and safe for concurrent use. The package
// starts no goroutine.
package account
