"""What substrate-interface must be able to do with the embedded chain.

    python substrate.py ws://127.0.0.1:9944

The chain must be fresh, seal at once, and finalise at once.
"""

import sys
import traceback

from scalecodec.types import Map
from substrateinterface import Keypair, KeypairType, SubstrateInterface
from substrateinterface.exceptions import SubstrateRequestException
from substrateinterface.utils.ecdsa_helpers import mnemonic_to_ecdsa_private_key

MNEMONIC = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"  # public, for development
ONE = 10**18
URL = sys.argv[1]
failures = 0


def key(index):
    return Keypair.create_from_private_key(private_key(index), crypto_type=KeypairType.ECDSA)


def private_key(index):
    return mnemonic_to_ecdsa_private_key(MNEMONIC, str_derivation_path=f"m/44'/60'/0'/0/{index}")


def check(name):
    def run(f):
        global failures
        try:
            more = f()
            print(f"ok {name}" + (f" ({more})" if more else ""), flush=True)
        except Exception as e:  # every failure is reported, none ends the run
            failures += 1
            where = traceback.extract_tb(e.__traceback__)[-1]
            print(f"not ok {name}: {type(e).__name__}: {e} at {where.name}:{where.lineno}".replace("\n", " "), flush=True)

    return run




def encode_map(self, value):
    """Encodes a map as the list of pairs that the metadata describes; the library can only decode one."""
    if self.map_key is None and self.type_mapping:
        inner = self.runtime_config.create_scale_object(self.type_mapping[0], metadata=self.metadata)
        return inner.encode(value)
    return library_encode(self, value)


library_encode = Map.process_encode
Map.process_encode = encode_map
chain = SubstrateInterface(url=URL)
cold = [key(i) for i in range(4)]
hot = [key(10 + i) for i in range(4)]


def submit(module, function, params, who, finalized=False):
    call = chain.compose_call(call_module=module, call_function=function, call_params=params)
    xt = chain.create_signed_extrinsic(call=call, keypair=who)
    return chain.submit_extrinsic(xt, wait_for_inclusion=not finalized, wait_for_finalization=finalized)


def ok(*args, **kwargs):
    r = submit(*args, **kwargs)
    assert r.is_success, r.error_message
    return r


def fails(name, *args):
    r = submit(*args)
    assert not r.is_success and r.error_message["name"] == name, r.error_message


def free(who):
    return chain.query("System", "Account", [who.ss58_address]).value["data"]["free"]


def mine(n):
    return chain.rpc_request("dev_mineBlocks", [n])["result"]


def peer(i):
    return {"peer_id": "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6n" + "ABCDEFGH"[i] + "PY", "multiaddr": None}


@check("connects and decodes the metadata")
def _():
    chain.init_runtime()
    assert chain.properties["isEthereum"] and chain.token_symbol == "TENSOR" and chain.token_decimals == 18
    assert [chain.chain, chain.name]
    return f"{chain.runtime_version} {len(chain.metadata.pallets)} pallets"


@check("accounts are those of the mnemonic")
def _():
    assert cold[0].ss58_address.lower() == "0xf24ff3a9cf04c71dbc94d0b566f7a27b94566cac", cold[0].ss58_address
    assert free(cold[0]) > 900_000 * ONE


@check("a transfer to inclusion and one to finality")
def _():
    for i, final in enumerate([False, True, False, True]):
        before = free(hot[i])
        r = ok("Balances", "transfer_allow_death", {"dest": hot[i].ss58_address, "value": ONE}, cold[0], finalized=final)
        assert free(hot[i]) - before == ONE
        names = [e.value["event_id"] for e in r.triggered_events]
        assert "Transfer" in names and "ExtrinsicSuccess" in names, names
        assert r.total_fee_amount > 108_157_000, r.total_fee_amount


@check("the fee estimate")
def _():
    # get_payment_info signs with 64 bytes, which is no signature of this chain; so the real extrinsic is priced
    call = chain.compose_call("System", "remark", {"remark": "0x010203"})
    xt = chain.create_signed_extrinsic(call=call, keypair=cold[1])
    info = chain.rpc_request("payment_queryInfo", [xt.data.to_hex()])["result"]
    before = free(cold[1])
    assert chain.submit_extrinsic(xt, wait_for_inclusion=True).is_success
    paid = before - free(cold[1])
    assert paid == int(info["partialFee"]), (paid, info)
    return f"{paid} planck"


@check("a mortal transaction")
def _():
    call = chain.compose_call("System", "remark", {"remark": "0x04"})
    xt = chain.create_signed_extrinsic(call=call, keypair=cold[1], era={"period": 64})
    assert chain.submit_extrinsic(xt, wait_for_inclusion=True).is_success


@check("refusals of the pool")
def _():
    call = chain.compose_call("System", "remark", {"remark": "0x"})
    for who, nonce, text in [(cold[0], 0, "outdated"), (key(30), 0, "Inability to pay")]:
        xt = chain.create_signed_extrinsic(call=call, keypair=who, nonce=nonce)
        try:
            chain.submit_extrinsic(xt)
        except SubstrateRequestException as e:
            assert e.args[0]["code"] == 1010 and text in e.args[0]["data"], e
        else:
            raise AssertionError(f"not refused: {text}")


sid = None


