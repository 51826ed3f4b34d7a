"""The sandbox's /etc: an allow list of what programs read there, since the whole of it holds credentials.

Whatever no program needs to run stays outside: pip.conf, npmrc, ssh, shadow, sudoers, apt's and docker's logins, and
profile.d, where hosts set variables for their own users: proxies with passwords, tokens, mirrors. What
is copied or bound must be readable by everyone on the host, whoever reads it here. passwd, group, hosts and what else
the caller decides come with the plan (`identity`, `shells`, `git`, `resolver`).
"""

from __future__ import annotations

import os
import stat

from solven_env.sandbox.launch_plan import SANDBOX_UID, StagedFile
from solven_env.system import mounting
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_COPIED = (
    "adjtime",
    "bindresvport.blacklist",
    "ca-certificates.conf",
    "debian_version",
    "default/locale",
    "ethertypes",
    "gai.conf",
    "host.conf",
    "inputrc",
    "issue",
    "ld.so.cache",
    "ld.so.conf",
    "ld-musl-x86_64.path",
    "ld-musl-aarch64.path",
    "locale.alias",
    "locale.conf",
    "locale.gen",
    "localtime",
    "login.defs",
    "lsb-release",
    "magic",
    "magic.mime",
    "mailcap",
    "manpath.config",
    "mime.types",
    "netconfig",
    "networks",
    "nsswitch.conf",
    "os-release",
    "papersize",
    "protocols",
    "resolv.conf",
    "rpc",
    "services",
    "shells",
    "ssl/openssl.cnf",
    "timezone",
    "vimrc",
    "alpine-release",
    "arch-release",
    "fedora-release",
    "redhat-release",
    "system-release",
)
_BOUND = (
    "ImageMagick-6",
    "ImageMagick-7",
    "alternatives",
    "bash_completion.d",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "groff",
    "java-11-openjdk",
    "java-17-openjdk",
    "java-21-openjdk",
    "ld.so.conf.d",
    "libreoffice",
    "perl",
    "pki/ca-trust",
    "pki/tls/certs",
    "python3",
    "ssl/certs",
    "terminfo",
    "vim",
    "xml",
)
_LARGEST = 4 << 20
_NAMESERVER = "10.0.2.3"
"""Address at which slirp4netns passes questions on to the host's resolver."""

_UNREACHABLE = "192.0.2.1"
"""An address for documentation (RFC 5737), which no host has."""
_NOBODY = "# Written by solven-env. The network is none: there is no way to this address."

_PROFILE = b"""\
# Written by solven-env. A login shell keeps the environment that it is started with, PATH above all.
if [ -n "${PS1-}" ]; then
    if [ -n "${BASH-}" ]; then
        . /etc/bash.bashrc
    else
        PS1='$ '
    fi
fi
"""
_BASHRC = b"""\
# Written by solven-env. An interactive bash keeps the environment that it is started with.
if [ -n "${PS1-}" ]; then
    shopt -s checkwinsize
    PS1='\\u@\\h:\\w\\$ '
fi
"""


def fill(tmpfs: int, *, omit: frozenset[str] = frozenset()) -> None:
    """Put what the host has of the list into an attached, empty tmpfs, but for the names that the plan brings."""
    where = f"/proc/self/fd/{tmpfs}"
    copy(where, omit=omit)
    for name in bound(omit=omit):
        _bind(where, name)


def copy(where: str, *, omit: frozenset[str] = frozenset()) -> None:
    """Put the files of the list into the empty directory `where`."""
    for name in _there(_COPIED, omit):
        _copy(where, name)
    os.symlink("/proc/self/mounts", f"{where}/mtab")


def bound(*, omit: frozenset[str] = frozenset()) -> list[str]:
    """The directories of the list, which are to be seen as they are."""
    return [name for name in _there(_BOUND, omit) if os.path.isdir(f"/etc/{name}")]


def _there(names: tuple[str, ...], omit: frozenset[str]) -> list[str]:
    there = frozenset(os.listdir("/etc")) - omit  # most of the list is another distribution's
    return [name for name in names if name.partition("/")[0] in there]


