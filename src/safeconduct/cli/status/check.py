"""`safeconduct status check`: the status of cards from a verifier's copy, without any network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safeconduct.cli.health_card.verify import PolicyName, StatusPolicy
from safeconduct.cli.options import LATEST, AsJson, Config, moment
from safeconduct.cli.status.store import Store, folder

if TYPE_CHECKING:
    from safeconduct.evidence.card_store import CardStore

Things = Annotated[
    list[str],
    typer.Argument(
        metavar="CARD|RID...",
        help="Cards: files of any kind, - for standard input, or the text of a JWS or QR code. Or rids, "
        "which want --issuer.",
    ),
]
At = Annotated[
    int | None,
    typer.Option(
        "--at", metavar="UNIX", min=0, max=LATEST, help="Judge as of this time, in seconds since 1970."
    ),
]


def check(
    things: Things,
    issuer: Annotated[
        str | None, typer.Option("--issuer", metavar="URL", help="Whose rids these are.")
    ] = None,
    kid: Annotated[
        str | None,
        typer.Option("--kid", metavar="KID", help="Under which key; under all of the issuer if not said."),
    ] = None,
    nbf: Annotated[
        int | None,
        typer.Option(
            "--nbf",
            metavar="UNIX",
            min=0,
            max=LATEST,
            help="When the cards of these rids were made; without it, one that revokes earlier cards counts.",
        ),
    ] = None,
    store: Store = None,
    max_age: Annotated[
        int | None,
        typer.Option(
            "--max-age",
            metavar="SECONDS",
            min=0,
            max=LATEST,
            help="Take nothing that was confirmed longer ago than this.",
        ),
    ] = None,
    at: At = None,
    status_policy: StatusPolicy = PolicyName.FAIL_CLOSED,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Tell the status of cards from what was synchronised. Nothing is sent anywhere.

    A card must be authentic; whether it is expired is not looked at here (see health-card verify). Exit
    status 0: good, or the issuer revokes none. 1: revoked, unknown unless fail-open, or not authentic.

    \b
    Example:
      safeconduct status check card.smart-health-card
      safeconduct status check MKyCxh7p6uQ --issuer https://issuer.example/shc
    """
    from safeconduct.cli import output
    from safeconduct.cli.application import NOT_ACCEPTABLE
    from safeconduct.evidence.card_store import CardStore

    source = CardStore.open(folder(store, config), max_age=max_age)
    asked = _Question(source, issuer=issuer, kid=kid, nbf=nbf, now=moment(at))
    answers = [answer for thing in things for answer in asked.answers(thing)]
    if as_json:
        output.write_json({"checked": answers})
    else:
        for answer in answers:
            output.write_columns(*_line(answer))
    if not all(_passes(answer, status_policy) for answer in answers):
        raise typer.Exit(NOT_ACCEPTABLE)


class _Question:
    def __init__(
        self, store: "CardStore", *, issuer: str | None, kid: str | None, nbf: int | None, now: int
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._kid = kid
        self._nbf = nbf
        self._now = now

    def answers(self, thing: str) -> list[dict[str, Any]]:
        from safeconduct.cli import files
        from safeconduct.cli.health_card import cards
        from safeconduct.limits import CARD_IMAGE_BYTES
        from safeconduct.status.card_revocation.rids import is_rid

        if thing == files.STANDARD_STREAM or _is_file(thing):
            data = files.read(thing, max_bytes=CARD_IMAGE_BYTES)
        elif is_rid(thing):
            return self._of_rid(thing)
        else:
            data = thing.encode("utf-8", "surrogateescape")
        return [self._of_card(card) for card in cards.unwrap([data], examine=False).cards]

    def _of_card(self, card: str) -> dict[str, Any]:
        from safeconduct.formats import health_card

        judged = health_card.judge(card, trust=self._store, status=self._store, now=self._now)
        if judged.status is None:
            return {"kind": "card", "status": None, "code": judged.code, "reason": judged.reason}
        status = {"state": judged.status.state, "reason": judged.status.reason}
        return {"kind": "card", "verdict": judged.verdict, "status": status}

    def _of_rid(self, rid: str) -> list[dict[str, Any]]:
        from safeconduct.cli.faults import WrongUse

        if self._issuer is None:
            raise WrongUse("whose rid this is decides in which list it would stand: give --issuer URL")
        kids = self._store.kids(self._issuer) if self._kid is None else (self._kid,)
        if not kids:
            raise WrongUse("the store has no list of this issuer: run `safeconduct status sync` with its URL")
        return [self._of_rid_under(self._issuer, kid, rid) for kid in kids]

    def _of_rid_under(self, issuer: str, kid: str, rid: str) -> dict[str, Any]:
        found = self._store.lookup(issuer, kid)
        reach = None if found is None else found.reach(rid)
        named = _Named(issuer, kid, 0 if self._nbf is None else self._nbf, rid)
        status = self._store.card_status(named, crl_version=None, now=self._now)
        before = None if reach is None else reach[0]
        told = {"state": status.state, "reason": status.reason}
        return {"kind": "rid", "issuer": issuer, "kid": kid, "status": told, "before": before}


class _Named:
    """A card of which only the rid is known."""

    def __init__(self, issuer: str, kid: str, nbf: int, rid: str) -> None:
        self.issuer = issuer
        self.kid = kid
        self.nbf: int | float = nbf
        self._rid = rid

    def identifier(self, method: str) -> str:
        from safeconduct.errors import Unsupported
        from safeconduct.status.card_revocation.methods import RID

        if method != RID:
            raise Unsupported("status_method_unknown", "The list does not name cards by their rid.")
        return self._rid


def _is_file(thing: str) -> bool:
    try:
        return Path(thing).is_file()
    except (OSError, ValueError):
        return False


def _passes(answer: dict[str, Any], policy: PolicyName) -> bool:
    status = answer["status"]
    if status is None or status["state"] == "revoked":
        return False
    return status["state"] == "good" or status["reason"] == "no-crl" or policy is PolicyName.FAIL_OPEN


def _line(answer: dict[str, Any]) -> list[str]:
    status = answer["status"]
    if status is None:
        return ["not authentic", f"{answer['code']}: {answer['reason']}"]
    line = [status["state"], *([status["reason"]] if status["reason"] else [])]
    if answer["kind"] == "rid":
        line += [answer["kid"]]
        if answer["before"] is not None:
            line += [f"made before {answer['before']}"]
    return line
