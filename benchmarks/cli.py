"""What a start of the command line costs, beside the imports that it cannot do without.

Goals: `solven-env --help` at most 1.5 × importing typer; a no-op `apply` at most 1.3 × importing typer, ruamel.yaml,
jsonschema and jinja2; `validate` of a profile that extends two others at most 1.3 × importing the first three of them;
`import solven_env` at most 30 ms above a bare interpreter.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import interleaved, machine, milliseconds, precompile, ratio

LIBRARIES = "import typer, ruamel.yaml, jsonschema, jinja2"
OF_VALIDATE = "import typer, ruamel.yaml, jsonschema"
PROFILES = {
    "base.yaml": """\
version: 1
inputs: {user_id: {default: user}}
env: {HOME: /, LOGNAME: "{{ user_id }}", PYTHONUNBUFFERED: "1", LANG: C.UTF-8}
path: {prepend: [/.venv/bin]}
python: {version: "3.12", packages: [pandas, seaborn, "httpx[http2]>=0.27"]}
dotfiles:
  .bashrc: {template: bashrc.j2}
  .bash_profile: {template: bash_profile.j2}
  pyproject.toml: {template: pyproject.toml.j2, own: keys}
""",
    "bun.yaml": """\
version: 1
path: {prepend: [/node_modules/.bin]}
bun: {packages: {docx: ^8.0.0}}
dotfiles:
  package.json: {template: package.json.j2, own: keys}
  .gitignore: {content: "node_modules/\\n"}
""",
    "team.yaml": """\
version: 1
name: team
release: 1.0.0
extends: [base.yaml, bun.yaml]
remove: {python: {packages: [seaborn]}}
env: {MPLBACKEND: Agg, PYTHON_VERSION: "{{ python.version }}"}
python: {packages: [httpx>=0.28]}
""",
    "settings.yaml": "version: 1\nenv: {HOME: /, LANG: C.UTF-8}\n",
    "path.yaml": "version: 1\npath: {prepend: [/opt/tools/bin]}\n",
    "plain.yaml": "version: 1\nname: plain\nrelease: 1.0.0\nextends: [settings.yaml, path.yaml]\nenv: {LANG: C}\n",
}
"""Profiles with two bases: that of a team, and one without expressions and templates."""


def main() -> None:
    """Measure, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    precompile()
    with tempfile.TemporaryDirectory() as storage:
        environ = {**os.environ, "SOLVEN_ENV_STORAGE": storage}
        command = [str(Path(sys.executable).with_name("solven-env"))]
        for name, text in PROFILES.items():
            (Path(storage) / name).write_text(text)
        subprocess.run([*command, "apply", "solven", "t1"], env=environ, stdout=subprocess.DEVNULL, check=True)
        times = interleaved(
            {
                "bare python": [sys.executable, "-c", "pass"],
                "import solven_env": [sys.executable, "-c", "import solven_env"],
                "import typer": [sys.executable, "-c", "import typer"],
                "solven-env --help": [*command, "--help"],
                "import three libraries": [sys.executable, "-c", OF_VALIDATE],
                "solven-env validate, two bases": [*command, "validate", f"{storage}/team.yaml"],
                "the same, without templates": [*command, "validate", f"{storage}/plain.yaml"],
                "import the four libraries": [sys.executable, "-c", LIBRARIES],
                "solven-env apply, nothing to do": [*command, "apply", "solven", "t1"],
            },
            rounds,
            environ,
        )
    print(f"{machine()}; {rounds} rounds, interleaved; median ms (range)\n")
    for name, each in times.items():
        print(f"{name:34} {milliseconds(each)}")
    above = statistics.median(a - b for a, b in zip(times["import solven_env"], times["bare python"], strict=True))
    print(f"\nimport solven_env above a bare interpreter: {above * 1000:.1f} ms (goal 30)")
    print(f"--help beside typer:          {ratio(times, 'solven-env --help', 'import typer'):.2f} (goal 1.5)")
    validate = ratio(times, "solven-env validate, two bases", "import three libraries")
    plain = ratio(times, "the same, without templates", "import three libraries")
    print(f"validate beside libraries:    {validate:.2f} (goal 1.3), without templates {plain:.2f}")
    no_op = ratio(times, "solven-env apply, nothing to do", "import the four libraries")
    print(f"no-op apply beside libraries: {no_op:.2f} (goal 1.3)")


if __name__ == "__main__":
    main()
