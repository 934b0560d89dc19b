"""The keys of an issuer of SMART Health Cards: its JWKS, and the directories that say whose keys are whose.

Source: SMART Health Cards Framework 1.4.0, "Determining keys associated with an issuer", "Protocol details".
A key's name is its thumbprint, so that one name means one key, whoever publishes it.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from safeconduct import limits
from safeconduct.crypto import x509
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.x509 import Certificate
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported

ANY_ISSUER: Final = "*"
"""The name under which keys stand that were pinned for whatever issuer a card names."""

ALGORITHM: Final = "ES256"
"""The one signature algorithm of health cards."""


class CardKey(msgspec.Struct, frozen=True):
    """A key that signs health cards.

    key: the public key, on P-256. kid: its thumbprint (RFC 7638), 43 characters. crl_version: the counter of
    its list of revoked cards, as the JWKS announces it; None where the issuer announces none. chains: what
    certifies it (`x5c`), each a chain in base64, leaf first; not believed before `certified` looked at them.
    """

    key: PublicKey
    kid: str
    crl_version: int | None = None
    chains: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(
        cls, public: PublicKey, *, crl_version: int | None = None, chains: Iterable[tuple[str, ...]] = ()
    ) -> "CardKey":
        """Return a public key as one for health cards. Raises Unsupported "card_key_algorithm"."""
        if public.algorithm.jose != ALGORITHM:
            raise _wrong_algorithm()
        return cls(public, thumbprint(public), crl_version, tuple(chains))

    def entries(self) -> list[dict[str, Any]]:
        """Return the JWKS entries of the key: one, or one for each chain of certificates."""
        jwk = self.key.to_jwk()
        members = {"kty": "EC", "use": "sig", "alg": ALGORITHM, "kid": self.kid, "crv": "P-256"}
        entry: dict[str, Any] = {**members, "x": jwk["x"], "y": jwk["y"]}
        version = {} if self.crl_version is None else {"crlVersion": self.crl_version}
        return [{**entry, "x5c": list(chain), **version} for chain in self.chains] or [{**entry, **version}]

    def __repr__(self) -> str:
        return "<CardKey>"


class RefusedKey(msgspec.Struct, frozen=True):
    """An entry of a JWKS that breaks a rule and is not used. place: from 1. code, reason: what is wrong."""

    place: int
    code: str
    reason: str


class KeySet(msgspec.Struct, frozen=True):
    """The keys of one issuer, one for each name, in the order in which they stand.

    refused: entries that are not used; the others stay good (RFC 7517 §5).
    """

    keys: tuple[CardKey, ...]
    refused: tuple[RefusedKey, ...] = ()

    def get(self, kid: str) -> CardKey | None:
        """Return the key of that name, None if there is none."""
        return next((key for key in self.keys if key.kid == kid), None)

    def encode(self) -> bytes:
        """Return the set as the issuer publishes it at `<iss>/.well-known/jwks.json`: compact JSON."""
        return json.dumps({"keys": [entry for key in self.keys for entry in key.entries()]})


class CardKeySource(Protocol):
    """A directory of issuers' keys, gathered before: trusted sets, a local store, a pack."""

    def keys_named(self, kid: str) -> Mapping[str, CardKey]:
        """Return the key of that name by the issuers that it is known to be of; empty if it is unknown.

        A key that was pinned whoever uses it stands under ANY_ISSUER.
        """


