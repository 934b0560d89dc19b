"""A published tree, whoever gives it out: the status service, or nginx as the documentation sets it up."""

import contextlib
import hashlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to" / "publish-status.md"

KID = "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"
LIST = b'{"kid":"%s","method":"rid","ctr":2,"rids":[%s]}' % (
    KID.encode(),
    b",".join(b'"%s"' % hashlib.sha256(b"%d" % n).hexdigest()[:11].encode() for n in range(2000)),
)
LOG = b"SCRLOG1\0" + hashlib.sha256(KID.encode()).digest()[:8] + bytes(range(256)) * 64
FILES: Mapping[str, bytes] = {
    "jwks.json": b'{"keys":[]}',
    f"crl/{KID}.json": LIST,
    f"crl/{KID}-2.json": b'{"kid":"x","from":1,"to":2}',
    f"crl/{KID}-16-32.json": b'{"kid":"x","from":16,"to":32}',
    f"crl/{KID}.log": LOG,
    f"crl/{KID}.jws": b"e30.e30.AAAA",
    "status-lists/0a1b.jwt": b"e30." + b"A" * 4000 + b".AAAA",
    "status-lists/0a1b.cwt": b"\xd2\x84" + bytes(4000),
    "status-lists/aggregation.json": b'{"status_lists":[]}',
    "all.pack": b"pack" * 10,
    "empty.json": b"",
}


@dataclass
class Answer:
    """status, header fields in lower case, body as it came, without undoing any coding."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def write_tree(folder: Path) -> None:
    """Put the files where they belong."""
    for path, content in FILES.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def replace(folder: Path, path: str, content: bytes) -> None:
    """As a publisher does it: written beside, renamed."""
    beside = (folder / path).with_name(".new")
    beside.write_bytes(content)
    beside.rename(folder / path)


def ask(url: str, path: str, method: str = "GET", **fields: str) -> Answer:
    """Ask for a path below `/.well-known/`. fields: header fields, with "_" for "-"."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.putrequest(method, f"{parts.path}/.well-known/{path}", skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


@contextlib.contextmanager
def live_nginx(folder: Path, tree: Path) -> Iterator[str]:
    """Nginx in front of a tree, with the part of its configuration that the documentation gives; its URL."""
    port = _free_port()
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(
        f"""{user}
        worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
        events {{ worker_connections 64; }}
        http {{
            access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            server {{
                listen 127.0.0.1:{port};
                {documented_location().replace("/srv/status", str(tree))}
            }}
        }}"""
    )
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert binary is not None
    process = subprocess.Popen([binary, "-p", str(folder), "-c", str(configuration)])
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def has_nginx() -> bool:
    """Whether it is installed (scripts/nginx.sh)."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is not None


def documented_location() -> str:
    """The `location` that the documentation tells people to put into their server."""
    (block,) = re.findall(r"^```nginx\n(.*?)^```", HOW_TO.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return str(block)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    while True:
        assert process.poll() is None, "nginx has ended"
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        time.sleep(0.01)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
