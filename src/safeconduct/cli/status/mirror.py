"""`safeconduct status mirror` and `pull`: the offline pack, from whoever makes it to whoever carries it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safeconduct.cli.options import AsJson, Now

if TYPE_CHECKING:
    from safeconduct.evidence.mirror_tree import Edition
    from safeconduct.evidence.sync import SyncReport
    from safeconduct.status.card_snapshot import Snapshot
    from safeconduct.status.compact.pack import Pack
    from safeconduct.status.compact.packing import GatheredIssuer

_DAY = 86400
_NAME = "status"

Issuers = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ISSUER]...", help="Issuers to fetch from: the `iss` of their cards."),
]
Directory = Annotated[
    str | None,
    typer.Option(
        "--directory", metavar="FILE", help="Fetch from all issuers of this list, such as vci-issuers.json."
    ),
]
SnapshotFile = Annotated[
    str | None,
    typer.Option("--snapshot", metavar="FILE", help="Take a directory's snapshot, and fetch from nobody."),
]
Signature = Annotated[
    str | None, typer.Option("--signature", metavar="FILE", help="The snapshot's detached signature.")
]
CertificateFile = Annotated[
    str | None,
    typer.Option("--certificate", metavar="FILE", help="Whose signature is believed, in PEM."),
]
Previous = Annotated[
    Path | None,
    typer.Option(
        "--previous",
        metavar="PACK",
        help="The version before, if it is not in the folder: it gives the number, makes deltas possible, "
        "and stands in for issuers that cannot be reached.",
    ),
]
OutFolder = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="The folder of a static host to write to.")
]
SigningKey = Annotated[
    str,
    typer.Option("--key", metavar="FILE", help="Signs the pack: a private key, or a PKCS#11 URI. Only this."),
]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="What the pack is called.")]
Budget = Annotated[
    int | None,
    typer.Option(
        "--budget",
        metavar="BYTES",
        min=1,
        help="The largest pack that is accepted; as much of each identifier is kept as fits. Without it, one "
        "look-up in 2^32 is wrong, for 4.3 bytes an entry.",
    ),
]
Lifetime = Annotated[
    int,
    typer.Option("--lifetime", metavar="SECONDS", min=60, help="How long the pack counts without a new one."),
]
Store = Annotated[
    Path | None,
    typer.Option(
        "--store", metavar="DIR", help="Where fetched lists are kept; without it, .store in the folder."
    ),
]
AtOnce = Annotated[
    int, typer.Option("--at-once", metavar="N", min=1, max=64, help="Issuers to fetch from at once.")
]


def mirror(
    issuers: Issuers = None,
    *,
    directory: Directory = None,
    snapshot: SnapshotFile = None,
    signature: Signature = None,
    certificate: CertificateFile = None,
    previous: Previous = None,
    out: OutFolder,
    key: SigningKey,
    name: Name = _NAME,
    budget: Budget = None,
    lifetime: Lifetime = 7 * _DAY,
    store: Store = None,
    at_once: AtOnce = 16,
    now: Now = None,
    as_json: AsJson = False,
) -> None:
    """Gather the keys and revoked cards of many issuers into one signed pack for verifiers without network.

    DIR then holds NAME.pack, its signed head, and deltas from earlier versions, for any static host. What
    could not be fetched stays as the version before has it. Exit status 1 if nothing could be had at all.

    \b
    Example:
      safeconduct status mirror --directory vci-issuers.json --key mirror-key.pem --out /srv/www/status
    """
    from safeconduct.cli import keyfiles, operating, output
    from safeconduct.cli.faults import WrongUse
    from safeconduct.cli.options import moment
    from safeconduct.errors import Rejected
    from safeconduct.evidence import disk, mirror_tree
    from safeconduct.evidence import mirror as gathering
    from safeconduct.evidence.mirror_tree import Edition
    from safeconduct.evidence.packs import open_pack
    from safeconduct.status.compact import pack_updates
    from safeconduct.trust import WAIVED

    if not pack_updates.is_name(name):
        raise WrongUse("--name wants letters, digits, - and _, at most 64")
    began = moment(now)
    listed = _wanted(issuers or (), directory)
    taken = _snapshot(snapshot, signature, certificate, now=began)
    if bool(listed) == (taken is not None):
        raise WrongUse("name issuers, or give --directory FILE, or --snapshot FILE: one of the three")
    signer = keyfiles.read_signer(key, algorithm=None, deterministic=False)

    async def make() -> tuple[dict[str, Any], "SyncReport | None"]:
        async with disk.alone(out / f".{name}-turn"):
            before = open_pack(previous, keys=WAIVED) if previous else mirror_tree.newest(out, name)
            if taken is None:
                report = await _fetched(
                    listed,
                    store or out / ".store",
                    at_once,
                    # Who is named by hand may be on this machine; a directory is somebody else's.
                    allow_loopback=directory is None,
                    quiet=as_json,
                )
                found = _of_store(listed, store or out / ".store", began, moment(now))
            else:
                report, found = None, gathering.of_snapshot(taken)
            if before is not None:
                wanted = listed if taken is None else []
                found = gathering.with_previous(found, wanted, previous=before)
            if not found:
                raise Rejected("mirror_empty", "Nothing could be had of any issuer.")
            edition = Edition(
                name=name,
                signer=signer,
                as_of=began if taken is None else taken.time,
                now=moment(now),
                lifetime=lifetime,
                budget=budget,
            )
            return _published(out, found, edition, before), report

    done, report = operating.carry_out(make())
    faults = [] if report is None else [_fault(outcome) for outcome in report.faults]
    if as_json:
        output.write_json({**done, "faults": faults})
        return
    for fault in faults:
        output.note(f"{fault['issuer']}: {fault['code']}: {fault['reason']}")
    output.note(
        f"version {done['version']}: {done['issuers']} issuers, {done['lists']} lists, {done['entries']} "
        f"entries, {done['bytes']} bytes" + ("" if done["changed"] else ", as before, signed anew")
    )
    output.write_text(os.fspath(out / f"{name}.pack"))


def pull(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Where the mirror publishes the pack: it ends in .pack.")
    ],
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="The copy; it need not be there yet.")],
    *,
    pack_key: Annotated[
        list[str],
        typer.Option(
            "--pack-key", metavar="FILE", help="The public key of a mirror that is believed. May be repeated."
        ),
    ],
    now: Now = None,
    as_json: AsJson = False,
) -> None:
    """Bring a copy of a pack up to date, by the fewest bytes; it then serves without any network.

    An older version than the copy, or than one that was here before, is refused.

    \b
    Example:
      safeconduct status pull https://mirror.example/status.pack status.pack --pack-key mirror-public.pem
    """
    from safeconduct.cli import keyfiles, operating, output
    from safeconduct.cli.options import moment
    from safeconduct.evidence import pack_pull
    from safeconduct.evidence.pack_pull import Pulled
    from safeconduct.evidence.packs import seen_beside
    from safeconduct.net.fetch import HttpFetcher

    keys = [keyfiles.read_public(name) for name in pack_key]

    async def bring() -> Pulled:
        async with HttpFetcher(allow_loopback=True, allow_private=True, timeout=_PIECE_SECONDS) as fetcher:
            return await pack_pull.pull(
                url, pack, keys=keys, fetcher=fetcher, now=moment(now), seen=seen_beside(pack)
            )

    done = operating.carry_out(bring())
    head = done.head
    if as_json:
        told = {"version": head.version, "as_of": head.as_of, "expires": head.exp, "way": done.way}
        output.write_json({**told, "received": done.received, "fault": done.fault})
        return
    if done.fault is not None:
        output.note(f"deltas could not be used: {done.fault}")
    output.note(f"version {head.version}, {done.way}: {done.received} bytes received")


_PIECE_SECONDS = 120.0
"""For a piece of 8 MiB."""


def _wanted(issuers: Sequence[str], directory: str | None) -> list[str]:
    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse, printable
    from safeconduct.errors import SafeconductError
    from safeconduct.evidence.directories import read_issuers
    from safeconduct.limits import SNAPSHOT_BYTES
    from safeconduct.status.card_keys import check_issuer_url

    for url in issuers:
        try:
            check_issuer_url(url)
        except SafeconductError:
            raise WrongUse(f"{printable(url)} is no issuer: give https URLs without / at the end") from None
    if directory is None:
        return list(issuers)
    return [*issuers, *read_issuers(files.read_whole(directory, max_bytes=SNAPSHOT_BYTES))]


def _snapshot(
    snapshot: str | None, signature: str | None, certificate: str | None, *, now: int
) -> "Snapshot | None":
    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse
    from safeconduct.crypto import x509
    from safeconduct.limits import CERTIFICATE_BYTES, SNAPSHOT_BYTES
    from safeconduct.status import card_snapshot

    if snapshot is None and signature is None and certificate is None:
        return None
    if snapshot is None or signature is None or certificate is None:
        raise WrongUse("a snapshot wants --snapshot, --signature and --certificate together")
    pinned = x509.chain_from_pem(files.read_whole(certificate, max_bytes=CERTIFICATE_BYTES))
    if len(pinned) != 1:
        raise WrongUse(f"{files.shown(certificate)} holds several certificates: give the one that signs")
    return card_snapshot.verify(
        files.read_whole(snapshot, max_bytes=SNAPSHOT_BYTES),
        signature=files.read_whole(signature, max_bytes=CERTIFICATE_BYTES),
        certificate=pinned[0],
        now=now,
    )


async def _fetched(
    issuers: Sequence[str], store: Path, at_once: int, *, allow_loopback: bool, quiet: bool
) -> "SyncReport":
    import time

    from safeconduct.cli.progress import shown
    from safeconduct.evidence.sync import Outcome, SyncRules, sync
    from safeconduct.net.fetch import HttpFetcher

    with shown("fetching", len(issuers), quiet=quiet) as advance:

        def tell(outcome: Outcome) -> None:
            advance(0 if outcome.kid else 1)

        async with HttpFetcher(allow_loopback=allow_loopback) as fetcher:
            return await sync(
                issuers,
                folder=store,
                fetcher=fetcher,
                clock=lambda: int(time.time()),
                rules=SyncRules(ways=frozenset({"delta"}), refresh=0, at_once=at_once),
                progress=tell,
            )


def _of_store(issuers: Sequence[str], store: Path, began: int, now: int) -> list["GatheredIssuer"]:
    from safeconduct.evidence import mirror as gathering
    from safeconduct.evidence.card_store import CardStore

    return gathering.of_store(CardStore.open(store), issuers, as_of=began, now=now)


def _published(
    out: Path, found: Sequence["GatheredIssuer"], edition: "Edition", before: "Pack | None"
) -> dict[str, Any]:
    from safeconduct.evidence import mirror_tree

    done = mirror_tree.publish(out, found, edition=edition, previous=before)
    return {
        "pack": os.fspath(out / f"{edition.name}.pack"),
        "version": done.version,
        "changed": done.changed,
        "issuers": done.issuers,
        "lists": done.lists,
        "entries": done.count,
        "bytes": done.size,
        "delta_bytes": done.delta,
    }


def _fault(outcome: Any) -> dict[str, Any]:
    return {
        "issuer": outcome.issuer,
        "kid": outcome.kid,
        "code": outcome.code,
        "reason": outcome.reason,
    }
