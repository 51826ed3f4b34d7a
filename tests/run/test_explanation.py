"""What `run --explain` tells, from plain data."""

from __future__ import annotations

from solven_env.run import explanation
from solven_env.run.explanation import Facts, ToldBuild
from solven_env.sandbox.backends import bubblewrap, proot
from solven_env.sandbox.cgroups import Unenforced
from solven_env.sandbox.launch_plan import Bind, Dev, Etc, LaunchPlan, Overlay, Proc, Tmpfs
from solven_env.sandbox.limits import Limits
from solven_env.sandbox.request import Request
from solven_env.state.records import Record

SETTINGS = {
    "mounts": [
        {"target": "/usr", "why": "programs"},
        {"target": "/etc", "why": "users"},
        {"target": "/tmp", "why": ""},
    ],
    "links": [{"path": ".ticket", "to": "threads/t2"}],
    "limits": {"memory": "4GiB", "processes": 9, "cpu_time": None, "enforce": "best-effort"},
    "secrets": [{"name": "KEY", "from": "environment", "variable": "MY_KEY", "as": "environment", "optional": True}],
}
PLAN = LaunchPlan(
    session="s",
    workspace="/srv/threads/t1",
    mounts=(
        *(Bind("/usr", "/usr"), Etc(), Proc(), Dev(), Tmpfs("/tmp", size=3 << 20)),
        Tmpfs("/root", size=1 << 20, read_only=True),
        Bind("/.ticket", "/srv", beneath="threads/t2", read_only=False, optional=True),
        Overlay("/.venv", "/store/b/tree", "/data/l/upper", "/data/l/work", "aa"),
    ),
    uid=61000,
    gid=61000,
    program="/usr/bin/bwrap",
)
REQUEST = Request(
    ("python", "-c", "print('x')"),
    env={"PATH": "/bin", "TOKEN": "hidden", "NOTE": "two words\n"},
    timeout=1.5,
    limits=Limits(processes=9),
)
FACTS = Facts(
    "t1",
    Record("i", generation=3, settings=SETTINGS),
    (ToldBuild("python", "python-b", "aa", "/data/l/upper"), ToldBuild("bun")),
    (Unenforced("memory", "no cgroup is delegated", ""),),
    {"TOKEN"},
)


def test_a_person_reads_all_that_a_command_would_start_with() -> None:
    text = "\n".join(explanation.text(explanation.tell(FACTS, PLAN, REQUEST, bubblewrap, controlled=False)))
    for line in (
        "t1: generation 3, in bubblewrap. Nothing was started.",
        """command    python -c 'print('"'"'x'"'"')'""",
        "timeout    1.5 s",
        "uid        1000 inside, 61000 on the host",
        "limits     memory 4GiB, not enforced: no cgroup is delegated\n           processes 9",
        "builds     python-b\n             own changes in /data/l/upper\n           bun: the next run makes it",
        "mounts     /  (read-write) the workspace\n             /srv/threads/t1",
        "/.ticket  (read-write) a link of the profile to threads/t2\n             /srv/threads/t2, left out where it is",
        "/.venv  (read-write) the Python packages\n             /store/b/tree below /data/l/upper",
        "/root  (read-only) empty, so that nothing else is seen there",
        "/tmp  (read-write)\n             memory of 3 MiB",
        "/usr  (read-only) programs",
        "variables  NOTE='two words\\n'\n           PATH=/bin\n           TOKEN, given with this command\n"
        "           KEY, a secret from the variable MY_KEY, left out where it is missing",
        "starts     /usr/bin/bwrap --unshare-user",
        "-- /usr/bin/prlimit --core=0:0 --nproc=9:9 -- python",
    ):
        assert line in text
    assert "hidden" not in text


def test_a_program_reads_the_same_as_data() -> None:
    told = explanation.tell(FACTS, PLAN, REQUEST, bubblewrap, controlled=False).to_json()
    assert told["uid"] == {"inside": 1000, "host": 61000}
    assert told["variables"] == {"NOTE": "two words\n", "PATH": "/bin", "TOKEN": None}
    assert told["limits"][0] == {"name": "memory", "value": "4GiB", "unenforced": "no cgroup is delegated"}
    assert told["mounts"][-1] == {"target": "/usr", "what": "/usr", "access": "read-only", "why": "programs"}
    assert told["builds"][1] == {"kind": "bun", "key": "", "instance": "", "layer": ""}
    assert told["program"][0] == "/usr/bin/bwrap"


def test_under_proot_the_program_is_proot() -> None:
    plan = PLAN._replace(mounts=PLAN.mounts[:6], program="/usr/bin/proot")
    told = explanation.tell(FACTS, plan, REQUEST, proot, controlled=False)
    assert "/tmp/4:/tmp!" in told.program
    assert told.program[0] == "/usr/bin/proot"
    whats = {mount.target: mount.what for mount in told.mounts}
    assert (whats["/tmp"], whats["/dev"]) == ("a directory of the command's own, of no size", "the host's")


def test_on_a_terminal_the_program_makes_it_the_commands_own() -> None:
    told = explanation.tell(FACTS, PLAN, REQUEST, bubblewrap, controlled=True)
    assert "--ctty" in told.program
