"""What stands outside to be attacked, as one process of the sandbox's own user: `victim.py DIRECTORY SECRET`.

It prints, as one line of JSON, where everything is, and takes it away when its standard input ends. It runs with the
host's python3, whose standard library is all that it needs.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import platform
import signal
import socket
import sys
import threading
import uuid

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
ARM = platform.machine() == "aarch64"
ADD_KEY, KEYCTL, MQ_OPEN, MQ_UNLINK = ((248, 250, 240, 241), (217, 219, 180, 181))[ARM]
USER_RING, REVOKE, SET_PERMISSIONS = -4, 3, 5
PR_SET_PTRACER, ANYBODY = 0x59616D61, -1


def syscall(number: int, *arguments: object) -> int:
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return int(LIBC.syscall(ctypes.c_long(number), *given))


def main(directory: str, secret: str) -> None:
    name = f"solven-{uuid.uuid4().hex}"
    LIBC.prctl(PR_SET_PTRACER, ctypes.c_long(ANYBODY), 0, 0, 0)  # where Yama lets only ancestors trace
    signal.signal(signal.SIGURG, lambda *_: open(f"{directory}/signalled", "w").close())
    in_memory = ctypes.create_string_buffer(secret.encode())
    for path in (f"{directory}/temporary", f"/dev/shm/{name}"):
        with open(path, "w") as file:
            file.write(secret)
        os.chmod(path, 0o644)
    opened = os.open(f"{directory}/temporary", os.O_RDONLY)
    os.mkfifo(f"{directory}/fifo", 0o666)
    os.chmod(f"{directory}/fifo", 0o666)
    listening = [
        _listen(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + name),
        _listen(socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + name + "-datagrams"),
        _listen(socket.AF_UNIX, socket.SOCK_STREAM, f"{directory}/socket"),
        _listen(socket.AF_UNIX, socket.SOCK_SEQPACKET, f"{directory}/holder"),
        _listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
    ]
    port = listening[-1].getsockname()[1]
    listening.append(_listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port)))
    port6 = 0
    if os.path.exists("/proc/net/if_inet6"):
        listening.append(_listen(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)))
        port6 = listening[-1].getsockname()[1]
    for each in listening:
        threading.Thread(target=_serve, args=(each, opened), daemon=True).start()
    key = int(name[-7:], 16)
    shm, queue = LIBC.shmget(key, ctypes.c_size_t(4096), 0o1600), LIBC.msgget(key, 0o1600)
    semaphores = LIBC.semget(key, 1, 0o1600)
    message_queue = syscall(MQ_OPEN, name.encode(), os.O_CREAT | os.O_RDWR, 0o600, None)
    ring = syscall(ADD_KEY, b"user", name.encode(), secret.encode(), len(secret), USER_RING)
    syscall(KEYCTL, SET_PERMISSIONS, ring, 0x3F3F0000)
    facts = {
        "victim": os.getpid(),
        "address": ctypes.addressof(in_memory),
        "open": opened,
        "secret": secret,
        "abstract": name,
        "port": port,
        "port6": port6,
        "in_shm": name,
        "temporary": f"{directory}/temporary",
        "socket": f"{directory}/socket",
        "fifo": f"{directory}/fifo",
        "holder": f"{directory}/holder",
        "key": key,
        "shm": shm,
        "queue": name,
        "key_name": name,
        "key_number": ring,
    }
    print(json.dumps(facts), flush=True)
    sys.stdin.read()
    LIBC.shmctl(shm, 0, None)
    LIBC.msgctl(queue, 0, None)
    LIBC.semctl(semaphores, 0, 0)
    os.unlink(f"/dev/shm/{name}")
    if message_queue >= 0:
        syscall(MQ_UNLINK, name.encode())
    if ring >= 0:
        syscall(KEYCTL, REVOKE, ring)


def _listen(family: int, kind: int, address: object) -> socket.socket:
    made = socket.socket(family, kind)
    made.bind(address)  # type: ignore[arg-type]
    if isinstance(address, str) and address.startswith("/"):
        os.chmod(address, 0o666)
    if kind != socket.SOCK_DGRAM:
        made.listen(64)
    return made


def _serve(listening: socket.socket, opened: int) -> None:
    """Give whoever comes a descriptor, or say to a datagram what it said."""
    while True:
        try:
            if listening.type == socket.SOCK_DGRAM:
                listening.sendto(*listening.recvfrom(99))
                continue
            connection, _ = listening.accept()
            with connection:
                if listening.family == socket.AF_UNIX:
                    given = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [opened]))]
                    connection.sendmsg([b"x"], given)
        except OSError:
            continue


if __name__ == "__main__":
    main(*sys.argv[1:])
