"""An issuer's register and its published tree, on a real database; and what must always hold of the tree."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.services.card_register import CardRegister
from safeconduct.services.status.publishing import Published, publish
from safeconduct.settings import Settings, load
from safeconduct.status.card_keys import read_key_set
from safeconduct.status.card_revocation import RevocationList, deltas, heads
from safeconduct.status.card_revocation.deltas import Delta
from safeconduct.status.card_revocation.files import digest
from safeconduct.status.card_revocation.log import Log
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER

CARD_ISSUER = "https://issuer.example/shc"
NOW = 1_800_000_000


def settings_for(folder: Path, database: str, **more: str) -> Settings:
    """The settings of an issuer with cards, whose files are all in a folder."""
    environ = {
        "SAFECONDUCT_ISSUER__CARD_ISSUER": CARD_ISSUER,
        "SAFECONDUCT_ISSUER__DATABASE": database,
        "SAFECONDUCT_STATUS__KEY": str(folder / "status-key.pem"),
        "SAFECONDUCT_STATUS__TREE": str(folder / "tree"),
        **more,
    }
    return load(environ=environ)


class Stage:
    """A register with one key, and a tree."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.tree = settings.status.tree
        self.register = CardRegister(database, CARD_ISSUER)
        self.key = Key.generate("ES256")
        self.kid = ""

    @classmethod
    async def open(cls, folder: Path, database: str, **more: str) -> "Stage":
        settings = settings_for(folder, database, **more)
        stage = cls(settings, await Database.open(settings.issuer.database, branch=ISSUER))
        stage.kid = await stage.register.register(stage.key.public, now=NOW)
        return stage

    async def publish(self, now: int = NOW) -> Published:
        return await publish(self.settings, self.database, now=now)

    async def revoke(self, *rids: str, before: int | None = None) -> None:
        for rid in rids:
            await self.register.revoke_rid(rid, kid=self.kid, before=before)

    def listed(self) -> RevocationList:
        return RevocationList.parse((self.tree / f"crl/{self.kid}.json").read_bytes(), kid=self.kid)

    def close(self) -> None:
        asyncio.run(self.database.close())


def files_of(tree: Path) -> dict[str, bytes]:
    """Every file that a host would serve."""
    found = {}
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(tree).parts):
            found[str(path.relative_to(tree))] = path.read_bytes()
    return found


def check_tree(files: Mapping[str, bytes], *, now: int = NOW) -> None:
    """Whoever reads `jwks.json` finds what it announces; every delta leads to the list that it states."""
    if "jwks.json" not in files:
        return
    keys = read_key_set(files["jwks.json"])
    assert keys.refused == ()
    status_keys = [PublicKey.from_jwk(entry) for entry in json.loads(files["status-keys.json"])["keys"]]
    for key in keys.keys:
        listed = RevocationList.parse(files[f"crl/{key.kid}.json"], kid=key.kid)
        assert key.crl_version is not None
        assert listed.ctr >= key.crl_version
        head = heads.verify(
            files[f"crl/{key.kid}.jws"].decode(), keys=status_keys, issuer=CARD_ISSUER, kid=key.kid, now=now
        )
        assert listed.ctr >= head.ctr >= key.crl_version
        assert head.log is not None
        logged = files[f"crl/{key.kid}.log"]
        assert digest(logged[: head.log.length]) == head.log.digest
        Log.parse(logged, kid=key.kid)
        if head.ctr == listed.ctr:
            assert (head.digest, head.count) == (listed.digest(), len(listed.entries))
            assert Log.parse(logged[: head.log.length], kid=key.kid).agrees(listed.entries)


def check_deltas(files: Mapping[str, bytes], kid: str) -> None:
    """From every list that ever was, the deltas lead to the newest one."""
    newest = RevocationList.parse(files[f"crl/{kid}.json"], kid=kid)
    back = newest
    for end in range(newest.ctr, 1, -1):
        step = Delta.parse(files[deltas.file_name(kid, end - 1, end)], kid=kid)
        kept = {rid: reach for rid, reach in back.entries.items() if rid not in step.add}
        back = RevocationList(kid=kid, ctr=end - 1, entries={**kept, **step.remove})
        forth = back
        for begin, stop in deltas.chain(back.ctr, newest.ctr):
            forth = Delta.parse(files[deltas.file_name(kid, begin, stop)], kid=kid).apply(forth)
        assert msgspec.structs.asdict(forth) == msgspec.structs.asdict(newest)
