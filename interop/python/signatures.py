"""The signatures of the Python mesh with Ed25519 keys, over hivemind's own classes, which know RSA only.

Authorizer signs each message and checks those of others; Owners signs records that the own key owns and checks those of others. Both take
keys of both kinds. So the form of our signatures is proven by a stack that is not ours, without a checkout of the Python mesh.
"""
import base64, re, secrets
from datetime import datetime, timedelta, timezone

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from hivemind.dht.validation import RecordValidatorBase
from hivemind.proto import crypto_pb2
from hivemind.utils import MSGPackSerializer, get_dht_time
from hivemind.utils.auth import AuthorizerBase

PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.MAX_LENGTH)
WINDOW = 60  # seconds


class Key:
    """A private key of either kind, read from an identity file."""

    def __init__(self, path):
        with open(path, "rb") as f:
            message = crypto_pb2.PrivateKey.FromString(f.read())
        if message.key_type == crypto_pb2.RSA:
            self.private = serialization.load_der_private_key(message.data, password=None)
        else:
            self.private = ed25519.Ed25519PrivateKey.from_private_bytes(message.data[:32])  # the public half follows
        self.text = self.private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)

    def sign(self, data):
        if isinstance(self.private, rsa.RSAPrivateKey):
            return base64.b64encode(self.private.sign(data, PSS, hashes.SHA256()))
        return base64.b64encode(self.private.sign(data))


def verify(text, data, signature):
    """Tells whether the owner of a key, given as its OpenSSH line, signed data."""
    try:
        key = serialization.load_ssh_public_key(text)
        signature = base64.b64decode(signature)
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, PSS, hashes.SHA256())
        else:
            key.verify(signature, data)
        return True
    except (InvalidSignature, ValueError):
        return False


def bare(message):
    """The message's bytes as they were signed, and the signature."""
    copy = type(message)()
    copy.CopyFrom(message)
    copy.auth.ClearField("signature")
    return copy.SerializeToString(), message.auth.signature


class Authorizer(AuthorizerBase):
    def __init__(self, key):
        self.key, self.seen, self.refused = key, set(), 0

    def put_token(self, token):
        token.public_key = self.key.text
        token.expiration_time = str(datetime.now(timezone.utc) + timedelta(minutes=1))
        token.signature = self.key.sign(f"{token.username} {token.public_key} {token.expiration_time}".encode())

    async def sign_request(self, request, service_public_key):
        self.put_token(request.auth.client_access_token)
        request.auth.time, request.auth.nonce = get_dht_time(), secrets.token_bytes(8)
        request.auth.signature = self.key.sign(request.SerializeToString())

    async def validate_request(self, request):
        auth = request.auth
        good = (
            verify(auth.client_access_token.public_key, *bare(request))
            and auth.service_public_key in (b"", self.key.text)
            and abs(auth.time - get_dht_time()) <= WINDOW
            and auth.nonce not in self.seen
        )
        self.seen.add(auth.nonce)
        return good

    async def sign_response(self, response, request):
        self.put_token(response.auth.service_access_token)
        response.auth.nonce = request.auth.nonce
        response.auth.signature = self.key.sign(response.SerializeToString())

    async def validate_response(self, response, request):
        return response.auth.nonce == request.auth.nonce and verify(response.auth.service_access_token.public_key, *bare(response))


class Owners(RecordValidatorBase):
    OWNER, SIGNATURE = re.compile(rb"\[owner:(.+?)\]"), re.compile(rb"\[signature:(.+?)\]")

    def __init__(self, key):
        self.key = key
        self.local_public_key = b"[owner:" + key.text + b"]"

    priority = 10  # before what reads the value

    @staticmethod
    def signed(record, value):
        return MSGPackSerializer.dumps((record.key, record.subkey, value, record.expiration_time))

    def sign_value(self, record):
        if self.local_public_key not in record.subkey:
            return record.value
        return record.value + b"[signature:" + self.key.sign(self.signed(record, record.value)) + b"]"

    def strip_value(self, record):
        return self.SIGNATURE.sub(b"", record.value)

    def validate(self, record):
        owners = set(self.OWNER.findall(record.subkey))
        if not owners:
            return True
        signatures = self.SIGNATURE.findall(record.value)
        if len(owners) != 1 or len(signatures) != 1:
            return False
        return verify(owners.pop(), self.signed(record, self.strip_value(record)), signatures[0])


def generate(path, kind):
    """Writes an identity file that p2pd reads."""
    if kind == "rsa":
        key, number = rsa.generate_private_key(65537, 2048), crypto_pb2.RSA
        data = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    else:
        key, number = ed25519.Ed25519PrivateKey.generate(), crypto_pb2.Ed25519
        raw = serialization.Encoding.Raw
        data = key.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
        data += key.public_key().public_bytes(raw, serialization.PublicFormat.Raw)
    with open(path, "wb") as f:
        f.write(crypto_pb2.PrivateKey(key_type=number, data=data).SerializeToString())
