"""python -m bench.breakdown: where the time of one verification goes, step by step, in microseconds.

Each step is run alone, many times; the fastest run counts. In a whole verification the steps run after one
another with colder caches, so their sum is less than the whole.
"""

import time
from collections.abc import Callable
from typing import Any

from bench.sd_cwt import AUDIENCE, NOW, holders, policy, presentations, trust, verify_twice
from safeconduct import sd_cwt
from safeconduct.encoding import cbor
from safeconduct.envelope import cose
from safeconduct.formats.sd_cwt import IETF_08, token, values, verification
from safeconduct.formats.sd_cwt.confirmation import confirmed_key
from safeconduct.formats.sd_cwt.labels import CNF
from safeconduct.formats.sd_cwt.parsing import parse

RUNS = 3000


def steps() -> dict[str, Callable[[], Any]]:
    """The steps of `verify` in its order."""
    shown = presentations[0]
    presented = parse(shown)
    sd_cwt_token, binding = presented.token, presented.binding
    message, clear = sd_cwt_token.message, sd_cwt_token.clear
    key_binding = verification._binding_claims(presented)
    revealed = token.reveal_token(sd_cwt_token)
    return {
        "open the key binding token: decode and scan its two levels": lambda: cose.parse(shown),
        "open the SD-CWT in it": lambda: cose.from_item(binding.protected[cose.KCWT]),
        "  its payload: decode": lambda: cbor._decode(message.payload, 24),
        "  its payload: scan for preferred heads": lambda: cbor._surely_preferred(message.payload),
        "  ten disclosures: decode, scan, type": lambda: sd_cwt_token.codec.decode(message.unprotected[17]),
        "  all of its structure (with the three above)": lambda: token.open_token(message, IETF_08, ()),
        "load the holder's key from cnf": lambda: confirmed_key(clear[CNF], ()),
        "the issuer's signature": lambda: token.check_signature(
            sd_cwt_token, trust=trust, algorithms=policy.algorithms
        ),
        "the holder's signature": lambda: cose.verify(
            binding, key=holders[0].public, accept=policy.algorithms
        ),
        "read the key binding claims": lambda: verification._binding_claims(presented),
        "times, nonce, audiences": lambda: (
            values.check_order(clear),
            values.check_clock(clear, now=NOW, leeway=0),
            values.check_binding_order(key_binding, clear),
            verification._check_nonce(key_binding, policy),
            verification._check_audiences(clear, key_binding, policy),
        ),
        "  ten disclosures: hash": lambda: sd_cwt_token.codec.index(sd_cwt_token.disclosures),
        "apply the disclosures (with their hashes)": lambda: token.reveal_token(sd_cwt_token),
        "put the claims together": lambda: token.merged(revealed.trees, IETF_08),
        "the whole verification": lambda: sd_cwt.verify(shown, trust=trust, policy=policy, now=NOW),
        "the floor: two bare verifications": verify_twice,
    }


def fastest(function: Callable[[], Any]) -> float:
    """Return the microseconds of the fastest of many runs."""
    best = 1 << 62
    for _ in range(RUNS):
        start = time.perf_counter_ns()
        function()
        best = min(best, time.perf_counter_ns() - start)
    return best / 1000


def main() -> None:
    """Print a line a step."""
    print(f"one presentation of {len(presentations[0])} bytes for {AUDIENCE}")
    for name, function in steps().items():
        print(f"{fastest(function):8.1f}  {name}")


if __name__ == "__main__":
    main()
