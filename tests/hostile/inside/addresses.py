"""Who stands on the hosts of the test's own (`tests/sandbox/hosts.py`), and is asked from a sandbox."""

from __future__ import annotations

PORT, LOOPBACK_PORT = 7007, 7008
OWN = ("10.9.8.7", "172.20.1.1", "192.168.77.7", "100.64.5.5", "169.254.169.254", "192.0.0.192", "198.18.0.9")
"""Private ones of host A, where sandboxes start."""
OWN_PUBLIC = ("192.0.2.7", "203.0.113.1")
OWN6 = ("fd00:77::7", "2001:db8::7")
BEYOND = ("10.44.0.9", "172.21.0.9", "192.168.44.9", "100.64.44.9", "169.254.44.9", "192.0.0.44", "198.18.44.9")
"""Private ones of another host, B, which A has a way to."""
CLOUDS = (
    *("168.63.129.16", "161.26.0.10", "166.9.0.9", "192.80.8.124", "183.60.82.98", "183.60.83.19", "169.254.170.2"),
    *("169.254.170.23", "169.254.42.42", "169.254.0.23", "100.100.100.200", "100.96.0.96"),
)
"""What B has of clouds' (`solven_env.sandbox.network.walls.SERVICES`); 169.254.169.254 and 192.0.0.192 are A's."""
