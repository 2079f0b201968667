"""What a push says to the browser it is for, and whether it is signed soundly: another implementation of RFC 8291 and a
library's signatures of RFC 8292.

    read_push.py < PUSH

PUSH is {"private": ..., "auth": ..., "body": ..., "authorization": ...}: the browser's private key and secret in URL-safe base64,
what was sent in hexadecimal. Answers {"payload": {...}, "header": {...}, "claims": {...}, "key": ...}; fails where
it cannot be read or the signature is not the key's.
"""

import base64
import json
import re
import sys

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


push = json.load(sys.stdin)
browser = ec.derive_private_key(int.from_bytes(decode(push["private"]), "big"), ec.SECP256R1())
payload = http_ece.decrypt(
    bytes.fromhex(push["body"]), private_key=browser, auth_secret=decode(push["auth"]), version="aes128gcm"
)

token, key = re.fullmatch(r"vapid t=([\w.-]+), k=([\w-]+)", push["authorization"]).groups()
signed, _, signature = token.rpartition(".")
signature = decode(signature)
assert len(signature) == 64, len(signature)
halves = [int.from_bytes(half, "big") for half in (signature[:32], signature[32:])]
signer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode(key))
signer.verify(encode_dss_signature(*halves), signed.encode(), ec.ECDSA(SHA256()))

header, claims = (json.loads(decode(part)) for part in signed.split("."))
print(json.dumps({"payload": json.loads(payload), "header": header, "claims": claims, "key": key}))
