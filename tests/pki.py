"""Certificate authorities for tests: chains that are right, and such that are wrong in one chosen way."""

import datetime
from collections.abc import Sequence
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from safeconduct.crypto import x509 as certificates
from safeconduct.crypto.keys import Key
from safeconduct.crypto.signing import Signer
from safeconduct.crypto.x509 import Certificate

BEGIN = 1_700_000_000
"""From when certificates made here are valid, unless told otherwise."""

END = 1_900_000_000
"""The last second in which they are."""

Extension = tuple[x509.ExtensionType, bool]


def usage(*allowed: str) -> x509.KeyUsage:
    """A key usage extension that allows what is named."""
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in allowed for name in names})


class Authority:
    """A CA: its key and certificate, and the certificates between it and its root."""

    def __init__(self, key: Key, certificate: Certificate, above: tuple[Certificate, ...]) -> None:
        self.key = key
        self.certificate = certificate
        self.above = above

    @classmethod
    def root(cls, name: str = "Root", **changes: Any) -> Self:
        """A CA that certifies itself."""
        key = Key.generate("ES256")
        return cls(key, _signed(name, key, name, key, **_of_a_ca(changes)), ())

    def authority(self, name: str, **changes: Any) -> "Authority":
        """A CA below this one."""
        key = Key.generate("ES256")
        certificate = self._certificate(name, key, **_of_a_ca(changes))
        return Authority(key, certificate, (certificate, *self.above))

    def chain(self, key: Signer, name: str = "Leaf", **changes: Any) -> tuple[Certificate, ...]:
        """The certificate of a leaf and those of the CAs above it, without the root's.

        key: whose public half is certified. changes: uris, dns, begin, end, extensions, signer.
        """
        return (self._certificate(name, key, **_of_a_leaf(changes)), *self.above)

    def _certificate(self, name: str, key: Signer, **changes: Any) -> Certificate:
        signer = changes.pop("signer", self.key)
        issuer = changes.pop("issuer", self.certificate.subject.removeprefix("CN="))
        return _signed(name, key, issuer, signer, **changes)


def renewed(authority: Authority, *, begin: int, end: int) -> Certificate:
    """Another certificate of a root, for the same name and key."""
    name = authority.certificate.subject.removeprefix("CN=")
    return _signed(name, authority.key, name, authority.key, begin=begin, end=end, **_of_a_ca({}))


def pem(*chain: Certificate) -> str:
    """Certificates as PEM text."""
    encoding = serialization.Encoding.PEM
    return "".join(certificate.handle.public_bytes(encoding).decode() for certificate in chain)


def _of_a_ca(changes: dict[str, Any]) -> dict[str, Any]:
    constraints = x509.BasicConstraints(ca=True, path_length=changes.pop("path_length", None))
    return {"extensions": [(constraints, True), (usage("key_cert_sign", "crl_sign"), True)], **changes}


def _of_a_leaf(changes: dict[str, Any]) -> dict[str, Any]:
    return {"extensions": [(usage("digital_signature"), True)], **changes}


def _signed(
    name: str,
    key: Signer,
    issuer: str,
    signer: Key,
    *,
    begin: int = BEGIN,
    end: int = END,
    uris: Sequence[str] = (),
    dns: Sequence[str] = (),
    extensions: Sequence[Extension] = (),
) -> Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(serialization.load_pem_public_key(key.public.to_pem().encode()))
        .serial_number(x509.random_serial_number())
        .not_valid_before(_moment(begin))
        .not_valid_after(_moment(end))
    )
    names = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, dns)]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return certificates.from_der(_sign(builder, signer).public_bytes(serialization.Encoding.DER))


def _sign(builder: x509.CertificateBuilder, signer: Key) -> x509.Certificate:
    handle: Any = serialization.load_pem_private_key(signer.to_pem(private=True).encode(), None)
    return builder.sign(handle, None if signer.algorithm.key_type == "OKP" else hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
