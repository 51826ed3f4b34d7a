"""The process between a launcher and proot: it stages, drops rights, starts proot, and sees that nothing outlives it.

Where the host lets us it is pid 1 of a PID namespace, in a mount namespace of its own, and the kernel ends whatever
is left with it. Elsewhere it adopts every orphan below it (PR_SET_CHILD_SUBREAPER) and ends them itself.

proot ignores TERM, INT and HUP, and killed by SIGKILL it leaves its programs running with the host's paths: it gets
SIGQUIT, at which it kills them. A launcher that is gone is noticed at the end of a pipe that it held.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack, suppress

from solven_env.errors import SandboxError, SolvenError
from solven_env.sandbox import limits, runtime, seccomp, signals, wire
from solven_env.sandbox.backends.proot import bindings, on_disk, placeholders, tracer, waiting
from solven_env.sandbox.backends.proot.bindings import Sources
from solven_env.sandbox.launch_plan import SANDBOX_UID, LaunchPlan, check_plan, decode_plan
from solven_env.sandbox.request import Request, check_fits, decode_request
from solven_env.sandbox.roots import namespaces, targets
from solven_env.sandbox.roots.staging import open_workspace
from solven_env.system import mounting
from solven_env.system.blocks import READ_DIRECTORY
from solven_env.typed import NamedTuple


class Order(NamedTuple):
    """The message of a launcher. `record` is a directory of the thread's own on this host (`placeholders`)."""

    plan: LaunchPlan
    request: Request
    record: str
    runtime: str


def main(request: str, lifeline: str, report: str) -> None:
    """Run what the descriptor `request` says and write to `report` how it ended, as JSON. `lifeline` is a pipe."""
    signals.forget_starter()
    limits.forbid_cores()
    for descriptor in (lifeline, report):
        os.set_inheritable(int(descriptor), False)
    with open(int(request), "rb") as file:
        file.seek(0)
        document = json.loads(file.read())
    asked = Order(
        decode_plan(document["plan"]),
        decode_request(document["command"]),
        document["record"],
        document["runtime"],
    )
    os.umask(0o022)
    if _namespaces_are_offered():
        namespaces.leave_host(unprivileged=os.geteuid() != 0, inside=SANDBOX_UID)
        pid = os.fork()
        if pid:
            os.close(int(lifeline))
            os.close(int(report))
            os.waitpid(pid, 0)  # returns when all of its namespace has ended
            return
        _prepare_namespaces()
        _report(int(report), asked, int(lifeline), is_alone=True)
    elif os.geteuid() == 0:
        # The uid that commands get could pass no directory above the workspace and the store that is root's alone.
        _write(int(report), failed=wire.encode_error(_NO_NAMESPACE))
    else:
        mounting.adopt_orphans()
        _report(int(report), asked, int(lifeline), is_alone=False)


_NO_NAMESPACE = SandboxError(
    "started as root, the backend proot needs a mount namespace, which this host refuses",
    fix="Start solven-env as an ordinary user, or let the container make namespaces (CAP_SYS_ADMIN).",
)


def probe() -> None:
    """End with 0 where this host lets us make and use namespaces, else with 1."""
    raise SystemExit(0 if _namespaces_are_offered() else 1)


def _namespaces_are_offered() -> bool:
    """True if this host lets us make and use namespaces. It is tried in a process of its own: there is no way back."""
    pid = os.fork()
    if pid == 0:
        try:
            namespaces.leave_host(unprivileged=os.geteuid() != 0, inside=SANDBOX_UID)
            inner = os.fork()
            if inner == 0:
                _prepare_namespaces()
                os._exit(0)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def _prepare_namespaces() -> None:
    mounting.make_private("/")
    namespaces.cover("/proc", "proc", {}, mounting.ATTR_NOEXEC)


def _report(report: int, order: Order, lifeline: int, *, is_alone: bool) -> None:
    try:
        outcome, hidden = _run(order, lifeline, is_alone=is_alone)
        _write(report, **outcome._asdict(), hidden=hidden)
    except SolvenError as error:
        _write(report, failed=wire.encode_error(error))
    except Exception as error:  # the launcher tells it; a traceback has no place on the command's standard error
        _write(report, failed=wire.encode_error(SandboxError(f"the sandbox could not be staged: {error!r}")))


def _write(report: int, **values: object) -> None:
    with suppress(BrokenPipeError):  # the launcher is gone
        os.write(report, json.dumps(values).encode())


def _run(order: Order, lifeline: int, *, is_alone: bool) -> tuple[waiting.Exit, list[str]]:
    """Run the command; return its end and the targets that hid directories of the thread."""
    plan, request = order.plan, order.request
    check_plan(plan)
    check_fits(request)
    limit = limits.time_limit(request.limits, request.timeout)
    owner = None if plan.uid is None or plan.gid is None else (plan.uid, plan.gid)
    with ExitStack() as stack:
        workspace = open_workspace(plan)
        stack.callback(os.close, workspace)
        directory = runtime.open_directory(order.runtime)
        stack.callback(os.close, directory)
        record = os.open(order.record, READ_DIRECTORY)
        stack.callback(os.close, record)
        sources = Sources(plan, workspace, stack)
        if is_alone:
            namespaces.cover(tracer.STAGE, "tmpfs", {"mode": "1777"})
            where = tracer.STAGE
        else:
            where = stack.enter_context(on_disk.on_disk(order.record, record))
        shown = bindings.stage(plan, sources, where, mounted=is_alone)
        bindings.write_secrets(plan, shown, request.files, mounted=is_alone)
        session = (directory, runtime.socket_name(plan.session))
        places = bindings.in_workspace(shown)
        hidden = [target for target in places if targets.holds_something(workspace, target)]
        stack.enter_context(placeholders.present(workspace, places, record, session, owner))
        child = _start(plan, request, where, shown)
        try:
            return waiting.wait(child, lifeline, limit[0] if limit else None, request.directory), hidden
        finally:
            waiting.end(child, is_alone=is_alone)
            if not is_alone:
                _remove_loader(child)


def _remove_loader(pid: int) -> None:
    """The file that a proot that was killed leaves in /tmp; there is no other place for it before proot 5.2."""
    for name in os.listdir(tracer.STAGE):
        if name.startswith(f"prooted-{pid}-"):
            with suppress(OSError):
                os.unlink(f"{tracer.STAGE}/{name}")


def _start(plan: LaunchPlan, request: Request, where: str, shown: list[bindings.Shown]) -> int:
    uid = os.geteuid() if plan.uid is None else plan.uid
    arguments = tracer.arguments(f"{where}/root", bindings.bindings(shown), plan, request, uid=uid)
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        signals.restore()
        namespaces.drop_rights(plan)
        mounting.signal_when_parent_ends(signal.SIGQUIT)  # after the uid: a change of it forgets this
        if os.getppid() == parent:
            seccomp.install(tracer.filter_program())
            mounting.close_on_exec(3)
            os.execve(f"{where}/proot", arguments, tracer.environment(request))  # noqa: S606 (no shell is meant)
    finally:
        os._exit(125)
