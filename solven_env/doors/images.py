"""Images, known by their content."""

from __future__ import annotations

import struct


def mime_type(data: bytes) -> str | None:
    """The MIME type of a PNG, JPEG, GIF or WebP image that is whole, else None.

    An image's beginning alone is not believed: what a client hands to a model as an image and is none makes every later
    call of that model fail.

        >>> mime_type(b"GIF89a, and then text") is None
        True
    """
    return next((kind for kind, is_whole in _KINDS.items() if is_whole(data)), None)


def _is_png(data: bytes) -> bool:
    """https://www.w3.org/TR/png-3/#5DataRep: a signature, IHDR with two sizes that are not 0, and IEND at the end."""
    return data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and _sizes(">2I", data, 16) and _ends_png(data)


def _ends_png(data: bytes) -> bool:
    return len(data) >= 57 and data[-8:] == b"IEND\xaeB`\x82"


def _is_jpeg(data: bytes) -> bool:
    """https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.1.1.3: SOI and a marker, and EOI at the end."""
    return len(data) > 100 and data[:3] == b"\xff\xd8\xff" and data.rstrip(b"\0")[-2:] == b"\xff\xd9"


def _is_gif(data: bytes) -> bool:
    """https://www.w3.org/Graphics/GIF/spec-gif89a.txt: two sizes, and the trailer at the end."""
    return data[:6] in (b"GIF87a", b"GIF89a") and len(data) > 20 and _sizes("<2H", data, 6) and data[-1:] == b";"


def _is_webp(data: bytes) -> bool:
    """https://developers.google.com/speed/webp/docs/riff_container: RIFF with the length of all that follows."""
    if len(data) < 20 or data[:4] != b"RIFF" or data[8:12] != b"WEBP" or data[12:15] != b"VP8":
        return False
    (length,) = struct.unpack_from("<I", data, 4)
    return bool(length + 8 == len(data))


def _sizes(form: str, data: bytes, offset: int) -> bool:
    return len(data) >= offset + struct.calcsize(form) and all(struct.unpack_from(form, data, offset))


_KINDS = {"image/png": _is_png, "image/jpeg": _is_jpeg, "image/gif": _is_gif, "image/webp": _is_webp}
