"""Handlers of ncnn layers; the importer loads every module of this folder."""
