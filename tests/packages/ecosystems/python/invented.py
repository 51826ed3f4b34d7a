"""An index of releases that are invented: their kinds of files, what they need, and sdists that attack."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

from solven_env.packages import toolchain
from solven_env.packages.ecosystems.python import Python, pip_compile
from solven_env.packages.making import Builder
from solven_env.sandbox.backends import bubblewrap
from tests.packages.registry import tarball

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.packages.locks import Resolution
    from tests.packages.registry import Registry

ANY = "py3-none-any"
WINDOWS = "cp312-cp312-win_amd64"
GLIBC = ("cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_17_aarch64")
MUSL = ("cp312-cp312-musllinux_1_2_x86_64", "cp312-cp312-musllinux_1_2_aarch64")
SDIST = "sdist"
# A build backend of its own, which needs nothing of an index: it runs as soon as uv asks it for anything.
PYPROJECT = b'[build-system]\nrequires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n'
EVIL = 'open("{mark}", "w").write("ran")\n'


class Index:
    """An index of invented releases: each name with its versions, and for each its kinds of files and what it needs."""

    def __init__(self, registry: Registry, tmp_path: Path, environ: dict[str, str]) -> None:
        self.registry, self.mark = registry, tmp_path / "ran"
        sources = {"UV_DEFAULT_INDEX": f"{registry.address}/simple", "UV_CACHE_DIR": str(tmp_path / "uv")}
        self.environ = {**environ, **sources}
        self.host = toolchain.host(tmp_path / "cache", self.environ)
        self.builder = Builder(self.host, None, str(tmp_path), bubblewrap)
        self.add("pip", "1.0", ANY)

    def add(self, name: str, version: str, *kinds: str, needs: tuple[str, ...] = (), python: str = "") -> None:
        metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        metadata += [f"Requires-Dist: {each}" for each in needs]
        metadata += [f"Requires-Python: {python}"] if python else []
        about = ("\n".join(metadata) + "\n").encode()
        for kind in kinds:
            if kind == SDIST:
                backend = EVIL.format(mark=self.mark).encode()
                files = {"PKG-INFO": about, "pyproject.toml": PYPROJECT, "evil.py": backend}
                data = tarball({f"{name}-{version}/{path}": content for path, content in files.items()})
                self.publish(name, f"{name}-{version}.tar.gz", data, python)
            else:
                out = io.BytesIO()
                with zipfile.ZipFile(out, "w") as archive:
                    archive.writestr(f"{name}-{version}.dist-info/METADATA", about)
                    archive.writestr(f"{name}-{version}.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {kind}\n")
                    archive.writestr(f"{name}-{version}.dist-info/RECORD", "")
                self.publish(name, f"{name}-{version}-{kind}.whl", out.getvalue(), python)

    def publish(self, name: str, file: str, data: bytes, python: str) -> None:
        page, digest = f"/simple/{name.replace('_', '-')}/", hashlib.sha256(data).hexdigest()
        requires = f' data-requires-python="{python.replace(">", "&gt;")}"' if python else ""
        link = f'<a href="/files/{file}#sha256={digest}"{requires}>{file}</a>'.encode()
        _, before = self.registry.pages.get(page, ("", b"<!DOCTYPE html>"))
        self.registry.pages[page] = ("text/html", before + link)
        self.registry.pages[f"/files/{file}"] = ("application/octet-stream", data)

    def lock(self, *packages: str, python: str = "3.12", known: bytes = b"", built: tuple[str, ...] = ()) -> Resolution:
        return pip_compile.resolve(Python(python, packages, built), known, self.builder)
