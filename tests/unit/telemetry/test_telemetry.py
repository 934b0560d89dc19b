"""The log says what is on its allow-list and nothing else, whatever it is given."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from safeconduct.telemetry import Log, Telemetry
from safeconduct.telemetry.fields import FIELDS, bucket, is_word
from safeconduct.telemetry.logs import divert_libraries

SECRET = "eyJhbGciOiJFUzI1NiJ9.c2VjcmV0.x8Kk_3"


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def logged(event: str, **fields: object) -> dict[str, object]:
    stream = io.StringIO()
    Log("issuer", stream=stream).info(event, **fields)
    (line,) = lines(stream)
    assert SECRET not in stream.getvalue()
    return line


def test_allowed_fields_come_out_as_one_json_line() -> None:
    line = logged(
        "request_answered", route="/offers/{id}", method="GET", status=200, duration_ms=3, bytes_out=512
    )
    time = line.pop("time")
    assert isinstance(time, str)
    assert time.endswith("Z")
    assert line == {
        "event": "request_answered",
        "level": "info",
        "service": "issuer",
        "route": "/offers/{id}",
        "method": "GET",
        "status": 200,
        "duration_ms": 3,
        "bytes_out": 512,
    }


@pytest.mark.parametrize(
    "name", ["token", "authorization", "body", "url", "path", "exc_info", "stack_info", "x"]
)
def test_a_field_that_is_not_on_the_list_is_dropped_and_counted(name: str) -> None:
    line = logged("something_happened", **{name: SECRET})
    assert line["dropped"] == 1
    assert name not in line


@pytest.mark.parametrize("name", sorted(FIELDS))
@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        "Erika Mustermann",
        "4f3c2b1a90877665544332211ffeeddc0",
        "nonce-4f3c2b1a90877665",
        "/offers/4f3c2b1a9087766554433221",
        "https://wallet.example/x?y",
        b"bytes",
        ["list"],
        {"claims": "x"},
        -1,
        1.5,
        10**12 + 1,
        None,
        True,
        "",
        "a\nb",
    ],
    ids=str,
)
def test_an_allowed_field_with_another_kind_of_value_is_dropped(name: str, value: object) -> None:
    assert logged("something_happened", **{name: value}).get("dropped") == 1


def test_text_in_place_of_an_event_name_is_dropped() -> None:
    assert logged(f"token {SECRET}")["event"] == "unnamed_event"
    assert logged("Said %s", count=1)["event"] == "unnamed_event"


def test_an_exception_is_logged_by_type_and_place_only() -> None:
    stream = io.StringIO()
    log = Log("issuer", stream=stream)
    try:
        bucket(SECRET)  # type: ignore[arg-type]
    except TypeError as error:
        error.add_note(SECRET)
        log.failure(error, code="unexpected_error", claim=SECRET)
    (line,) = lines(stream)
    assert SECRET not in stream.getvalue()
    assert line["error_type"] == "TypeError"
    assert str(line["error_at"]).startswith("safeconduct.telemetry.fields:")
    assert line["dropped"] == 1


def test_an_exception_without_a_traceback_can_be_logged() -> None:
    stream = io.StringIO()
    Log("issuer", stream=stream).failure(ValueError(SECRET))
    assert lines(stream)[0]["error_at"] == "unknown:0"


def test_the_level_decides_what_is_written() -> None:
    stream = io.StringIO()
    for level in ("warning", "off"):
        log = Log("issuer", level=level, stream=stream)
        log.debug("a")
        log.info("b")
        log.warning("c")
        log.error("d")
    assert [line["event"] for line in lines(stream)] == ["c", "d"]


def test_dropped_fields_are_counted_in_the_metrics() -> None:
    telemetry = Telemetry.open("issuer", stream=io.StringIO())
    telemetry.log.info("a", x=1, y=2)
    assert telemetry.log.dropped == 2
    assert b"safeconduct_log_fields_dropped_total 2.0" in telemetry.metrics.render()


def test_requests_are_counted_by_template_and_each_service_has_its_own_registry() -> None:
    first, second = Telemetry.silent("issuer"), Telemetry.silent("verifier")
    first.metrics.request(route="/nonce", method="POST", status=200, code="", seconds=0.01)
    text = first.metrics.render()
    assert b'requests_total{code="",method="POST",route="/nonce",status="200"} 1.0' in text
    assert b'safeconduct_http_request_seconds_count{route="/nonce"} 1.0' in text
    assert b"/nonce" not in second.metrics.render()


@pytest.fixture
def _own_root_logger() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    shown = warnings.showwarning
    yield
    logging.captureWarnings(capture=False)
    warnings.showwarning = shown
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.usefixtures("_own_root_logger")
def test_what_libraries_log_comes_out_without_its_text() -> None:
    stream = io.StringIO()
    divert_libraries(Log("issuer", stream=stream))
    logging.getLogger("httpx2.client").warning("GET https://wallet.example/?code=%s", SECRET)
    logging.getLogger("asyncio").error("failed", exc_info=ValueError(SECRET))
    logging.getLogger("alembic").info("quiet")
    assert SECRET not in stream.getvalue()
    assert [(line["event"], line["state"]) for line in lines(stream)] == [
        ("library_message", "warning"),
        ("library_message", "error"),
    ]


def test_sizes_are_told_as_powers_of_two() -> None:
    assert [bucket(size) for size in (0, 1, 256, 257, 512, 513, 100_000)] == [
        256,
        256,
        256,
        512,
        512,
        1024,
        131072,
    ]


def test_words_are_names_and_nothing_random() -> None:
    assert all(is_word(word) for word in ("fetch_failed", "es256", "wallet_server", "ml-dsa-44"))
    assert not any(is_word(word) for word in ("Erika", "a b", "9a", "a1b2c3d4e5", "x" * 25, "", 3, None))
