"""pip's configuration, and the same said to uv, which reads none of it.

pip's own rules (pip.pypa.io, "Configuration"): files from the system's to the user's, then PIP_ variables, each over
the one before; a command's section over [global].
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from solven_env.system import directories

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SECTIONS = ("global", "install")
_TRUE = ("1", "true", "yes", "on", "y", "t")


def files(environ: Mapping[str, str], home: Path, user: Path) -> tuple[Path, ...]:
    """pip's files in the order that it reads them; PIP_CONFIG_FILE comes last, and /dev/null there means no file."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == "/dev/null":
        return ()
    system = [directory / "pip" for directory in directories.listed("XDG_CONFIG_DIRS", "/etc/xdg", environ)]
    places = [*reversed(system), Path("/etc"), home / ".pip", user / "pip"]
    return (*(place / "pip.conf" for place in places), *([Path(named)] if named else ()))


def settings(texts: list[bytes], environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of the files and the PIP_ variables together, by long option without `--`."""
    found: dict[str, str] = {}
    for text in filter(None, texts):
        import configparser  # 2 ms, and most hosts have no such file

        parser = configparser.RawConfigParser()
        try:
            parser.read_string(text.decode(errors="replace"))
        except configparser.Error:
            continue  # pip itself says so to whoever runs it
        for section in _SECTIONS:
            if parser.has_section(section):
                found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    found |= {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("PIP_") and value
    }
    return found


def for_uv(
    pip: Mapping[str, str], exists: Callable[[str], bool], default_index: Callable[[], str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The packages' sources that pip has, as environment variables and options of uv.

    pip passes over directories that are not there, where uv fails: they are left out.
    """
    variables = {}
    extra = [source for source in pip.get("extra-index-url", "").split() if _is_there(source, exists)]
    indexes = [pip.get("index-url") or (default_index() if extra else ""), *extra]
    if indexes[0]:
        # uv asks its default index last, pip its own first. Of one version, the first index's files are taken.
        variables["UV_DEFAULT_INDEX"] = indexes.pop()
    if any(indexes):
        variables["UV_INDEX"] = " ".join(filter(None, indexes))
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # what pip does; uv by itself asks one index a package
    links = [source for source in pip.get("find-links", "").split() if _is_there(source, exists)]
    if links:
        variables["UV_FIND_LINKS"] = ",".join(links)
    if pip.get("trusted-host"):
        variables["UV_INSECURE_HOST"] = " ".join(pip["trusted-host"].split())
    return variables, ("--no-index",) if pip.get("no-index", "").lower() in _TRUE else ()


def local_path(source: str) -> str:
    """The path on this host that an index or a find-links location is; empty where it is none."""
    if source.startswith("file:"):
        return unquote(urlsplit(source).path)
    return "" if "://" in source else source


def _is_there(source: str, exists: Callable[[str], bool]) -> bool:
    path = local_path(source)
    return not path or exists(path)
