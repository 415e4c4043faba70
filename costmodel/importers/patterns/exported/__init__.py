"""Patterns of what exporters take apart; every module of this folder is loaded by listing."""
