"""YAML with positions, held against a JSON Schema, and messages located in it: profiles and the host configuration."""