class CardTrust:
    """Whose cards a verifier believes: key sets by issuer, pinned ones, further directories.

    Immutable. issuers: key sets by issuer, compared as plain strings. pinned: keys that are believed whatever
    issuer a card names. directories: asked for the issuers that are not in `issuers`. Of the counters that
    all of them announce for a key of an issuer, the greatest counts.
    """

    __slots__ = ("_by_kid", "_directories", "_issuers")

    def __init__(
        self,
        issuers: Mapping[str, KeySet] | None = None,
        *,
        pinned: KeySet | None = None,
        directories: Iterable[CardKeySource] = (),
    ) -> None:
        self._issuers = frozenset(issuers or ())
        self._directories = tuple(directories)
        self._by_kid: dict[str, dict[str, CardKey]] = {}
        for issuer, keys in (issuers or {}).items():
            self._add(issuer, keys)
        if pinned is not None:
            self._add(ANY_ISSUER, pinned)
            self._by_kid |= {key.kid: _with_pinned(self._by_kid[key.kid]) for key in pinned.keys}

    def keys_named(self, kid: str) -> Mapping[str, CardKey]:
        """Return the key of that name by issuer, as `CardKeySource` has it."""
        known = self._by_kid.get(kid, _NOTHING)
        if not self._directories:
            return known
        return self._with_directories(kid, known)

    def _with_directories(self, kid: str, known: Mapping[str, CardKey]) -> Mapping[str, CardKey]:
        # Whoever is listed by hand has no other keys than those: a directory cannot bring back a removed one.
        found = dict(known)
        for directory in self._directories:
            for issuer, key in directory.keys_named(kid).items():
                if issuer in known or issuer not in self._issuers:
                    found[issuer] = _announced(found.get(issuer, key), key)
        return _with_pinned(found)

    def _add(self, issuer: str, keys: KeySet) -> None:
        for key in keys.keys:
            self._by_kid.setdefault(key.kid, {})[issuer] = key

    def __repr__(self) -> str:
        return f"<CardTrust {len(self._issuers)} issuers>"


def read_key_set(data: bytes) -> KeySet:
    """Read an issuer's JWKS. Entries that break a rule are set aside, with what is wrong.

    Raises Malformed: "card_keys_malformed" (not an object with an array `keys` of bounded length), json_*.
    """
    keys = json.loads_object(data).get("keys")
    if not isinstance(keys, list) or len(keys) > limits.LIST_ITEMS:
        raise Malformed("card_keys_malformed", "The JWKS has no array of keys, or too many.", rule=_RFC_7517)
    return read_keys(keys)


def read_keys(entries: Collection[Any]) -> KeySet:
    """Read the decoded entries of a JWKS; never raises for what they hold."""
    found: dict[str, CardKey] = {}
    refused: list[RefusedKey] = []
    for place, entry in enumerate(entries, start=1):
        try:
            key = read_key(entry)
            found[key.kid] = _joined(found.get(key.kid), key)
        except SafeconductError as error:
            refused.append(RefusedKey(place, error.code, error.reason))
    return KeySet(tuple(found.values()), tuple(refused))


def read_key(entry: Any) -> CardKey:
    """Read one decoded entry of a JWKS by the rules for health cards.

    Raises Rejected: "private_key_where_public_expected", "key_use_mismatch", "card_key_use",
    "card_key_thumbprint", "card_key_x5c"; Unsupported: "card_key_algorithm"; Malformed: "key_malformed",
    "x5c_malformed", "card_key_crl_version".
    """
    if isinstance(entry, dict) and "d" not in entry:
        if any(entry.get(name) != value for name, value in _MEMBERS.items()):
            raise _wrong_algorithm()
        if entry.get("use") != "sig":
            raise Rejected("card_key_use", "A key in the JWKS is not said to be for signing.", rule=_RULE)
    public = PublicKey.from_jwk(entry)
    if public.kid != thumbprint(public):
        raise Rejected("card_key_thumbprint", "A key is not named by its thumbprint.", rule=_RULE)
    chain = _chain(entry["x5c"], public) if "x5c" in entry else ()
    return CardKey.of(public, crl_version=_crl_version(entry), chains=(chain,) if chain else ())


def thumbprint(public: PublicKey) -> str:
    """Return the name of a key: the base64url of its SHA-256 thumbprint (RFC 7638)."""
    return b64.encode(public.jwk_thumbprint())


def certified(keys: KeySet, *, issuer: str, anchors: Collection[Certificate], now: int) -> KeySet:
    """Return those keys of a set that an anchor certifies for this issuer, for trust by certificates alone.

    issuer: must be a URI among the subject alternative names of the leaf. now: seconds since 1970. A key for
    which no chain holds is refused with what is wrong with its last one.
    """
    good: list[CardKey] = []
    refused = list(keys.refused)
    for place, key in enumerate(keys.keys, start=1):
        try:
            _check_certified(key, issuer, anchors, now)
            good.append(key)
        except SafeconductError as error:
            refused.append(RefusedKey(place, error.code, error.reason))
    return KeySet(tuple(good), tuple(refused))


