"""A Python peer for tests: the p2p layer of hivemind, or of the Python mesh, behind JSON lines.

The environment variable PEER_PACKAGE names the package: hivemind, the default, or subnet. The peer starts one p2pd on loopback, serves the methods of Interop, and prints {"peer_id", "addrs"} as its first line. Then it reads one
JSON command per line and prints one JSON answer per command:

    {"do": "unary",  "peer": ID, "hex": BYTES}          call Interop.rpc_unary            -> {"hex": BYTES}
    {"do": "fail",   "peer": ID}                        call Interop.rpc_fail             -> {"error": TEXT}
    {"do": "cancel", "peer": ID}                        call Interop.rpc_wait, give up    -> {}
    {"do": "up",     "peer": ID, "count": N}            send N items                      -> {"hex": BYTES}
    {"do": "down",   "peer": ID, "count": N}            receive N items                   -> {"items": N}
    {"do": "both",   "peer": ID, "count": N}            echo N items                      -> {"items": N}
    {"do": "signed", "peer": ID, "hex": BYTES}          call Signed.rpc_unary, signed     -> {"hex": BYTES}
    {"do": "stream", "peer": ID, "count": N}            receive N signed items            -> {"items": N}
    {"do": "cancelled"}                                 handlers cancelled so far         -> {"count": N}
    {"do": "connect", "peer": ID, "addrs": [..]}        dial                              -> {}

Every answer may be {"error": TEXT} instead. The end of standard input ends the peer.
"""
import argparse
import asyncio
import importlib
import json
import os
import sys
from datetime import datetime, timedelta, timezone
from typing import AsyncIterator

from cryptography.hazmat.primitives import serialization

PACKAGE = os.environ.get("PEER_PACKAGE", "hivemind")


def load(module):
    return importlib.import_module(f"{PACKAGE}.{module}")


P2P, P2PContext, PeerID, ServicerBase = (getattr(load("p2p"), n) for n in ("P2P", "P2PContext", "PeerID", "ServicerBase"))
Multiaddr = load("utils.multiaddr").Multiaddr
crypto_pb2, dht_pb2 = load("proto.crypto_pb2"), load("proto.dht_pb2")
AccessToken = load("proto.auth_pb2").AccessToken
auth = load("utils.auth" if PACKAGE == "hivemind" else "utils.authorizers.auth")
RSAPrivateKey = load("utils.crypto").RSAPrivateKey


class Interop(ServicerBase):
    """Methods of all four kinds; the node_id of a message is the payload."""

    def __init__(self):
        self.cancelled = 0

    async def rpc_unary(self, request: dht_pb2.PingRequest, context: P2PContext) -> dht_pb2.PingResponse:
        return dht_pb2.PingResponse(peer=request.peer, available=True)

    async def rpc_fail(self, request: dht_pb2.PingRequest, context: P2PContext) -> dht_pb2.PingResponse:
        raise ValueError("it's broken")

    async def rpc_wait(self, request: dht_pb2.PingRequest, context: P2PContext) -> dht_pb2.PingResponse:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return dht_pb2.PingResponse()

    async def rpc_up(self, request: AsyncIterator[dht_pb2.PingRequest], context: P2PContext) -> dht_pb2.PingResponse:
        payload = b"".join([item.peer.node_id async for item in request])
        return dht_pb2.PingResponse(peer=dht_pb2.NodeInfo(node_id=payload))

    async def rpc_down(self, request: dht_pb2.PingRequest, context: P2PContext) -> AsyncIterator[dht_pb2.PingResponse]:
        for i in range(request.peer.node_id[0]):
            yield dht_pb2.PingResponse(peer=dht_pb2.NodeInfo(node_id=bytes([i]) * i * 1000))

    async def rpc_both(
        self, request: AsyncIterator[dht_pb2.PingRequest], context: P2PContext
    ) -> AsyncIterator[dht_pb2.PingResponse]:
        async for item in request:
            yield dht_pb2.PingResponse(peer=item.peer)


class Signed(ServicerBase):
    """A method behind an authorizer."""

    async def rpc_unary(self, request: dht_pb2.PingRequest, context: P2PContext) -> dht_pb2.PingResponse:
        return dht_pb2.PingResponse(peer=request.peer)


class SignedStreams(ServicerBase):
    """A method behind the Python mesh's authorizer of streams: each item that it sends is signed."""

    async def rpc_down(self, request: dht_pb2.PingRequest, context: P2PContext) -> AsyncIterator[dht_pb2.PingResponse]:
        for i in range(request.peer.node_id[0]):
            yield dht_pb2.PingResponse(peer=dht_pb2.NodeInfo(node_id=bytes([i])))


def open_authorizer(key):
    """hivemind's own authorizer with RSA keys. Anybody's token is good, as in the Python mesh: only the messages' signatures count."""

    class OpenAuthorizer(auth.TokenAuthorizerBase):
        async def get_token(self) -> AccessToken:
            token = AccessToken(
                username="", public_key=self.local_public_key.to_bytes(),
                expiration_time=str(datetime.now(timezone.utc) + timedelta(minutes=1)),
            )
            token.signature = self._local_private_key.sign(f"{token.username} {token.public_key} {token.expiration_time}".encode())
            return token

        def is_token_valid(self, access_token: AccessToken) -> bool:
            return True

        def does_token_need_refreshing(self, access_token: AccessToken) -> bool:
            return True

    return OpenAuthorizer(key)


