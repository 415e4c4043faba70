"""Handlers of ATen operators; the importer loads every module of this folder."""