def check_issuer_url(text: str) -> None:
    """Check an issuer's identifier: an https URL that does not end in "/", with nothing but host and path.

    Raises Rejected "card_issuer_url". It is never normalised: verifiers compare the text.
    """
    if len(text) > limits.URL_CHARS or text[-1:] == "/" or _ISSUER.fullmatch(text) is None:
        raise Rejected(
            "card_issuer_url", "The issuer is not an https URL without a slash at its end.", rule=_RULE
        )


def _with_pinned(keys: dict[str, CardKey]) -> dict[str, CardKey]:
    """Return a key by issuer: who pinned it knows it of the issuer, whichever that is."""
    pinned = keys.get(ANY_ISSUER)
    return keys if pinned is None else {issuer: _announced(key, pinned) for issuer, key in keys.items()}


def _announced(key: CardKey, other: CardKey) -> CardKey:
    """Return a key with the greater counter that is announced for it: a list below that is stale."""
    version = max(key.crl_version or 0, other.crl_version or 0) or None
    return key if version == key.crl_version else CardKey(key.key, key.kid, version, key.chains)


_MEMBERS: Final = {"kty": "EC", "crv": "P-256", "alg": ALGORITHM}
_NOTHING: Final[Mapping[str, CardKey]] = {}
_RULE = "SHC-1.4.0, Generating cryptographic keys"
_RFC_7517 = "RFC 7517 §5"
# Nothing that URL parsers differ on: no user, no query, no fragment, no escape in the host.
_ISSUER = re.compile(
    r"https://[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]{1,5})?(?:/[!$%&'()*+,./0-9:;=@A-Z_a-z~-]+)?"
)


def _joined(known: CardKey | None, key: CardKey) -> CardKey:
    """Join entries of one key, which may differ in their certificates alone."""
    if known is None:
        return key
    if known.crl_version != key.crl_version:
        raise Rejected(
            "card_key_twice", "Two entries of a key differ in more than their certificates.", rule=_RULE
        )
    return CardKey(key.key, key.kid, key.crl_version, (*known.chains, *key.chains))


def _chain(value: Any, public: PublicKey) -> tuple[str, ...]:
    """Read `x5c`; empty for a chain with algorithms that are not used here, which then certifies nothing."""
    try:
        leaf = x509.read_x5c(value)[0]
    except Unsupported:
        return ()
    if leaf.key != public:
        raise Rejected("card_key_x5c", "The first certificate is of another key than its entry.", rule=_RULE)
    return tuple(value)


def _crl_version(entry: dict[str, Any]) -> int | None:
    if "crlVersion" not in entry:
        return None
    value = entry["crlVersion"]
    # The framework's template shows quotes around the number, and one real issuer writes them.
    if type(value) is str and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 < value <= _LARGEST:
        raise Malformed("card_key_crl_version", "crlVersion is not a positive integer.", rule=_REVOCATION)
    return value


_DIGITS = re.compile(r"[0-9]{1,16}", re.ASCII)
_LARGEST = (1 << 53) - 1  # what every reader of JSON holds exactly (RFC 7493 §2.2)
_REVOCATION = "SHC-1.4.0, Revocation"


def _check_certified(key: CardKey, issuer: str, anchors: Collection[Certificate], now: int) -> None:
    fault: SafeconductError = Rejected("card_key_uncertified", "A key has no certificate.", rule=_PKI)
    for chain in key.chains:
        try:
            # Published chains go on to the anchor, as the framework's own example does.
            leaf = x509.verify_chain(
                x509.read_x5c(list(chain)), anchors=anchors, now=now, accept=(x509.ANCHOR_IN_CHAIN,)
            )
        except SafeconductError as error:
            fault = error
            continue
        if issuer in leaf.uris:
            return
        fault = Rejected("x5c_name_mismatch", "The certificate is not for this issuer.", rule=_PKI)
    raise fault


_PKI = "SHC-1.4.0, X.509 certificates"


def _wrong_algorithm() -> Unsupported:
    return Unsupported("card_key_algorithm", "A key is not one for ES256 on P-256.", rule=_RULE)
