"""The program that compiles: run by itself, as in a walled place, on a tree and on records of sources."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path
from types import CodeType

from solven_env.packages.ecosystems.python import compiling

_IMPORT = "import sys; sys.path.insert(0, sys.argv[1]); import one; print(one.ANSWER, one.__cached__)"


def _compile(tree: Path) -> None:
    argv = [sys.executable, "-I", "-S", "-W", "ignore", compiling.__file__, "tree", str(tree)]
    subprocess.run(argv, check=True)


def _bytecode(source: Path) -> Path:
    return Path(cache_from_source(str(source)))


def test_a_tree_gets_one_time_and_bytecode_that_python_takes(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    one, two, wrong = tmp_path / "one.py", tmp_path / "part/two.py", tmp_path / "part/old.py"
    one.write_text("ANSWER = 42\n")
    two.write_text("# -*- coding: latin-1 -*-\n")
    wrong.write_text("print 'for another Python'\n")
    os.symlink("/etc/hostname", tmp_path / "part/link.py")
    before = os.stat("/etc/hostname").st_mtime
    _compile(tmp_path)
    assert {path.stat().st_mtime for path in (one, two, wrong)} == {compiling.TIME}
    assert os.stat("/etc/hostname").st_mtime == before
    assert [_bytecode(path).exists() for path in (one, two, wrong)] == [True, True, False]
    # Python believes it: bytecode that says something else, under the same header, is what it imports
    content = _bytecode(one).read_bytes()
    other = marshal.dumps(compile("ANSWER = 43", str(one), "exec"))
    _bytecode(one).write_bytes(content[:16] + other)
    imported = subprocess.run([sys.executable, "-c", _IMPORT, tmp_path], capture_output=True, text=True, check=True)
    assert imported.stdout.split()[0] == "43"


def test_what_has_bytecode_is_not_compiled_again_unless_its_source_is_another(tmp_path: Path) -> None:
    one = tmp_path / "one.py"
    one.write_text("ANSWER = 42\n")
    _compile(tmp_path)
    kept = _bytecode(one).read_bytes()[:16] + b"kept"
    _bytecode(one).write_bytes(kept)
    _compile(tmp_path)
    assert _bytecode(one).read_bytes() == kept
    one.write_text("ANSWER = 420\n")
    _compile(tmp_path)
    assert _bytecode(one).read_bytes() != kept


def test_records_are_read_as_they_were_written() -> None:
    sources = [("/a.py", b"A = 1"), ("/\udcff.py", b""), ("/b.py", b"\0" * 300)]
    assert list(compiling.records(b"".join(compiling.record(*each) for each in sources))) == sources


def test_bytecode_names_its_source_by_the_given_path() -> None:
    code = marshal.loads(compiling.bytecode("/.venv/lib/a.py", b"A = 1")[16:])
    assert isinstance(code, CodeType)
    assert code.co_filename == "/.venv/lib/a.py"
    nested = b"(" * 5000 + b")" * 5000
    assert [compiling.bytecode("/a.py", each) for each in (b"\0", nested, b"\xff", b"class")] == [b"", b"", b"", b""]
