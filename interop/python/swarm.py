"""One swarm of Go and Python nodes: what one side stores the other finds, through restarts of either half.

Prints one line per check and "N passed, N failed" at the end; the exit status is 1 if a check failed.
Usage: swarm.py GONODE [--keys N]
"""
import argparse, tempfile, time

import hivemind
from hivemind.dht.crypto import RSASignatureValidator
from hivemind.utils.crypto import RSAPrivateKey
from hivemind.utils import get_dht_time

from nodes import GoNode, PyNode, acquainted, check, compare, copies, expiry, finish, make, restarts, store_all, versions


def python(bootstrap, **options):
    return PyNode(hivemind.DHT(initial_peers=[bootstrap] if bootstrap else [], start=True, **options))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gonode")
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=4)
    args = parser.parse_args()
    folder = tempfile.mkdtemp()
    start = time.time()

    go = [GoNode(args.gonode, folder, "go0")]
    py = [python(go[0].addr)]  # a Python node joins by a Go node
    for i in range(1, args.nodes):
        go.append(GoNode(args.gonode, folder, f"go{i}", bootstrap=py[0].addr, flags=["-rsa"] if i == 1 else []))  # and the other way round
        py.append(python(go[-1].addr))
    check("a mixed swarm forms", True, f"{len(go)} Go and {len(py)} Python nodes in {time.time() - start:.1f} s")
    acquainted(go, py)

    expiration = float(int(get_dht_time()) + 3600)
    from_go, from_py = make("go", args.keys, expiration), make("py", args.keys, expiration)
    store_all("Go stores", go, from_go)
    store_all("Python stores", py, from_py)
    compare("Python finds what Go stored", py[1], from_go)
    compare("Go finds what Python stored", go[1], from_py)
    compare("another Python node too", py[-1], from_go + from_py)
    compare("another Go node too", go[-1], from_go + from_py)

    both = versions(go, py, expiration)
    expiry(go, py, get_dht_time)
    copies(go, py, expiration)

    restarts(go, py, lambda i, at: GoNode(args.gonode, folder, f"go{i}", bootstrap=at), lambda i, at: python(at), from_go + from_py + both)
    panics = sum(n.stats()["Panics"] for n in go)
    check("no handler of a Go node panicked", panics == 0)
    for n in py:
        n.stop()
    for n in go:
        n.stop()

    signed(args.gonode, folder)
    finish()


def signed(binary, folder):
    """Records that only their owner may write, by owners of both kinds."""
    go = [GoNode(binary, folder, "signed0", flags=["-sign"])]
    go.append(GoNode(binary, folder, "signed1", bootstrap=go[0].addr, flags=["-sign", "-rsa"]))
    validators = [RSASignatureValidator(RSAPrivateKey()) for _ in range(2)]  # not one key for the whole process
    py = [python(go[0].addr, record_validators=[v]) for v in validators]
    expiration = float(int(get_dht_time()) + 3600)
    owners = [go[1].marker.encode(), validators[0].local_public_key]
    items = [("signed", b"go" + owners[0], "by go", expiration), ("signed", b"py" + owners[1], "by py", expiration)]
    check("Go stores a record signed with RSA", go[1].store(items[:1])[0])
    check("Python stores a record signed with RSA", py[0].store(items[1:])[0])
    compare("Python verifies both", py[1], items)
    compare("Go verifies both", go[0], items)
    forged = [("signed", b"py" + owners[1], "forged", expiration + 10)]
    check("Go refuses a record without its owner's signature", not go[0].store(forged)[0])
    check("Python refuses it too", not py[1].store(forged)[0])
    compare("nothing was altered", go[0], items)
    for n in py + go:
        n.stop()


if __name__ == "__main__":
    main()
