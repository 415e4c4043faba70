"""Lines of JSON at the end of a file: each on the disk, whole, before the next."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any


def append_line(file: int, document: Mapping[str, Any]) -> None:
    """Write ``document`` as one line at the end of an open file and force it to the disk.

    Raises
    ------
    OSError
        If the disk is full or fails; the file is as long as before.
    """
    line = json.dumps(document, sort_keys=True) + "\n"
    size = os.fstat(file).st_size
    # A line that was cut off stays alone: the next one must not be glued to it.
    if size and os.pread(file, 1, size - 1) != b"\n":
        line = "\n" + line
    data = line.encode()
    try:
        written = os.write(file, data)
        if written < len(data):  # a disk that fills up takes part of a line first
            os.write(file, data[written:])
        os.fsync(file)
    except OSError:
        with contextlib.suppress(OSError):  # a failing disk: reading skips the torn line anyway
            os.ftruncate(file, size)
        raise
