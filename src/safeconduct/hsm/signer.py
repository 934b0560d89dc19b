"""A `Signer` whose private key stays in a PKCS#11 token."""

import hashlib
from typing import Any, NoReturn

from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, Session
from pkcs11.types import SignMixin

from safeconduct.crypto.algorithms import Algorithm
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.kinds import kind_for
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.hsm.errors import HsmError
from safeconduct.hsm.objects import all_of, only, usable
from safeconduct.hsm.token import Token, token_of
from safeconduct.hsm.uri import Pkcs11Uri

ALGORITHMS = ("ES256", "ES384", "ES512", "Ed25519")
"""COSE names of the algorithms that keys in tokens sign by."""

CURVES: dict[str, bytes] = {
    "ES256": bytes.fromhex("06082a8648ce3d030107"),
    "ES384": bytes.fromhex("06052b81040022"),
    "ES512": bytes.fromhex("06052b81040023"),
    "Ed25519": bytes.fromhex("130c656477617264733235353139"),
}
"""EC_PARAMS of each: the curve's object identifier, or for Edwards curves its name (PKCS#11 v3.1 §6.3)."""

_BY_PARAMETERS = {
    **{parameters: name for name, parameters in CURVES.items()},
    bytes.fromhex("06032b6570"): "Ed25519",  # some tokens give the object identifier
}
_TRIAL = b"safeconduct: trial signature of a key in a token"


class Pkcs11Signer:
    """Signs with a key in a token; thread-safe; outlives a lost session. Made by `hsm.open_signer`."""

    __slots__ = ("_found", "_place", "_public", "_token")

    def __init__(self, place: Pkcs11Uri, token: Token, public: PublicKey) -> None:
        self._place = place
        self._token = token
        self._public = public
        self._found: tuple[Session, Any] | None = None

    @classmethod
    def open(cls, place: Pkcs11Uri, *, kid: str | bytes | None = None) -> "Pkcs11Signer":
        """Returns a signer for the key of that place, after a trial signature; raises HsmError."""
        token = token_of(place)
        public = token.call(lambda session: public_half(session, place)).with_kid(kid)
        signer = cls(place, token, public)
        try:
            public.verify(signer.sign(_TRIAL), _TRIAL)
        except Rejected:
            raise HsmError(
                "hsm_key_mismatch", "The private and the public key of that name do not belong together."
            ) from None
        return signer

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm that `sign` uses."""
        return self._public.algorithm

    @property
    def public(self) -> PublicKey:
        """The key that verifies."""
        return self._public

    @property
    def kid(self) -> str | bytes | None:
        """The key identifier."""
        return self._public.kid

    def with_kid(self, kid: str | bytes | None) -> "Pkcs11Signer":
        """Returns a signer with the same key under another key identifier."""
        return Pkcs11Signer(self._place, self._token, self._public.with_kid(kid))

    def sign(self, data: bytes) -> bytes:
        """Returns the signature of `data` (ECDSA: r followed by s); raises HsmError."""
        hash_name = self.algorithm.hash
        mechanism = Mechanism.EDDSA if hash_name is None else Mechanism.ECDSA
        signed = data if hash_name is None else hashlib.new(hash_name, data).digest()
        return self._token.call(lambda session: bytes(self._key(session).sign(signed, mechanism=mechanism)))

    def _key(self, session: Session) -> Any:
        """The private key's handle, which is good for one session."""
        if self._found is None or self._found[0] is not session:
            key = usable(only(session, self._place, ObjectClass.PRIVATE_KEY), SignMixin)
            self._found = (session, key)
        return self._found[1]

    def __repr__(self) -> str:
        return f"<Pkcs11Signer {self.algorithm.name}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key in a token is not pickled: open it where it is used")


def public_half(session: Session, place: Pkcs11Uri) -> PublicKey:
    """Returns the public key of that place; raises HsmError "hsm_key_unsupported" and PKCS#11 errors."""
    key = only(session, place, ObjectClass.PUBLIC_KEY)
    if key.key_type not in (KeyType.EC, KeyType.EC_EDWARDS):
        raise _unsupported()
    name = _BY_PARAMETERS.get(bytes(key[Attribute.EC_PARAMS]))
    if name is None:
        raise _unsupported()
    try:
        return PublicKey.from_raw(_point(bytes(key[Attribute.EC_POINT]), kind_for(name).public_bytes), name)
    except SafeconductError:
        raise _unsupported() from None


def has_key(session: Session, place: Pkcs11Uri) -> bool:
    """Returns whether the token has a key of that place, of whatever type; a half suffices."""
    return any(all_of(session, place, kind) for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY))


def _point(encoded: bytes, size: int) -> bytes:
    """EC_POINT is an OCTET STRING of the key; some tokens give the key itself."""
    header = bytes((4, size)) if size < 128 else bytes((4, 0x81, size))
    wrapped = len(encoded) == len(header) + size and encoded.startswith(header)
    return encoded[len(header) :] if wrapped else encoded


def _unsupported() -> HsmError:
    return HsmError("hsm_key_unsupported", f"The key is not for one of {', '.join(ALGORITHMS)}.")