def make_authorizer(path: str):
    """The authorizer for the identity's own key, so that signer and channel are the same peer."""
    if PACKAGE == "subnet":
        return auth.SignatureAuthorizer(load("utils.key").get_private_key(path))
    with open(path, "rb") as f:
        message = crypto_pb2.PrivateKey.FromString(f.read())
    if message.key_type == crypto_pb2.Ed25519:
        import signatures

        return signatures.Authorizer(signatures.Key(path))
    key = RSAPrivateKey.__new__(RSAPrivateKey)
    key._private_key = serialization.load_der_private_key(message.data, password=None)
    return open_authorizer(key)


def ping(payload: bytes) -> dht_pb2.PingRequest:
    return dht_pb2.PingRequest(peer=dht_pb2.NodeInfo(node_id=payload), validate=True)


async def several(count: int) -> AsyncIterator[dht_pb2.PingRequest]:
    for i in range(count):
        yield ping(bytes([i % 256]) * i)


async def perform(command: dict, p2p: P2P, servicer: Interop, authorizer) -> dict:
    do = command["do"]
    if do == "cancelled":
        return {"count": servicer.cancelled}
    peer = PeerID.from_base58(command["peer"])
    if do == "connect":
        await p2p._client.connect(peer, [Multiaddr(a) for a in command["addrs"]])
        return {}
    stub = Interop.get_stub(p2p, peer)
    if do == "unary":
        return {"hex": (await stub.rpc_unary(ping(bytes.fromhex(command["hex"])), timeout=20)).peer.node_id.hex()}
    if do == "signed":
        wrapped = auth.AuthRPCWrapper(Signed.get_stub(p2p, peer), auth.AuthRole.CLIENT, authorizer)
        response = await wrapped.rpc_unary(ping(bytes.fromhex(command["hex"])), timeout=20)
        if response is None:
            raise ValueError("the response was not accepted")
        return {"hex": response.peer.node_id.hex()}
    if do == "stream":
        wrapped = auth.AuthRPCWrapperStreamer(SignedStreams.get_stub(p2p, peer), auth.AuthRole.CLIENT, authorizer)
        request = ping(bytes([command["count"]]))
        stream = await wrapped.rpc_down(request)
        if stream is None:
            raise ValueError("the first item was not accepted")
        items = [item async for item in stream]
        if not all([await authorizer.validate_response(item, request) for item in items[1:]]):  # the wrapper looks at the first only
            raise ValueError("an item was not accepted")
        return {"items": len(items)}
    if do == "fail":
        await stub.rpc_fail(ping(b""), timeout=20)
        return {}
    if do == "cancel":
        try:
            await stub.rpc_wait(ping(b""), timeout=0.5)
        except asyncio.TimeoutError:
            return {}
        raise ValueError("the call was answered")
    if do == "up":
        return {"hex": (await stub.rpc_up(several(command["count"]))).peer.node_id.hex()}
    if do == "down":
        stream = await stub.rpc_down(ping(bytes([command["count"]])))
        return {"items": len([item async for item in stream])}
    if do == "both":
        stream = await stub.rpc_both(several(command["count"]))
        payloads = [item.peer.node_id async for item in stream]
        if payloads != [bytes([i % 256]) * i for i in range(command["count"])]:
            raise ValueError("the items were changed")
        return {"items": len(payloads)}
    raise ValueError(f"unknown command {do}")


async def main(args: argparse.Namespace) -> None:
    p2p = await P2P.create(
        initial_peers=args.initial_peers, host_maddrs=args.listen, identity_path=args.identity, nat_port_map=False,
        check_if_identity_free=False, startup_timeout=60, dht_mode="server",
    )
    servicer = Interop()
    await servicer.add_p2p_handlers(p2p)
    authorizer = None
    if args.identity:
        authorizer = make_authorizer(args.identity)
        await Signed().add_p2p_handlers(p2p, auth.AuthRPCWrapper(Signed(), auth.AuthRole.SERVICER, authorizer))
        if PACKAGE == "subnet":
            await SignedStreams().add_p2p_handlers(p2p, auth.AuthRPCWrapperStreamer(SignedStreams(), auth.AuthRole.SERVICER, authorizer))
    print(json.dumps({"peer_id": p2p.peer_id.to_base58(), "addrs": [str(a) for a in await p2p.get_visible_maddrs()]}), flush=True)
    reader = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            answer = await perform(json.loads(line), p2p, servicer, authorizer)
        except Exception as e:  # the test judges
            answer = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(answer), flush=True)
    await p2p.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--initial_peers", nargs="*", default=None, help="multiaddresses of peers to join")
    parser.add_argument("--listen", nargs="*", default=["/ip4/127.0.0.1/tcp/0"], help="multiaddresses to listen on")
    parser.add_argument("--identity", default=None, help="identity file; made if missing")
    asyncio.run(main(parser.parse_args()))
