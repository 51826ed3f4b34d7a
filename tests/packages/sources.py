"""Sdists that tests invent, and a build backend for them that is as small as PEP 517 lets it be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.packages.registry import Registry

BACKEND = b"""
import base64, hashlib, json, os, zipfile
def about():
    with open("about.json") as file:
        return json.load(file)
def get_requires_for_build_wheel(config_settings=None):
    return about()["build"]
def metadata():
    said = about()
    lines = ["Metadata-Version: 2.1", "Name: " + said["name"], "Version: " + said["version"]]
    return "\\n".join(lines + ["Requires-Dist: " + line for line in said["requires"]]) + "\\n"
def stem():
    return about()["name"] + "-" + about()["version"]
def prepare_metadata_for_build_wheel(directory, config_settings=None):
    os.mkdir(os.path.join(directory, stem() + ".dist-info"))
    with open(os.path.join(directory, stem() + ".dist-info", "METADATA"), "w") as file:
        file.write(metadata())
    return stem() + ".dist-info"
def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = stem() + "-py3-none-any.whl"
    files = {path: open(path).read() for path in sorted(os.listdir(".")) if path.endswith(".py")}
    files[stem() + ".dist-info/METADATA"] = metadata()
    files[stem() + ".dist-info/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[stem() + ".dist-info/RECORD"] = "../../../etc/passwd,sha256=AAAA,3\\n"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return name
"""


def publish_backend(registry: Registry, name: str = "solven_backend") -> None:
    """Serve the backend as a wheel."""
    registry.add_wheel(name, "1.0", {f"{name}.py": BACKEND})


def sdist(
    name: str,
    version: str,
    *,
    requires: tuple[str, ...] = (),
    build: tuple[str, ...] = (),
    code: bytes = b"ANSWER = 42\n",
    backend: str = "solven_backend",
    static: tuple[str, ...] = ("solven-backend",),
    here: bool = False,
) -> dict[str, bytes]:
    """The files of an sdist with a module of its name.

    `requires` is what it needs to run, `static` and `build` what its build needs, as pyproject.toml and the hook say.
    The backend is found in the sdist where it is `here`.
    """
    about = {"name": name, "version": version, "requires": requires, "build": build}
    table = f"[build-system]\nrequires = {json.dumps(static)}\nbuild-backend = {json.dumps(backend)}\n"
    return {
        "pyproject.toml": (table + ("backend-path = ['.']\n" if here else "")).encode(),
        "about.json": json.dumps(about).encode(),
        f"{name}.py": code,
    }
