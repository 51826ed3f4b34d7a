"""Package registries on loopback: they serve what a test made, to whoever shows the right credentials."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import ssl
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


@dataclass
class Registry:
    """`pages` maps a path to what stands there. Anything else is a 404, anything without `authorization` a 401.

    `watch` is called with each request.
    """

    address: str
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    authorization: str = ""
    seen: list[str] = field(default_factory=list)
    watch: Callable[[], None] = lambda: None

    def add_wheel(
        self, name: str, version: str, files: dict[str, bytes] | None = None, needs: tuple[str, ...] = ()
    ) -> None:
        """One more wheel; `needs` are its requirements, with `; extra == '…'` for those of an extra."""
        data = wheel(name, version, files or {f"{name}.py": b"ANSWER = 42\n"}, needs)
        self._publish(name, f"{name}-{version}-py3-none-any.whl", data)

    def add_sdist(self, name: str, version: str, files: Mapping[str, bytes], data: bytes = b"") -> None:
        """An sdist of these files beneath its directory, or of these bytes."""
        top = f"{name}-{version}"
        about = {"PKG-INFO": f"Metadata-Version: 1.1\nName: {name}\nVersion: {version}\n".encode()}
        contents = {f"{top}/{path}": content for path, content in {**about, **files}.items()}
        self._publish(name, f"{top}.tar.gz", data or tarball(contents))

    def _publish(self, name: str, file: str, data: bytes) -> None:
        link = f'<a href="/files/{file}#sha256={hashlib.sha256(data).hexdigest()}">{file}</a>'
        page = f"/simple/{name.replace('_', '-')}/"
        _, before = self.pages.get(page, ("", b"<!DOCTYPE html>"))
        self.pages[page] = ("text/html", before + link.encode())
        self.pages[f"/files/{file}"] = ("application/octet-stream", data)

    def add_npm(
        self,
        name: str,
        version: str,
        program: str = "",
        needs: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        """A package that brings a `program` of its name, as text, and other `files`, and `needs` ranges of others.

        `more` are other fields of its package.json.
        """
        own = {"bin": {name: "program"} if program else None, "dependencies": needs}
        manifest = {"name": name, "version": version, **{key: value for key, value in own.items() if value}, **more}
        texts = {"package.json": json.dumps(manifest), "program": program, **(files or {})}
        data = tarball({f"package/{path}": text.encode() for path, text in texts.items()})
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
        file = f"{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        dist = {"tarball": f"{self.address}/{file}", "integrity": integrity}
        about = json.loads(self.pages.get(f"/{name}", ("", b'{"versions": {}}'))[1])
        about |= {"name": name, "dist-tags": {"latest": version}}
        scripts = {"preinstall", "install", "postinstall"} & dict(more.get("scripts", {})).keys()  # type: ignore[call-overload]
        about["versions"][version] = {**manifest, "dist": dist, **({"hasInstallScript": True} if scripts else {})}
        self.pages[f"/{name}"] = ("application/json", json.dumps(about).encode())
        self.pages[f"/{file}"] = ("application/octet-stream", data)


@contextmanager
def serve(authorization: str = "", certificate: Path | None = None, below: str = "") -> Iterator[Registry]:
    """A registry, by TLS where there is a `certificate` (with its key in one file). It is a proxy too, for HTTP.

    Its pages can be had `below` a path, too.
    """
    registry = Registry("", authorization=authorization)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            registry.seen.append(self.path)
            registry.watch()
            path = urlsplit(self.path).path.removeprefix(below).replace("%2f", "/")
            if registry.authorization and self.headers.get("Authorization") != registry.authorization:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                kind, data = "text/plain", b"who are you?"
            elif path in registry.pages:
                self.send_response(200)
                kind, data = registry.pages[path]
            else:
                self.send_response(404)
                kind, data = "text/plain", b"not here"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that does not trust the certificate hangs up

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    registry.address = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wheel(name: str, version: str, files: Mapping[str, bytes], needs: tuple[str, ...] = ()) -> bytes:
    """A wheel (PEP 427) of pure Python."""
    about = f"{name}-{version}.dist-info"
    extras = {line.partition("extra == '")[2].rstrip("'") for line in needs} - {""}
    more = [f"Provides-Extra: {extra}" for extra in sorted(extras)] + [f"Requires-Dist: {line}" for line in needs]
    contents = {
        **files,
        f"{about}/METADATA": "\n".join(
            ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *more, "")
        ).encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, data in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(data)}")
    record = "\n".join([*lines, f"{about}/RECORD,,"]) + "\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in {**contents, f"{about}/RECORD": record.encode()}.items():
            archive.writestr(path, data)
    return out.getvalue()


def tarball(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
