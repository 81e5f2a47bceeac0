"""Store and get times of a swarm of hivemind DHT nodes, with the parameters of hivemind's published benchmark.

Prints one JSON object: peers, keys, batch, start_s, store_ms and get_ms per key, success fractions, memory of all processes.
Every node has its own transport daemon, as in production; all of them listen on loopback.
"""
import argparse
import asyncio
import json
import logging
import os
import random
import sys
import time


def memory_mib(pid: int) -> float:
    """Resident memory of a process and all its children, MiB."""
    total, todo = 0, [pid]
    while todo:
        p = todo.pop()
        try:
            with open(f"/proc/{p}/statm") as f:
                total += int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/children") as f:
                    todo += [int(c) for c in f.read().split()]
        except OSError:
            continue
    return total / 2**20


async def main(args: argparse.Namespace) -> dict:
    logging.disable(logging.WARNING)
    from hivemind.dht.node import DHTNode
    from hivemind.utils.timed_storage import get_dht_time

    random.seed(args.seed)
    nodes, addresses = [], []
    began = time.perf_counter()
    while len(nodes) < args.peers:
        wave = min(args.wave, args.peers - len(nodes)) if nodes else 1
        started = await asyncio.gather(*(
            DHTNode.create(
                initial_peers=random.sample(addresses, min(3, len(addresses))),
                host_maddrs=["/ip4/127.0.0.1/tcp/0"], nat_port_map=False, use_relay=False, auto_nat=False,
                num_replicas=args.replicas, wait_timeout=args.wait_timeout, startup_timeout=120,
            ) for _ in range(wave)))
        for node in started:
            addresses.append(str((await node.get_visible_maddrs())[0]))
        nodes += started
    start_s = time.perf_counter() - began

    keys = [random.randbytes(16).hex() for _ in range(args.keys)]
    values = [random.randbytes(args.value) for _ in range(args.keys)]
    stored = got = 0
    expiration = get_dht_time() + args.expiration
    began = time.perf_counter()
    for at in range(0, args.keys, args.batch):
        chunk = slice(at, at + args.batch)
        ok = await random.choice(nodes).store_many(keys[chunk], values[chunk], expiration)
        stored += sum(bool(x) for x in ok.values())
    store_s = time.perf_counter() - began
    if args.latency:
        await asyncio.sleep(args.latency)
    began = time.perf_counter()
    for at in range(0, args.keys, args.batch):
        chunk = slice(at, at + args.batch)
        found = await random.choice(nodes).get_many(keys[chunk])
        got += sum(found.get(k) is not None and found[k].value == v for k, v in zip(keys[chunk], values[chunk]))
    get_s = time.perf_counter() - began
    result = dict(
        peers=args.peers, keys=args.keys, batch=args.batch, start_s=round(start_s, 3),
        store_ms=round(1000 * store_s / args.keys, 4), get_ms=round(1000 * get_s / args.keys, 4),
        store_success=stored / args.keys, get_success=got / args.keys, memory_mib=round(memory_mib(os.getpid()), 1),
    )
    await asyncio.gather(*(node.shutdown() for node in nodes))
    return result


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--peers", type=int, default=32)
    p.add_argument("--keys", type=int, default=2048)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--value", type=int, default=16, help="bytes of a value")
    p.add_argument("--expiration", type=float, default=300, help="seconds")
    p.add_argument("--latency", type=float, default=0, help="seconds between storing and getting")
    p.add_argument("--replicas", type=int, default=5)
    p.add_argument("--wave", type=int, default=4, help="peers that start at once")
    p.add_argument("--wait_timeout", type=float, default=5, help="seconds of one call")
    p.add_argument("--seed", type=int, default=1)
    print(json.dumps(asyncio.run(main(p.parse_args()))), file=sys.stdout)
