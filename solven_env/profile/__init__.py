"""Profiles: YAML text in, a resolved profile or located mistakes out. Pure: no file, clock or environment is read."""
