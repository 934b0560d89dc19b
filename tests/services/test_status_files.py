"""A published tree over sockets: the status service and nginx answer alike in all that a verifier relies on.

HTTP as RFC 9110 has it; CORS for verifiers in browsers (SMART Health Cards, "Determining keys").
"""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services.live import live_status
from tests.services.static import (
    FILES,
    KID,
    LIST,
    LOG,
    Answer,
    ask,
    has_nginx,
    live_nginx,
    replace,
    write_tree,
)

LIST_PATH, LOG_PATH = f"crl/{KID}.json", f"crl/{KID}.log"


@pytest.fixture(params=["service", "nginx"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a host of `tmp_path / "tree"`."""
    write_tree(tmp_path / "tree")
    if request.param == "service":
        with live_status(tmp_path) as site:
            yield site.public
            assert site.failures == []
    else:
        if not has_nginx():
            if os.environ.get("CI") == "true":
                pytest.fail("CI=true, but no nginx is installed (scripts/nginx.sh)", pytrace=False)
            pytest.skip("no nginx is installed (scripts/nginx.sh)")
        with live_nginx(tmp_path, tmp_path / "tree") as url:
            yield url


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_given_as_it_is(host: str, path: str) -> None:
    answer = ask(host, path)
    assert (answer.status, answer.body) == (200, FILES[path])
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("jwks.json", "application/json"),
        (LIST_PATH, "application/json"),
        (LOG_PATH, "application/octet-stream"),
        (f"crl/{KID}.jws", "application/jwt"),
        ("status-lists/0a1b.jwt", "application/statuslist+jwt"),
        ("status-lists/0a1b.cwt", "application/statuslist+cwt"),
        ("all.pack", "application/octet-stream"),
    ],
)
def test_media_types(host: str, path: str, kind: str) -> None:
    assert ask(host, path).headers["content-type"] == kind


def test_HEAD_is_GET_without_the_body(host: str) -> None:
    answer, head = ask(host, LIST_PATH), ask(host, LIST_PATH, "HEAD")
    assert (head.status, head.body) == (200, b"")
    for name in ("etag", "content-length", "content-type", "accept-ranges", "access-control-allow-origin"):
        assert head.headers[name] == answer.headers[name]


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_who_has_the_file_is_told_so(host: str, coding: str) -> None:
    etag = ask(host, LIST_PATH, Accept_Encoding=coding).headers["etag"]
    for tags in (etag, f'"other", {etag}', "*"):
        again = ask(host, LIST_PATH, Accept_Encoding=coding, If_None_Match=tags)
        assert (again.status, again.body) == (304, b""), tags
        assert again.headers["access-control-allow-origin"] == "*"
    assert ask(host, LIST_PATH, Accept_Encoding=coding, If_None_Match='"other"').status == 200


def test_a_list_that_changed_is_given_anew(host: str, tmp_path: Path) -> None:
    etag = ask(host, LIST_PATH).headers["etag"]
    changed = LIST.replace(b'"ctr":2', b'"ctr":13')
    replace(tmp_path / "tree", LIST_PATH, changed)
    answer = ask(host, LIST_PATH, If_None_Match=etag)
    assert (answer.status, answer.body) == (200, changed)
    assert answer.headers["etag"] != etag


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=16-31", 16, 32),
        (f"bytes={len(LOG) - 16}-", len(LOG) - 16, len(LOG)),
        ("bytes=-16", len(LOG) - 16, len(LOG)),
        ("bytes=100-99999999", 100, len(LOG)),
        ("bytes=-99999999", 0, len(LOG)),
    ],
)
def test_a_part_of_a_log(host: str, asked: str, start: int, end: int) -> None:
    answer = ask(host, LOG_PATH, Range=asked)
    assert (answer.status, answer.body) == (206, LOG[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(LOG)}"
    assert answer.headers["access-control-expose-headers"] == "Content-Range, ETag"


@pytest.mark.parametrize("asked", [f"bytes={len(LOG)}-", "bytes=99999999-", "bytes=-0"])
def test_a_part_that_is_not_there(host: str, asked: str) -> None:
    """416 with the length is how a verifier that has all of a log learns it."""
    answer = ask(host, LOG_PATH, Range=asked)
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(LOG)}"


def test_a_part_of_what_is_no_more_is_not_given(host: str) -> None:
    etag = ask(host, LOG_PATH).headers["etag"]
    part = ask(host, LOG_PATH, Range="bytes=16-31", If_Range=etag)
    assert (part.status, part.body) == (206, LOG[16:32])
    whole = ask(host, LOG_PATH, Range="bytes=16-31", If_Range='"older"')
    assert (whole.status, whole.body) == (200, LOG)


def test_gzip_for_who_takes_it(host: str) -> None:
    plain, packed = ask(host, LIST_PATH), ask(host, LIST_PATH, Accept_Encoding="br, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in packed.headers["vary"].lower()
    assert gzip.decompress(packed.body) == LIST
    assert len(packed.body) < len(LIST) * 0.7
    assert packed.headers["etag"] != plain.headers["etag"]  # other bytes (RFC 9110 §8.8.3.3)


@pytest.mark.parametrize("path", [LOG_PATH, "jwks.json", "status-lists/0a1b.cwt"])
def test_no_gzip_where_there_is_no_point(host: str, path: str) -> None:
    answer = ask(host, path, Accept_Encoding="gzip")
    assert "content-encoding" not in answer.headers
    assert answer.body == FILES[path]


HOSTILE = (
    "",
    "crl",
    "crl/",
    "../secret.txt",
    "%2e%2e/secret.txt",
    "..%2fsecret.txt",
    "crl/..%2f..%2fsecret.txt",
    "crl/%2e%2e/%2e%2e/secret.txt",
    "..%5csecret.txt",
    "%00",
    "jwks.json%00",
    "jwks.json/",
    "jwks.json/x",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    ".hidden",
    "crl/.unfinished",
    "linked.json",
    "linked/secret.txt",
    "fifo",
    "a/b/c/d/e/f/g/h/i",
    "%ff",
    "%ed%a0%80",
    "x" * 300,
)


@pytest.mark.parametrize("path", HOSTILE)
def test_what_is_not_published_is_not_given(host: str, tmp_path: Path, path: str) -> None:
    tree = tmp_path / "tree"
    (tmp_path / "secret.txt").write_text("marker")
    (tree / ".hidden").write_text("marker")
    (tree / "crl" / ".unfinished").write_text("marker")
    (tree / "linked.json").symlink_to(tmp_path / "secret.txt")
    (tree / "linked").symlink_to(tmp_path)
    os.mkfifo(tree / "fifo")
    for method in ("GET", "HEAD"):
        answer = ask(host, path, method)
        assert 300 <= answer.status < 500, (path, answer)
        assert b"marker" not in answer.body
        assert b"root:" not in answer.body


def test_nothing_is_changed_by_a_request(host: str) -> None:
    for method in ("PUT", "DELETE", "POST", "PATCH"):
        assert ask(host, "jwks.json", method).status == 405
    assert ask(host, "jwks.json").body == FILES["jwks.json"]


def test_a_tree_may_be_exchanged_whole(tmp_path: Path) -> None:
    """The folder itself may be a link, unlike what is in it."""
    write_tree(tmp_path / "first")
    write_tree(tmp_path / "second")
    (tmp_path / "second" / "jwks.json").write_bytes(b"second")
    (tmp_path / "tree").symlink_to(tmp_path / "first")
    with live_status(tmp_path) as site:
        assert ask(site.public, "jwks.json").body == FILES["jwks.json"]
        (tmp_path / "new").symlink_to(tmp_path / "second")
        (tmp_path / "new").rename(tmp_path / "tree")
        assert ask(site.public, "jwks.json").body == b"second"


def same(one: Answer, other: Answer) -> bool:
    return (one.status, one.body, one.headers.get("etag")) == (
        other.status,
        other.body,
        other.headers.get("etag"),
    )


def test_hosts_of_equal_trees_have_equal_tags(tmp_path: Path) -> None:
    """Behind one name, whichever of them is asked next."""
    for name in ("one", "other"):
        write_tree(tmp_path / name / "tree")
        os.utime(tmp_path / name / "tree" / LIST_PATH, (1, 1 if name == "one" else 2))
    with live_status(tmp_path / "one") as one, live_status(tmp_path / "other") as other:
        for coding in ("identity", "gzip"):
            assert same(*(ask(site.public, LIST_PATH, Accept_Encoding=coding) for site in (one, other)))


def test_a_file_replaced_within_the_same_tick_has_another_tag(tmp_path: Path) -> None:
    """Equal in size and time of change, as two publications in a row may be."""
    write_tree(tmp_path / "tree")
    place = tmp_path / "tree" / LIST_PATH
    with live_status(tmp_path) as site:
        os.utime(place, (1, 1))
        etag = ask(site.public, LIST_PATH).headers["etag"]
        replace(tmp_path / "tree", LIST_PATH, LIST.replace(b'"ctr":2', b'"ctr":3'))
        os.utime(place, (1, 1))
        answer = ask(site.public, LIST_PATH, If_None_Match=etag)
        assert answer.status == 200
        assert b'"ctr":3' in answer.body


def test_odd_ranges_are_no_ranges(tmp_path: Path) -> None:
    """RFC 9110 §14.2: what is not understood is not there."""
    write_tree(tmp_path / "tree")
    with live_status(tmp_path) as site:
        for asked in (
            "bytes=0-0,2-3",
            "lines=0-1",
            "bytes=5-4",
            "bytes=a-b",
            "bytes=" + "9" * 40 + "-",
            "bytes",
        ):
            answer = ask(site.public, LOG_PATH, Range=asked)
            assert (answer.status, answer.body) == (200, LOG), asked
        assert ask(site.public, LOG_PATH, "HEAD", Range="bytes=0-0").status == 200
        assert ask(site.public, LIST_PATH, Range="bytes=0-0", Accept_Encoding="gzip").body == LIST[:1]


def test_a_weak_tag_or_a_date_makes_no_part(tmp_path: Path) -> None:
    """RFC 9110 §13.1.5: If-Range compares strongly."""
    write_tree(tmp_path / "tree")
    with live_status(tmp_path) as site:
        etag = ask(site.public, LOG_PATH).headers["etag"]
        for condition in (f"W/{etag}", "Sun, 22 Nov 2026 08:00:00 GMT"):
            assert ask(site.public, LOG_PATH, Range="bytes=0-0", If_Range=condition).status == 200


def test_how_long_caches_keep_what(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    with live_status(tmp_path, refresh=0) as site:
        for path in ("jwks.json", LIST_PATH, LOG_PATH, f"crl/{KID}.jws", "status-lists/0a1b.jwt"):
            assert ask(site.public, path).headers["cache-control"] == "public, max-age=60"
        for path in (f"crl/{KID}-2.json", f"crl/{KID}-16-32.json"):
            assert ask(site.public, path).headers["cache-control"] == "public, max-age=86400"


def test_a_script_of_another_origin_may_ask_with_conditions(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    with live_status(tmp_path) as site:
        asked = {
            "Origin": "https://verifier.example",
            "Access_Control_Request_Headers": "if-none-match, range",
        }
        answer = ask(site.public, "jwks.json", "OPTIONS", **asked, Access_Control_Request_Method="GET")
        assert answer.status == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-headers"] == "If-None-Match, If-Range, Range"
        unknown = ask(site.public, "crl/unknown.json", Origin="https://verifier.example")
        assert (unknown.status, unknown.headers["access-control-allow-origin"]) == (404, "*")


def test_a_tree_below_an_issuers_path(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    with live_status(tmp_path, identifier="https://cards.example/north") as site:
        assert ask(f"{site.public}/north", "jwks.json").status == 200
        assert ask(site.public, "jwks.json").status == 404


def test_no_path_that_was_asked_for_is_logged(tmp_path: Path) -> None:
    """Which lists a verifier fetches tells where its visitors come from."""
    write_tree(tmp_path / "tree")
    with live_status(tmp_path) as site:
        ask(site.public, LIST_PATH)
        ask(site.public, f"crl/{KID}.json?card=marker")
        log = site.log.getvalue()
        assert '"/.well-known/{path:path}"' in log
        assert KID not in log
        assert "marker" not in log
        assert '"dropped"' not in log
