"""The formats that the wallet holds, as one table: how each is read, checked, shown and presented."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected, Unsupported
from safeconduct.formats import sd_cwt, sd_jwt
from safeconduct.formats.redaction import Path
from safeconduct.formats.sd_cwt.claims import path_text as cwt_path
from safeconduct.formats.sd_jwt import delegation
from safeconduct.formats.sd_jwt.claims import path_text as jwt_path
from safeconduct.ids import Random
from safeconduct.protocols.openid4vci import response as responses
from safeconduct.protocols.openid4vci.configuration import SD_CWT
from safeconduct.trust import WAIVED, Trust

SD_JWT = "dc+sd-jwt"
"""Format identifier of an SD-JWT VC."""

DELEGATED = "sct-delegation"
"""Of one that its holder passed on: no issuer is asked for it."""

_LATEST = 2**53


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A token that stood its format's checks.

    claims: all of them, as JSON. withholdable: claim paths. expires: seconds, None if it does not say.
    """

    claims: Mapping[str, Any]
    withholdable: tuple[str, ...]
    expires: int | None

    def __repr__(self) -> str:
        return "<Checked>"


class Presenting(msgspec.Struct, frozen=True, kw_only=True):
    """What a presentation is made from. nonce: the verifier's, as it gave it."""

    token: bytes
    holder: Signer
    disclose: Sequence[str]
    audience: str
    nonce: bytes | None
    now: int
    random: Random

    def __repr__(self) -> str:
        return "<Presenting>"


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One format.

    read: a `credential` of a response, as the bytes that are kept. check(token, holder, trust, now, leeway):
    as `check_issued`. present: gives the bytes to send. media_type: theirs.
    nonce: a verifier's nonce in JSON, as `Presenting` has it. issued: whether issuers give it.
    """

    id: str
    read: Callable[[str], bytes]
    check: Callable[[bytes, PublicKey, Trust, int, int], Checked]
    present: Callable[[Presenting], bytes]
    media_type: str
    nonce: Callable[[str], bytes]
    issued: bool = True


def format_of(identifier: str) -> Format:
    """Return the format of that identifier. Raises Unsupported: format_unsupported."""
    found = FORMATS.get(identifier)
    if found is None:
        raise Unsupported("format_unsupported", "The credential is of a format that this wallet cannot hold.")
    return found


def issued_format_of(identifier: str) -> Format:
    """Return the format of that identifier, if issuers give it. Raises as `format_of`."""
    found = format_of(identifier)
    if not found.issued:
        raise Unsupported("format_unsupported", "The credential is of a format that no issuer gives.")
    return found


_NONCE_BYTES = 64


def _check_sd_cwt(token: bytes, holder: PublicKey, trust: Trust, now: int, leeway: int) -> Checked:
    checked = sd_cwt.check_issued(token, holder=holder, trust=trust, now=now, leeway=leeway)
    return Checked(
        claims=checked.claims.to_json(),
        withholdable=tuple(sorted(cwt_path(path) for path in checked.redactable)),
        expires=_seconds(checked.claims.get("exp")),
    )


def _present_sd_cwt(asked: Presenting) -> bytes:
    return sd_cwt.present(
        asked.token,
        holder=asked.holder,
        disclose=asked.disclose,
        audience=asked.audience,
        nonce=asked.nonce,
        now=asked.now,
        random=asked.random,
    )


def _read_sd_jwt(credential: str) -> bytes:
    if len(credential) > limits.TOKEN_BYTES or not credential.isascii():
        raise Malformed("sd_jwt_malformed", "The credential is no SD-JWT.")
    return credential.encode("ascii")


def _check_sd_jwt(token: bytes, holder: PublicKey, trust: Trust, now: int, leeway: int) -> Checked:
    checked = sd_jwt.check_issued(
        token, holder=holder, trust=trust, now=now, leeway=leeway, profiles=(sd_jwt.SD_JWT_VC,)
    )
    return _checked(checked.claims.to_json(), checked.redactable)


def _check_delegated(token: bytes, holder: PublicKey, trust: Trust, now: int, leeway: int) -> Checked:
    checked = delegation.check_issued(token, holder=holder, trust=trust, now=now, types=WAIVED, leeway=leeway)
    return _checked(checked.claims.to_json(), checked.redactable)


def _checked(claims: dict[str, Any], redactable: Collection[Path]) -> Checked:
    withholdable = tuple(sorted(jwt_path(path) for path in redactable))
    return Checked(claims=claims, withholdable=withholdable, expires=_seconds(claims.get("exp")))


def _presenting(present: Callable[..., str]) -> Callable[[Presenting], bytes]:
    """What presents an SD-JWT, delegated or not, for a verifier's nonce."""

    def presented(asked: Presenting) -> bytes:
        if asked.nonce is None:
            raise Rejected("nonce_missing", "A presentation of an SD-JWT needs the verifier's nonce.")
        return present(
            asked.token,
            holder=asked.holder,
            disclose=asked.disclose,
            audience=asked.audience,
            nonce=asked.nonce.decode("utf-8", "replace"),
            now=asked.now,
        ).encode("ascii")

    return presented


def _seconds(value: object) -> int | None:
    # A later end is legal, but other programs hold 64 bits with a sign, or floats.
    return min(int(value), _LATEST) if isinstance(value, int | float) else None


FORMATS: Mapping[str, Format] = {
    made.id: made
    for made in (
        Format(
            id=SD_CWT,
            read=responses.sd_cwt_bytes,
            check=_check_sd_cwt,
            present=_present_sd_cwt,
            media_type="application/kb+cwt",
            nonce=lambda text: b64.decode(text, max_bytes=_NONCE_BYTES),
        ),
        Format(
            id=SD_JWT,
            read=_read_sd_jwt,
            check=_check_sd_jwt,
            present=_presenting(sd_jwt.present),
            media_type="application/dc+sd-jwt",
            nonce=lambda text: text.encode(),
        ),
        Format(
            id=DELEGATED,
            read=_read_sd_jwt,
            check=_check_delegated,
            present=_presenting(delegation.present),
            media_type=delegation.MEDIA_TYPE,
            nonce=lambda text: text.encode(),
            issued=False,
        ),
    )
}
"""What the wallet can hold. application/kb+cwt: SD-CWT-08 §8; application/dc+sd-jwt: SD-JWT VC §7.1."""
