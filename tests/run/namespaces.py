"""Hosts that refuse something to sandboxes, as prefixes of a command line."""

from __future__ import annotations

import sys

from tests.sandbox.running import ROOT

_REFUSING = (
    "import ctypes, os, sys\n"
    "child, parent = os.pipe(), os.pipe()\n"
    "pid = os.fork()\n"
    "if not pid:\n"
    "    if ctypes.CDLL(None).unshare(0x10000000): os._exit(99)\n"
    "    os.write(child[1], b'x'); os.read(parent[0], 1)\n"
    "    open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
    "    open('/proc/sys/user/max_mnt_namespaces', 'w').write('0')\n"
    "    os.execvp(sys.argv[2], sys.argv[2:])\n"
    "os.close(parent[0])\n"
    "os.read(child[0], 1)\n"
    "open(f'/proc/{pid}/setgroups', 'w').write(sys.argv[1].partition(' ')[2])\n"
    "for name in ('uid', 'gid'):\n"
    "    inside = '0 0 100000' if sys.argv[1] == 'root allow' else f'{getattr(os, f\"get{name}\")()} ' * 2 + '1'\n"
    "    open(f'/proc/{pid}/{name}_map', 'w').write(inside)\n"
    "os.write(parent[1], b'x')\n"
    "import signal\n"
    "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, lambda number, _: os.kill(pid, number))\n"
    "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
)
REFUSING: tuple[str, ...] = (
    *(sys.executable, "-c", _REFUSING, "root allow" if ROOT else "user deny"),
    *(() if ROOT else ("setpriv", "--inh-caps=-all", "--ambient-caps=-all")),
)
"""In a user namespace of the test's own, whose limit of further ones is 0: what an administrator sets."""

UNTRACEABLE: tuple[str, ...] = (
    sys.executable,
    "-c",
    "import os, sys; from solven_env.sandbox import seccomp; from solven_env.system import mounting\n"
    "mounting.forbid_new_privileges(); seccomp.install(seccomp.program())\n"
    "os.execvp(sys.argv[1], sys.argv[1:])",
)
"""Where ptrace(2) is refused, and namespaces too, as Docker's default filter does it."""
