"""Profiles as files, for tests of the verbs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_profile(place: Path, dotfiles: Mapping[str, Any], **sections: Any) -> Path:
    """A profile of these dotfiles (text stands for its content) and other sections; JSON is YAML."""
    written = {path: {"content": item} if isinstance(item, str) else item for path, item in dotfiles.items()}
    document = {"version": 1, "name": "test", "release": "1.0.0", **sections, "dotfiles": written}
    place.write_text(json.dumps(document))
    return place
