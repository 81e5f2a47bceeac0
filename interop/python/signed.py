"""A swarm in which Python nodes sign every message and records have owners, with keys of both kinds on both sides.

The Python half is hivemind with the authorizer and the record validator of signatures.py, or, where MESH_PYTHON_MESH names a checkout that
setup.sh has made ready, the Python mesh itself.

Prints one line per check and "N passed, N failed" at the end; the exit status is 1 if a check failed.
Usage: signed.py GONODE hivemind|mesh [--keys N]
"""
import argparse, os, tempfile, time

from nodes import GoNode, PyNode, acquainted, by_distance, check, compare, expiry, finish, make, restarts, store_all, versions, wait


class Hivemind:
    name = "hivemind"

    def __init__(self):
        import signatures
        import hivemind
        from hivemind.utils import get_dht_time

        self.keys, self.dht, self.now = signatures, hivemind.DHT, get_dht_time

    def start(self, path, kind, bootstrap=None, signs=True, validates=True, **options):
        if not os.path.exists(path):
            self.keys.generate(path, kind)
        key = self.keys.Key(path)
        owners = self.keys.Owners(key)
        return PyNode(self.dht(
            initial_peers=[bootstrap] if bootstrap else [], start=True, identity_path=path, check_if_identity_free=False,
            authorizer=self.keys.Authorizer(key) if signs else None, record_validators=[owners] if validates else [], **options,
        ), owners.local_public_key)


class Mesh:
    name = "the Python mesh"

    def __init__(self):
        from subnet import DHT, get_dht_time
        from subnet.dht.crypto import SignatureValidator
        from subnet.utils import key
        from subnet.utils.authorizers.auth import SignatureAuthorizer
        from subnet.utils.logging import setup_mp_logging

        setup_mp_logging()  # without it the constructor of a DHT never returns
        self.keys, self.dht, self.now, self.authorizer, self.validator = key, DHT, get_dht_time, SignatureAuthorizer, SignatureValidator

    def make(self, path, kind):
        """Makes an identity file with the means of the mesh."""
        {"rsa": self.keys.generate_rsa_private_key_file, "ed25519": self.keys.generate_ed25519_private_key_file}[kind](path)

    def start(self, path, kind, bootstrap=None, signs=True, validates=True, **options):
        if not os.path.exists(path):
            self.make(path, kind)
        private = self.keys.get_private_key(path)
        owners = self.validator(private)
        return PyNode(self.dht(
            initial_peers=[bootstrap] if bootstrap else [], start=True, identity_path=path, check_if_identity_free=False,
            authorizer=self.authorizer(private) if signs else None, record_validators=[owners] if validates else [], **options,
        ), owners.local_public_key)


FRAMEWORKS = {"hivemind": Hivemind, "mesh": Mesh}


def owners(go, py, expiration):
    """Records that only their owner may write, by owners of both kinds on both sides. Returns them."""
    items = [("owned", b"%d" % i + n.marker, ["by", i], expiration + i) for i, n in enumerate(go + py)]
    stored = [n.store([item])[0] for n, item in zip(go + py, items)]
    check("every node stores a record of its own key", all(stored), str(stored))
    for i, n in enumerate(go + py):
        compare(f"{kind(go, i)} node {i % len(go)} verifies all owners' records", n, items)
    for i, n in enumerate(go + py):
        key, subkey, _, e = items[(i + 1) % len(items)]
        check(f"{kind(go, i)} node {i % len(go)} cannot write another's record", not n.store([(key, subkey, "forged", e + 100)])[0])
    return items


def thieves(go, py, thieves, items):
    """Nodes that validate nothing store forgeries and answer with them; nobody else takes them."""
    for thief in thieves:
        for key, subkey, _, e in items:
            thief.store([(key, subkey, "forged", e + 100)])
    compare("forgeries change nothing, read by Go", go[0], items)
    compare("forgeries change nothing, read by Python", py[0], items)
    for thief in thieves:
        thief.stop()
    items = [(k, s, ["again", v], e + 50) for k, s, v, e in items]
    for n, item in zip(go + py, items):
        n.store([item])  # what Python makes of it is the last replica's answer
    compare("the owners' newer versions count, read by Go", go[-1], items)
    compare("the owners' newer versions count, read by Python", py[-1], items)


def kind(go, i):
    return "Go" if i < len(go) else "Python"


