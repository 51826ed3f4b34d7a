"""The error of a text that does not render."""

from __future__ import annotations

LITERAL = "A literal '{{' is written {{ '{{' }}."
"""The fix for text in which `{{` begins no expression of ours: a workflow of CI, a format of Go's."""

_LONGEST = 300


class TemplateError(Exception):
    """A text does not render.

    `code` is that of its kind of mistake. `name` is what is undefined, if that is why. If it is an attribute, `owner`
    is the value that lacks it, and `attribute_of` the type of that. `line` counts from 1, 0 if not known. `fix` is
    empty if another text is the fix.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        fix: str = "",
        name: str = "",
        attribute_of: str = "",
        owner: object = None,
        template: str = "",
        line: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}…"  # names can be of any length
        self.fix = fix
        self.name = name
        self.attribute_of = attribute_of
        self.owner = owner
        self.template = template
        self.line = line
