"""Who may ask for authorization: clients of a file, wallets that an attester vouches for, or others.

The file has a table for each client:

[[clients]]
client_id = "wallet.example"
name = "Example Wallet"                                   # for people
redirect_uris = ["https://wallet.example/callback", "com.example.wallet:/callback", "http://127.0.0.1/callback"]

A loopback URI matches with any port (RFC 8252 §7.3), every other only as it stands.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.protocols import jwt
from safeconduct.protocols.oauth import client_attestation as attestations
from safeconduct.protocols.oauth.client_attestation import ClientAttestation
from safeconduct.protocols.oauth.errors import InvalidClient, InvalidRequest
from safeconduct.protocols.oauth.redirect_uri import check_redirect_uri, is_native, same_redirect_uri
from safeconduct.settings import IssuerSettings, SettingsError
from safeconduct.trust import Trust
from safeconduct.trust.file import read_trust

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]


class ClientHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """The values of all headers of a request by which its sender may show something."""

    dpop: Sequence[str] = ()
    attestations: Sequence[str] = ()
    attestation_pops: Sequence[str] = ()

    def __repr__(self) -> str:
        return "<ClientHeaders>"


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registered client. name: for people, "" without one."""

    client_id: _Text
    redirect_uris: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    name: Annotated[str, msgspec.Meta(max_length=100)] = ""


class Clients:
    """The clients of one issuer."""

    def __init__(
        self, settings: IssuerSettings, *, registered: Mapping[str, Client], attesters: Trust | None
    ) -> None:
        """attesters: who vouches for wallets; None if no attestation is looked at."""
        self._settings = settings
        self._registered = registered
        self._attesters = attesters

    @classmethod
    def load(cls, settings: IssuerSettings) -> "Clients":
        """Reads the files that the settings name. Raises SettingsError."""
        registered = {} if settings.clients is None else _read_clients(settings.clients)
        return cls(settings, registered=registered, attesters=_read_attesters(settings))

    @property
    def auth_methods(self) -> tuple[str, ...]:
        """How clients authenticate, by the names of server metadata."""
        return {
            "off": ("none",),
            "optional": ("none", attestations.METHOD),
            "required": (attestations.METHOD,),
        }[self._settings.client_attestation]

    @property
    def attestation_algorithms(self) -> tuple[str, ...]:
        """JOSE names that attestations and their proofs may be signed with; empty if none are looked at."""
        return () if self._attesters is None else tuple(jwt.PROOF_ALGORITHMS)

    def authenticate(self, headers: ClientHeaders, *, now: int) -> ClientAttestation | None:
        """Returns the wallet that has authenticated by attestation, None if the client has not.

        The caller remembers its `jti`. Raises InvalidClient "client_attestation_missing", if the issuer wants
        one, and what `verify_client_attestation` raises.
        """
        if self._attesters is None:
            return None
        values = attestations.single_headers(headers.attestations, headers.attestation_pops)
        if values is None:
            if self._settings.client_attestation == "required":
                raise InvalidClient(
                    "client_attestation_missing",
                    "The client must authenticate by an attestation.",
                    rule="HAIP 1.0 §4.4",
                )
            return None
        return attestations.verify_client_attestation(
            *values,
            trust=self._attesters,
            audience=self._settings.url,
            now=now,
            client_id=None,
            challenge_ok=None,
            leeway=self._settings.clock_skew,
        )

    def check_known(self, client_id: str, *, attested: bool) -> None:
        """Checks that the client may use the code flow. Raises InvalidClient "client_unknown"."""
        if attested or client_id in self._registered or self._settings.unregistered_clients != "refused":
            return
        raise InvalidClient("client_unknown", "The client is not known.", rule="RFC 6749 §5.2")

    def check_redirect_uri(self, client_id: str, redirect_uri: str, *, attested: bool) -> None:
        """Checks that a code for the client may go to the URI, which `oauth.redirect_uri` has checked.

        A registered client has its list. A wallet that has authenticated names any, as it does so on a direct
        channel (RFC 9126 §2.4). Others follow the setting.

        Raises InvalidClient "client_unknown", InvalidRequest "redirect_uri_unregistered".
        """
        self.check_known(client_id, attested=attested)
        client = self._registered.get(client_id)
        if client is not None:
            allowed = any(same_redirect_uri(known, redirect_uri) for known in client.redirect_uris)
        else:
            allowed = attested or self._settings.unregistered_clients == "any" or is_native(redirect_uri)
        if not allowed:
            raise InvalidRequest(
                "redirect_uri_unregistered", "The redirect URI is not the client's.", rule="RFC 9700 §2.1"
            )

    def name_of(self, client_id: str) -> str:
        """Returns the name of a registered client for people, "" if it has none or is not registered."""
        client = self._registered.get(client_id)
        return client.name or client.client_id if client is not None else ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clients: tuple[Client, ...] = ()


def _read_clients(path: Path) -> Mapping[str, Client]:
    try:
        listed = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).clients
    except OSError as error:
        raise SettingsError((f"{path}: cannot be read ({error.strerror})",)) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError((f"{path}: {error}",)) from None
    problems = []
    for client in listed:
        for uri in client.redirect_uris:
            try:
                check_redirect_uri(uri)
            except SafeconductError as error:
                problems.append(f"{path}: {client.client_id}: redirect_uris: {error.reason}")
    if len({client.client_id for client in listed}) != len(listed):
        problems.append(f"{path}: a client_id is given twice")
    if problems:
        raise SettingsError(tuple(problems))
    return {client.client_id: client for client in listed}


def _read_attesters(settings: IssuerSettings) -> Trust | None:
    path = settings.client_attestation_anchors
    if settings.client_attestation == "off":
        return None
    if path is None:
        raise SettingsError(("issuer.client_attestation_anchors: expected with client_attestation",))
    try:
        return read_trust(path.read_bytes())
    except OSError as error:
        raise SettingsError((f"{path}: cannot be read ({error.strerror})",)) from None
    except SafeconductError as error:
        raise SettingsError((f"{path}: {error.reason}",)) from None
