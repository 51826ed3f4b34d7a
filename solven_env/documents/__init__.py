"""YAML with positions, held against a JSON Schema. Profiles and the host configuration are read with it."""

from solven_env.documents.document import Document, Path, Scalar, found, path_text
from solven_env.documents.reading import MAX_BYTES, parse
from solven_env.documents.schema import validate

__all__ = ["MAX_BYTES", "Document", "Path", "Scalar", "found", "parse", "path_text", "validate"]