def identity(
    user: str, *, hostname: str = "sandbox", home: str = "/", shell: str = "/bin/bash"
) -> tuple[StagedFile, ...]:
    """/etc/passwd, group and hosts that know the sandbox's one user, by the name that `whoami` is to say."""
    passwd = (
        "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        f"{user}:x:{SANDBOX_UID}:{SANDBOX_UID}:{user}:{home}:{shell}\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    group = f"root:x:0:\n{user}:x:{SANDBOX_UID}:\nnogroup:x:65534:\n"
    hosts = f"127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    return tuple(
        StagedFile(f"/etc/{name}", text.encode())
        for name, text in (("passwd", passwd), ("group", group), ("hosts", hosts), ("hostname", hostname + "\n"))
    )


def shells() -> tuple[StagedFile, ...]:
    """/etc/profile and /etc/bash.bashrc, which keep the environment that a shell is started with.

    The host's own files serve its users: Debian's and Alpine's /etc/profile set PATH to the system's directories, and
    lose the profile's. bash, dash, ash, ksh and mksh read /etc/profile as login shells.
    """
    return StagedFile("/etc/profile", _PROFILE), StagedFile("/etc/bash.bashrc", _BASHRC)


def git(mounted: Iterable[str]) -> tuple[StagedFile, ...]:
    """git's configuration: in a repository at `/`, and in no other, git ignores the paths that are `mounted`.

    `git add`, `git status` and `git clean` else took the host's programs and the packages for files of the thread.
    """
    excludes = "# Written by solven-env: what is mounted in the workspace.\n" + "".join(f"{path}\n" for path in mounted)
    return (
        StagedFile("/etc/gitconfig", b'[includeIf "gitdir:/.git"]\n\tpath = /etc/solven-env/gitconfig\n'),
        StagedFile("/etc/solven-env/gitconfig", b"[core]\n\texcludesFile = /etc/solven-env/gitignore\n"),
        StagedFile("/etc/solven-env/gitignore", excludes.encode()),
    )


def resolver(network: str) -> tuple[StagedFile, ...]:
    """/etc/resolv.conf for a plan of that network; with `host` it is the host's own, as `fill` copies it.

    For `internet` the host's resolver is asked wherever it listens, on loopback or in a private network. Its `search`
    stays outside: what a name means shall not depend on the host, nor a sandbox learn the names of its networks. For
    `none` it is an address to which there is no way, as each question is then counted (`network.attempts`).
    """
    # Under proot, which has the host's network whatever is asked, the question is sent and waits for an answer.
    nobody = f"{_NOBODY}\nnameserver {_UNREACHABLE}\noptions timeout:1 attempts:1\n"
    texts = {"internet": f"nameserver {_NAMESERVER}\n", "none": nobody}
    return (StagedFile("/etc/resolv.conf", texts[network].encode()),) if network in texts else ()


def _copy(where: str, name: str) -> None:
    source = f"/etc/{name}"
    try:
        if os.path.islink(source) and os.path.realpath(source).startswith("/usr/"):
            # Kept as a link: the time zone's name is read off that of /etc/localtime.
            os.symlink(os.path.realpath(source), f"{where}/{name}")
            return
        file = os.open(source, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return  # not on this host
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode) or not about.st_mode & stat.S_IROTH or about.st_size > _LARGEST:
            return
        if "/" in name:
            os.makedirs(os.path.dirname(f"{where}/{name}"), exist_ok=True)
        copy = os.open(f"{where}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            while content := os.read(file, _LARGEST):
                os.write(copy, content)
        finally:
            os.close(copy)
    finally:
        os.close(file)


def _bind(where: str, name: str) -> None:
    source = mounting.clone_tree(f"/etc/{name}")
    try:
        mounting.set_attributes(source, mounting.ATTR_NOSUID | mounting.ATTR_NODEV | mounting.ATTR_RDONLY)
        os.makedirs(f"{where}/{name}")
        place = os.open(f"{where}/{name}", os.O_PATH)
        try:
            mounting.attach(source, place)
        finally:
            os.close(place)
    finally:
        os.close(source)
