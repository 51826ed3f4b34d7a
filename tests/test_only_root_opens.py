"""No module reaches for the file system but those that are meant to: all else goes through `workspace.root`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import solven_env

PACKAGE = Path(solven_env.__file__).parent

ALLOWED = {
    "workspace/root.py": "every file operation of a workspace, confined beneath one descriptor",
    "workspace/adoption.py": "the part of root.py that walks the whole workspace",
    "workspace/walking.py": "the walk that adoption.py and sizes.py make, beneath one descriptor",
    "workspace/sizes.py": "looks at what has a name in a directory that walking.py has opened",
    "workspace/storage.py": "opens the storage, from where root.py goes on",
    "state/local.py": "our own records, beside the workspaces",
    "state/leases.py": "leases among these, in a directory that local.py has opened",
    "state/storage_root.py": "opens and makes a storage's root, and looks where it is mounted",
    "system/durable.py": "how storage_root.py and local.py write a name in a directory that they have opened",
    "system/mounting.py": "mounts, and the settings of namespaces in /proc",
    "system/publishing.py": "how what is ours on this host is made: packages/ and threads/ call it",
    "system/pipes.py": "opens a descriptor of ours anew by its name in /proc",
    "system/syscalls.py": "the system calls under all of these",
    "system/removal.py": "removes a name in a directory that storage.py, local.py or garbage.py has opened",
    "system/inotify.py": "opens a directory of the store, to have the kernel tell of its changes",
    "system/reread.py": "reads again what its callers read: the profile and what lies beside it, locks, builds",
    "system/shipped.py": "package data",
    "programs/host_files.py": "files of the host that its caller names, copied into a session and out of one",
    "doors/standard_streams.py": "the null device",
    "run/witnesses.py": "whether programs, records of ours and directories of layers are still as a launch found them",
    "run/secrets.py": "files that the host's configuration allows, beneath the directory that it names",
    "threads/drafts.py": "opens the directory that its caller names to hand it to Root, and writes a new profile beside",
    "threads/promoting.py": "takes away a lock's directory that it made, and opens a layer to hand it to Root",
    "threads/claims.py": "our own records of uids, in the data directory",
    "threads/host_disk.py": "opens directories of layers, in the data directory, for walking.py to measure",
    "threads/known.py": "what this host knows of storages, in the data directory",
    "threads/saved_plans.py": "reads and writes a plan, where the caller says",
    "threads/uids.py": "directories of layers, in the data directory",
    "config.py": "reads the host configuration, where the host's owner keeps it",
    "doctor/basics.py": "the host's programs, devices and mounts",
    "doctor/sockets.py": "the host's directories that a profile shows",
    "doctor/host.py": "the host's programs, and a link that it plants in a directory of its own",
    "doctor/looks.py": "whether a directory of ours or a storage answers, in a process of its own",
    "doctor/trials.py": "scratch directories",
    "doctor/supplies.py": "the host's programs, and what uv and Bun are asked in scratch directories",
    "run/missing_programs.py": "looks at the host's programs, builds and shared directories; at nothing an agent writes",
    "threads/planning.py": "whether what a mount of the profile shows of the host is a directory",
    "profile/rendered_directory.py": "`render --out`, where the caller says, and through no link beneath it",
    "profile/rewriting.py": "writes the profile, where the caller says",
    "profile/source.py": "reads the profile and what lies beside it, where the caller says",
    "profile/source_tree.py": "the files of a directory that source.py has opened, through no link",
}
ALLOWED_DIRECTORIES = {
    "cli/": "standard input, terminals and pages of the documentation",
    "sandbox/": "stages roots by descriptor, beneath openat2 and through no link (tests/hostile holds it to that)",
    "packages/": "our own store and tools, and the lock beside the profile; it is given no path of a workspace",
}

OF_OS = {
    "open", "listdir", "scandir", "walk", "fwalk", "mkdir", "makedirs", "rename", "renames", "replace", "remove",
    "removedirs", "unlink", "rmdir", "link", "symlink", "readlink", "stat", "lstat", "chmod", "chown", "lchown",
    "truncate", "utime", "mkfifo", "mknod",
}  # fmt: skip
OF_PATHS = {
    "open", "read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "glob", "rglob", "walk", "mkdir",
    "touch", "unlink", "rmdir", "readlink", "symlink_to", "hardlink_to",
}  # fmt: skip


def opening(source: str) -> list[str]:
    """The calls and imports in a module's source that reach for the file system, as `line: what`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [f"{node.lineno}: {alias.name}" for alias in names if alias.name in ("shutil", "tempfile")]
            case ast.ImportFrom(module="shutil" | "tempfile" as module):
                found.append(f"{node.lineno}: {module}")
            case ast.ImportFrom(module="os" | "io" as module, names=names):
                found += [f"{node.lineno}: {module}.{alias.name}" for alias in names if alias.name in OF_OS]
            case ast.Call(func=ast.Name(id="open")):
                found.append(f"{node.lineno}: open")
            case ast.Attribute(value=ast.Name(id="os" | "io" as module), attr=name) if name in OF_OS:
                found.append(f"{node.lineno}: {module}.{name}")
            # A Root has some names in common with a Path; whoever holds one calls it `root`.
            case ast.Call(func=ast.Attribute(value=ast.Name(id="root") | ast.Attribute(attr="root"))):
                pass
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os" | "io"))):
                pass  # said above
            case ast.Call(func=ast.Attribute(attr=name)) if name in OF_PATHS:
                found.append(f"{node.lineno}: .{name}()")
    return sorted(found)


def modules() -> list[str]:
    """Every module that is in neither table."""
    paths = (str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
    return sorted(path for path in paths if path not in ALLOWED and not path.startswith(tuple(ALLOWED_DIRECTORIES)))


@pytest.mark.parametrize("module", modules())
def test_a_module_opens_nothing_itself(module: str) -> None:
    assert opening((PACKAGE / module).read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "open('x')",
        "os.open('x', 0)",
        "io.open('x')",
        "os.listdir('.')",
        "names = map(os.listdir, places)",
        "from os import scandir",
        "import shutil",
        "from shutil import rmtree",
        "Path('x').read_text()",
        "path.open()",
        "(storage / 'threads').mkdir()",
        "root.path.unlink()",
        "for entry in place.iterdir(): pass",
    ],
)
def test_what_opens_is_found(source: str) -> None:
    assert len(opening(source)) == 1


@pytest.mark.parametrize(
    "source", ["root.mkdir('bin')", "self.root.mkdir('bin')", "root.read('x')", "'a'.replace('a', 'b')", "os.getpid()"]
)
def test_what_opens_nothing_is_not(source: str) -> None:
    assert opening(source) == []
