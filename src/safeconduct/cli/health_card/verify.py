"""`safeconduct health-card verify`: the contract that scripts rely on."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safeconduct.cli.health_card.cards import CardFiles
from safeconduct.cli.options import LATEST, AsJson, Config, moment
from safeconduct.cli.verifying import At

if TYPE_CHECKING:
    from safeconduct.cli.health_card.evidence import Evidence
    from safeconduct.formats.health_card import CardPolicy, Judgement


class PolicyName(StrEnum):
    """What becomes of a card whose status is unknown."""

    FAIL_CLOSED = "fail-closed"
    FAIL_OPEN = "fail-open"


Jwks = Annotated[
    str | None,
    typer.Option(
        "--jwks", metavar="FILE", help="An issuer's keys (jwks.json), believed whoever a card names."
    ),
]
Crls = Annotated[
    list[str] | None,
    typer.Option(
        "--crl", metavar="FILE", help="A revocation list or a ribbon of an issuer. May be repeated."
    ),
]
Directory = Annotated[
    str | None,
    typer.Option(
        "--directory",
        metavar="FILE|URL",
        help="Issuers to believe: a directory's snapshot, issuers with their JWKS, or a list of issuers, "
        "whose keys and lists are then fetched from themselves.",
    ),
]
PackFile = Annotated[
    Path | None,
    typer.Option("--pack", metavar="FILE", help="Keys and revoked cards of many issuers in one file."),
]
PackKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--pack-key",
        metavar="FILE",
        help="The mirror's key that must have signed the pack; without it the file is believed as it is. "
        "May be repeated.",
    ),
]
StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="What `safeconduct status sync` fetched; where nothing else is given, `store` of the settings.",
    ),
]
Anchors = Annotated[
    list[str] | None,
    typer.Option(
        "--anchor",
        metavar="FILE",
        help="A PEM certificate of a CA that must certify the key of --jwks for the issuer (x5c). May be "
        "repeated.",
    ),
]
StatusPolicy = Annotated[
    PolicyName, typer.Option("--status-policy", help="What becomes of a card whose status is unknown.")
]
MaxAge = Annotated[
    int | None,
    typer.Option(
        "--max-age", metavar="SECONDS", min=0, max=LATEST, help="Believe no list that is older than this."
    ),
]
RequireList = Annotated[
    bool,
    typer.Option("--require-list", help="Take the status as unknown, too, where an issuer revokes no cards."),
]
Findings = Annotated[
    bool,
    typer.Option(
        "--findings",
        help="Say on standard error what else is remarkable about a card, equal things once; --json always "
        "has that.",
    ),
]
TlsAuthorities = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help="Trust these TLS authorities (PEM) instead of the system's."),
]
AllowLoopback = Annotated[
    bool, typer.Option("--allow-loopback", help="Fetch from this machine as well, for tests.")
]


def verify(
    files: CardFiles = None,
    *,
    jwks: Jwks = None,
    crl: Crls = None,
    directory: Directory = None,
    pack: PackFile = None,
    pack_key: PackKeys = None,
    store: StoreFolder = None,
    anchor: Anchors = None,
    at: At = None,
    status_policy: StatusPolicy = PolicyName.FAIL_CLOSED,
    max_age: MaxAge = None,
    require_list: RequireList = False,
    findings: Findings = False,
    ca: TlsAuthorities = None,
    allow_loopback: AllowLoopback = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Verify health cards and tell one verdict: valid, invalid, revoked, expired, not-yet-valid or unknown.

    Exit status 0: all cards are valid. 1: one is not, with "code: reason" on standard error. With --json,
    standard output has {"verdict", "status": {"state", "reason"}, "code", "reason", "findings", "card"}, and
    with several cards those of the worst one and all of them under "cards". Findings change no verdict, and
    are looked for with --findings or --json alone.

    \b
    Example:
      safeconduct health-card verify card.smart-health-card --jwks jwks.json --crl crl.json
      safeconduct health-card verify qr.png --pack vci.pack --status-policy fail-open
    """
    from safeconduct.cli import output
    from safeconduct.cli.application import NOT_ACCEPTABLE
    from safeconduct.cli.health_card import cards, fetching
    from safeconduct.cli.health_card.evidence import Evidence, Sources
    from safeconduct.formats.health_card import CardPolicy

    now, network = moment(at), fetching.Network(ca, allow_loopback)
    _check_use(jwks=jwks, anchor=anchor, pack=pack, pack_key=pack_key)
    if jwks is None and directory is None and pack is None and store is None:
        store = _usual_store(config)
    data = cards.read(files)
    sources = Sources(
        jwks=jwks,
        anchors=anchor or (),
        crls=crl or (),
        directory=None if directory is None else fetching.directory(directory, network),
        pack=pack,
        pack_keys=pack_key or (),
        store=store,
        max_age=max_age,
    )
    policy = CardPolicy(status=status_policy.value, require_list=require_list)
    with fetching.issuers(store, network) as fetch:
        evidence = Evidence(sources, now=now, fetch=fetch)
        told = _Verifier(evidence, policy, now, examine=findings or as_json).told(data)
    if evidence.refused:
        output.note(f"{evidence.refused} keys of --jwks break the rules and are not used")
    worst = min(told, key=lambda one: _ORDER.index(one["verdict"]))
    if as_json:
        output.write_json(worst if len(told) == 1 else {**worst, "cards": told})
    else:
        for one in told:
            _say(one)
    if worst["verdict"] != "valid":
        raise typer.Exit(NOT_ACCEPTABLE)


