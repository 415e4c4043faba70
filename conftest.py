"""Doctests that need torch are left out where it is not installed, as the tests are."""

from importlib.util import find_spec

FOLDERS = ("costmodel/importers/torch_module/*", "validation/coverage/*")
collect_ignore_glob = [] if find_spec("torch") else list(FOLDERS)
