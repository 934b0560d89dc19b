"""A stage for privacy tests: all parties in one process, recorded wholly."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safeconduct.demo.parties import Parties, Room, open_parties

NOON = 1_800_014_400


class Stage(msgspec.Struct):
    """Opens the parties for a scene. now: what every clock shows."""

    directory: Path
    now: int = NOON
    require_encryption: bool = True
    credentials_per_identifier: int = 1

    def play(self, scene: Callable[[Parties], Awaitable[Any]]) -> Any:
        """Play a scene with all parties and return its outcome."""

        async def main() -> Any:
            opened = open_parties(
                self.directory,
                network=Room(),
                clock=lambda: self.now,
                require_encryption=self.require_encryption,
                credentials_per_identifier=self.credentials_per_identifier,
            )
            async with opened as parties:
                return await scene(parties)

        return asyncio.run(main())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A stage with its files in a temporary directory."""
    return Stage(tmp_path)
