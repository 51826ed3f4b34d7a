"""The text that asks everything of a sandbox in one start, and what it answered.

sh runs it: it reads no file of the workspace, so a broken .bashrc breaks its own questions and no other. What comes
back was said in a place where an agent can change every program: it is shown, and nothing is done by it.
"""

from __future__ import annotations

from solven_env.errors import printable
from solven_env.typed import NamedTuple

_SH = "/bin/sh"
"""By its path: what an agent puts before it on PATH does not answer for all others."""

_END = 4096
"""Bytes of what a part said that are looked at for its last words."""

_ASK = r"""
mark=$1; file=$2; python=$3; bun=$4; shift 4
# Into a file, since what a command leaves running would hold a pipe open; of 8 MiB at most, in blocks of 512 bytes.
# An interactive shell ignores timeout's first signal.
ask() { # NAME SECONDS COMMAND...
    printf '\n%s %s\n' "$mark" "$1"
    seconds=$2; shift 2
    (ulimit -f 16384; exec timeout -k 1 "$seconds" "$@") >"/tmp/$mark" 2>&1 </dev/null
    ended=$?
    head -c 262144 "/tmp/$mark"
    printf '\n%s = %s\n' "$mark" "$ended"
    rm -f "/tmp/$mark"
}
environment='printf "\0"; env -0'
ask command 9 sh -c "$environment"
ask login 9 bash --login -c "$environment"
ask bare-login 9 env -i HOME=/ TERM=dumb bash --login -c "$environment"
ask interactive 9 env -i HOME=/ TERM=dumb bash -i -c "$environment"
ask which 9 sh -c 'for name in "$@"; do printf "%s=%s\n" "$name" "$(command -v "$name")"; done' - \
    bash python pip uv uvx bun bunx node npm
ask id 9 id -u
ask mounts 9 cat /proc/self/mountinfo
ask interfaces 9 cat /proc/net/dev
ask null 9 sh -c 'works() { [ -c "$1" ] && head -c 1 "$1" >"/tmp/$0" && [ "$(wc -c <"/tmp/$0")" = "$2" ] &&
        rm "/tmp/$0" || { echo "$1 does not work, and is: $(ls -ld "$1" 2>&1)"; exit 1; }; }
    works /dev/null 0; works /dev/zero 1; works /dev/urandom 1
    echo gone >/dev/null || { echo "/dev/null takes nothing"; exit 1; }' "$file"
for place in / /tmp/ /run/solven-env/local/ $python $bun; do
    ask "write $place" 9 sh -c 'set -eC; umask 077; echo kept >"$1"; [ "$(cat "$1")" = kept ]; rm "$1"; [ ! -e "$1" ]' \
        - "$place$file"
done
if [ -n "$python" ]; then
    ask python 30 python -c 'import sys; print(sys.executable, sys.prefix, "%d.%d" % sys.version_info[:2])'
    ask pip 30 pip --version
    ask uv 30 uv --version
    ask uvx 30 uvx --version
    ask packages 120 python -c "$PYTHON_PROBE" "$@"
fi
if [ -n "$bun" ]; then
    ask bun 30 bun --version
    ask bunx 30 bunx --version
    ask node 30 node --version
    ask modules 60 bun -e "$BUN_PROBE"
fi
"""
# Which modules a distribution brings says its top_level.txt, or else its RECORD (from Python 3.12 on, `files` leaves
# out what is missing); it is well when one of them imports.
_PYTHON = r"""
import csv, importlib, importlib.metadata, pathlib, sys
def modules(found):
    named = (found.read_text("top_level.txt") or "").split()
    for row in () if named else csv.reader((found.read_text("RECORD") or "").splitlines()):
        path = pathlib.PurePath(*row[:1])
        if path.suffix in (".py", ".so") and path.parts[0] != "..":
            named.append(path.parts[0].partition(".")[0])
    return [name for name in dict.fromkeys(named) if name.isidentifier() and not name.startswith("_")]
for asked in sys.argv[1:]:
    try:
        problem = ""
        for name in modules(importlib.metadata.distribution(asked)):
            try:
                importlib.import_module(name)
                problem = ""
                break
            except Exception as error:
                problem = problem or "%s: %s" % (type(error).__name__, error)
    except importlib.metadata.PackageNotFoundError:
        problem = "it is not installed"
    print("\t".join([asked, problem.replace("\n", " ")]), flush=True)
"""
_BUN = r"""
for (const name of process.env.BUN_PACKAGES.split("\n")) {
  let problem = "";
  try { require.resolve(name + "/package.json", {paths: ["/"]}); }
  catch { try { require.resolve(name, {paths: ["/"]}); } catch (error) { problem = String(error.message); } }
  console.log(name + "\t" + problem.replaceAll("\n", " "));
}
"""


class Said(NamedTuple):
    """Output of a part of the script, and its exit status; -1 if the part did not end."""

    status: int
    text: bytes

    @property
    def is_hung(self) -> bool:
        """True if timeout(1) ended it because its time was up."""
        return self.status in (124, 137)

    def words(self) -> str:
        """The end of it, on one line."""
        lines = self.text[-_END:].replace(b"\0", b"\n").decode(errors="replace").split("\n")
        return printable(" ".join(filter(None, map(str.strip, lines)))[-300:])


def argv(mark: str, file: str, *, has_python: bool, has_bun: bool, packages: tuple[str, ...]) -> tuple[str, ...]:
    """The command. `mark` is a word that nothing else prints, `file` the name of the file that is tried."""
    targets = ("/.venv/" if has_python else "", "/node_modules/" if has_bun else "")
    return (_SH, "-c", _ASK, "doctor", mark, file, *targets, *packages)


def variables(modules: tuple[str, ...]) -> dict[str, str]:
    """The environment variables that the script needs beside the thread's own."""
    return {"PYTHON_PROBE": _PYTHON, "BUN_PROBE": _BUN, "BUN_PACKAGES": "\n".join(modules)}


def parse(mark: str, out: bytes) -> dict[str, Said]:
    """The output of each part, by its name.

    An agent's program that stands before `timeout` or `head` on PATH may have printed anything, the mark too: it is
    read line by line, in one pass.
    """
    answers: dict[str, Said] = {}
    name, lines = "", list[bytes]()
    begin = f"{mark} ".encode()
    for line in (*out.split(b"\n"), begin):
        if not line.startswith(begin):
            lines.append(line)
            continue
        if name:
            answers[name] = Said(-1, b"\n".join(lines))
        title, lines = line.removeprefix(begin).decode(errors="replace"), []
        before, _, ended = title.partition("= ")
        if not before and name:
            is_status = ended.isascii() and ended.isdigit() and len(ended) <= 3
            answers[name] = answers[name]._replace(status=int(ended) if is_status else -1)
        name = title if before else ""
    return answers


def environment(said: Said) -> tuple[dict[str, str], str]:
    """The variables that `env -0` printed, and what was said before it: by files that the shell read."""
    noise, _, rest = said.text.partition(b"\0")
    pairs = (entry.decode(errors="replace").partition("=") for entry in rest.split(b"\0"))
    lines = [line for line in noise.decode(errors="replace").split("\n") if not _is_about_jobs(line)]
    return {name: value for name, equals, value in pairs if equals}, printable(" ".join(lines).strip()[-300:])


def _is_about_jobs(line: str) -> bool:
    """Tell whether a line is what bash -i says without a terminal."""
    return "cannot set terminal process group" in line or "no job control in this shell" in line
