"""Images are known by their content, and only whole ones are believed."""

from __future__ import annotations

import struct
import zlib

import pytest

from solven_env.doors.images import mime_type


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">2I5B", 1, 1, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\0"))
    + chunk(b"IEND", b"")
)
GIF = b"GIF89a" + struct.pack("<2H3B", 1, 1, 0, 0, 0) + b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
JPEG = b"\xff\xd8\xff\xe0" + bytes(200) + b"\xff\xd9"
WEBP = b"RIFF" + struct.pack("<I", 26) + b"WEBPVP8L" + bytes(18)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"),
        (GIF, "image/gif"),
        (JPEG, "image/jpeg"),
        (WEBP, "image/webp"),
        (b"", None),
        (b"GIF89a is how the notes begin", None),
        (GIF[:-1], None),
        (PNG[:-1], None),
        (PNG + b"more", None),
        (PNG.replace(struct.pack(">2I", 1, 1), bytes(8)), None),
        (b"\x89PNG\r\n\x1a\n", None),
        (JPEG[:-2], None),
        (b"\xff\xd8\xff\xd9", None),
        (WEBP[:-1], None),
        (WEBP + b"more", None),
        (b"RIFF" + struct.pack("<I", 26) + b"WAVEfmt " + bytes(18), None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
    ],
)
def test_only_whole_images_are_images(data: bytes, kind: str | None) -> None:
    assert mime_type(data) == kind
