"""A folder on HTTPS on the loopback interface, with a certificate of a CA made for it."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests import pki

from safeconduct import Key


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_given: object) -> None:
        """Says nothing."""


@contextmanager
def served(folder: Path, *, secrets: Path) -> Iterator[tuple[str, Path]]:
    """Serves a folder; gives the origin and the file of the CA's certificate.

    secrets: a folder for that file and the server's key.
    """
    authority = pki.Authority.root("Loopback")
    trusted, chain, key_file = (secrets / name for name in ("ca.pem", "server.pem", "server.key"))
    key = Key.generate("ES256")
    trusted.write_text(pki.pem(authority.certificate))
    chain.write_text(pki.pem(*authority.chain(key, "localhost", dns=["localhost"])))
    key_file.write_text(key.to_pem(private=True))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key_file)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"https://localhost:{server.server_address[1]}", trusted
        finally:
            server.shutdown()
            thread.join()
