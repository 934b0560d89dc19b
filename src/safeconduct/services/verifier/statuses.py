"""The status of credentials that were shown: lists are fetched once the issuer's signature is verified."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter

from safeconduct.clock import Clock
from safeconduct.evidence.token_lists import Freshness, TokenListCache
from safeconduct.net.fetch import Fetcher
from safeconduct.settings import VerifierSettings
from safeconduct.status.token_list import CredentialStatus, Owner
from safeconduct.status.token_list.checking import check_reference
from safeconduct.trust import WAIVED, Policy, Trust

RENEW_SECONDS = 60
"""How often it is looked whether a list is due: as often as any may be, by the default settings."""

_OUTCOMES: Mapping[str, str] = {"fetched": "fetched", "unchanged": "unchanged"}


class Statuses:
    """What the verifier knows of the status of credentials, and how it comes to know it."""

    def __init__(
        self,
        settings: VerifierSettings,
        *,
        fetcher: Fetcher,
        trust: Trust,
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        fetched = Counter(
            "safeconduct_status_lists_fetched_total",
            "Status lists asked for.",
            ["outcome"],
            registry=registry,
        )
        self._wanted = settings.status != "ignore"
        self._clock = clock
        self._trust = trust
        self._policy = Policy(
            audience=WAIVED,
            nonce=WAIVED,
            leeway=settings.clock_skew,
            status=WAIVED if settings.status == "ignore" else settings.status,
            status_max_age=settings.status_max_age or None,
        )
        self._lists = TokenListCache(
            fetcher,
            trust=trust,
            clock=clock,
            freshness=Freshness(least=settings.status_refresh_least, most=settings.status_refresh_most),
            told=lambda outcome: fetched.labels(_OUTCOMES.get(outcome, "failed")).inc(),
        )

    async def renew(self) -> None:
        """Asks for the lists that will be due before the next time; to be called every `RENEW_SECONDS`."""
        await self._lists.renew(ahead=RENEW_SECONDS)

    async def check(self, found: CredentialStatus, owner: Owner) -> CredentialStatus:
        """Returns the status of a credential that is good otherwise.

        found: as `verify` gave it, unchecked. Raises what `check_reference` raises.
        """
        if not self._wanted:
            return found
        lists = None if found.reference is None else await self._lists.lists_for(found.reference, owner)
        return check_reference(
            found.reference,
            lists=lists,
            owner=owner,
            trust=self._trust,
            policy=self._policy,
            now=self._clock(),
        )
