"""Lines of JSON appended to a file; each is complete on disk before the next one."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def open_alone(path: Path) -> int:
    """Open a file to append to, for this process alone.

    Raises
    ------
    BlockingIOError, OSError, ValueError
        If another process appends to it; if it cannot be opened.
    """
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        raise
    return opened


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
