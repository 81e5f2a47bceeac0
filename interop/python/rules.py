"""The rules of a subnet, held by Go nodes and by nodes of the Python mesh alike: heartbeats, commits and reveals in their phases, quotas,
horizons, and stake, which the Python half checks. Then the Python mesh's own server programs, unchanged, beside a Go node.

The epochs are seconds long and counted from 1970 on both sides; only the chain behind the Python half is made up.

Prints one line per check and "N passed, N failed" at the end; the exit status is 1 if a check failed.
Usage: rules.py GONODE
"""
import argparse, os, re, signal, subprocess, sys, tempfile, time
from types import SimpleNamespace

from nodes import GoNode, PyNode, acquainted, check, compare, finish, wait
from signed import Mesh
from subnet.app.utils.mock_commit_reveal import MockHypertensorCommitReveal
from subnet.dht.validation import HypertensorPredicateValidator
from subnet.utils.authorizers.pos_auth import ProofOfStakeAuthorizer
from subnet.utils.data_structures import ServerClass, ServerInfo, ServerState
from subnet.utils.dht import declare_node_sig, get_node_heartbeats
from subnet.utils.proof_of_stake import ProofOfStake

EPOCH = 20  # seconds


def progress():
    return time.time() % EPOCH / EPOCH


class Chain:
    """What the Python mesh asks its chain: answered by the clock, and by a file for each peer that has no stake."""

    def __init__(self, folder):
        self.folder = folder

    def unstake(self, peer):
        open(os.path.join(self.folder, "unstaked-" + peer), "w").close()

    def proof_of_stake(self, subnet_id, peer_id, min_class):
        return {"result": not os.path.exists(os.path.join(self.folder, "unstaked-" + "".join(map(chr, peer_id))))}

    def get_formatted_subnet_info(self, subnet_id):
        return SimpleNamespace(slot_index=0)

    def get_subnet_epoch_data(self, slot):
        return SimpleNamespace(epoch=int(time.time() // EPOCH), percent_complete=progress())


class Subnet(Mesh):
    """Nodes that hold the rules of the mesh's own server: its validators and authorizer, put together as it does."""

    def __init__(self, chain):
        super().__init__()
        self.chain = chain

    def start(self, path, kind, bootstrap=None, **options):
        self.make(path, kind)
        private = self.keys.get_private_key(path)
        owner = self.validator(private)
        predicate = HypertensorPredicateValidator.from_predicate_class(MockHypertensorCommitReveal, hypertensor=self.chain, subnet_id=1)
        authorizer = ProofOfStakeAuthorizer(self.authorizer(private), ProofOfStake(1, self.chain, min_class=0))
        node = PyNode(self.dht(
            initial_peers=[bootstrap] if bootstrap else [], start=True, identity_path=path, check_if_identity_free=False,
            record_validators=[owner, predicate], authorizer=authorizer,
        ), owner.local_public_key)
        node.owner = owner
        return node


def heartbeats(go, py, now):
    """Every node announces itself in its own way, and every node lists all."""
    until = float(int(now()) + 600)
    want = {}
    for i, n in enumerate(go):
        check(f"Go node {i} stores its heartbeat", n.ask(op="beat", items=[dict(key="", expiration=until + i)])["ok"])
        want[n.peer] = ("online", "validator", 1.5, "go", "9", until + i)
    for i, n in enumerate(py):
        info = ServerInfo(state=ServerState.JOINING, role=ServerClass.VALIDATOR, throughput=2.5, public_name="py", version="1.0.0",
                          using_relay=False, next_pings={go[0].peer: 0.25, go[1].peer: float("inf")})
        ok = declare_node_sig(n.dht, "heartbeat", info, until + 10 + i, record_validator=n.owner)
        check(f"Python node {i} stores its heartbeat", ok)
        want[n.peer] = ("joining", "validator", 2.5, "py", "1.0.0", until + 10 + i)
    for i, n in enumerate(go):
        r = n.ask(op="beats")
        got = {b["peer"]: (b["state"], b["role"], b["throughput"], b["name"], b["version"], b["expiration"]) for b in r.get("beats", [])}
        check(f"Go node {i} lists all heartbeats", got == want, r.get("error", f"{len(got)} of {len(want)}"))
    for i, n in enumerate(py):
        got = {str(b.peer_id): (b.server.state.name.lower(), b.server.role.value, b.server.throughput, b.server.public_name, b.server.version,
                                b.expiration_time) for b in get_node_heartbeats(n.dht, uid="heartbeat", latest=True)}
        check(f"Python node {i} lists all heartbeats", got == want, f"{len(got)} of {len(want)}")


def phases(go, py, now):
    """Commits until half of the epoch, reveals after it until 60 %, one of each per owner, by nodes of both kinds."""
    everybody = go + py

    def store(name, value, expiration, extra=""):
        return [n.store([(name, n.peer.encode() + extra.encode() + n.marker, value, expiration)])[0] for n in everybody]

    wait(lambda: progress() < 0.1, EPOCH + 1)
    epoch, until = int(time.time() // EPOCH), float(int(now()) + 1000)
    commit, reveal = f"commit_epoch_{epoch}", f"reveal_epoch_{epoch}"
    check("reveals are refused while commits are taken", not any(store(reveal, b"early", until)))
    check("commits that live too long are refused", not any(store(commit, b"long", until + 3600)))
    check("commits of another epoch are refused", not any(store(f"commit_epoch_{epoch + 1}", b"next", until)))
    check("other keys are refused", not any(store("anything", b"else", until)))
    check("records without owner are refused", not any(n.store([(commit, "me", b"c", until)])[0] for n in everybody))
    check("every node commits", all(store(commit, b"commit", until)), f"at {progress():.0%} of the epoch")
    check("a second commit is refused", not any(store(commit, b"second", until + 5, extra="again")))
    wait(lambda: progress() > 0.5, EPOCH)
    check("commits are refused after half of the epoch", not any(store(commit, b"late", until + 9)))
    check("every node reveals", all(store(reveal, b"reveal", until)), f"at {progress():.0%} of the epoch")
    wait(lambda: progress() > 0.6, EPOCH)
    check("reveals are refused after that", not any(store(reveal, b"late", until + 9)))
    items = [(name, n.peer.encode() + n.marker, value, until) for n in everybody for name, value in ((commit, b"commit"), (reveal, b"reveal"))]
    for i, n in enumerate(go):
        compare(f"Go node {i} reads all commits and reveals", n, items)
    for i, n in enumerate(py):
        compare(f"Python node {i} reads all commits and reveals", n, items)


def subnet(binary, folder):
    chain = Chain(folder)
    frame = Subnet(chain)

    def golang(name, bootstrap, *flags):
        node = GoNode(binary, folder, name, bootstrap, flags=["-auth", "-sign", "-epoch", f"{EPOCH}s", *flags])
        node.marker = node.marker.encode()
        return node

    go = [golang("go0", None)]
    py = [frame.start("py0.id", "ed25519", go[0].addr)]
    go.append(golang("go1", py[0].addr, "-rsa"))
    py.append(frame.start("py1.id", "rsa", go[1].addr))
    acquainted(go, py)
    heartbeats(go, py, frame.now)
    phases(go, py, frame.now)
    stranger = GoNode(binary, folder, "stranger", flags=["-auth", "-sign"])
    chain.unstake(stranger.peer)
    check("Python refuses a Go node without stake", all(stranger.ping(n.peer, n.addr) is None for n in py))
    check("no handler of a Go node panicked", sum(n.stats()["Panics"] for n in go) == 0)
    for n in [stranger] + py + go:
        n.stop()


class Server:
    """The Python mesh's server program, with the chain that it brings for such a case."""

    def __init__(self, number, path, bootstrap=None):
        self.log = open(f"server{number}.log", "w+")
        args = ["--new_swarm"] if bootstrap is None else ["--initial_peers", bootstrap]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "subnet.subnet_cli.run_server_mock", "--no_blockchain_rpc", "--subnet_id", "1", "--subnet_node_id", str(number),
             "--identity_path", path, "--host_maddrs", "/ip4/127.0.0.1/tcp/0", "--update_period", "3", "--public_name", f"server {number}", *args],
            stdout=self.log, stderr=self.log, env=dict(os.environ, PUBLIC_INITIAL_PEERS="[]"), start_new_session=True)
        wait(lambda: self.address() or self.process.poll() is not None, 60)
        self.addr = self.address()
        self.peer = self.addr.rpartition("/")[2] if self.addr else None

    def text(self):
        with open(self.log.name) as f:
            return f.read()

    def address(self):
        found = re.search(r"Running a server on \['([^']+)'", self.text())
        return found and found.group(1)

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def servers(binary, folder):
    frame = Mesh()
    for i, kind in enumerate(("ed25519", "rsa")):
        frame.make(f"server{i + 1}.id", kind)
    running = [Server(1, "server1.id")]
    if not check("the Python server starts", running[0].addr, "" if running[0].addr else running[0].text()[-300:]):
        return running[0].stop()
    go = GoNode(binary, folder, "beside", running[0].addr, flags=["-auth", "-sign", "-epoch", "120s"])
    running.append(Server(2, "server2.id", go.addr))
    check("a second one joins by the Go node", running[1].addr, "" if running[1].addr else running[1].text()[-300:])
    go.ask(op="beat", items=[dict(key="", expiration=frame.now() + 600)])
    states = {}

    def online():
        states.update({b["peer"]: (b["state"], b["name"]) for b in go.ask(op="beats").get("beats", [])})
        return states == {go.peer: ("online", "go"), **{s.peer: ("online", f"server {i + 1}") for i, s in enumerate(running)}}

    check("the Go node sees both servers online, beside itself", wait(online), str(states))
    beats = [s.text().count("Declaring node") for s in running]
    check("the servers go on with a Go node's heartbeat beside theirs",
          wait(lambda: all(s.text().count("Declaring node") >= b + 2 for s, b in zip(running, beats))))
    check("no handler of the Go node panicked", go.stats()["Panics"] == 0)
    for s in running:
        s.stop()
    go.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gonode")
    args = parser.parse_args()
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    subnet(args.gonode, folder)
    servers(args.gonode, folder)
    finish()


if __name__ == "__main__":
    main()
