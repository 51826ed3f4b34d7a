"""Output of a command that is kept in memory, up to a bound."""

from __future__ import annotations

from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal


class Capture:
    """The first `most` bytes of an output, or with `keep` "tail" the last ones; what is beyond is read and dropped.

    With `stops` nobody reads on after the first ones, and who prints on is told (EPIPE), as by head(1).

    `told` is given all of it as text as it comes: UTF-8, with U+FFFD for what is none, and no character is cut in two.
    """

    def __init__(
        self,
        most: int,
        keep: Literal["head", "tail"] = "head",
        told: Callable[[str], object] | None = None,
        *,
        stops: bool = False,
    ) -> None:
        self.stops = stops
        self.most = most
        self.keep = keep
        self.told = told
        self.truncated = False
        self._kept = bytearray()
        self._decoder = None
        if told is not None:
            import codecs

            self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def data(self) -> bytes:
        """The bytes that are kept."""
        return bytes(self._kept[-self.most :] if self.keep == "tail" and self.most else self._kept[: self.most])

    def take(self, piece: bytes) -> None:
        """Output goes on with these bytes."""
        if self.keep == "head":
            room = self.most - len(self._kept)
            self._kept += piece[: max(room, 0)]
            self.truncated |= len(piece) > room
        else:
            self._kept += piece
            self.truncated |= len(self._kept) > self.most
            if len(self._kept) > 2 * self.most:  # not at each piece: to move the rest costs
                del self._kept[: len(self._kept) - self.most]
        self._tell(piece, is_last=False)

    @property
    def is_over(self) -> bool:
        """True if no more is to be read."""
        return self.stops and self.truncated

    def end(self) -> None:
        """Output is at its end: what is left of a character is told."""
        self._tell(b"", is_last=True)

    def _tell(self, piece: bytes, *, is_last: bool) -> None:
        if self.told is not None and self._decoder is not None:
            text = self._decoder.decode(piece, is_last)
            if text:
                self.told(text)
