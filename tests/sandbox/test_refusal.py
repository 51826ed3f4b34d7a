from __future__ import annotations

import pytest

from solven_env.sandbox.refusal import explain


@pytest.mark.parametrize(
    ("files", "message", "fix"),
    [
        (
            {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"},
            "AppArmor refuses",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            {"/proc/sys/kernel/unprivileged_userns_clone": "0"},
            "ordinary users",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        ({"/proc/sys/user/max_user_namespaces": "0"}, "limit", "sudo sysctl -w user.max_user_namespaces=15000"),
        ({"/.dockerenv": "x"}, "this container", "--security-opt seccomp=unconfined"),
        ({"/run/.containerenv": "x"}, "this container", "--security-opt seccomp=unconfined"),
        ({"/proc/sys/user/max_user_namespaces": "1000"}, "the host refused", "unshare --user"),
    ],
)
def test_the_cause_and_the_one_command(files: dict[str, str], message: str, fix: str) -> None:
    error = explain("Operation not permitted", lambda path: files.get(path, ""), lambda path: path in files)
    assert message in error.message
    assert "Operation not permitted" in error.message
    assert fix in error.fix
