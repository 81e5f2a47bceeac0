"""One swarm of Go and Python nodes: what one side stores the other finds, through restarts of either half.

Prints one line per check and "N passed, N failed" at the end; the exit status is 1 if a check failed.
Usage: swarm.py GONODE [--keys N]
"""
import argparse, functools, json, os, random, subprocess, sys, tempfile, time

import hivemind
from hivemind.dht.crypto import RSASignatureValidator
from hivemind.utils.crypto import RSAPrivateKey
from hivemind.utils import get_dht_time, MSGPackSerializer

pack = MSGPackSerializer.dumps
unpack = MSGPackSerializer.loads

passed = failed = 0


def check(name, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
    print(f"{'ok  ' if good else 'FAIL'} {name}" + (f": {detail}" if detail else ""), flush=True)


class GoNode:
    def __init__(self, binary, folder, name, bootstrap=None, listen=None, flags=()):
        args = [binary, "-key", os.path.join(folder, name + ".key"), *flags]
        if bootstrap:
            args += ["-bootstrap", bootstrap]
        if listen:
            args += ["-listen", listen]
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        hello = json.loads(self.process.stdout.readline())
        self.peer, self.addr, self.id, self.marker = hello["peer"], hello["addrs"][0], hello["id"], hello["marker"]

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def store(self, items):
        return self.ask(op="store", items=[
            dict(key=pack(k).hex(), value=pack(v).hex(), expiration=e, **({} if s is None else dict(subkey=pack(s).hex())))
            for k, s, v, e in items])

    def get(self, keys):
        """Returns {key: (value, expiration)} or {key: ({subkey: (value, expiration)}, expiration)}."""
        found = {}
        for key, r in zip(keys, self.ask(op="get", items=[dict(key=pack(k).hex()) for k in keys])):
            if not r["ok"]:
                continue
            if r.get("entries"):
                found[key] = ({unpack(bytes.fromhex(e["subkey"])): (unpack(bytes.fromhex(e["value"])), float(e["expiration"]))
                               for e in r["entries"]}, float(r["expiration"]))
            else:
                found[key] = (unpack(bytes.fromhex(r["value"])), float(r["expiration"]))
        return found

    def stop(self):
        self.process.stdin.write('{"op": "quit"}\n')  # forked Python nodes hold the pipe open too
        self.process.stdin.flush()
        return self.process.wait(timeout=30)

    def kill(self):
        self.process.kill()
        self.process.wait()


async def _store_many(dht, node, items):
    keys, subkeys, values, expirations = zip(*[(k, s, v, e) for k, s, v, e in items])
    res = await node.store_many(list(keys), list(values), list(expirations), subkeys=list(subkeys))
    return [res.get((k, s) if s is not None else k) for k, s, _, _ in items]


async def _get_many(dht, node, keys):
    res = await node.get_many(keys, sufficient_expiration_time=float("inf"))
    out = {}
    for k, v in res.items():
        if v is None:
            continue
        if isinstance(v.value, dict) and all(hasattr(x, "expiration_time") for x in v.value.values()) and v.value:
            out[k] = ({s: (x.value, x.expiration_time) for s, x in v.value.items()}, v.expiration_time)
        else:
            out[k] = (v.value, v.expiration_time)
    return out


async def _peers(dht, node):
    return [str(p) for p in node.protocol.routing_table.peer_id_to_uid]


async def _ping(dht, node, peer):
    from hivemind.p2p import PeerID
    res = await node.protocol.call_ping(PeerID.from_base58(peer), validate=True, strict=True)
    return res.to_bytes().hex() if res is not None else None


class PyNode:
    def __init__(self, bootstrap, **options):
        self.dht = hivemind.DHT(initial_peers=[bootstrap] if bootstrap else [], start=True, **options)
        self.addr = str(self.dht.get_visible_maddrs()[0])
        self.peer = str(self.dht.peer_id)

    def store(self, items):
        return self.dht.run_coroutine(functools.partial(_store_many, items=items))

    def get(self, keys):
        return self.dht.run_coroutine(functools.partial(_get_many, keys=keys))

    def peers(self):
        return self.dht.run_coroutine(_peers)

    def ping(self, peer):
        return self.dht.run_coroutine(functools.partial(_ping, peer=peer))

    def stop(self):
        self.dht.shutdown()


def batches(items, size=100):
    return [items[i:i + size] for i in range(0, len(items), size)]


def make(prefix, count, expiration):
    """Half plain keys with values of all kinds, half dictionaries with subkeys of all kinds."""
    kinds = [0, "", False, "text", 2**40, -1, 3.5, b"bytes", (1, "two"), [1, [2]], {"a": 1, "b": None}, None, ()]
    subkeys = ["s", 7, b"sub", True, (1, "t"), 2.5]
    items = []
    for i in range(count):
        key = (f"{prefix}", i) if i % 3 == 0 else f"{prefix}-{i}"
        if i % 2 == 0:
            items.append((key, None, kinds[i // 2 % len(kinds)], expiration + i))
        else:
            for j in range(2):
                items.append((key, subkeys[(i // 2 + j) % len(subkeys)], [i, j], expiration + i + j * 0.25))
    return items


def expected(items):
    want = {}
    for k, s, v, e in items:
        if s is None:
            want[k] = (v, e)
        else:
            d, latest = want.get(k, ({}, 0))
            d[s] = (v, e)
            want[k] = (d, max(latest, e))
    return want


def same(a, b):
    """Equality that tells 1 from True and tuple from list."""
    return pack_any(a) == pack_any(b)


def pack_any(x):
    if isinstance(x, dict):
        return ("dict", tuple(sorted((repr(type(k)) + repr(k), pack_any(v)) for k, v in x.items())))
    if isinstance(x, (tuple, list)):
        return (type(x).__name__, tuple(map(pack_any, x)))
    return (type(x).__name__, x)


def compare(name, reader, items):
    want = expected(items)
    found = {}
    for batch in batches(list(want)):
        found.update(reader.get(batch))
    lost = [k for k in want if k not in found]
    wrong = [k for k in want if k in found and not same(want[k], found[k])]
    detail = f"{len(want) - len(lost) - len(wrong)} of {len(want)}"
    if lost:
        detail += f", lost e.g. {lost[0]!r}"
    if wrong:
        detail += f", altered e.g. {wrong[0]!r}: {found[wrong[0]]!r} instead of {want[wrong[0]]!r}"
    check(name, not lost and not wrong, detail)


def wait(cond, seconds=30):
    end = time.time() + seconds
    while not cond():
        if time.time() > end:
            return False
        time.sleep(0.1)
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gonode")
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=4)
    args = parser.parse_args()
    random.seed(1)
    folder = tempfile.mkdtemp()
    start = time.time()

    go = [GoNode(args.gonode, folder, "go0")]
    py = [PyNode(go[0].addr)]  # a Python node joins by a Go node
    for i in range(1, args.nodes):
        go.append(GoNode(args.gonode, folder, f"go{i}", bootstrap=py[0].addr, flags=["-rsa"] if i == 1 else []))  # and the other way round
        py.append(PyNode(go[-1].addr))
    check("a mixed swarm forms", True, f"{len(go)} Go and {len(py)} Python nodes in {time.time() - start:.1f} s")
    everybody = {n.peer for n in go + py}
    check("Python nodes have Go nodes in their tables", wait(lambda: all(len(everybody & set(n.peers())) >= len(go) for n in py)))
    check("Go nodes have Python nodes in their tables", wait(lambda: all(n.ask(op="stats")["Peers"] >= len(py) for n in go)),
          str([n.ask(op="stats")["Peers"] for n in go]))
    check("Python pings Go, and is called back", all(p.ping(g.peer) == g.id for p in py for g in go))
    check("Go pings Python, and is called back", all(g.ask(op="ping", peer=p.peer)["ok"] for p in py for g in go))

    expiration = float(int(get_dht_time()) + 3600)
    from_go, from_py = make("go", args.keys, expiration), make("py", args.keys, expiration)
    t = time.time()
    ok = sum(r["ok"] for i, b in enumerate(batches(from_go)) for r in go[i % len(go)].store(b))
    check("Go stores", ok == len(from_go), f"{ok} of {len(from_go)} records in {time.time() - t:.1f} s")
    t = time.time()
    ok = sum(bool(r) for i, b in enumerate(batches(from_py)) for r in py[i % len(py)].store(b))
    check("Python stores", ok == len(from_py), f"{ok} of {len(from_py)} records in {time.time() - t:.1f} s")
    compare("Python finds what Go stored", py[1], from_go)
    compare("Go finds what Python stored", go[1], from_py)
    compare("another Python node too", py[-1], from_go + from_py)
    compare("another Go node too", go[-1], from_go + from_py)

    # Dictionaries written by both sides, newer versions by the other side, older ones refused.
    key = "both"
    go[0].store([(key, "go", "g", expiration)])
    py[0].store([(key, "py", "p", expiration + 1)])
    both = [(key, "go", "g", expiration), (key, "py", "p", expiration + 1)]
    compare("a dictionary written by both, read by Python", py[2], both)
    compare("a dictionary written by both, read by Go", go[2], both)
    # What a store returns depends on which replicas lack the newer version; what readers see must not.
    py[1].store([(key, "go", "old", expiration - 10)])
    go[1].store([(key, "py", "old", expiration - 10)])
    compare("an older version does not win, read by Python", py[2], both)
    compare("an older version does not win, read by Go", go[2], both)
    py[1].store([(key, "go", "newer", expiration + 20)])
    go[1].store([(key, "py", "newer", expiration + 20)])
    both = [(key, "go", "newer", expiration + 20), (key, "py", "newer", expiration + 20)]
    compare("a newer version wins, read by Python", py[3 % len(py)], both)
    compare("a newer version wins, read by Go", go[3 % len(go)], both)
    short = float(get_dht_time() + 2)
    go[0].store([("short-go", None, 1, short)])
    py[0].store([("short-py", None, 1, short)])
    wait(lambda: get_dht_time() > short + 0.1)
    check("what expired is served by nobody", not py[1].get(["short-go"]) and not go[1].get(["short-py"]))

    # One half restarts: all Python nodes are gone at once, then new ones come; then the Go nodes, one by one.
    for n in py:
        n.stop()
    compare("Go finds all after the Python half is gone", go[0], from_go + from_py + both)
    py = [PyNode(g.addr) for g in go]
    compare("a new Python node finds all", py[0], from_go + from_py + both)
    wait(lambda: all(n.ask(op="stats")["Peers"] >= len(py) + len(go) - 1 for n in go))
    for i, n in enumerate(go):
        check(f"Go node {i} leaves in order", n.stop() == 0)
        go[i] = GoNode(args.gonode, folder, f"go{i}", bootstrap=py[i].addr)
        check(f"Go node {i} comes back under its name", go[i].peer == n.peer)
    compare("Python finds all after the Go half was restarted", py[1], from_go + from_py + both)
    compare("Go finds all after it was restarted", go[1], from_go + from_py + both)
    panics = sum(n.ask(op="stats")["Panics"] for n in go)
    check("no handler of a Go node panicked", panics == 0)
    for n in py:
        n.stop()
    for n in go:
        n.stop()

    signed(args.gonode, folder)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def signed(binary, folder):
    """Records that only their owner may write, by owners of both kinds."""
    go = [GoNode(binary, folder, "signed0", flags=["-sign"])]
    go.append(GoNode(binary, folder, "signed1", bootstrap=go[0].addr, flags=["-sign", "-rsa"]))
    validators = [RSASignatureValidator(RSAPrivateKey()) for _ in range(2)]  # not one key for the whole process
    py = [PyNode(go[0].addr, record_validators=[v]) for v in validators]
    expiration = float(int(get_dht_time()) + 3600)
    owners = [go[1].marker.encode(), validators[0].local_public_key]
    items = [("signed", b"go" + owners[0], "by go", expiration), ("signed", b"py" + owners[1], "by py", expiration)]
    check("Go stores a record signed with RSA", go[1].store(items[:1])[0]["ok"])
    check("Python stores a record signed with RSA", bool(py[0].store(items[1:])[0]))
    compare("Python verifies both", py[1], items)
    compare("Go verifies both", go[0], items)
    forged = [("signed", b"py" + owners[1], "forged", expiration + 10)]
    check("Go refuses a record without its owner's signature", not go[0].store(forged)[0]["ok"])
    check("Python refuses it too", not py[1].store(forged)[0])
    compare("nothing was altered", go[0], items)
    for n in py + go:
        n.stop()


if __name__ == "__main__":
    main()
