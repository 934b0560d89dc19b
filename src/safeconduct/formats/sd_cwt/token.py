"""One SD-CWT as an issuer made it, opened and checked step by step, whether issued or presented."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Tag
from safeconduct.envelope import cose
from safeconduct.envelope.cose import Sign1
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.redaction import Disclosure, Revealed, reveal
from safeconduct.formats.sd_cwt import codec, values
from safeconduct.formats.sd_cwt.codec import CborCodec
from safeconduct.formats.sd_cwt.labels import CLAIM_NAMES, ISS, NEVER_REDACTED, SUB
from safeconduct.formats.sd_cwt.profile import Profile
from safeconduct.trust import Trust


class OpenToken(msgspec.Struct, frozen=True):
    """An SD-CWT whose structure is checked and whose signature is not.

    payload: the claims map as signed. header_claims: the second one, of the CWT Claims header (RFC 9597).
    clear: the claims of both that stand in clear. disclosures: those that came in the clear, decoded.
    """

    message: Sign1
    profile: Profile
    codec: CborCodec
    payload: dict[Any, Any]
    header_claims: dict[Any, Any] | None
    clear: Mapping[Any, Any]
    disclosures: tuple[Disclosure, ...]

    @property
    def issuer(self) -> str:
        """The issuer that the token names."""
        issuer: str = self.clear[ISS]
        return issuer


def open_token(message: Sign1, profile: Profile, accept: Collection[str]) -> OpenToken:
    """Check type, headers, claims and disclosures of an SD-CWT by themselves.

    Raises Malformed, Rejected or Unsupported: sd_cwt_typ, claims_not_map, claim_missing, claim_mismatch,
    sd_claims_malformed, sd_claims_empty, too_many_disclosures, sd_alg_unsupported, and those of `values`.
    Source: SD-CWT-08 §4, §5, §9 steps 1 to 2.
    """
    _check_typ(message, profile, accept)
    _check_headers(message, profile)
    payload = _claims_map(cbor.loads(message.payload))
    header_claims, clear = None, payload
    if cose.CWT_CLAIMS in message.protected:
        header_claims = _claims_map(message.protected[cose.CWT_CLAIMS])
        check_agreement(header_claims, payload, hidden=True)
        clear = {**header_claims, **payload}
    values.check_registered(clear)
    missing = [label for label in profile.required if label not in clear and label != SUB]
    if missing:
        raise Rejected(
            "claim_missing", f"The claim {CLAIM_NAMES[min(missing)]} is missing.", rule="SD-CWT-08 §4"
        )
    home = message.protected if profile.sd_alg_place == "header" else payload
    token_codec = codec.for_profile(
        profile, home.get(profile.sd_alg, -16), raw_digests="raw-digest" in accept
    )
    disclosures = _disclosures(message, token_codec)
    return OpenToken(message, profile, token_codec, payload, header_claims, clear, disclosures)


def check_signature(token: OpenToken, *, trust: Trust, algorithms: Collection[str]) -> PublicKey | None:
    """Check the issuer's signature and return the key that made it, None where the caller waived the check.

    Raises Rejected: issuer_unknown, signature_invalid, algorithm_not_accepted, algorithm_key_mismatch.
    Source: SD-CWT-08 §9 step 2; RFC 8392 §7.2.
    """
    if trust.issuer_unchecked:
        return None
    kid = token.message.protected.get(cose.KID, token.message.unprotected.get(cose.KID))
    if kid is not None and type(kid) is not bytes:
        raise Malformed("cose_malformed", "A kid is not a byte string.", rule="RFC 9052 §3.1")
    keys = trust.keys_for(token.issuer, kid)
    if not keys:
        raise Rejected("issuer_unknown", "No trusted key belongs to the issuer that the token names.")
    failure: Rejected | None = None
    for key in keys:
        try:
            cose.verify(token.message, key=key, accept=algorithms)
        except Rejected as error:
            failure = error
        else:
            return key
    assert failure is not None
    raise failure


def reveal_token(token: OpenToken, more: Iterable[Disclosure] = (), *, locate: bool = False) -> Revealed:
    """Apply the disclosures. Raises as `redaction.reveal`, and Rejected: claim_mismatch, claim_missing.

    Source: SD-CWT-08 §7, §9 steps 8 and 10.
    """
    trees = (token.payload,) if token.header_claims is None else (token.payload, token.header_claims)
    revealed = reveal(trees, (*token.disclosures, *more), token.codec, fixed=NEVER_REDACTED, locate=locate)
    if token.header_claims is not None:
        check_agreement(*revealed.trees, hidden=revealed.withheld > 0)
    claims = merged(revealed.trees, token.profile)
    values.check_registered({label: claims[label] for label in values.REDACTABLE if label in claims})
    # sub may be among what stays hidden; without any hidden claim it is simply not there.
    if SUB in token.profile.required and SUB not in claims and not revealed.withheld:
        raise Rejected("claim_missing", "The claim sub is missing.", rule="SD-CWT-08 §4")
    return revealed


def merged(trees: Sequence[Mapping[Any, Any]], profile: Profile) -> dict[Any, Any]:
    """Return the claims of payload and CWT Claims header as one map, without those of the format itself."""
    claims = dict(trees[0])
    for tree in trees[1:]:
        claims = {**tree, **claims}
    for label in profile.own_claims:
        claims.pop(label, None)
    return claims


def check_agreement(one: Mapping[Any, Any], other: Mapping[Any, Any], *, hidden: bool) -> None:
    """Compare the claims that stand in both maps.

    hidden: whether digests or what they left out may make containers differ; then only leaves are compared.
    Raises Rejected: claim_mismatch. Source: SD-CWT-08 §5.3.
    """
    for key in one.keys() & other.keys():
        leaf = not isinstance(one[key], dict | list | Tag)
        # Python takes 1, 1.0 and true for equal; as bytes they differ.
        if (leaf or not hidden) and cbor.dumps(one[key]) != cbor.dumps(other[key]):
            raise Rejected(
                "claim_mismatch", "A claim differs between the payload and the header.", rule="SD-CWT-08 §5.3"
            )


def _check_typ(message: Sign1, profile: Profile, accept: Collection[str]) -> None:
    typ = message.protected.get(cose.TYP)
    if type(typ) in (int, str) and typ in profile.typ_read:
        return
    if type(typ) is str and profile.typ_suffix and typ.endswith(profile.typ_suffix):
        return
    if typ == "application/sd+cwt" and "old-media-types" in accept:
        return
    raise Rejected("sd_cwt_typ", "The token is not typed as an SD-CWT.", rule="SD-CWT-08 §4")


def _check_headers(message: Sign1, profile: Profile) -> None:
    values.check_safe_map(message.protected, apart_from=(cose.CWT_CLAIMS,))
    values.check_safe_map(message.unprotected, apart_from=(profile.sd_claims, profile.sd_kbt))


def _claims_map(claims: Any) -> dict[Any, Any]:
    if type(claims) is not dict:
        raise Malformed("claims_not_map", "The claims are not a map.", rule="RFC 8392 §7.2")
    return claims


def _disclosures(message: Sign1, token_codec: CborCodec) -> tuple[Disclosure, ...]:
    profile = token_codec.profile
    if profile.sd_claims not in message.unprotected:
        return ()
    carried = message.unprotected[profile.sd_claims]
    if type(carried) is bytes and "bstr" in profile.claims_forms_read:
        carried = cbor.loads(carried)
    elif "array" not in profile.claims_forms_read:
        raise Malformed("sd_claims_malformed", "sd_claims has the wrong form.", rule="SD-CWT-08 §6")
    if type(carried) is not list:
        raise Malformed("sd_claims_malformed", "sd_claims is not an array.", rule="SD-CWT-08 §6")
    if not carried:
        raise Rejected("sd_claims_empty", "sd_claims is there and empty.", rule="SD-CWT-08 §9 step 2")
    if len(carried) > limits.DISCLOSURES:
        raise Malformed("too_many_disclosures", f"More than {limits.DISCLOSURES} disclosures.")
    return token_codec.decode(carried)
