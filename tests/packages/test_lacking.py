"""What a build lacks of the host, in the words of those who say so."""

from __future__ import annotations

import pytest

from solven_env.packages import lacking


@pytest.mark.parametrize(
    ("said", "what", "debian"),
    [
        ("error: command 'gcc' failed: No such file or directory", "a C compiler", "gcc"),
        ("unable to execute 'x86_64-linux-gnu-gcc': No such file or directory", "a C compiler", "gcc"),
        ("/bin/sh: 1: cc: not found\n", "a C compiler", "gcc"),
        ("error: [Errno 2] No such file or directory: 'c++'", "a C++ compiler", "g++"),
        ("gcc: fatal error: cannot execute 'cc1plus': execvp: No such file or directory", "a C++ compiler", "g++"),
        ("x.c:9:10: fatal error: Python.h: No such file or directory\nerror: command '/usr/bin/gcc' failed with exit code 1",
         "Python's headers", "python3-dev"),
        ("./psycopg/psycopg.h:36:10: fatal error: libpq-fe.h: No such file or directory", "PostgreSQL's headers", "libpq-dev"),
        ("Error: pg_config executable not found.", "PostgreSQL's headers", "libpq-dev"),
        ("Exception: Can not find valid pkg-config name.\nSpecify MYSQLCLIENT_CFLAGS and MYSQLCLIENT_LDFLAGS env vars",
         "MySQL's headers", "default-libmysqlclient-dev"),
        ("/bin/sh: 1: mysql_config: not found", "MySQL's headers", "default-libmysqlclient-dev"),
        ("/bin/sh: 1: pkg-config: not found", "pkg-config", "pkg-config"),
        ("error: can't find Rust compiler", "Rust's compiler", "cargo"),
        ("💥 maturin failed\n  Caused by: `cargo metadata` … No such file or directory (os error 2)", "Rust's compiler", "cargo"),
        ("CMake must be installed to build dlib", "CMake", "cmake"),
        ("error: [Errno 2] No such file or directory: 'cmake'", "CMake", "cmake"),
        ("ERROR: Unknown compiler(s): [['gfortran'], ['flang']]", "a Fortran compiler", "gfortran"),
        ("CMake Error: No CMAKE_CXX_COMPILER could be found.", "a C++ compiler", "g++"),
        ("c/_cffi_backend.c:15:10: fatal error: ffi.h: No such file or directory", "libffi's headers", "libffi-dev"),
        ("fatal error: 'openssl/ssl.h' file not found", "OpenSSL's headers", "libssl-dev"),
        ("x.c:1:10: fatal error: foo/bar.h: No such file or directory", "foo/bar.h", ""),
        ("gyp ERR! stack Error: not found: make", "make", "make"),
        ("gyp ERR! stack Error: Could not find any Python installation to use", "Python", "python3"),
        ("sh: 1: node-gyp: not found", "node-gyp", "npm"),
        ("error: [Errno 2] No such file or directory: 'swig'", "swig", ""),
        ("ModuleNotFoundError: No module named 'pkg_resources'", "", ""),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/build/source/README.md'", "", ""),
        ("gcc -shared x.o -o y.so\nerror: command '/usr/bin/gcc' failed with exit code 1", "", ""),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_its_package(said: str, what: str, debian: str) -> None:
    found, packages = lacking.find(f"running build_ext\n{said}\n")
    assert (found, packages.get("debian", "")) == (what, debian)


def test_the_fix_is_a_command_of_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, command in (
        ("ID=ubuntu\nID_LIKE=debian\n", "sudo apt-get install libpq-dev"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "sudo dnf install libpq-devel"),
        ("ID=alpine\n", "sudo apk add libpq-dev"),
        ('ID="opensuse-leap"\n', "sudo zypper install postgresql-devel"),
    ):
        monkeypatch.setattr("solven_env.sandbox.host_programs._os_release", lambda text=text: text)
        fix = lacking.fix("pg_config executable not found")
        assert fix == f"This host lacks PostgreSQL's headers. Install it: {command}"
    assert lacking.fix("sh: 1: swig: not found") == "Install your distribution's package that has swig."
    assert lacking.fix("SyntaxError: invalid syntax") == ""