@check("register_subnet, nodes, delegate stake, activation")
def _():
    global sid
    ok("Network", "register_subnet", {
        "max_cost": 100 * ONE,
        "subnet_data": {
            "name": "python", "repo": "github.com/python", "description": "d", "misc": "m",
            "min_stake": 100 * ONE, "max_stake": 1000 * ONE, "delegate_stake_percentage": ONE // 10,
            "initial_coldkeys": sorted((c.ss58_address.lower(), 1) for c in cold),
            "bootnodes": [(peer(7)["peer_id"], "0x047f000001069830a50303010203")],
        },
    }, cold[0])
    sid = chain.query("Network", "SubnetName", ["python"]).value
    assert sid
    for i in range(4):
        ok("Network", "register_subnet_node", {
            "subnet_id": sid, "hotkey": hot[i].ss58_address, "peer_info": peer(i), "bootnode_peer_info": None,
            "client_peer_info": None, "delegate_reward_rate": 0, "stake_to_be_added": 100 * ONE, "unique": None,
            "non_unique": None, "delegate_account": None, "max_burn_amount": ONE,
        }, cold[i])
    ok("Network", "add_to_delegate_stake", {"subnet_id": sid, "stake_to_be_added": 1000 * ONE}, cold[0])
    r = ok("Network", "activate_subnet", {"subnet_id": sid}, cold[0])
    assert "SubnetActivated" in [e.value["event_id"] for e in r.triggered_events]
    return f"subnet {sid}"


@check("errors by name")
def _():
    fails("SubnetActivatedAlready", "Network", "activate_subnet", {"subnet_id": sid}, cold[0])
    fails("NotSubnetOwner", "Network", "activate_subnet", {"subnet_id": sid}, cold[1])
    fails("InvalidSubnetId", "Network", "add_to_delegate_stake", {"subnet_id": 5, "stake_to_be_added": ONE}, cold[1])


@check("network_ methods")
def _():
    ask = lambda m, *p: chain.rpc_request(m, list(p))["result"]
    assert ask("network_proofOfStake", sid, list(peer(0)["peer_id"].encode()), 0, None) is True
    assert ask("network_proofOfStake", sid, [1, 2], 0, None) is False
    assert ask("network_getSubnetNodesInfo", sid)[0] == 4 << 2
    assert bytes(ask("network_getSubnetInfo", sid))[0] == 1


@check("an epoch: election, proposal, attestations, rewards")
def _():
    length = chain.get_constant("Network", "EpochLength").value
    slot = chain.query("Network", "SubnetSlot", [sid]).value
    number = lambda: chain.get_block_header()["header"]["number"]
    for _ in range(3):
        n = number()
        mine(((n - slot) // length + 1) * length + slot - n)
        epoch = (number() - slot) // length
        elected = chain.query("Network", "SubnetElectedValidator", [sid, epoch]).value
        if elected:
            break
    stake = lambda: chain.query("Network", "AccountSubnetStake", [hot[elected - 1].ss58_address, sid]).value
    before = stake()
    ok("Network", "propose_attestation", {
        "subnet_id": sid, "data": [{"subnet_node_id": i + 1, "score": ONE} for i in range(4)],
        "prioritize_queue_node_id": None, "remove_queue_node_id": None, "args": None, "attest_data": None,
    }, hot[elected - 1])
    for i in range(4):
        if i + 1 != elected:
            ok("Network", "attest", {"subnet_id": sid, "attest_data": None}, hot[i])
    submission = chain.query("Network", "SubnetConsensusSubmission", [sid, epoch]).value
    assert len(submission["attests"]) == 4, submission
    mine((epoch + 1) * length + slot - number())
    assert stake() - before > ONE // 2
    return f"epoch {epoch}, node {elected} earned {stake() - before} planck"


@check("stake in and out")
def _():
    length = chain.get_constant("Network", "EpochLength").value
    slot = chain.query("Network", "SubnetSlot", [sid]).value
    epoch = (chain.get_block_header()["header"]["number"] - slot) // length
    i = 1 if chain.query("Network", "SubnetElectedValidator", [sid, epoch]).value == 1 else 0  # the elected one may not
    ok("Network", "add_stake", {"subnet_id": sid, "subnet_node_id": i + 1, "hotkey": hot[i].ss58_address, "stake_to_be_added": 10 * ONE}, cold[i])
    ok("Network", "remove_stake", {"subnet_id": sid, "hotkey": hot[i].ss58_address, "stake_to_be_removed": 5 * ONE}, cold[i])
    mine(length + 1)
    ok("Network", "claim_unbondings", {}, cold[i])


@check("every storage entry decodes")
def _():
    entries = values = 0
    for pallet in chain.metadata.pallets:
        for item in pallet.storage or []:
            entries += 1
            if not item.get_params_type_string():
                chain.query(pallet.name, item.value["name"])
                values += 1
                continue
            values += len(list(chain.query_map(pallet.name, item.value["name"], max_results=100)))
    assert entries > 150, entries
    return f"{values} values of {entries} entries"


@check("blocks, extrinsics and events decode")
def _():
    head = chain.get_block_header()["header"]["number"]
    events = 0
    for n in range(max(1, head - 60), head + 1):
        h = chain.get_block_hash(n)
        block = chain.get_block(block_hash=h)
        assert block["header"]["number"] == n and len(block["extrinsics"]) >= 1
        events += len(chain.get_events(block_hash=h))
    return f"{events} events"


@check("a subscription to heads")
def _():
    seen = []

    def handler(obj, update_nr, subscription_id):
        seen.append(obj["header"]["number"])
        if update_nr == 0:
            other.rpc_request("dev_mineBlocks", [2])
        if update_nr == 2:
            return seen

    other = SubstrateInterface(url=URL)
    chain.subscribe_block_headers(handler)
    other.close()
    assert seen == list(range(seen[0], seen[0] + 3)), seen


chain.close()
sys.exit(1 if failures else 0)
