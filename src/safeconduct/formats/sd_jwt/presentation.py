"""Presenting a part of an issued SD-JWT to one verifier (RFC 9901 §4.3, §7.2)."""

from collections.abc import Collection, Mapping
from typing import Any

from safeconduct.crypto.signing import Signer
from safeconduct.encoding import json
from safeconduct.envelope import jws
from safeconduct.errors import Rejected
from safeconduct.formats.sd_jwt import serialisation, values
from safeconduct.formats.sd_jwt.claims import resolve
from safeconduct.formats.sd_jwt.holding import Held, VerifiedIssued, open_held
from safeconduct.formats.sd_jwt.profile import DEFAULT_PROFILES
from safeconduct.formats.sd_jwt.serialisation import Form
from safeconduct.formats.sd_jwt.verification import KB_TYP
from safeconduct.formats.selection import Disclose, choose
from safeconduct.trust import WAIVED, Waived


def present(
    token: str | bytes | VerifiedIssued | Held,
    *,
    holder: Signer | Waived,
    disclose: Disclose,
    audience: str | None,
    nonce: str | None,
    now: int | None,
    lifetime: int | None = None,
    extra: Mapping[str, Any] | None = None,
    form: Form | None = None,
    accept: Collection[str] = frozenset(),
) -> str:
    """Return a presentation of an issued token: the chosen disclosures under a key binding.

    token: the issued token, or what `check_issued` returned for it, which is opened once for all
    presentations, or what `open_held` did, of whatever profile.
    holder: the key that the token confirms; WAIVED for a presentation that proves no possession, which has
    no audience, nonce and time (None).
    disclose: claim paths, each with everything inside it; or a function of path and value; or ALL. What
    contains a chosen claim is disclosed with it.
    audience, nonce: of the verifier. now: seconds since 1970. lifetime: seconds until the key binding's
    `exp`. extra: its further claims. form: the serialisation, None: the one that the token came in.
    Raises Rejected: claim_not_found, holder_key_mismatch, cnf_missing, kbt_claim_forbidden; and as
    `check_issued` for a token that is not well formed. The issuer's signature is not checked again.
    Source: RFC 9901 §4.3, §7.2.
    """
    held = _held(token, holder, accept)
    envelope = held.opened.envelope
    chosen = choose(disclose, held.located, held.trees, resolve=resolve)
    # In the issuer's order, which tells nothing about the choice.
    shown = [encoded for encoded in envelope.disclosures if encoded in chosen]
    binding = None
    if isinstance(holder, Waived):
        if (audience, nonce, now, lifetime, extra) != (None, None, None, None, None):
            raise ValueError("without key binding there is nowhere to put audience, nonce and time")
    else:
        if audience is None or nonce is None or now is None:
            raise ValueError("a key binding needs audience, nonce and time")
        covered = serialisation.covered(envelope, shown)
        claims = _binding(audience, nonce, now, lifetime, extra or {})
        claims["sd_hash"] = held.opened.codec.digest(covered)
        binding = jws.sign(json.dumps(claims), signer=holder, header={"typ": KB_TYP})
    return serialisation.write(envelope, shown, binding, form=form or envelope.form)


def _held(
    token: str | bytes | VerifiedIssued | Held, holder: Signer | Waived, accept: Collection[str]
) -> Held:
    public = holder if isinstance(holder, Waived) else holder.public
    if isinstance(token, str | bytes):
        return open_held(token, public, DEFAULT_PROFILES, accept)
    held = token.held if isinstance(token, VerifiedIssued) else token
    if public is not WAIVED and held.holder != public:
        raise Rejected("holder_key_mismatch", "The token is bound to another key.", rule="RFC 9901 §7.2")
    return held


def _binding(
    audience: str, nonce: str, now: int, lifetime: int | None, extra: Mapping[str, Any]
) -> dict[str, Any]:
    if not _OURS.isdisjoint(extra):
        raise Rejected("kbt_claim_forbidden", "A further key binding claim has a name that is taken.")
    claims: dict[str, Any] = {**extra, "iat": now, "aud": audience, "nonce": nonce}
    if lifetime is not None:
        claims["exp"] = now + lifetime
    values.check_registered(claims)
    return claims


_OURS = frozenset({"iat", "aud", "nonce", "exp", "sd_hash"})
