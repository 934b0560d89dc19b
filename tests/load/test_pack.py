"""A pack of very many revoked cards: mapped, ready at once, and searched about as fast as a small one.

`make load` makes it of 10^8; without SAFECONDUCT_LOAD_CARDS, a small one shows that all of it works. How
fast it is depends on the machine: what is compared are two packs on the same one, with room for noise.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.load import pack_of_hashes

from safeconduct.crypto.keys import Key
from safeconduct.status.card_keys import CardKey

CARDS = int(os.environ.get("SAFECONDUCT_LOAD_CARDS", "200000"))
SMALL = min(CARDS, 1_000_000)
FULL_LOAD = 100_000_000

SIGNER, KEY = Key.generate("ES256"), CardKey.of(Key.generate("ES256").public, crl_version=1)


def _measured(path: Path, count: int) -> dict[str, Any]:
    """By a process of its own, so that its memory is that of the pack."""
    command = [sys.executable, "-m", "tests.load.pack_of_hashes", str(path), str(count)]
    more = [SIGNER.public.to_pem(), KEY.kid]
    root = Path(__file__).parents[2]
    done = subprocess.run([*command, *more], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def test_a_large_pack_is_searched_about_as_fast_as_a_small_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, large = tmp_path / "small.pack", tmp_path / "large.pack"
    pack_of_hashes.write(small, SMALL, signer=SIGNER, key=KEY)
    size = pack_of_hashes.write(large, CARDS, signer=SIGNER, key=KEY)

    one, many = _measured(small, SMALL), _measured(large, CARDS)

    with capsys.disabled():
        print(f"\n{SMALL} cards: {one}")
        print(f"{CARDS} cards: {many}, {size / CARDS:.3f} bytes each")
    # 32 bits and what finding them costs; a small pack has its head and keys beside them.
    assert size / CARDS < 4.3 + 3000 / CARDS
    if CARDS >= FULL_LOAD:
        assert max(many["hit_us"] / one["hit_us"], many["miss_us"] / one["miss_us"]) <= 2
        assert many["ready_ms"] < 50
        # What was read of the file stays in memory while nobody needs the room, and is not our own.
        assert many["opened_mb"] < 15
        assert many["own_mb"] < 15