def nearest(go, py):
    """Both kinds find the nodes that are nearest to a key, nearest first."""
    for key in ("somewhere", 7):
        ids = [n.id for n in by_distance(key, go + py)]
        for i, n in enumerate(go + py):
            found = [x for x in n.nearest(key, len(ids)) if x != n.id]
            check(f"{kind(go, i)} node {i % len(go)} finds the nodes nearest to {key!r}",
                  found == [x for x in ids if x != n.id], f"{len(found)} others")


def blacklisting(go, py, items):
    """Nodes of either kind that fall silent are left out of searches, and nothing is lost."""
    dead_go, dead_py = go.pop(), py.pop()
    dead_go.kill()
    keys = list(dict.fromkeys(k for k, *_ in items))

    def left_out():
        py[0].get(keys)
        return dead_go.peer in py[0].banned()

    check("Python leaves a silent Go node out", dead_go.peer not in py[0].peers() or wait(left_out))
    bans = go[0].stats()["Bans"]
    dead_py.stop()

    def forgotten():
        go[0].get(keys)
        return go[0].stats()["Bans"] > bans

    check("Go leaves a silent Python node out", wait(forgotten))
    compare("nothing is lost, read by Python", py[0], items)
    compare("nothing is lost, read by Go", go[0], items)


def strangers(frame, go, py, folder, binary):
    """Nodes that do not sign are refused by both kinds, and left out of their tables."""
    plain = GoNode(binary, folder, "stranger")
    check("Python refuses a Go node that does not sign", plain.ping(py[0].peer, py[0].addr) is None)
    plain.stop()
    try:
        joined = frame.start(os.path.join(folder, "stranger.id"), "ed25519", go[0].addr, signs=False)
        joined.stop()
    except Exception as e:  # whatever its kind is: it must not have joined
        joined = None
        detail = f"{type(e).__name__}: {str(e)[:80]}"
    check("Go refuses a Python node that does not sign", joined is None, "" if joined else detail)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gonode")
    parser.add_argument("framework", choices=list(FRAMEWORKS))
    parser.add_argument("--keys", type=int, default=200)
    args = parser.parse_args()
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    frame = FRAMEWORKS[args.framework]()

    def golang(i, bootstrap=None):
        node = GoNode(args.gonode, folder, f"go{i}", bootstrap, flags=["-sign", "-auth", *(["-rsa"] if i == 1 else [])])
        node.marker = node.marker.encode()
        return node

    def python(i, bootstrap, **options):
        return frame.start(os.path.join(folder, f"py{i}.id"), "rsa" if i == 1 else "ed25519", bootstrap, **options)

    began = time.time()
    go, py = [golang(0)], []
    for i in range(3):
        py.append(python(i, go[-1].addr))
        if i < 2:
            go.append(golang(i + 1, py[-1].addr))
    check(f"a signed swarm with {frame.name} forms", True, f"{len(go)} Go and {len(py)} Python nodes in {time.time() - began:.1f} s")
    acquainted(go, py)

    expiration = float(int(frame.now()) + 3600)
    items = make("go", args.keys, expiration), make("py", args.keys, expiration)
    store_all("Go stores", go, items[0])
    store_all("Python stores", py, items[1])
    for n in py:
        compare("Python finds all", n, items[0] + items[1])
    for n in go:
        compare("Go finds all", n, items[0] + items[1])
    versions(go, py, expiration)
    expiry(go, py, frame.now)
    nearest(go, py)
    owned = owners(go, py, expiration)
    thieves(go, py, [GoNode(args.gonode, folder, "thief", go[0].addr, flags=["-auth"]), python(8, go[0].addr, validates=False)], owned)
    guest = python(9, go[1].addr, client_mode=True)
    compare("a Python client, which serves nothing, finds all", guest, items[0] + items[1])
    check("and is in nobody's table", guest.peer not in py[0].peers())
    guest.stop()
    strangers(frame, go, py, folder, args.gonode)
    blacklisting(go, py, items[0] + items[1])
    again = python(2, go[1].addr)  # under the peer ID of the one that left, with another node ID
    check("a Python node that comes back is known again", wait(lambda: all(n.ping(again.peer) == again.id for n in go)))
    compare("and finds all", again, items[0] + items[1])
    py.append(again)
    restarts(go, py, golang, python, items[0] + items[1])
    check("no handler of a Go node panicked", sum(n.stats()["Panics"] for n in go) == 0)
    for n in py + go:
        n.stop()
    finish()


if __name__ == "__main__":
    main()
