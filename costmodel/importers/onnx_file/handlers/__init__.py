"""Handlers of ONNX operators; the importer loads every module of this folder."""
