"""A stand-in for an interpreter: it answers what uv asks of one, and runs nothing.

uv has no command that only fetches an sdist: it begins to build it, too, by starting a Python. Where it does so, it has
the network and credentials of this host; so this script stands there in the place of every interpreter. uv's attempt to
build fails with it, after the sdist was fetched, held to its digest and unpacked.

It is another one than `mute_interpreter`, which uv is given on the host while it resolves: that one passes uv's
question on to a real interpreter. No interpreter is in a place that fetches, so this one's answer is prepared.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from solven_env.packages import host_tools, making
from solven_env.packages.ecosystems import python as row
from solven_env.sandbox.launch_plan import StagedFile

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.packages.ecosystems.python.remembered import Interpreter
    from solven_env.packages.making import Builder

PYTHON = f"{host_tools.RUN}/stand-in/python"
BEGUN = "begun-to-build"
"""The file in a workspace that says that uv asked it to build. uv holds an sdist to its digests before that
(crates/uv-distribution/src/source/mod.rs), and unpacks it before it does so."""
_ANSWER = f"{host_tools.RUN}/stand-in/answer.json"
_SCRIPT = f"""\
#!/bin/sh
case "$*" in *build_wheel*) : > /{BEGUN} ;; esac
cat {_ANSWER}
"""
_LISTENER = "listener"
_HEARD = "answer.json"


def tools(interpreter: Interpreter, builder: Builder, stage: Path) -> host_tools.Tools:
    """The tools of a place that fetches sdists: uv, and at PYTHON the stand-in for an interpreter.

    What it answers is what the interpreter answers to the same question, but for its paths.
    """
    listening = f'{row.executable(interpreter.version)} "$@" > /{_HEARD}\ncat /{_HEARD}'
    listener = host_tools.Tools(files=(host_tools.script(_LISTENER, listening),))
    asked = host_tools.joined((row.sandbox_tools(interpreter), listener))
    with making.make(builder, asked, stage, fetches=False) as place:
        place.run(
            *(f"{host_tools.BIN}/uv", "python", "find", "--quiet", f"{host_tools.BIN}/{_LISTENER}"),
            purpose=f"Python {interpreter.version} does not say what it is",
            fix="Ask `doctor`.",
        )
        answer = json.loads(place.read(_HEARD))
    for name in ("sys_executable", "sys_base_executable"):
        answer[name] = PYTHON
    for name in ("sys_prefix", "sys_base_prefix", "sys_base_exec_prefix"):
        answer[name] = PYTHON.rpartition("/")[0]
    files = (StagedFile(PYTHON, _SCRIPT.encode(), 0o755), StagedFile(_ANSWER, json.dumps(answer).encode()))
    trusting = host_tools.trusting(builder.host.certificates)
    return host_tools.joined((row.sandbox_tools(None), trusting, host_tools.Tools(files=files)))
