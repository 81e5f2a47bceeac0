"""Both kinds of nodes of a mixed swarm behind one interface, and what is checked of any swarm.

It knows no Python framework: a PyNode is given a running DHT object, of hivemind or of the Python mesh, whose interfaces are the same.
Checks print one line each and are counted.
"""
import functools, hashlib, json, os, subprocess, sys, time

import msgpack

passed = failed = 0


def check(name, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
    print(f"{'ok  ' if good else 'FAIL'} {name}" + (f": {detail}" if detail else ""), flush=True)
    return good


def finish():
    """Prints the counts and ends the program, with status 1 if a check failed."""
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)


def wait(cond, seconds=30):
    end = time.time() + seconds
    while not cond():
        if time.time() > end:
            return False
        time.sleep(0.1)
    return True


TUPLE = 0x40  # extension code


def pack(value):
    def extend(v):
        if isinstance(v, tuple):
            return msgpack.ExtType(TUPLE, pack(list(v)))
        raise TypeError(f"cannot pack {type(v)}")

    return msgpack.packb(value, default=extend, strict_types=True, use_bin_type=True)


def unpack(data):
    return msgpack.unpackb(data, raw=False, ext_hook=lambda code, body: tuple(unpack(body)) if code == TUPLE else body)


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
        """Stores (key, subkey or None, value, expiration) and returns for each whether it is stored."""
        answers = self.ask(op="store", items=[
            dict(key=pack(k).hex(), value=pack(v).hex(), expiration=e, **({} if s is None else dict(subkey=pack(s).hex())))
            for k, s, v, e in items])
        return [a["ok"] for a in answers]

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

    def ping(self, peer, addr=None):
        """Returns the peer's node ID if it answers and can reach this node."""
        r = self.ask(op="ping", peer=peer, addrs=[addr] if addr else [])
        return r["value"] if r["ok"] else None

    def nearest(self, key, count):
        return self.ask(op="nearest", items=[dict(key=pack(key).hex())], count=count).get("nodes", [])

    def copies(self):
        return self.stats()["CachedKeys"]

    def stats(self):
        return self.ask(op="stats")

    def knows(self):
        return self.stats()["Peers"]

    def stop(self):
        self.process.stdin.write('{"op": "quit"}\n')  # forked Python nodes hold the pipe open too
        self.process.stdin.flush()
        return self.process.wait(timeout=30)

    def kill(self):
        self.process.kill()
        self.process.wait()


# What runs inside of a DHT's own process.


async def _store_many(dht, node, items):
    keys, subkeys, values, expirations = zip(*items)
    res = await node.store_many(list(keys), list(values), list(expirations), subkeys=list(subkeys))
    return [bool(res.get((k, s) if s is not None else k)) for k, s, _, _ in items]


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


async def _id(dht, node):
    return node.node_id.to_bytes().hex()


async def _peers(dht, node):
    return [str(p) for p in node.protocol.routing_table.peer_id_to_uid]


async def _ping(dht, node, peer):
    res = await node.protocol.call_ping(type(node.peer_id).from_base58(peer), validate=True, strict=True)
    return res.to_bytes().hex() if res is not None else None


async def _nearest(dht, node, key, count):
    key_id = type(node.node_id).generate(source=key)
    found = await node.find_nearest_nodes([key_id], k_nearest=count, exclude_self=False)
    return [n.to_bytes().hex() for n in found[key_id]]


async def _banned(dht, node):
    return [str(p) for p in list(node.blacklist.ban_counter) if p in node.blacklist]


async def _copies(dht, node):
    return len(node.protocol.cache)


class PyNode:
    def __init__(self, dht, marker=None):
        self.dht, self.marker = dht, marker
        self.addr = str(dht.get_visible_maddrs()[0])
        self.peer = str(dht.peer_id)
        self.id = self.run(_id)

    def run(self, coroutine, **arguments):
        return self.dht.run_coroutine(functools.partial(coroutine, **arguments))

    def store(self, items):
        return self.run(_store_many, items=items)

    def get(self, keys):
        return self.run(_get_many, keys=keys)

    def peers(self):
        return self.run(_peers)

    def knows(self):
        return len(self.peers())

    def ping(self, peer):
        return self.run(_ping, peer=peer)

    def nearest(self, key, count):
        return self.run(_nearest, key=key, count=count)

    def banned(self):
        return self.run(_banned)

    def copies(self):
        return self.run(_copies)

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
    """Checks that a node reads exactly these items under their keys."""
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


