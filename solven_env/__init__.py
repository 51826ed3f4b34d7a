"""Declare the environment of agent workspaces in YAML profiles and make any thread match.

    >>> import solven_env
    >>> report = solven_env.apply("profiles/solven.yaml", "thread-42", storage="./storage")

The verbs are loaded when they are first used: importing the package alone costs a few milliseconds.
"""

from __future__ import annotations

import sys

from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.api.commands import contents as contents
    from solven_env.api.commands import doctor as doctor
    from solven_env.api.commands import explain as explain
    from solven_env.api.commands import run as run
    from solven_env.api.commands import stop as stop
    from solven_env.api.packages import add as add
    from solven_env.api.packages import check_lock as check_lock
    from solven_env.api.packages import layer_diff as layer_diff
    from solven_env.api.packages import layer_reset as layer_reset
    from solven_env.api.packages import lock as lock
    from solven_env.api.packages import outdated as outdated
    from solven_env.api.packages import promote as promote
    from solven_env.api.packages import remove as remove
    from solven_env.api.profiles import explain_profile as explain_profile
    from solven_env.api.profiles import fmt as fmt
    from solven_env.api.profiles import init as init
    from solven_env.api.profiles import render as render
    from solven_env.api.profiles import render_to as render_to
    from solven_env.api.profiles import resolve as resolve
    from solven_env.api.profiles import validate as validate
    from solven_env.api.storages import delete as delete
    from solven_env.api.storages import delete_many as delete_many
    from solven_env.api.storages import disk_usage as disk_usage
    from solven_env.api.storages import gc as gc
    from solven_env.api.storages import list_threads as list_threads
    from solven_env.api.storages import threads as threads
    from solven_env.api.workspaces import apply as apply
    from solven_env.api.workspaces import apply_many as apply_many
    from solven_env.api.workspaces import apply_plan as apply_plan
    from solven_env.api.workspaces import diff as diff
    from solven_env.api.workspaces import diff_many as diff_many
    from solven_env.api.workspaces import history as history
    from solven_env.api.workspaces import plan as plan
    from solven_env.api.workspaces import recover as recover
    from solven_env.api.workspaces import rollback as rollback
    from solven_env.api.workspaces import save_plan as save_plan
    from solven_env.api.workspaces import show as show
    from solven_env.api.workspaces import status as status
    from solven_env.api.workspaces import status_many as status_many
    from solven_env.documents.diagnostics import Diagnostic as Diagnostic
    from solven_env.documents.diagnostics import Location as Location
    from solven_env.errors import SolvenError as SolvenError
    from solven_env.profile.explained import ProfileExplanation as ProfileExplanation
    from solven_env.programs.awaiting import AsyncSandbox as AsyncSandbox
    from solven_env.programs.blocking import Sandbox as Sandbox
    from solven_env.programs.result import Chunk as Chunk
    from solven_env.programs.result import FileInfo as FileInfo
    from solven_env.programs.result import Match as Match
    from solven_env.programs.result import ProcessInfo as ProcessInfo
    from solven_env.programs.result import Result as Result
    from solven_env.report import DiskReport as DiskReport
    from solven_env.report import DoctorReport as DoctorReport
    from solven_env.report import EditReport as EditReport
    from solven_env.report import FormatReport as FormatReport
    from solven_env.report import GcReport as GcReport
    from solven_env.report import HistoryReport as HistoryReport
    from solven_env.report import LayerDiffReport as LayerDiffReport
    from solven_env.report import LayerResetReport as LayerResetReport
    from solven_env.report import ListedThread as ListedThread
    from solven_env.report import LockReport as LockReport
    from solven_env.report import OutdatedReport as OutdatedReport
    from solven_env.report import RenderReport as RenderReport
    from solven_env.report import Report as Report
    from solven_env.report import ShowReport as ShowReport
    from solven_env.report import ThreadReport as ThreadReport

__version__ = "0.1.0"

_HOMES = {
    name: home
    for home, names in {
        "solven_env.api.commands": "contents doctor explain run stop",
        "solven_env.api.packages": "add check_lock layer_diff layer_reset lock outdated promote remove",
        "solven_env.api.profiles": "explain_profile fmt init render render_to resolve validate",
        "solven_env.api.storages": "delete delete_many disk_usage gc list_threads threads",
        "solven_env.api.workspaces": "apply apply_many apply_plan diff diff_many history plan recover rollback "
        "save_plan show status status_many",
        "solven_env.documents.diagnostics": "Diagnostic Location",
        "solven_env.errors": "SolvenError",
        "solven_env.profile.explained": "ProfileExplanation",
        "solven_env.programs.awaiting": "AsyncSandbox",
        "solven_env.programs.blocking": "Sandbox",
        "solven_env.programs.result": "Chunk FileInfo Match ProcessInfo Result",
        "solven_env.report": "DiskReport DoctorReport EditReport FormatReport GcReport HistoryReport LayerDiffReport "
        "LayerResetReport ListedThread LockReport OutdatedReport RenderReport Report ShowReport ThreadReport",
    }.items()
    for name in names.split()
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'solven_env' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(home), name)


class _Verbs(type(sys)):  # type: ignore[misc]
    """This package as a module: importing the rooms `run` and `doctor` leaves the verbs of these names in place."""

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _HOMES or not isinstance(value, type(sys)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Verbs
