"""The error of a text that does not render."""

from __future__ import annotations

_LONGEST = 300


class TemplateError(Exception):
    """A text does not render.

    `name` is what is undefined, if that is why, and `attribute_of` the type that lacks it, where it is an attribute;
    `line` counts from 1, 0 if not known. `fix` is empty where the fix is just to write another text.
    """

    def __init__(
        self,
        message: str,
        *,
        fix: str = "",
        name: str = "",
        attribute_of: str = "",
        template: str = "",
        line: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}…"  # names can be of any length
        self.fix = fix
        self.name = name
        self.attribute_of = attribute_of
        self.template = template
        self.line = line
