"""Keys that remember what they signed, so that the demonstration knows which bytes nobody may have seen."""

from collections.abc import Callable

import msgspec

from safeconduct.crypto.keys import Key, PublicKey


class Signed(msgspec.Struct, frozen=True):
    """What a key signed, and the signature."""

    key: PublicKey
    data: bytes
    signature: bytes

    def __repr__(self) -> str:
        return f"<Signed {len(self.data)} bytes>"


def watched_keys(signed: list[Signed]) -> Callable[[str], Key]:
    """Return a maker of keys that add all they sign to the list."""

    class WatchedKey(Key):
        def sign(self, data: bytes) -> bytes:
            signature = super().sign(data)
            signed.append(Signed(self.public, data, signature))
            return signature

    return WatchedKey.generate
