"""Networks of commands: namespaces, slirp4netns behind them, walls around what is private."""

from __future__ import annotations

TUN = "/dev/net/tun"
"""The device that slirp4netns opens."""


def locate_slirp4netns(*, search: str | None = None, has_choice: bool = True) -> str:
    """The absolute path of the first slirp4netns on the path list `search`, or among what is meant for administrators.

    PlatformError where there is none, or where it could not open /dev/net/tun. Its fix names `--network none` where the
    caller has that choice.
    """
    import errno
    import os
    import shutil

    from solven_env.errors import PlatformError
    from solven_env.sandbox.host_programs import installing

    found = shutil.which("slirp4netns", path=f"{search or os.defpath}:/usr/sbin:/sbin")
    if found is None:
        raise PlatformError(
            "slirp4netns is not installed, and the network internet needs it",
            fix=f"{'With --network none it is not needed. ' * has_choice}{installing('app-containers/slirp4netns')}",
        )
    try:
        os.close(os.open(TUN, os.O_RDWR))
    except OSError as error:
        fix = f"Load it: sudo modprobe tun; a container gets it by docker run --device {TUN}."
        if error.errno == errno.EACCES:
            fix = f"Let everybody open it, which gives no right over any network: sudo chmod 0666 {TUN}."
        raise PlatformError(
            f"the network internet needs {TUN}, which cannot be opened: {error.strerror}",
            fix=fix + " Or use --network none." * has_choice,
        ) from error
    return os.path.abspath(found)
