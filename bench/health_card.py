"""Health cards: the verdict from QR digits with a million revoked cards loaded, against bare signatures.

The cards have the size of the framework's own example: two doses, some 460 bytes compressed.
"""

import itertools
import json
import secrets
import tempfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.interop.peer import Absent, Peer

from bench.runner import compare
from safeconduct import Key
from safeconduct.formats import health_card
from safeconduct.formats.health_card import CardTrust, qr
from safeconduct.status.card_keys import CardKey, KeySet
from safeconduct.status.card_revocation import rids
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.lists import RevocationLists

ISSUER = "https://issuer.example/cards"
NOW = 1_800_000_000
CARDS = 64
REVOKED = 1_000_000
"""Rids in the list; none of the cards is among them."""

PEER_TIMES = 200
PEER_ROUNDS = 8


def bundle(number: int) -> dict[str, Any]:
    """A person and two doses, minimised for a QR code."""
    patient = {
        "resourceType": "Patient",
        "name": [{"family": f"Anyperson{number}", "given": ["John", "B."]}],
        "birthDate": f"19{number % 90 + 10}-01-20",
    }
    doses = [
        {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "207"}]},
            "patient": {"reference": "resource:0"},
            "occurrenceDateTime": f"2021-0{dose}-{number % 28 + 1:02}",
            "performer": [{"actor": {"display": "ABC General Hospital"}}],
            "lotNumber": f"00000{dose:02}{number}",
        }
        for dose in (1, 2)
    ]
    entries = [
        {"fullUrl": f"resource:{place}", "resource": resource}
        for place, resource in enumerate([patient, *doses])
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


key = Key.generate("ES256")
card_key = CardKey.of(key.public, crl_version=1)
jwss = [
    health_card.issue(
        bundle(n), issuer=ISSUER, key=key, now=NOW - n - 0.5, rid=rids.draw(secrets.token_bytes)
    )
    for n in range(CARDS)
]
digits = [qr.write(jws) for jws in jwss]


def revocations(count: int = REVOKED) -> RevocationList:
    """A list of cards of the key that are not those of the figures; rids of 64 bits."""
    entries = dict.fromkeys(rids.derive(b"s" * 32, card_key.kid, str(number)) for number in range(count))
    return RevocationList(kid=card_key.kid, ctr=1, entries=entries)


def verdict(cards: list[str], count: int) -> Any:
    """What a verifier does with a card; another card each time."""
    trust = CardTrust({ISSUER: KeySet((card_key,))})
    status = RevocationLists()
    status.add(revocations(count), issuer=ISSUER)
    turn = itertools.cycle(cards)

    def work() -> None:
        judged = health_card.judge(next(turn), trust=trust, status=status, now=NOW)
        if judged.verdict != "valid":
            raise AssertionError(judged.code)

    return work


def bare() -> Any:
    """One verification of ES256 with `cryptography`, the key loaded, the signature as it wants it."""
    private = ec.generate_private_key(ec.SECP256R1())
    public, algorithm = private.public_key(), ec.ECDSA(hashes.SHA256())
    message = jwss[0].rpartition(".")[0].encode()
    signature = private.sign(message, algorithm)
    return lambda: public.verify(signature, message, algorithm)


def verify() -> dict[str, Any]:
    """From QR digits, a million rids loaded, the verdict alone; at most 1.54, which is 65 % of the rate."""
    return _with_share(compare(verdict(digits, REVOKED), bare()))


def verify_jws() -> dict[str, Any]:
    """The same from the JWS."""
    return _with_share(compare(verdict(jwss, REVOKED), bare()))


def _with_share(figure: dict[str, Any]) -> dict[str, Any]:
    return {**figure, "share_of_rate": round(1 / figure["ratio"], 3)}


def peer() -> dict[str, Any]:
    """npm kill-the-clipboard from the same digits with the same list, in the same run; at least 8."""
    try:
        foreign = Peer("health_card")
    except Absent as absent:
        return {"ratio": 0.0, "better": "higher", "absent": str(absent)}
    with foreign, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "directory.json"
        path.write_text(_directory())
        foreign.ask("load", path=str(path))
        work = verdict(digits, REVOKED)
        foreign.ask("time", kind="qr", cards=digits, times=PEER_TIMES)
        theirs, ours = [], []
        for _ in range(PEER_ROUNDS):
            theirs.append(foreign.ask("time", kind="qr", cards=digits, times=PEER_TIMES))
            ours.append(compare(work, work, rounds=4)["work_us"])
    return {
        "ratio": round(min(theirs) / min(ours), 2),
        "better": "higher",
        "work_us": min(ours),
        "peer_us": round(min(theirs), 1),
    }


def _directory() -> str:
    listed = json.loads(revocations().encode())
    (entry,) = card_key.entries()
    return json.dumps({"issuerInfo": [{"issuer": {"iss": ISSUER}, "keys": [entry], "crls": [listed]}]})


FIGURES = {
    "health_card.verify": verify,
    "health_card.verify_jws": verify_jws,
    "peer.kill_the_clipboard": peer,
}
