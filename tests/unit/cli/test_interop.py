"""The SPICE group's contract, as another implementation's rig would call it."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from typer.testing import CliRunner, Result

from safeconduct.cli.claims import from_edn
from safeconduct.cli.main import app
from safeconduct.crypto.keys import Key
from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Tag
from safeconduct.envelope import cose
from safeconduct.formats.sd_cwt import IETF_08
from safeconduct.net import fetch
from safeconduct.net.in_process import InProcess

NOW = 1725244210
PRESENTED = 1725244237
AUDIENCE = "https://verifier.example/app"
NONCE = "8c0f5f523b95bea44a9a48c649240803"
KID = "https://issuer.example/cose-key3"
DRAFTS = ("draft-main", "draft-08")

Interop = Callable[..., Result]
Rig = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def interop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Interop:
    """Run `safeconduct interop` in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: bytes = b"") -> Result:
        return CliRunner().invoke(app, ["interop", *arguments], input=stdin)

    return run


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """The same through a process and its real standard streams."""

    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-c", "from safeconduct.cli.main import run; run()", "interop", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, cwd=tmp_path, check=False)

    return run


class _Preissued:
    """An issued token taken apart into the claims that it was made of, with tags 58 and 62."""

    def __init__(self, token: bytes) -> None:
        message = cose.parse(token)
        self.shown = {hashlib.sha256(cbor.dumps(item)).digest(): item for item in message.unprotected[17]}
        self.places = {digest: place for place, digest in enumerate(self.shown)}
        self.decoys = count(1)
        self.data = self.map(cbor.loads(message.payload)).data

    def value(self, item: Any) -> Any:
        if isinstance(item, dict):
            return self.map(item)
        return [self.element(inner) for inner in item] if isinstance(item, list) else item

    def element(self, item: Any) -> Any:
        if not isinstance(item, Tag) or item.tag != 60:
            return self.value(item)
        parts = cbor.loads(self.shown[item.value])
        return Tag(58, self.value(parts[1])) if len(parts) == 2 else Tag(62, next(self.decoys))

    def map(self, items: dict[Any, Any]) -> cbor.Encoded:
        """Encode a map in the order in which the draft came upon its entries to make disclosures of them."""
        entries = [
            (self.place(item), lambda key=key, item=item: (key, self.value(item)))
            for key, item in items.items()
            if key != IETF_08.marker
        ]
        entries += [
            (self.place(digest), lambda digest=digest: self.entry(digest))
            for digest in items.get(IETF_08.marker, ())
        ]
        pairs = [make() for _, make in sorted(entries, key=itemgetter(0))]
        assert len(pairs) < 24
        head = bytes((0xA0 | len(pairs),))
        return cbor.Encoded(head + b"".join(cbor.dumps(key) + cbor.dumps(item) for key, item in pairs))

    def entry(self, digest: bytes) -> tuple[Any, Any]:
        parts = cbor.loads(self.shown[digest])
        return (
            (Tag(58, parts[2]), self.value(parts[1]))
            if len(parts) == 3
            else (Tag(62, next(self.decoys)), None)
        )

    def place(self, item: Any) -> int:
        """The place of the first disclosure in a value or behind a digest."""
        if isinstance(item, bytes) and item in self.places:
            return min(self.places[item], self.place(cbor.loads(self.shown[item])))
        inner = [item.value] if isinstance(item, Tag) else item
        inner = inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ()
        return min(map(self.place, inner), default=len(self.places))


@pytest.fixture
def nonces(vectors: Path, tmp_path: Path) -> Path:
    """The draft's salts and those of its decoys."""
    examples = vectors / "sd-cwt/draft-main/examples"
    path = tmp_path / "nonces.csv"
    path.write_bytes(b"".join((examples / name).read_bytes() for name in ("salt_list.csv", "decoy_list.csv")))
    return path


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("name", ["issuer_cwt", "nested_issuer_cwt", "decoy"])
def test_the_issued_tokens_of_the_draft_come_out_byte_for_byte(
    draft: str, name: str, vectors: Path, nonces: Path, interop: Interop, tmp_path: Path
) -> None:
    folder = vectors / "sd-cwt" / draft
    expected = (folder / "examples" / f"{name}.cbor").read_bytes()
    issuer = str(folder / "issuer_privkey.pem")
    arguments = ("--nonces", str(nonces), "--time", str(NOW), "--kid", KID)
    done = interop("issue", issuer, *arguments, stdin=_Preissued(expected).data)
    assert (done.exit_code, done.stdout_bytes) == (0, expected)
    used = (tmp_path / "nonce_list.out").read_text().split()
    assert len(used) == len(cose.parse(expected).unprotected[17])
    assert set(used) <= set(nonces.read_text().split())


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize(
    ("issued", "presented"), [("issuer_cwt", "kbt"), ("nested_issuer_cwt", "nested_kbt")]
)
def test_the_presentations_of_the_draft_come_out_byte_for_byte(
    draft: str, issued: str, presented: str, vectors: Path, interop: Interop, tmp_path: Path
) -> None:
    folder = vectors / "sd-cwt" / draft
    expected = (folder / "examples" / f"{presented}.cbor").read_bytes()
    shown = cose.parse(expected).protected[cose.KCWT].value[1][17]
    (tmp_path / "list.cbor").write_bytes(cbor.dumps([cbor.loads(item)[0] for item in shown]))
    (tmp_path / "issuer.pem").write_text(
        Key.from_pem((folder / "issuer_privkey.pem").read_bytes()).public.to_pem()
    )
    done = interop(
        *("present", str(folder / "holder_privkey.pem"), "--issuer", "issuer.pem", "--nonce", NONCE),
        *("--disclosure_list", "list.cbor", "--time", str(PRESENTED), "--audience", AUDIENCE),
        stdin=(folder / "examples" / f"{issued}.cbor").read_bytes(),
    )
    assert (done.exit_code, done.stdout_bytes) == (0, expected), done.stderr_bytes
    done = interop(
        *("verify", "--issuer", "issuer.pem", "--audience", AUDIENCE, "--time", str(PRESENTED)),
        stdin=expected,
    )
    assert done.exit_code == 0, done.stderr_bytes
    assert cbor.loads(done.stdout_bytes)[1] == "https://issuer.example"


