"""pycose and python-cwt behind one loop: a JSON object a line asks, a JSON object a line answers."""

import json
import sys
from typing import Any

import cbor2
import cwt
from pycose.algorithms import EdDSA, Es256, Es384, Es512
from pycose.headers import KID, Algorithm, ContentType
from pycose.keys import CoseKey
from pycose.messages import CoseMessage, Sign1Message

PYCOSE = {-7: Es256, -35: Es384, -36: Es512, -8: EdDSA}


def pycose_sign(key: bytes, payload: bytes, algorithm: int) -> bytes:
    """A COSE_Sign1 by pycose."""
    headers = {Algorithm: PYCOSE[algorithm], ContentType: 0}
    message = Sign1Message(phdr=headers, uhdr={KID: b"kid"}, payload=payload)
    message.key = CoseKey.decode(key)
    return message.encode()


def pycose_verify(key: bytes, message: bytes) -> bytes:
    """The payload of a COSE_Sign1 that pycose has verified."""
    received = CoseMessage.decode(message)
    received.key = CoseKey.decode(key)
    if not received.verify_signature():
        raise ValueError("the signature is not valid")
    return received.payload


def pycose_key(key: bytes) -> bytes:
    """A COSE_Key as pycose writes it again."""
    return CoseKey.decode(key).encode()


def cwt_sign(key: bytes, payload: bytes, algorithm: int) -> bytes:
    """A COSE_Sign1 by python-cwt."""
    signer = cwt.COSE.new(deterministic_header=True)
    return signer.encode(payload, cwt.COSEKey.new(cbor2.loads(key)), protected={1: algorithm, 16: 293})


def cwt_verify(key: bytes, message: bytes) -> bytes:
    """The payload of a COSE_Sign1 that python-cwt has verified."""
    return cwt.COSE.new().decode(message, cwt.COSEKey.new(cbor2.loads(key)))


def cwt_issue(key: bytes, claims: bytes) -> bytes:
    """A CWT by python-cwt."""
    return cwt.encode(cbor2.loads(claims), cwt.COSEKey.new(cbor2.loads(key)))


def cwt_claims(key: bytes, message: bytes) -> bytes:
    """The claims of a CWT that python-cwt has verified, times included."""
    return cbor2.dumps(cwt.decode(message, cwt.COSEKey.new(cbor2.loads(key))))


OPERATIONS = {
    operation.__name__: operation
    for operation in (
        *(pycose_sign, pycose_verify, pycose_key),
        *(cwt_sign, cwt_verify, cwt_issue, cwt_claims),
    )
}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Bytes travel as {"hex": "..."}."""
    operation = OPERATIONS[request.pop("operation")]
    given = {
        name: bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
        for name, value in request.items()
    }
    try:
        return {"value": {"hex": operation(**given).hex()}}
    except Exception as error:  # noqa: BLE001 - whatever these libraries raise is a refusal
        return {"refused": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
