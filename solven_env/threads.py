"""A thread on this host: where its workspace is, what is recorded of it, what it needs, and the plan for it."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from solven_env import config
from solven_env.reconcile.apply import observe
from solven_env.reconcile.desired import desired, with_builds
from solven_env.reconcile.model import BUILD, State
from solven_env.reconcile.plan import addresses, recorded_as_desired
from solven_env.reconcile.plan import plan as make_plan
from solven_env.state import LocalState
from solven_env.state.records import Record, load, lock_key, record_key
from solven_env.workspace import root as roots
from solven_env.workspace import storage as storages

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from solven_env.config import Config
    from solven_env.packages import Need
    from solven_env.reconcile.model import Desired, Observed, Plan
    from solven_env.sources import ProfileSource


class Thread(NamedTuple):
    """A thread in its storage. `owner` is whom the workspace belongs to under root: the sandbox's user, never root."""

    name: str
    storage: Path
    state: LocalState
    owner: roots.Owner | None
    config: Config

    @classmethod
    def find(cls, thread: str, storage: str | Path | None) -> Thread:
        """The thread of that id; nothing is made, and it may not be there yet."""
        configured = config.load(os.environ)
        place = storages.locate(storage, os.environ, configured)
        uid = configured.sandbox.uid
        owner = roots.Owner(uid, uid) if os.geteuid() == 0 else None
        return cls(storages.thread_id(thread), place, LocalState(place), owner, configured)

    def record(self) -> Record | None:
        """What the last apply left; None where there was none."""
        key = record_key(self.name)
        stored = self.state.get(key)
        return load(stored.value, str(self.storage / ".solven-env" / key)) if stored else None

    def create_root(self) -> roots.Root:
        """The workspace, open, and made where it is missing."""
        return storages.create_workspace(self.storage, self.name, self.owner)

    def plan(
        self, source: ProfileSource, inputs: Mapping[str, str], unset: Collection[str]
    ) -> tuple[Plan, tuple[Need, ...]]:
        """What has to be done for a profile, and which builds this host lacks for it."""
        record = self.record()
        return self._plan(*self._wanted(source, inputs, unset, record), record)

    def check(self, source: ProfileSource, inputs: Mapping[str, str], unset: Collection[str]) -> None:
        """Raise what `plan` would raise of the profile, its lock or the inputs, without a look at this host."""
        self._wanted(source, inputs, unset, self.record())

    def plan_drift(self, record: Record) -> Plan:
        """Where the workspace and this host differ from what the last apply left."""
        return self._plan(recorded_as_desired(record), self.needs(record), record)[0]

    def needs(self, record: Record) -> tuple[Need, ...]:
        """The builds that a recorded thread needs, on whatever host."""
        python, bun = record.settings.get("python"), record.settings.get("bun")
        if not python and not bun:
            return ()
        from solven_env import packages
        from solven_env.builds.locks import Lock
        from solven_env.profile import Bun, Python

        return packages.needs(
            Python(python["version"], tuple(python["packages"])) if python else None,
            Bun(bun["packages"]) if bun else None,
            Lock(self._lock(record, "python"), self._lock(record, "bun")),
        )

    def missing_links(self, record: Record) -> tuple[str, ...]:
        """The paths inside of optional links that lead nowhere now, so that commands do without them."""
        links = record.settings["links"]
        return tuple(
            link["path"] for link in links if link["optional"] and storages.is_missing(self.storage, link["to"])
        )

    def _wanted(
        self, source: ProfileSource, inputs: Mapping[str, str], unset: Collection[str], record: Record | None
    ) -> tuple[Desired, tuple[Need, ...]]:
        from solven_env.preparing import prepare  # here: a run needs no profile, and no 60 ms of YAML and Jinja

        recorded = record.inputs if record else {}
        prepared = prepare(source, self.name, given=inputs, environ=os.environ, recorded=recorded, unset=unset)
        python, bun = prepared.profile.python, prepared.profile.bun
        needs: tuple[Need, ...] = ()
        if python or bun:
            from solven_env import packages

            needs = packages.needs(python, bun, packages.read_lock(python, bun, source.lock, source.name))
        return desired(prepared.profile, prepared.files, prepared.given), needs

    def _lock(self, record: Record, kind: str) -> bytes | None:
        digest = record.builds.get(kind, {}).get("lock")
        stored = self.state.get(lock_key(digest)) if digest else None
        return stored.value if stored else None

    def _plan(self, wanted: Desired, needs: Sequence[Need], record: Record | None) -> tuple[Plan, tuple[Need, ...]]:
        root = storages.open_workspace(self.storage, self.name, self.owner)
        with root or nullcontext():
            observed = observe(root, {*addresses(wanted, record), "file:uv.lock", "file:bun.lock"})
        lacking: tuple[Need, ...] = ()
        if needs:
            wanted, observed, lacking = self._with_needs(wanted, observed, record, needs)
        return make_plan(self.name, wanted, observed, record), lacking

    def _with_needs(
        self, wanted: Desired, observed: Observed, record: Record | None, needs: Sequence[Need]
    ) -> tuple[Desired, Observed, tuple[Need, ...]]:
        from solven_env import packages

        found = [(need, packages.find(need, self.config)) for need in needs]
        identities: dict[str, str] = {need.kind: need.identity for need in needs}
        files = dict(filter(None, (packages.workspace_lock(need, build) for need, build in found)))
        wanted = with_builds(wanted, identities, files, observed, record)._replace(
            builds={need.kind: packages.describe(need, build) for need, build in found if build},
            locks=packages.texts(needs),
        )
        there = {f"{BUILD}:{need.kind}": State("build", need.identity) for need, build in found if build}
        lacking = tuple(need for need, build in found if build is None)
        return wanted, observed._replace(states={**observed.states, **there}), lacking