def test_the_shipping_manifest_goes_all_the_way(
    vectors: Path, rig: Rig, interop: Interop, tmp_path: Path
) -> None:
    case = vectors / "sd-cwt/interop/shipping_manifest4"
    claims = from_edn((case / "origclaims.edn").read_bytes())
    issuer = Key.from_pem((case / "issuer_priv.pem").read_bytes())
    (tmp_path / "issuer.pem").write_text(issuer.public.to_pem())
    arguments = (str(case / "issuer_priv.pem"), "--holder", str(case / "holder_pub.pem"), "--kid", KID)
    issued = rig("issue", *arguments, stdin=claims)
    assert issued.returncode == 0, issued.stderr
    again = interop("issue", *arguments, "--nonces", "nonce_list.out", stdin=claims)
    assert again.stdout_bytes == issued.stdout

    holder = str(vectors / "sd-cwt/draft-main/holder_privkey.pem")
    shown = rig("present", holder, "--issuer", "issuer.pem", "--disclose_all", stdin=issued.stdout)
    assert shown.returncode == 0, shown.stderr
    verified = rig("verify", "--issuer", "issuer.pem", stdin=shown.stdout)
    assert verified.returncode == 0, verified.stderr
    result = cbor.loads(verified.stdout)
    assert result[301] == "EXW"
    assert [item[2] for item in result[300]] == [[15.78, "EUR"], [25.80, "EUR"]]

    (tmp_path / "cose-key3").write_bytes(cbor.dumps(issuer.public.to_cose_key()))
    cached = interop("verify", "--issuer-key", "cache", stdin=shown.stdout)
    assert cached.stdout_bytes == verified.stdout, cached.stderr
    ignored = interop("verify", "--issuer-key", "ignore", stdin=shown.stdout)
    assert ignored.stdout_bytes == verified.stdout
    for refused in (("verify",), ("verify", "--issuer", holder.replace("holder_privkey", "issuer_privkey"))):
        assert interop(*refused, stdin=shown.stdout).exit_code != 0


@pytest.fixture
def issued(interop: Interop, tmp_path: Path) -> bytes:
    """A token of a new issuer for a new holder, whose keys lie in issuer.pem and holder.pem."""
    issuer, holder = Key.generate("ES256"), Key.generate("Ed25519")
    for name, key in (("issuer", issuer), ("holder", holder)):
        (tmp_path / f"{name}.pem").write_text(key.to_pem(private=True))
        (tmp_path / f"{name}_pub.pem").write_text(key.public.to_pem())
    claims = cbor.dumps({1: "https://issuer.example", 2: "urn:s", Tag(58, 500): ["a", Tag(58, "b")]})
    done = interop("issue", "issuer.pem", "--holder", "holder_pub.pem", stdin=claims)
    assert done.exit_code == 0, done.stderr_bytes
    return done.stdout_bytes


def test_a_token_without_issuer_key_is_not_presented(interop: Interop, issued: bytes) -> None:
    done = interop("present", "holder.pem", "--disclose_all", stdin=issued)
    assert done.exit_code == 1
    assert done.stderr_bytes.startswith(b"issuer_unknown:")
    assert done.stdout_bytes == b""


@pytest.mark.parametrize("source", ["cache", "fetch"])
def test_a_kid_that_is_no_url_leads_to_no_key(source: str, interop: Interop, issued: bytes) -> None:
    done = interop("present", "holder.pem", "--issuer-key", source, stdin=issued)
    assert (done.exit_code, done.stderr_bytes[:11]) == (1, b"kid_not_url")


