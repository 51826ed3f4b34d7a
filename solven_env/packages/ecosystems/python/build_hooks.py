"""The hooks of PEP 517, called in the sandbox where an sdist is built, by the interpreter that the wheel is for.

    python build_hooks.py HOOK SDIST BACKEND [PATH...]

HOOK is `requires`, `metadata` or `wheel`; SDIST is an archive of ours, BACKEND and each PATH are of its pyproject.toml.
`requires` writes a list of texts (JSON), `metadata` the METADATA of a wheel, both to a file of its name in PLACE;
`wheel` leaves a wheel in a directory of its name there. The sdist is unpacked there too, once. This file stands alone:
any Python 3 runs it, and it imports nothing but the standard library.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

PLACE = Path("/build")
SOURCE = PLACE / "source"


def unpack(sdist: str, when: int) -> None:
    """Unpack the sdist with the modes in it. All files get one time, so that `make` takes none for out of date."""
    with zipfile.ZipFile(sdist) as archive:
        for entry in archive.infolist():
            path = Path(archive.extract(entry, SOURCE))
            path.chmod(entry.external_attr >> 16 & 0o777)
            os.utime(path, (when, when))


def backend(name: str, paths: list[str]) -> Any:
    """The object that has the hooks, as PEP 517 finds it."""
    sys.path[:0] = [str(SOURCE / path) for path in paths]
    module, _, attributes = name.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in filter(None, attributes.split(".")):
        found = getattr(found, attribute)
    return found


def directory(name: str) -> str:
    """A directory in PLACE, made where it is missing."""
    path = PLACE / name
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


def requires(hooks: Any) -> None:
    """Write what the backend asks for beside the static requirements."""
    ask = getattr(hooks, "get_requires_for_build_wheel", None)
    (PLACE / "requires").write_text(json.dumps(list(ask()) if ask else []), encoding="utf-8")


def metadata(hooks: Any) -> None:
    """Write the metadata of the wheel; where the backend does not say it, that of the wheel that it builds."""
    prepare = getattr(hooks, "prepare_metadata_for_build_wheel", None)
    place = directory("prepared")
    if prepare:
        said = Path(place, prepare(place), "METADATA").read_bytes()
    else:
        with zipfile.ZipFile(Path(place, hooks.build_wheel(place))) as built:
            names = [name for name in built.namelist() if name.endswith(".dist-info/METADATA")]
            said = built.read(names[0])
    (PLACE / "metadata").write_bytes(said)


def wheel(hooks: Any) -> None:
    """Have the wheel built, in a directory of its own."""
    hooks.build_wheel(directory("wheel"))


def main(hook: str, sdist: str, name: str, *paths: str) -> None:
    """Call one hook."""
    here = Path(__file__).resolve().parent
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    os.environ["TMPDIR"] = directory("tmp")  # on the disk: /tmp is in memory
    if not SOURCE.is_dir():
        unpack(sdist, int(os.environ["SOURCE_DATE_EPOCH"]))
    os.chdir(SOURCE)
    sys.argv[:] = ["setup.py"]
    {"requires": requires, "metadata": metadata, "wheel": wheel}[hook](backend(name, list(paths)))


if __name__ == "__main__":
    main(*sys.argv[1:])
