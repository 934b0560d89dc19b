"""Opening an SD-JWT, issued or presented: which profile it is, and its parts. Nothing is verified here."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.envelope import jws
from safeconduct.envelope.jws import ParsedJws
from safeconduct.formats.sd_jwt import serialisation
from safeconduct.formats.sd_jwt.profile import DEFAULT_PROFILES, Profile, check_leniencies, wanted
from safeconduct.formats.sd_jwt.token import OpenToken, key_identifier, open_token
from safeconduct.formats.sd_jwt.values import status_reference
from safeconduct.status.token_list import StatusReference


class Needs(msgspec.Struct, frozen=True):
    """The evidence that verification will want, as an unverified token tells it.

    issuer: whose key, None if the token does not say. kid: which one. x5c: the raw header value, if there.
    type: the `vct`, None if there is none in clear. status: where its status stands, None if it does not say.
    """

    issuer: str | None
    kid: str | None
    x5c: Any
    type: str | None
    status: StatusReference | None

    def __repr__(self) -> str:
        return "<Needs>"


class Parsed(msgspec.Struct, frozen=True):
    """An SD-JWT as received; it gives out no claims.

    token: the SD-JWT. binding: the KB-JWT, None if there is none.
    """

    accept: frozenset[str]
    token: OpenToken
    binding: ParsedJws | None

    @property
    def profile(self) -> Profile:
        """The profile that the type in the header picked."""
        return self.token.profile

    def needs(self) -> Needs:
        """Tell which evidence `verify` will look for. Raises Malformed: jws_malformed, status_malformed."""
        message, vct = self.token.messages[0], self.token.payload.get("vct")
        kid = key_identifier(message, self.token.envelope.headers[0])
        return Needs(
            self.token.issuer,
            kid,
            message.header.get("x5c"),
            vct if type(vct) is str else None,
            status_reference(self.token.payload),
        )

    def __repr__(self) -> str:
        return f"<Parsed {self.profile.name}>"


def parse(
    data: str | bytes,
    *,
    profiles: Iterable[str | Profile] = DEFAULT_PROFILES,
    accept: Collection[str] = frozenset(),
) -> Parsed:
    """Open an SD-JWT, with or without key binding, compact or in a JSON serialisation.

    data: at most `limits.TOKEN_BYTES`. profiles: what the caller pins; the type in the header picks one.
    accept: names of leniencies.
    Raises Rejected: sd_jwt_typ; Malformed: sd_jwt_malformed, sd_jwt_too_large, jws_*; and as `open_token`;
    Unsupported: leniency_unknown. Source: RFC 9901 §7.1 step 1, §7.3 step 3, §8.
    """
    leniencies = check_leniencies(accept)
    envelope = serialisation.read(data)
    binding = None
    if envelope.binding is not None:
        binding = jws.parse(envelope.binding, max_bytes=limits.TOKEN_BYTES)
    return Parsed(leniencies, open_token(envelope, wanted(profiles), leniencies), binding)