@pytest.mark.parametrize(
    ("kid", "code"),
    [
        ("https://elsewhere.example/key", b"kid_foreign"),
        ("https://issuer.example@elsewhere.example/key", b"kid_foreign"),
        ("http://issuer.example/key", b"kid_not_url"),
        ("https://issuer.example/..", b"kid_not_url"),
        ("https://issuer.example/", b"kid_not_url"),
        ("https://[", b"kid_not_url"),
        ("0xff", b"kid_not_url"),
    ],
)
def test_the_key_comes_only_from_the_issuer_that_the_token_names(
    kid: str, code: bytes, interop: Interop, issued: bytes
) -> None:
    claims = cbor.dumps({1: "https://issuer.example", 2: "urn:s"})
    token = interop(
        "issue", "issuer.pem", "--holder", "holder_pub.pem", "--kid", kid, stdin=claims
    ).stdout_bytes
    done = interop("present", "holder.pem", "--issuer-key", "cache", stdin=token)
    assert (done.exit_code, done.stderr_bytes.partition(b":")[0]) == (1, code)


def test_the_key_is_fetched_from_the_issuer(
    interop: Interop, issued: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = (tmp_path / "issuer_pub.pem").read_text()
    routes = [
        Route("/key", lambda _request: PlainTextResponse(key)),
        Route("/rubbish", lambda _request: PlainTextResponse("rubbish")),
    ]
    wire = InProcess({"https://issuer.example": Starlette(routes=routes)})
    monkeypatch.setattr(fetch, "HttpFetcher", partial(fetch.HttpFetcher, transport=wire))
    claims = cbor.dumps({1: "https://issuer.example", 2: "urn:s"})
    for path, status, code in (
        ("key", 0, b"presented"),
        ("rubbish", 1, b"issuer_key_unusable"),
        ("nothing", 1, b"fetch_status"),
    ):
        kid = f"https://issuer.example/{path}"
        token = interop("issue", "issuer.pem", "--holder", "holder_pub.pem", "--kid", kid, stdin=claims)
        done = interop("present", "holder.pem", "--issuer-key", "fetch", stdin=token.stdout_bytes)
        assert done.exit_code == status, done.output
        assert done.stderr_bytes.startswith(code)


def test_a_disclosure_list_names_salts_of_the_token(interop: Interop, issued: bytes, tmp_path: Path) -> None:
    for content, status in ((cbor.dumps([bytes(16)]), 1), (cbor.dumps({}), 2), (b"\xff", 2), (b"", 2)):
        (tmp_path / "list.cbor").write_bytes(content)
        done = interop(
            *("present", "holder.pem", "--issuer", "issuer_pub.pem", "--disclosure_list", "list.cbor"),
            stdin=issued,
        )
        assert done.exit_code == status, done.stderr_bytes


def test_expired_claims_are_not_issued(interop: Interop, issued: bytes) -> None:
    claims = cbor.dumps({1: "https://issuer.example", 2: "urn:s", 4: NOW})
    done = interop("issue", "issuer.pem", "--holder", "holder_pub.pem", "--time", str(NOW), stdin=claims)
    assert (done.exit_code, done.stderr_bytes.partition(b":")[0], done.stdout_bytes) == (1, b"expired", b"")
    done = interop("issue", "issuer.pem", "--holder", "holder_pub.pem", "--time", str(NOW - 1), stdin=claims)
    assert done.exit_code == 0


def test_equal_claims_do_not_share_a_listed_salt(interop: Interop, issued: bytes, tmp_path: Path) -> None:
    claims = cbor.dumps({1: "i", 2: "s", 500: [Tag(58, "b"), Tag(58, "b")]})
    done = interop("issue", "issuer.pem", "--holder", "holder_pub.pem", stdin=claims)
    first, second = (tmp_path / "nonce_list.out").read_text().split()
    assert first.partition(",")[0] == second.partition(",")[0]
    (tmp_path / "nonces.csv").write_text(f"{first}\n")
    done = interop(
        "issue", "issuer.pem", "--holder", "holder_pub.pem", "--nonces", "nonces.csv", stdin=claims
    )
    salts = [cbor.loads(item)[0].hex() for item in cose.parse(done.stdout_bytes).unprotected[17]]
    assert salts[0] == first.partition(",")[2]
    assert salts[1] not in salts[0]


@pytest.mark.parametrize("line", ["x", "1,00", "0,%s", "zz,%s", "1", "1;%s", "\x00", "-1,%s"])
def test_a_nonce_list_that_is_none_is_refused_by_line(
    line: str, interop: Interop, issued: bytes, tmp_path: Path
) -> None:
    (tmp_path / "nonces.csv").write_text(f"\n{line.replace('%s', '00' * 16)}\n")
    done = interop("issue", "issuer.pem", "--nonces", "nonces.csv", stdin=b"\xa0")
    assert done.exit_code == 2
    assert b"line 2" in done.stderr_bytes


def test_the_target_is_the_name_alone(interop: Interop) -> None:
    assert interop("target").stdout_bytes == b"safeconduct"
