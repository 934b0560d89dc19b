"""Targets: what a request for a file of the published tree asks in its header fields."""

from collections.abc import Iterable

from fuzz.judgement import Target
from safeconduct.services.status.requests import asked_span, asks_for_change, takes_gzip

_ETAG = '"Vq8cGk3vQwqX1n2p3r4s5t"'


def _fields(data: bytes) -> tuple[str, str, str, str]:
    """Four header fields, as a server hands them on."""
    first, second, third, *rest = [*data.decode("latin-1").split("\n", 3), "", "", ""]
    return first, second, third, rest[0]


def _read(fields: tuple[str, str, str, str]) -> object:
    if_none_match, range_, if_range, accept_encoding = fields
    asks_for_change(if_none_match, _ETAG)
    takes_gzip(accept_encoding)
    return asked_span(range_, if_range or None, etag=_ETAG, size=100_000)


def _seeds() -> Iterable[bytes]:
    yield f'"a", W/{_ETAG}\nbytes=0-15\n{_ETAG}\nbr;q=0.5, gzip;q=0, *'.encode()
    yield b"*\nbytes=-16\n\ngzip"
    yield b'W/"a\nbytes=100000-\n"x"\nx-gzip;q=1.000'


def _large() -> Iterable[bytes]:
    yield b'"' * 16_000
    yield b'"a",' * 4_000
    yield b"\nbytes=" + b"0-1," * 4_000
    yield b"\nbytes=" + b"9" * 16_000 + b"-"
    yield b"\n\n\n" + b"gzip;q=0.1," * 1_400
    yield b"\n\n\n" + b";" * 16_000


TARGETS = (Target(name="status.file_request", read=_read, prepare=_fields, seeds=_seeds, large=_large),)