_ORDER = ("invalid", "revoked", "expired", "not-yet-valid", "unknown", "valid")


def _check_use(
    *, jwks: str | None, anchor: list[str] | None, pack: Path | None, pack_key: list[str] | None
) -> None:
    """Refuse what would look like a check, and check nothing."""
    from safeconduct.cli.faults import WrongUse

    if anchor and jwks is None:
        raise WrongUse("--anchor looks at the certificates in a JWKS: give that with --jwks")
    if pack_key and pack is None:
        raise WrongUse("--pack-key is what a pack must be signed by: give that with --pack")


def _usual_store(config: str | None) -> Path:
    from safeconduct.cli.faults import WrongUse
    from safeconduct.cli.status.store import folder
    from safeconduct.evidence.card_store import CardStore

    usual = folder(None, config)
    if not CardStore.open(usual).issuers():
        raise WrongUse(
            "no issuer can be believed yet: give --jwks FILE, --directory FILE or --pack FILE, or run "
            "`safeconduct status sync` with the issuer's URL first"
        )
    return usual


class _Verifier:
    def __init__(self, evidence: "Evidence", policy: "CardPolicy", now: int, *, examine: bool) -> None:
        """examine: whether to look for findings, which costs more than the verdict."""
        self._evidence = evidence
        self._policy = policy
        self._now = now
        self._examine = examine

    def told(self, data: list[bytes]) -> list[dict[str, Any]]:
        """Return what is to be said of each card; of what holds none, that it is invalid."""
        from safeconduct.cli.health_card import cards
        from safeconduct.errors import Malformed, SafeconductError

        try:
            carried = cards.unwrap(data, examine=self._examine)
        except SafeconductError as error:
            return [_document(_invalid(error), [])]
        if not carried.cards:
            nothing = Malformed("card_missing", "There is no card in this.")
            return [_document(_invalid(nothing), [])]
        remarks = _findings(carried.findings) if self._examine else []
        return [_document(self._judged(card), remarks) for card in carried.cards]

    def _judged(self, card: str) -> "Judgement":
        from safeconduct.errors import SafeconductError
        from safeconduct.formats import health_card

        try:
            parsed = health_card.parse(card)
            trust, status = self._evidence.about(parsed)
        except SafeconductError as error:
            return _invalid(error)
        return health_card.judge(
            parsed,
            trust=trust,
            status=status,
            policy=self._policy,
            now=self._now,
            findings=self._examine,
        )


def _invalid(error: Any) -> "Judgement":
    from safeconduct.formats.health_card import Judgement

    return Judgement("invalid", None, error.code, error.reason, None)


def _document(judgement: "Judgement", remarks: list[dict[str, str]]) -> dict[str, Any]:
    status, card = judgement.status, judgement.card
    told: dict[str, Any] = {
        "verdict": judgement.verdict,
        "status": {
            "state": "unknown" if status is None else status.state,
            "reason": None if status is None else status.reason,
        },
        "findings": [*remarks, *_findings(judgement.findings)],
    }
    if card is None:
        return {**told, "code": judgement.code, "reason": judgement.reason}
    return {**told, "card": card.claims.payload}


def _findings(found: Any) -> list[dict[str, str]]:
    import msgspec

    return [msgspec.to_builtins(one) for one in found]


def _say(told: dict[str, Any]) -> None:
    from safeconduct.cli import output

    if told["verdict"] == "valid":
        output.write_json(told["card"])
        if told["status"]["state"] != "good":
            output.note(f"status unknown: {told['status']['reason']}")
    else:
        output.note(f"{told['code']}: {told['reason']}")
    for line in _grouped(told["findings"]):
        output.note(line)


def _grouped(findings: list[dict[str, str]]) -> Iterator[str]:
    """Gives a line for each kind of finding: where it is, or where first and how often."""
    places: dict[tuple[str, str, str], list[str]] = {}
    for one in findings:
        places.setdefault((one["severity"], one["code"], one["text"]), []).append(one["path"])
    for (severity, code, text), paths in places.items():
        first = f"{paths[0]}, {len(paths)} times in all" if len(paths) > 1 else paths[0]
        yield f"{severity}: {code}: {text}" + (f" ({first.removeprefix(', ')})" if first else "")
