"""The status of a credential, by lists that were gathered before (draft-ietf-oauth-status-list §7, §8.3)."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from safeconduct.errors import Rejected, SafeconductError
from safeconduct.status.token_list import tokens
from safeconduct.status.token_list.lists import INVALID, SUSPENDED, VALID
from safeconduct.status.token_list.reference import StatusReference, read_reference
from safeconduct.status.token_list.tokens import Owner, ParsedListToken, VerifiedListToken
from safeconduct.trust import WAIVED, Policy, Trust

State = Literal["valid", "invalid", "suspended", "other", "unknown", "unchecked"]


class CredentialStatus(msgspec.Struct, frozen=True):
    """What was found about a credential that has a status.

    state: "valid"; "other" for a value of an application's own that the policy accepts; "unknown" where the
    policy lets that pass; "unchecked" where nobody looked. value: what stands in the list, None where nothing
    was read. reason: why it is unknown, the code of a fault. reference: where the status stands, None if the
    credential uses another mechanism.
    """

    state: State
    value: int | None = None
    reason: str | None = None
    reference: StatusReference | None = None

    def __repr__(self) -> str:
        return f"<CredentialStatus {self.state}>"


_Identity = tuple[str | None, bytes | None]


class TokenStatusLists:
    """Status List Tokens by their URI: evidence for `verify`. A list is verified when it is first asked.

    Not to be shared between verifications that trust differently.
    """

    def __init__(self, received: Mapping[str, bytes | str | SafeconductError] | None = None) -> None:
        """received: by URI what was fetched from there, or why there is nothing."""
        self._received: dict[str, list[_Received]] = {uri: [data] for uri, data in (received or {}).items()}
        self._verified: dict[tuple[str, _Identity], tuple[VerifiedListToken, ...]] = {}

    @classmethod
    def of(cls, *received: bytes | str) -> "TokenStatusLists":
        """Returns lists that go by the URI that each gives itself, as files of them do.

        Of several of one URI, the latest that verifies and is not of the future counts, in whatever order.
        Raises what `tokens.parse` raises; Rejected: status_list_claim_missing.
        """
        lists = cls()
        for data in received:
            parsed = tokens.parse(data)
            if parsed.named is None:
                raise Rejected("status_list_claim_missing", "A status list does not name itself.")
            lists._received.setdefault(parsed.named, []).append(parsed)
        return lists

    @classmethod
    def verified(cls, token: VerifiedListToken, owner: Owner) -> "TokenStatusLists":
        """Returns the one list that was verified for an owner before."""
        lists = cls()
        lists._verified[token.uri, owner.identity] = (token,)
        return lists

    def __repr__(self) -> str:
        return f"<TokenStatusLists: {len(self._received) or len(self._verified)}>"

    def value(
        self, reference: StatusReference, *, owner: Owner, trust: Trust, policy: Policy, now: int
    ) -> int:
        """Returns the status at a place. Raises Rejected "status_list_missing", and as `tokens.verify`."""
        found = self._find(reference.uri, owner, trust, policy, now)
        past = [one for one in found if one.issued_at <= now + policy.leeway]
        # The latest alone: an older one that is good for longer says nothing about what came after it.
        latest = max(past or found, key=lambda one: one.issued_at)
        latest.check_times(now=now, leeway=policy.leeway, max_age=policy.status_max_age)
        return latest.statuses.status(reference.idx)

    def _find(
        self, uri: str, owner: Owner, trust: Trust, policy: Policy, now: int
    ) -> tuple[VerifiedListToken, ...]:
        """The lists of a URI that verify, at least one: what does not verify keeps none of them away."""
        known = self._verified.get((uri, owner.identity))
        if known is not None:
            return known
        failure: SafeconductError = Rejected(
            "status_list_missing", "There is no status list for the credential."
        )
        found: list[VerifiedListToken] = []
        received = self._received.get(uri, [])
        for place, one in enumerate(received):
            try:
                parsed = received[place] = _parsed(one)
                found.append(
                    tokens.verify(
                        parsed, uri=uri, owner=owner, trust=trust, algorithms=policy.algorithms, now=now
                    )
                )
            except SafeconductError as error:
                failure = error
        if not found:
            raise failure
        self._verified[uri, owner.identity] = tuple(found)
        return tuple(found)


_Received = ParsedListToken | bytes | str | SafeconductError


def _parsed(received: _Received) -> ParsedListToken:
    if isinstance(received, SafeconductError):
        raise received
    return received if isinstance(received, ParsedListToken) else tokens.parse(received)


def check(
    claim: Any,
    *,
    lists: TokenStatusLists | None,
    owner: Owner,
    trust: Trust,
    policy: Policy,
    now: int,
) -> CredentialStatus:
    """Returns the status of a credential that has passed every other check.

    claim: the value of its claim `status`. lists: None if nobody gathered any.
    Raises Rejected: status_invalid, status_suspended, status_other, status_index_out_of_range; and unless the
    policy is "fail-open", also status_unsupported and what `TokenStatusLists.value` raises; Malformed:
    status_malformed.
    """
    reference = read_reference(claim)
    return check_reference(reference, lists=lists, owner=owner, trust=trust, policy=policy, now=now)


def check_reference(
    reference: StatusReference | None,
    *,
    lists: TokenStatusLists | None,
    owner: Owner,
    trust: Trust,
    policy: Policy,
    now: int,
) -> CredentialStatus:
    """As `check`, for a status claim that was read before. reference: None for another mechanism."""
    if policy.status is WAIVED or (policy.status == "if-given" and lists is None):
        return CredentialStatus("unchecked", reference=reference)
    try:
        if reference is None:
            raise Rejected("status_unsupported", "The credential's status is kept in a way not known here.")
        value = (lists or TokenStatusLists()).value(
            reference, owner=owner, trust=trust, policy=policy, now=now
        )
    except SafeconductError as error:
        # A list without the place is no missing evidence: the credential contradicts its issuer.
        if policy.status != "fail-open" or error.code == "status_index_out_of_range":
            raise
        return CredentialStatus("unknown", reason=error.code, reference=reference)
    if value not in policy.statuses:
        raise _refused(value)
    return CredentialStatus(_STATES.get(value, "other"), value, reference=reference)


_STATES: Mapping[int, State] = {VALID: "valid", INVALID: "invalid", SUSPENDED: "suspended"}


def _refused(value: int) -> Rejected:
    if value == INVALID:
        return Rejected("status_invalid", "The credential has been revoked.", rule=_TYPES)
    if value == SUSPENDED:
        return Rejected("status_suspended", "The credential is suspended.", rule=_TYPES)
    return Rejected("status_other", "The credential has a status that is not accepted.", rule=_TYPES)


_TYPES = "Token Status List §7.1"
