"""What an operator may choose: `safeconduct.toml` and `SAFECONDUCT_…` variables, as frozen structs.

The file has one table a section; the variable `SAFECONDUCT_ISSUER__PORT` is `port` of `[issuer]` and wins
over the file. Everything is checked before anything starts, and all faults are reported at once. The defaults
run every service on SQLite and on this machine alone. Relative paths start at the working directory.
"""

import hmac
import ipaddress
import itertools
import re
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from safeconduct.limits import DELEGATION_DEPTH

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[int, Meta(ge=1, le=10 * 366 * 86400)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, Meta(ge=1024, le=64 * 1024 * 1024)]
Timeout = Annotated[float, Meta(gt=0, le=600)]
StoredBytes = Annotated[int, Meta(ge=1024 * 1024, le=1 << 44)]
PersonaName = Annotated[str, Meta(pattern=r"^([a-z0-9](-?[a-z0-9]){0,31})?$")]
TenantName = Annotated[str, Meta(pattern=r"^[a-z0-9](-?[a-z0-9]){0,31}$")]
Shim = Literal["request_as_jose", "answer_as_jose", "answer_untyped", "created_as_ok", "error_untyped"]
"""What the wallet server may overlook in an issuer's envelope; `services/wallet_server/shims.py` says how."""

SECRET_CHARACTERS = 16
"""Shortest secret that is accepted; a generated one should have 32 or more."""

_DATA = Path("safeconduct-data")


class Secret:
    """A text that no log, error or repr shows; `reveal` is the only way out."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(...)"

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def matches(self, candidate: str) -> bool:
        """Whether the candidate is this secret, in constant time."""
        return hmac.compare_digest(candidate.encode(), self._text.encode())


class DatabaseUrl(str):
    """A database URL whose repr hides the password."""

    __slots__ = ()

    def __repr__(self) -> str:
        scheme, mark, rest = self.partition("://")
        account, at, place = rest.rpartition("@")
        user = account.partition(":")[0]
        return repr(f"{scheme}{mark}{user}{':***' if ':' in account else ''}{at}{place}")


class KeyPlace(str):
    """Where a private key is: a PEM file, or a `pkcs11:` URI, whose PIN no repr shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(re.sub(r"(pin-value=)[^?&;]*", r"\1***", self))

    @property
    def in_hardware(self) -> bool:
        """Whether it is a PKCS#11 URI (RFC 7512)."""
        return self.startswith("pkcs11:")


class IssuerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[issuer]`: the credential issuer with its authorization server. Times in seconds.

    With tables `[[issuer.tenants]]`, each of them is an issuer, which has what it does not say from
    `[issuer]`; this itself is none then. name: of a tenant, in the paths of the management API.
    """

    name: TenantName = ""
    tenants: tuple["IssuerSettings", ...] = ()
    identifier: str = ""
    host: str = "127.0.0.1"
    port: Port = 8440
    admin_host: str = "127.0.0.1"
    admin_port: Port = 8441
    admin_token: Secret | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    database: DatabaseUrl = DatabaseUrl(f"sqlite:///{_DATA}/issuer.db")
    signing_key: KeyPlace = KeyPlace(_DATA / "issuer-key.pem")
    signing_certificate: Path | None = None
    configurations: Path | None = None
    require_encryption: bool = True
    encryption_epoch: Seconds = 86400
    metadata_lifetime: Seconds = 300
    nonce_lifetime: Seconds = 300
    dpop_nonce_lifetime: Seconds = 300
    dpop_proof_lifetime: Seconds = 60
    clock_skew: Annotated[int, Meta(ge=0, le=600)] = 60
    offer_lifetime: Seconds = 600
    access_token_lifetime: Seconds = 300
    credential_lifetime: Seconds = 365 * 86400
    refresh_token_lifetime: Annotated[int, Meta(ge=0, le=10 * 366 * 86400)] = 0
    retry_window: Annotated[int, Meta(ge=0, le=600)] = 60
    require_pushed_requests: bool = True
    request_uri_lifetime: Annotated[int, Meta(ge=5, le=599)] = 90
    login_lifetime: Annotated[int, Meta(ge=30, le=3600)] = 600
    login_attempts: Annotated[int, Meta(ge=1, le=20)] = 5
    login_link_lifetime: Seconds = 3600
    code_lifetime: Annotated[int, Meta(ge=1, le=60)] = 60
    clients: Path | None = None
    unregistered_clients: Literal["refused", "loopback", "any"] = "refused"
    accounts: Path | None = None
    client_attestation: Literal["off", "optional", "required"] = "off"
    client_attestation_anchors: Path | None = None
    tx_code_attempts: Annotated[int, Meta(ge=1, le=20)] = 5
    tx_code_length: Annotated[int, Meta(ge=4, le=32)] = 6
    batch_size: Annotated[int, Meta(ge=1, le=100)] = 10
    credentials_per_identifier: Count = 10
    deferred_interval: Annotated[int, Meta(ge=1, le=86400)] = 60
    deferred_lifetime: Seconds = 30 * 86400
    deferred_notifications: bool = False
    status_list_uri: str = ""
    status_list_size: Annotated[int, Meta(ge=1024, le=1 << 24)] = 1 << 20
    status_list_bits: Literal[1, 2] = 2
    card_issuer: str = ""
    card_signing_key: KeyPlace = KeyPlace("")
    card_certificate: Path | None = None
    card_rid_secrets: tuple[Path, ...] = ()
    card_link_lifetime: Seconds = 7 * 86400
    card_bundles: str = ""
    card_bundles_secret: Secret | None = None
    card_bundles_private: bool = False
    key_attesters: Path | None = None
    signed_requests: Literal["accepted", "required"] = "accepted"
    issued_retention: Seconds = 90 * 86400
    share_lifetime: Seconds = 86400
    share_lease: Annotated[int, Meta(ge=60, le=86400)] = 600
    webhook_url: str = ""
    webhook_secret: Secret | None = None
    webhook_private: bool = False

    @property
    def url(self) -> str:
        """The Credential Issuer Identifier: as set, or the address it listens on."""
        return self.identifier or _own_url(self.host, self.port, self.tls_certificate)

    @property
    def card_key(self) -> KeyPlace:
        """Where the private key is that signs health cards: as set, or a file of this issuer's own."""
        file = f"card-key-{self.name}.pem" if self.name else "card-key.pem"
        return self.card_signing_key or KeyPlace(_DATA / file)

    @property
    def status_list_aggregation(self) -> str:
        """Where the issuer's status lists are named, "" if it has none."""
        return f"{self.status_list_uri}/aggregation.json" if self.status_list_uri else ""

    @property
    def issuers(self) -> tuple["IssuerSettings", ...]:
        """The issuers that the process serves: the tenants, or this one."""
        return self.tenants or (self,)


class WalletServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[wallet_server]`: forwards encrypted requests to the listed issuers, and to nobody else."""

    identifier: str = ""
    host: str = "127.0.0.1"
    port: Port = 8450
    admin_host: str = "127.0.0.1"
    admin_port: Port = 8451
    admin_token: Secret | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    database: DatabaseUrl = DatabaseUrl(f"sqlite:///{_DATA}/wallet-server.db")
    issuers: tuple[str, ...] = ()
    issuers_file: Path | None = None
    shims: dict[str, tuple[Shim, ...]] = {}
    request_bytes: Bytes = 256 * 1024
    response_bytes: Bytes = 1024 * 1024
    forward_timeout: Timeout = 10.0
    connect_timeout: Timeout = 3.0
    patience: Timeout = 5.0
    proof_lifetime: Seconds = 50
    issuer_concurrency: Count = 64
    issuer_waiting: Count = 256
    breaker_failures: Count = 5
    breaker_seconds: Seconds = 30
    session_token_lifetime: Seconds = 3600
    session_lifetime: Seconds = 30 * 86400
    session_deliveries: Count = 32
    session_bytes: Bytes = 4 * 1024 * 1024
    session_rate: Count = 120
    global_rate: Count = 1000
    stored_bytes: StoredBytes = 1024 * 1024 * 1024
    delivery_lifetime: Seconds = 600
    delivery_grace: Annotated[int, Meta(ge=0, le=600)] = 30
    record_lifetime: Seconds = 8 * 86400
    small_counts: Count = 10
    wake_url: str = ""
    wake_secret: Secret | None = None

    @property
    def url(self) -> str:
        """The base URL wallets use: as set, or the address it listens on."""
        return self.identifier or _own_url(self.host, self.port, self.tls_certificate)


class VerifierSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[verifier]`: gives nonces and judges presentations made out to its identifier.

    delegation_depth: how many holders an SD-JWT VC may have been passed on by; 0: none is taken that was.
    delegation_types: `vct` of those that may.
    """

    identifier: str = ""
    host: str = "127.0.0.1"
    port: Port = 8460
    admin_host: str = "127.0.0.1"
    admin_port: Port = 8461
    admin_token: Secret | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    database: DatabaseUrl = DatabaseUrl(f"sqlite:///{_DATA}/verifier.db")
    trust: Path | None = None
    nonce_lifetime: Seconds = 300
    clock_skew: Annotated[int, Meta(ge=0, le=600)] = 60
    profiles: Annotated[tuple[str, ...], Meta(min_length=1)] = ("ietf-08", "sd-jwt-vc")
    status: Literal["fail-closed", "fail-open", "ignore"] = "fail-closed"
    status_max_age: Annotated[int, Meta(ge=0, le=10 * 366 * 86400)] = 0
    status_refresh_least: Seconds = 60
    status_refresh_most: Seconds = 86400
    status_timeout: Timeout = 5.0
    status_private: bool = False
    delegation_depth: Annotated[int, Meta(ge=0, le=DELEGATION_DEPTH)] = 0
    delegation_types: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The audience presentations must name: as set, or the address it listens on."""
        return self.identifier or _own_url(self.host, self.port, self.tls_certificate)


class StatusSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[status]`: publishing of status, the service that serves it, and a verifier's copy. Times in seconds.

    tree: the folder that is published, and served. refresh: how often the service publishes anew from the
    issuer's database, 0: never, something else does. key: signs the heads of revocation lists; it is never
    one that signs cards. head_lifetime: how long a signed head is good. list_lifetime, list_ttl: `exp` and
    `ttl` of Token Status Lists. store: what a verifier has synchronised.
    """

    identifier: str = ""
    host: str = "127.0.0.1"
    port: Port = 8470
    admin_host: str = "127.0.0.1"
    admin_port: Port = 8471
    admin_token: Secret | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tree: Path = _DATA / "status-tree"
    refresh: Annotated[int, Meta(ge=0, le=86400)] = 60
    key: KeyPlace = KeyPlace(_DATA / "status-key.pem")
    head_lifetime: Seconds = 7 * 86400
    list_lifetime: Seconds = 86400
    list_ttl: Seconds = 3600
    store: Path = _DATA / "status"

    @property
    def url(self) -> str:
        """The base URL of the tree: as set, or the address it listens on."""
        return self.identifier or _own_url(self.host, self.port, self.tls_certificate)


class RelaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[relay]`: mailboxes through which wallets transfer what the relay cannot read. Times in seconds.

    identifier: the public base URL, below which links lie. body_bytes, payload_chars: longest request body,
    longest `payload.data`. lifetime_default, lifetime_most: of a mailbox. updates: messages that one mailbox
    takes. wait_most: longest wait of a read. create_rate, failure_rate: a minute, for one address.
    mailboxes: most at once. creation_tokens: where there are some, one of them is needed to make a mailbox.
    image_hosts: of pictures that previews may show. trust_forwarded: the relay stands behind a proxy of its
    operator's, which ends X-Forwarded-For with the client's address.
    """

    identifier: str = ""
    host: str = "127.0.0.1"
    port: Port = 8480
    admin_host: str = "127.0.0.1"
    admin_port: Port = 8481
    admin_token: Secret | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    database: DatabaseUrl = DatabaseUrl(f"sqlite:///{_DATA}/relay.db")
    body_bytes: Bytes = 64 * 1024
    payload_chars: Annotated[int, Meta(ge=1024, le=1 << 24)] = 32 * 1024
    lifetime_default: Annotated[int, Meta(ge=60, le=48 * 3600)] = 86400
    lifetime_most: Annotated[int, Meta(ge=60, le=30 * 86400)] = 48 * 3600
    updates: Count = 64
    wait_most: Annotated[int, Meta(ge=0, le=120)] = 30
    create_rate: Count = 30
    failure_rate: Count = 60
    mailboxes: Annotated[int, Meta(ge=1, le=100_000_000)] = 1_000_000
    creation_tokens: tuple[Secret, ...] = ()
    image_hosts: tuple[str, ...] = ()
    trust_forwarded: bool = False

    @property
    def url(self) -> str:
        """The public base URL: as set, or the address it listens on."""
        return self.identifier or _own_url(self.host, self.port, self.tls_certificate)


class WalletSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[wallet]`: the holder's application.

    protection: where a new wallet's key lies; "" chooses the passphrase if there is one, else a key file.
    client_id: the wallet's name at authorization servers where it has to have one.
    persona: whose keys and credentials; each has a store of its own below that of the settings, and "" is the
    one who needs no name. relay: where shares are left. relay_token: for making mailboxes there, where that
    takes one; no other relay gets it. relays: others from which shares are taken unasked.
    """

    store: Path = _DATA / "wallet"
    allow_loopback_http: bool = True
    fetch_timeout: Timeout = 10.0
    wallet_server: str = ""
    protection: Literal["", "key-file", "passphrase", "keyring", "pkcs11"] = ""
    passphrase: Secret | None = None
    passphrase_file: Path | None = None
    pkcs11_key: KeyPlace = KeyPlace("")
    client_id: str = "safeconduct-wallet"
    persona: PersonaName = ""
    relay: str = ""
    relay_token: Secret | None = None
    relays: tuple[str, ...] = ()


class TelemetrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[telemetry]`: how much is logged. What may be logged at all is no setting."""

    log_level: Literal["debug", "info", "warning", "error", "off"] = "info"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every section; each service gets its own only."""

    issuer: IssuerSettings = IssuerSettings()
    wallet_server: WalletServerSettings = WalletServerSettings()
    verifier: VerifierSettings = VerifierSettings()
    status: StatusSettings = StatusSettings()
    relay: RelaySettings = RelaySettings()
    wallet: WalletSettings = WalletSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    def card_issuer_of(self, issuer: IssuerSettings) -> str:
        """The URL that an issuer's health cards name as theirs, "" if it is not set.

        That of the published tree, of which each tenant has a folder, unless the issuer has one of its own.
        """
        if issuer.card_issuer or not self.status.identifier.startswith("https://"):
            return issuer.card_issuer
        return f"{self.status.identifier}/{issuer.name}" if issuer.name else self.status.identifier

    @property
    def issuer_of_cards(self) -> IssuerSettings:
        """The section `[issuer]`, in which `card_issuer` is what `card_issuer_of` says, also of tenants."""
        tenants = tuple(
            msgspec.structs.replace(tenant, card_issuer=self.card_issuer_of(tenant))
            for tenant in self.issuer.tenants
        )
        own = self.card_issuer_of(self.issuer)
        return msgspec.structs.replace(self.issuer, card_issuer=own, tenants=tenants)


class SettingsError(ValueError):
    """The settings cannot be used. `problems` has one line for each fault; no line shows a value."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(path: Path | None = None, *, environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    path: the file; without it, the one that SAFECONDUCT_SETTINGS names, else `safeconduct.toml` here if there
    is one, else none. environ: the process's environment; this is the only place that looks at it.
    Raises SettingsError.
    """
    file = path or _file_named_by(environ)
    tables = {} if file is None else _read(file)
    problems = [f"{file}: {name}: no such section" for name in tables if name not in _SECTIONS]
    variables = _variables(environ, problems)
    sections: dict[str, Any] = {}
    for name in _SECTIONS:
        table = tables.get(name, {})
        if not isinstance(table, dict):
            problems.append(f"{file}: {name}: expected a section [{name}]")
            table = {}
        sections[name] = _section(name, table, variables.get(name, {}), source=str(file), problems=problems)
    if not problems:
        problems = _contradictions(sections)
    if problems:
        raise SettingsError(tuple(problems))
    return Settings(**sections)


_SECTIONS: dict[str, type[msgspec.Struct]] = typing.get_type_hints(Settings)
_PREFIX = "SAFECONDUCT_"


def _file_named_by(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(f"{_PREFIX}SETTINGS", "")
    if named:
        return Path(named)
    default = Path("safeconduct.toml")
    return default if default.exists() else None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError((f"{file}: cannot be read ({error.strerror})",)) from None
    except UnicodeDecodeError:
        raise SettingsError((f"{file}: expected UTF-8 text",)) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError((f"{file}: expected TOML: {error}",)) from None


def _variables(environ: Mapping[str, str], problems: list[str]) -> dict[str, dict[str, str]]:
    """The variables with a section, by section and key; an empty one counts as not set."""
    found: dict[str, dict[str, str]] = {}
    for variable, text in environ.items():
        section, mark, key = variable.removeprefix(_PREFIX).lower().partition("__")
        if not variable.startswith(_PREFIX) or not mark or not text:
            continue
        if section not in _SECTIONS:
            problems.append(f"{variable}: no section {section}")
            continue
        found.setdefault(section, {})[key] = text
    return found


def _section(
    name: str, table: dict[str, Any], variables: dict[str, str], *, source: str, problems: list[str]
) -> msgspec.Struct:
    struct = _SECTIONS[name]
    types = typing.get_type_hints(struct, include_extras=True)
    if struct is IssuerSettings:
        return _issuer(table, variables, types, source=source, problems=problems)
    return struct(**_values(name, table, variables, types, source=source, problems=problems))


def _values(
    name: str,
    table: dict[str, Any],
    variables: dict[str, str],
    types: dict[str, Any],
    *,
    source: str,
    problems: list[str],
) -> dict[str, Any]:
    problems += [f"{source}: {name}.{key}: no such setting" for key in table if key not in types]
    problems += [f"{_variable(name, key)}: no such setting" for key in variables if key not in types]
    values: dict[str, Any] = {}
    for key, expected in types.items():
        try:
            if key in variables:
                where = _variable(name, key)
                values[key] = _from_text(variables[key], expected)
            elif key in table:
                where = f"{source}: {name}.{key}"
                values[key] = msgspec.convert(table[key], expected, dec_hook=_special)
        except msgspec.ValidationError as error:
            problems.append(f"{where}: {_expectation(expected, error)}")
    return values


_OF_THE_PROCESS = frozenset(
    {"host", "port", "admin_host", "admin_port", "admin_token", "tls_certificate", "tls_key", "database"}
)
"""Settings of `[issuer]` that no tenant has of its own."""

_OF_EACH_TENANT = ("name", "identifier", "signing_key")
"""Settings that a tenant does not inherit, and must have."""

_OF_AN_ISSUER = (
    *("card_issuer", "card_signing_key", "card_certificate", "card_rid_secrets"),
    *("card_bundles", "card_bundles_secret", "card_bundles_private"),
)
"""Settings that a tenant does not inherit, and may do without."""


def _issuer(
    table: dict[str, Any],
    variables: dict[str, str],
    types: dict[str, Any],
    *,
    source: str,
    problems: list[str],
) -> IssuerSettings:
    """The issuer, with its tenants."""
    own = {key: text for key, text in variables.items() if not key.startswith("tenants__")}
    for_all = {key: kind for key, kind in types.items() if key not in ("name", "tenants")}
    rest = {key: value for key, value in table.items() if key != "tenants"}
    values = _values("issuer", rest, own, for_all, source=source, problems=problems)
    for_one = {key: kind for key, kind in types.items() if key not in _OF_THE_PROCESS | {"tenants"}}
    tables = table.get("tenants", [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        problems.append(f"{source}: issuer.tenants: expected tables [[issuer.tenants]]")
        tables = []
    tenants = []
    for one in tables:
        name = one.get("name") if isinstance(one.get("name"), str) else "?"
        place = f"tenants__{name.replace('-', '_')}"
        said = {
            key.removeprefix(f"{place}__"): text
            for key, text in variables.items()
            if key.startswith(f"{place}__")
        }
        own_values = _values(f"issuer.tenants.{name}", one, said, for_one, source=source, problems=problems)
        problems += [
            f"{source}: issuer.tenants.{name}.{key}: expected one, it is not inherited"
            for key in _OF_EACH_TENANT
            if key not in own_values and key not in one
        ]
        inherited = {key: value for key, value in values.items() if key not in _OF_AN_ISSUER}
        tenants.append(IssuerSettings(**{**inherited, **own_values}))
    named = {f"tenants__{tenant.name.replace('-', '_')}__" for tenant in tenants}
    problems += [
        f"{_variable('issuer', key)}: no such setting"
        for key in variables
        if key.startswith("tenants__") and not key.startswith(tuple(named))
    ]
    return IssuerSettings(**values, tenants=tuple(tenants))


def _variable(section: str, key: str) -> str:
    return f"{_PREFIX}{section}__{key}".replace(".", "__").replace("-", "_").upper()


def _from_text(text: str, expected: Any) -> Any:
    if "tuple" in str(expected):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return msgspec.convert(parts, expected)
    return msgspec.convert(text, expected, strict=False, dec_hook=_special)


def _special(expected: type, value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("Expected `str`")  # noqa: TRY004  msgspec turns a ValueError into its own error
    if expected is Secret:
        if len(value) < SECRET_CHARACTERS:
            raise ValueError(f"Expected a secret of at least {SECRET_CHARACTERS} characters")
        return Secret(value)
    if expected is DatabaseUrl:
        if not value.startswith(("sqlite://", "postgresql+psycopg://", "postgresql://")):
            raise ValueError("Expected a URL that begins with sqlite:// or postgresql+psycopg://")
        return DatabaseUrl(value)
    return expected(value)


def _expectation(expected: Any, error: msgspec.ValidationError) -> str:
    """What should stand there, never what does."""
    if typing.get_origin(expected) is Literal:
        return f"expected one of {', '.join(typing.get_args(expected))}"
    text = str(error).partition(", got")[0].partition(" - at")[0]
    return text[:1].lower() + text[1:]


def _contradictions(sections: Mapping[str, Any]) -> list[str]:
    """What is wrong between settings that are each right."""
    problems = []
    for name in ("issuer", "wallet_server", "verifier", "status", "relay"):
        section = sections[name]
        problems += [f"{name}.{fault}" for fault in _service_faults(section)]
    problems += [f"wallet_server.{fault}" for fault in _wallet_server_faults(sections["wallet_server"])]
    problems += [f"issuer.{fault}" for fault in _issuer_faults(sections["issuer"])]
    wallet = sections["wallet"]
    for key, url in (("wallet_server", wallet.wallet_server), ("relay", wallet.relay)):
        problems += [f"wallet.{key}: {fault}" for fault in url_faults(url)] if url else []
    problems += [f"wallet.relays: {fault}" for url in wallet.relays for fault in url_faults(url)]
    if sections["relay"].lifetime_default > sections["relay"].lifetime_most:
        problems.append("relay.lifetime_default: expected at most lifetime_most")
    if sections["relay"].payload_chars >= sections["relay"].body_bytes:
        problems.append("relay.payload_chars: expected less than body_bytes, which has more to hold")
    return problems


def _service_faults(section: Any) -> list[str]:
    faults = []
    if section.identifier:
        faults += [f"identifier: {fault}" for fault in url_faults(section.identifier)]
    elif not is_loopback(section.host):
        faults.append("identifier: expected one, because host is not this machine alone")
    if (section.tls_certificate is None) != (section.tls_key is None):
        faults.append("tls_certificate: expected together with tls_key")
    if section.port and (section.host, section.port) == (section.admin_host, section.admin_port):
        faults.append("admin_port: expected another port than port's, management listens apart")
    return faults


def _issuer_faults(section: IssuerSettings) -> list[str]:
    faults = _tenant_faults(section.tenants)
    for issuer in section.issuers:
        place = f"tenants.{issuer.name}." if issuer.name else ""
        if issuer.webhook_url:
            faults += [f"{place}webhook_url: {fault}" for fault in url_faults(issuer.webhook_url)]
        if issuer.status_list_uri:
            faults += [f"{place}status_list_uri: {fault}" for fault in url_faults(issuer.status_list_uri)]
        if issuer.card_issuer and not _can_be_card_issuer(issuer.card_issuer):
            faults.append(f"{place}card_issuer: expected an https URL without query and final slash")
        if "://" in issuer.card_bundles:
            faults += [f"{place}card_bundles: {fault}" for fault in url_faults(issuer.card_bundles)]
        elif issuer.card_bundles_secret is not None:
            faults.append(f"{place}card_bundles_secret: expected together with a URL in card_bundles")
        if bool(issuer.webhook_url) != (issuer.webhook_secret is not None):
            faults.append(f"{place}webhook_secret: expected together with webhook_url")
    return faults


def _tenant_faults(tenants: tuple[IssuerSettings, ...]) -> list[str]:
    faults = []
    for tenant in tenants:
        faults += [f"tenants.{tenant.name}.identifier: {fault}" for fault in url_faults(tenant.identifier)]
    if faults:
        return faults
    for what in ("name", "signing_key"):
        values = [getattr(tenant, what) for tenant in tenants]
        if len(set(values)) != len(values):
            faults.append(f"tenants: expected a {what} of its own for each")
    lists = [tenant.status_list_uri for tenant in tenants if tenant.status_list_uri]
    if len(set(lists)) != len(lists):
        faults.append("tenants: expected a status_list_uri of its own for each that has one")
    paths = sorted(f"{urlsplit(tenant.identifier).path}/" for tenant in tenants)
    if any(later.startswith(path) for path, later in itertools.pairwise(paths)):
        # Requests are told apart by path, and what stands below an issuer's path is that issuer's.
        faults.append("tenants: expected identifiers with different paths, none below another's")
    return faults


def _can_be_card_issuer(url: str) -> bool:
    """Verifiers take no http here, and compare the URL as text."""
    return url.startswith("https://") and not url_faults(url)


def _wallet_server_faults(section: WalletServerSettings) -> list[str]:
    faults = [f"issuers: {fault}" for issuer in section.issuers for fault in url_faults(issuer)]
    faults += [f"shims: {fault}" for issuer in section.shims for fault in url_faults(issuer)]
    if section.wake_url:
        faults += [f"wake_url: {fault}" for fault in url_faults(section.wake_url)]
    if bool(section.wake_url) != (section.wake_secret is not None):
        faults.append("wake_secret: expected together with wake_url")
    return faults


def url_faults(url: str) -> list[str]:
    """Why the URL cannot be an identifier (OpenID4VCI 1.0 §12.2.1); http is for loopback hosts only."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises when it is no number
    except ValueError:
        return ["expected a URL"]
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return ["expected an https URL"]
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return ["expected https (http serves this machine only)"]
    if parts.query or parts.fragment or parts.username is not None or url.endswith(("/", "?", "#")):
        return ["expected a URL without query, fragment, account and final slash"]
    return []


def is_loopback(host: str) -> bool:
    """Whether the host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _own_url(host: str, port: int, certificate: Path | None) -> str:
    scheme = "http" if certificate is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
