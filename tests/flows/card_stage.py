"""An issuer of health cards, the tree it publishes, and a verifier that has fetched that."""

import contextlib
import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.flows.small_wallet import NOW, Clock, House, issuer_house

from safeconduct.encoding import json
from safeconduct.formats import health_card
from safeconduct.formats.health_card import CardTrust
from safeconduct.net.fetch import Response
from safeconduct.services.card_register import CardRegister
from safeconduct.services.status.publishing import publish
from safeconduct.settings import KeyPlace, Settings, StatusSettings
from safeconduct.status.card_revocation.lists import RevocationLists
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH

CARDS = "https://cards.example"
SUBJECT = "Patient-number-of-the-holder"
FAMILY, GIVEN, BORN, LOT = "Anyperson-of-the-holder", "Joan", "1951-01-20", "Lot-0000007"

BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "fullUrl": "https://fhir.example/Patient/1",
            "resource": {
                "resourceType": "Patient",
                "id": "1",
                "meta": {"lastUpdated": "2021-01-01T00:00:00Z"},
                "text": {"status": "generated", "div": "<div>x</div>"},
                "name": [{"family": FAMILY, "given": [GIVEN, "B."]}],
                "birthDate": BORN,
                "telecom": [{"system": "phone", "value": "555-0100"}],
            },
        },
        {
            "fullUrl": "https://fhir.example/Immunization/2",
            "resource": {
                "resourceType": "Immunization",
                "status": "completed",
                "vaccineCode": {
                    "coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "207", "display": "x"}],
                    "text": "a vaccine",
                },
                "patient": {"reference": "Patient/1"},
                "occurrenceDateTime": "2021-01-01",
                "lotNumber": LOT,
            },
        },
    ],
}


def bundle(**members: Any) -> dict[str, Any]:
    return {**copy.deepcopy(BUNDLE), **members}


@dataclass
class Stage:
    """An issuer with its files."""

    house: House
    folder: Path
    database: str

    async def make(self, **members: Any) -> dict[str, Any]:
        """What management answers to a request for a card."""
        answer = await self.ask(**members)
        assert answer.status == 201, answer.body
        return answer.json()

    async def ask(self, **members: Any) -> Response:
        return await self.house.manage("POST", "/cards", {"bundle": BUNDLE, "subject": SUBJECT, **members})

    async def operation(
        self, patient: str, *parameters: dict[str, str], body: bytes | None = None
    ) -> Response:
        wanted = [{"name": "credentialType", "valueUri": "Immunization"}, *parameters]
        content = json.dumps({"resourceType": "Parameters", "parameter": wanted}) if body is None else body
        return await self.house.fetcher.request(
            "POST",
            f"https://admin.example/fhir/Patient/{patient}/$health-cards-issue",
            headers={
                "Authorization": "Bearer management-token-of-the-test",
                "Content-Type": "application/fhir+json",
            },
            content=content,
        )

    async def page(self, url: str, **fields: str) -> Response:
        """A page as a browser gets it: the first one, or what a form leads to."""
        if not fields:
            return await self.house.fetcher.request("GET", url)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.house.fetcher.request(
            "POST", url, headers=headers, content=urlencode(fields).encode()
        )

    async def publish(self) -> Path:
        """The published tree, brought up to date."""
        tree = self.folder / "tree"
        status = StatusSettings(identifier=CARDS, tree=tree, key=KeyPlace(self.folder / "status.pem"))
        settings = Settings(issuer=self.house.settings, status=status)
        async with await Database.open(self.database, branch=BRANCH) as database:
            await publish(settings, database, now=self.house.clock.now)
        return tree

    async def revoke(self, subject: str, *, before: int | None = None) -> None:
        async with await Database.open(self.database, branch=BRANCH) as database:
            await CardRegister(database, CARDS).revoke_subject(subject, before=before)

    async def verdict(self, jws: str) -> str:
        """What a verifier says who has fetched the files that are published now."""
        tree = await self.publish()
        keys = health_card.read_key_set((tree / "jwks.json").read_bytes())
        lists = RevocationLists()
        for key in keys.keys:
            lists.read((tree / "crl" / f"{key.kid}.json").read_bytes(), issuer=CARDS, kid=key.kid)
        trust = CardTrust(issuers={CARDS: keys})
        judged = health_card.judge(jws, trust=trust, status=lists, now=self.house.clock.now)
        return judged.verdict


@contextlib.asynccontextmanager
async def card_stage(folder: Path, **settings: Any) -> AsyncIterator[Stage]:
    database = f"sqlite:///{folder}/issuer.db"
    chosen = {
        "card_issuer": CARDS,
        "card_signing_key": KeyPlace(folder / "card-key.pem"),
        "database": database,
        **settings,
    }
    async with issuer_house(folder, clock=Clock(NOW), **chosen) as house:
        yield Stage(house, folder, chosen["database"])
