"""YAML with positions, held against a JSON Schema. Profiles and the host configuration are read with it."""

from solven_env.documents.reading import Document, Path, parse
from solven_env.documents.schema import path_text, validate

__all__ = ["Document", "Path", "parse", "path_text", "validate"]
