// Package inspect is what people see of a node of the DHT, and what they may ask it to do: the operations behind `mesh dht`, with
// results in words and numbers that are printed, or sent as JSON.
//
// Tools is the list of operations. Direct carries them out on a DHT node of this process; Handler offers those of a running node to
// other programs of its operator over HTTP on loopback; Client calls such a handler. What makes the node act needs a token that only
// the operator can read, and no request of a web page is answered; see Handler.
//
// Values travel as MessagePack and are shown as JSON; see ToJSON. The package starts no goroutine of its own.
package inspect
