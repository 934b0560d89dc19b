"""Where `$health-cards-issue` finds what a patient's cards are to say: a folder of bundles, or a server.

A folder has a FHIR bundle `ID.json` for each patient, or a folder `ID` with one bundle for each card. A
server is sent {"patient": …, "credential_types": […], "value_sets": […], "since": …}, signed as webhooks are
if there is a secret, and answers {"bundles": […]}, or 404 where it has none.
"""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec

from safeconduct import limits
from safeconduct.clock import Clock
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.services.issuer.fetchers import Fetchers
from safeconduct.services.issuer.signature import SIGNATURE_HEADER, sign
from safeconduct.services.issuer.sources import SourceUnavailable
from safeconduct.settings import IssuerSettings, SettingsError

MOST_CARDS = 16
"""Cards that are made at one request; each costs a signature and a rid."""

PATIENT_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
"""A logical id of FHIR (R4, `id`)."""

Bundle = dict[str, Any]


class BundleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Whose cards are asked for, and which: see the operation. types: of resources, all of which it has."""

    patient: str
    types: tuple[str, ...]
    value_sets: tuple[str, ...]
    since: str | None

    def __repr__(self) -> str:
        return "<BundleRequest>"


class BundleSource(Protocol):
    """Knows bundles. Anything with this method can be one."""

    async def bundles(self, wanted: BundleRequest) -> tuple[Bundle, ...]:
        """Returns FHIR bundles, one for each card; () if there are none. Raises SourceUnavailable."""


def open_bundle_source(settings: IssuerSettings, *, fetchers: Fetchers, clock: Clock) -> BundleSource | None:
    """Opens the source that the settings name; None without one. Raises SettingsError (no such folder)."""
    if not settings.card_bundles:
        return None
    if "://" in settings.card_bundles:
        return HttpBundles(settings, fetchers=fetchers, clock=clock)
    return FolderBundles(Path(settings.card_bundles))


class FolderBundles:
    """Bundles in files, which are replaced whole, never written in place."""

    def __init__(self, folder: Path) -> None:
        """Raises SettingsError."""
        if not folder.is_dir():
            raise SettingsError((f"{folder}: expected a folder of bundles",))
        self._folder = folder

    async def bundles(self, wanted: BundleRequest) -> tuple[Bundle, ...]:
        """See `BundleSource.bundles`. Only by patient and type; all that there is counts as new."""
        if not PATIENT_ID.fullmatch(wanted.patient):
            return ()
        try:
            found = await asyncio.to_thread(lambda: tuple(self._read(wanted.patient)))
        except (OSError, SafeconductError):
            raise unavailable() from None
        return tuple(bundle for bundle in found if has_types(bundle, wanted.types))

    def _read(self, patient: str) -> Iterator[Bundle]:
        single, several = self._folder / f"{patient}.json", self._folder / patient
        # An id may be "." or "..", which are no folders of a patient's.
        if patient.strip(".") and several.is_dir():
            places = sorted(several.glob("*.json"))[:MOST_CARDS]
        else:
            places = [single] if single.is_file() else []
        for place in places:
            with place.open("rb") as file:
                yield json.loads_object(file.read(limits.JSON_BYTES + 1))


class HttpBundles:
    """Bundles that another server knows."""

    def __init__(self, settings: IssuerSettings, *, fetchers: Fetchers, clock: Clock) -> None:
        self._url = settings.card_bundles
        self._secret = settings.card_bundles_secret
        self._fetcher = fetchers.of(private=settings.card_bundles_private)
        self._clock = clock

    async def bundles(self, wanted: BundleRequest) -> tuple[Bundle, ...]:
        """See `BundleSource.bundles`. The server is not asked for what is no patient's id."""
        if not PATIENT_ID.fullmatch(wanted.patient):
            return ()
        body = json.dumps(
            {
                "patient": wanted.patient,
                "credential_types": list(wanted.types),
                "value_sets": list(wanted.value_sets),
                "since": wanted.since,
            }
        )
        try:
            answer = await self._fetcher.request(
                "POST",
                self._url,
                headers=self._headers(body),
                content=body,
                max_bytes=limits.FETCH_BYTES,
            )
            if answer.status == 404:
                return ()
            if answer.status != 200 or answer.content_type != "application/json":
                raise unavailable()
            members = json.loads_object(answer.body, max_bytes=limits.FETCH_BYTES)
            found = msgspec.convert(members, _Answer).bundles
        except SourceUnavailable:
            raise
        except (SafeconductError, msgspec.ValidationError):
            raise unavailable() from None
        return tuple(bundle for bundle in found if has_types(bundle, wanted.types))

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = sign(self._secret, body, now=self._clock())
        return headers


def has_types(bundle: Bundle, types: tuple[str, ...]) -> bool:
    """Whether a bundle has resources of all these types: several are a conjunction."""
    entries = bundle.get("entry")
    resources = [
        entry.get("resource")
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    ]
    found = [resource.get("resourceType") for resource in resources if isinstance(resource, dict)]
    return all(kind in found for kind in types)


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bundles: Annotated[tuple[dict[str, Any], ...], msgspec.Meta(max_length=MOST_CARDS)]


def unavailable() -> SourceUnavailable:
    """Returns the error of a source that cannot be asked, or does not give bundles to make cards of."""
    return SourceUnavailable("source_unavailable", "The issuer cannot look up the patient's records now.")
