"""Parts of the host that a failed build lacks: a compiler, headers, another program. Pure, but for the host's name.

Builds use the compilers of the host, whose /usr they are shown; so its distribution has what they lack. A line counts
that says of one of these names that it is missing, as gcc, clang, sh, setuptools, CMake, Meson, maturin and node-gyp
do.
"""

from __future__ import annotations

import re

from solven_env.sandbox import host_programs

_MISSING = re.compile(
    r"No such file or directory|not found|could (?:not )?be found|must be installed|[Dd]id not find|can't find"
    r"|[Uu]nknown compiler|no acceptable|unable to execute|Specify MYSQLCLIENT|any Python installation"
)
_FAMILIES = ("debian", "fedora", "alpine", "arch", "suse")
_ROWS = tuple(
    (what, re.compile(rf"(?<![\w.])(?:[\w-]+-)?(?:{names})(?![\w+])"), dict(zip(_FAMILIES, known.split(), strict=True)))
    for what, names, known in (
        # What is lacking, by which names, and its package in each of the families.
        ("Python's headers", r"Python\.h", "python3-dev python3-devel python3-dev python python3-devel"),
        ("PostgreSQL's headers", r"pg_config|libpq-fe\.h",
         "libpq-dev libpq-devel libpq-dev postgresql-libs postgresql-devel"),
        ("MySQL's headers", r"mysql_config|mysql\.h|MYSQLCLIENT_CFLAGS",
         "default-libmysqlclient-dev mysql-devel mariadb-dev mariadb-libs libmariadb-devel"),
        ("libffi's headers", r"ffi\.h", "libffi-dev libffi-devel libffi-dev libffi libffi-devel"),
        ("OpenSSL's headers", r"openssl/\w+\.h", "libssl-dev openssl-devel openssl-dev openssl libopenssl-devel"),
        ("zlib's headers", r"zlib\.h", "zlib1g-dev zlib-devel zlib-dev zlib zlib-devel"),
        ("libxslt's headers", r"xslt-config|libxslt/\w+\.h",
         "libxslt1-dev libxslt-devel libxslt-dev libxslt libxslt-devel"),
        ("libxml2's headers", r"xml2-config|libxml/\w+\.h",
         "libxml2-dev libxml2-devel libxml2-dev libxml2 libxml2-devel"),
        ("libjpeg's headers", r"jpeglib\.h",
         "libjpeg-dev libjpeg-turbo-devel libjpeg-turbo-dev libjpeg-turbo libjpeg8-devel"),
        ("PortAudio's headers", r"portaudio\.h",
         "portaudio19-dev portaudio-devel portaudio-dev portaudio portaudio-devel"),
        ("OpenLDAP's headers", r"lber\.h|ldap\.h",
         "libldap-dev openldap-devel openldap-dev libldap openldap2-devel"),
        ("the C library's headers", r"(?:stdio|stdlib|limits|errno)\.h",
         "libc6-dev glibc-devel musl-dev glibc glibc-devel"),
        ("a Fortran compiler", r"gfortran|f95", "gfortran gcc-gfortran gfortran gcc-fortran gcc-fortran"),
        ("Rust's compiler", r"cargo|rustc|Rust(?= compiler)", "cargo cargo cargo rust cargo"),
        ("CMake", r"cmake|CMake(?= must)", "cmake cmake cmake cmake cmake"),
        ("pkg-config", r"pkg-config|pkgconf", "pkg-config pkgconf-pkg-config pkgconf pkgconf pkgconf-pkg-config"),
        ("node-gyp", r"node-gyp", "npm nodejs-npm npm npm npm-default"),
        ("Python", r"any Python installation", "python3 python3 python3 python python3"),
        ("make", r"g?make", "make make make make make"),
        ("a C++ compiler", r"[gc]\+\+|clang\+\+|cc1plus|CMAKE_CXX_COMPILER", "g++ gcc-c++ g++ gcc gcc-c++"),
        ("a C compiler", r"g?cc|clang|CMAKE_C_COMPILER|C compiler", "gcc gcc build-base gcc gcc"),
    )
)  # fmt: skip
_HEADER = re.compile(r"fatal error: '?([\w.+/-]+\.h(?:pp)?)'?(?: file not found|: No such file)")
_PROGRAM = re.compile(r"No such file or directory: '([\w.+-]+)'|(?<![\w./-])([\w.+-]+): (?:command )?not found")


def fix(said: str) -> str:
    """The fix for what the output of a build says that the host lacks; empty where it says no such thing."""
    what, packages = find(said)
    if not what:
        return ""
    if not packages:
        return f"Install your distribution's package that has {what}."
    return f"This host lacks {what}. {host_programs.installing_of(packages)}"


def find(said: str) -> tuple[str, dict[str, str]]:
    """The name of what is lacking, empty for nothing, and its package in each family of distributions that is known.

    >>> find("error: command 'gcc' failed: No such file or directory")[1]["alpine"]
    'build-base'
    >>> find("sh: 1: swig: not found")
    ('swig', {})
    """
    lines = [line for line in said.splitlines() if _MISSING.search(line)]
    for what, names, packages in _ROWS:
        if any(map(names.search, lines)):
            return what, packages
    header, program = _HEADER.search(said), _PROGRAM.search(said)
    return header[1] if header else (program[1] or program[2]) if program else "", {}
