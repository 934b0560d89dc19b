"""Safeconduct: digital credentials that stay private at every hop.

The names below are loaded when they are first used, so that `import safeconduct` costs next to nothing.
"""

from importlib import import_module

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from safeconduct.crypto.keys import Key, PublicKey
    from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
    from safeconduct.formats import health_card, sd_cwt, sd_jwt
    from safeconduct.formats.redaction import decoys, redact
    from safeconduct.trust import WAIVED, AeadKey, Policy, Trust

__all__ = [
    "WAIVED",
    "AeadKey",
    "Key",
    "Malformed",
    "Policy",
    "PublicKey",
    "Rejected",
    "SafeconductError",
    "Trust",
    "Unsupported",
    "__version__",
    "decoys",
    "health_card",
    "redact",
    "sd_cwt",
    "sd_jwt",
]

_HOMES = {
    "Key": "safeconduct.crypto.keys",
    "PublicKey": "safeconduct.crypto.keys",
    "Malformed": "safeconduct.errors",
    "Rejected": "safeconduct.errors",
    "SafeconductError": "safeconduct.errors",
    "Unsupported": "safeconduct.errors",
    "health_card": "safeconduct.formats",
    "sd_cwt": "safeconduct.formats",
    "sd_jwt": "safeconduct.formats",
    "decoys": "safeconduct.formats.redaction",
    "redact": "safeconduct.formats.redaction",
    "WAIVED": "safeconduct.trust",
    "AeadKey": "safeconduct.trust",
    "Policy": "safeconduct.trust",
    "Trust": "safeconduct.trust",
}


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        return import_module("importlib.metadata").version("safeconduct")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if home == "safeconduct.formats":
        return import_module(f"{home}.{name}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
