"""The certificate authorities that this host trusts, as one file: for uv and Bun here, and for every sandbox."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

INSIDE = "/run/solven-env/certificates.pem"
"""The place of the file in every sandbox."""

_VARIABLES = "SSL_CERT_FILE NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE CURL_CA_BUNDLE PIP_CERT GIT_SSL_CAINFO".split()

# Debian, Ubuntu, Alpine, Arch; Fedora and its kin; openSUSE; the last resort of OpenSSL's defaults.
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def bundle(authorities: tuple[str, ...], cache: Path) -> Path | None:
    """A file beneath `cache` with everything that `registries.authorities` names; None where the host has nothing.

    It is named by its digest, so that a change of the host's is a new file, and readable by everybody: a sandbox has
    another uid, and certificates are no secret.
    """
    from solven_env.system.publishing import publish_file  # most processes make no file of them

    base, *added = authorities
    others = [path for path in dict.fromkeys(added) if path != base]  # most hosts name one file several times
    texts = [_read(base) if base else next(filter(None, map(_read, _SYSTEM)), b""), *map(_read, others)]
    text = b"\n".join(dict.fromkeys(filter(None, texts)))
    if not text:
        return None
    path = cache / "certificates" / f"{hashlib.sha256(text).hexdigest()[:32]}.pem"
    publish_file(path, text, mode=0o644)
    return path


def sources(authorities: tuple[str, ...]) -> tuple[Path, ...]:
    """The files that `bundle` reads."""
    base, *added = authorities
    return tuple(map(Path, (*((base,) if base else _SYSTEM), *added)))


def variables(path: str) -> Mapping[str, str]:
    """Environment variables that make Python's, Node's, curl's and git's programs use the bundle at `path`."""
    return dict.fromkeys(_VARIABLES, path)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes().strip() + b"\n"
    except OSError:
        return b""
