"""An interpreter that tells uv what it is, and runs nothing else: with it, uv cannot run the code of a package.

uv asks each interpreter about itself with a program of its own (`-I -B -c …`), and from then on starts what the answer
names. This one passes that question on to a real interpreter, and puts itself in the place of every path of the answer:
whatever uv starts later, for the metadata of an sdist, say, is this script again. Then it notes the directory in which
it was started, which is that of the sdist, and fails.

It is for resolving, on the host. A sandbox that fetches sdists has no interpreter to pass a question on to: it has
`stand_in`.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from solven_env.system.durable import make_directory
from solven_env.system.publishing import publish_file, refusals_told

if TYPE_CHECKING:
    from pathlib import Path

NOTES = "SOLVEN_ENV_NOTES"
"""The variable that names the file of the notes: one directory a line."""

# A build backend is started with `-c`, never with `-I`: crates/uv-build-frontend/src/lib.rs, PythonRunner.
_SCRIPT = """\
#!/bin/sh
if [ "$1 $2 $3" != "-I -B -c" ]; then
    pwd >> "$SOLVEN_ENV_NOTES"
    exit 1
fi
{python} "$@" | {python} -I -S -c '
import json, sys

def own(answer, key=""):
    if isinstance(answer, dict):
        return {{key: own(value, key) for key, value in answer.items()}}
    if isinstance(answer, list):
        return [own(value) for value in answer]
    if isinstance(answer, str) and answer.startswith("/"):
        return sys.argv[1] if key.endswith("executable") else sys.argv[1] + ".none"
    return answer

print(json.dumps(own(json.load(sys.stdin))))
' {path}
"""


def find(cache: Path) -> Path:
    """The script, made where it is missing or another. It stays one file: uv remembers each that it has asked."""
    path = cache / "tools" / "mute-python"
    with refusals_told(path):
        make_directory(path.parent)
    text = _SCRIPT.format(python=shlex.quote(sys.executable), path=shlex.quote(str(path)))
    publish_file(path, text.encode(), mode=0o700)
    return path