def store_all(name, writers, items):
    """Checks that several nodes store items, a batch each in turn."""
    began = time.time()
    ok = sum(ok for i, b in enumerate(batches(items)) for ok in writers[i % len(writers)].store(b))
    check(name, ok == len(items), f"{ok} of {len(items)} records in {time.time() - began:.1f} s")


def acquainted(go, py):
    """Checks that the tables fill with nodes of both kinds, and that all can call each other back."""
    everybody = {n.peer for n in go + py}
    check("Python nodes have Go nodes in their tables", wait(lambda: all(len(everybody & set(n.peers())) >= len(go) for n in py)))
    check("Go nodes have Python nodes in their tables", wait(lambda: all(n.knows() >= len(py) for n in go)),
          str([n.knows() for n in go]))
    check("Python pings Go, and is called back", all(p.ping(g.peer) == g.id for p in py for g in go))
    check("Go pings Python, and is called back", all(g.ping(p.peer) == p.id for p in py for g in go))


def versions(go, py, expiration):
    """Checks dictionaries written by both kinds, and that only the newest version counts. Returns what is stored then."""
    key = "both"
    go[0].store([(key, "go", "g", expiration)])
    py[0].store([(key, "py", "p", expiration + 1)])
    both = [(key, "go", "g", expiration), (key, "py", "p", expiration + 1)]
    compare("a dictionary written by both, read by Python", py[-1], both)
    compare("a dictionary written by both, read by Go", go[-1], both)
    # What a store returns depends on which replicas lack the newer version; what readers see must not.
    py[1].store([(key, "go", "old", expiration - 10)])
    go[1].store([(key, "py", "old", expiration - 10)])
    compare("an older version does not win, read by Python", py[-1], both)
    compare("an older version does not win, read by Go", go[-1], both)
    py[1].store([(key, "go", "newer", expiration + 20)])
    go[1].store([(key, "py", "newer", expiration + 20)])
    both = [(key, "go", "newer", expiration + 20), (key, "py", "newer", expiration + 20)]
    compare("a newer version wins, read by Python", py[0], both)
    compare("a newer version wins, read by Go", go[0], both)
    return both


def expiry(go, py, now):
    """Checks that what has expired is served by nobody."""
    short = float(now() + 2)
    go[0].store([("short-go", None, 1, short), ("short-go-d", "s", 1, short), ("short-go-d", "long", 1, short + 60)])
    py[0].store([("short-py", None, 1, short), ("short-py-d", "s", 1, short), ("short-py-d", "long", 1, short + 60)])
    wait(lambda: now() > short + 0.1)
    keys = ["short-go", "short-py"]
    check("what expired is served by nobody", not any(n.get(keys) for n in go + py))
    left = [(k + "-d", "long", 1, short + 60) for k in keys]
    compare("the rest of a dictionary stays, read by Python", py[-1], left)
    compare("the rest of a dictionary stays, read by Go", go[-1], left)


def by_distance(key, nodes):
    """The nodes, the one nearest to a key first."""
    target = int(hashlib.sha1(pack(key)).hexdigest(), 16)
    return sorted(nodes, key=lambda n: int(n.id, 16) ^ target)


def copies(go, py, expiration, replicas=5):
    """Checks that a Go reader gives a copy to the nearest node that has none, a Python node here. (Python readers give theirs to the nearest
    node that they did not get the value from, which nearly always has it.)"""
    for i in range(1000):
        key = f"copied {i}"
        near = by_distance(key, go + py)
        first, readers = near[replicas], [n for n in near[replicas + 1:] if n in go]
        if first in py and readers and set(near[:replicas]) & set(py):
            break
    writer = next(n for n in near if n in py)  # a Go node would choose holders among the farther ones too
    writer.store([(key, None, i, expiration)])
    before = first.copies()
    readers[0].get([key])
    check("Go reads, and the nearest Python node without the value gets a copy", wait(lambda: first.copies() > before, 10))


def restarts(go, py, golang, python, items):
    """Restarts one half after the other, all Python nodes at once, the Go nodes one by one, and checks that nothing is lost. golang and python
    start the node of a number at the address of another. Changes both lists."""
    for n in py:
        n.stop()
    compare("Go finds all after the Python half is gone", go[0], items)
    py[:] = [python(i, n.addr) for i, n in enumerate(go)]
    compare("a new Python node finds all", py[0], items)
    wait(lambda: all(n.knows() >= len(py) + len(go) - 1 for n in go))
    for i, n in enumerate(go):
        check(f"Go node {i} leaves in order", n.stop() == 0)
        go[i] = golang(i, py[i].addr)
        check(f"Go node {i} comes back under its name", go[i].peer == n.peer)
    compare("Python finds all after the Go half was restarted", py[1], items)
    compare("Go finds all after it was restarted", go[1], items)
