"""Files that are replaced as a whole: a reader never sees half of one."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from costmodel.errors import DataError


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically: a reader never sees half of it.

    Follows links and keeps the mode of a file; writes to devices and pipes in place.

    Parameters
    ----------
    path : Path
        The file.
    text : str
        Its new content.

    Raises
    ------
    DataError
        If the path cannot be written.
    """
    with replacing(path) as half:
        half.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a file that takes the place of ``path`` at the end, unless something fails.

    Follows links and keeps the mode of a file. A device or a pipe is yielded itself. Whether the
    path can be written is found out at once.

    Parameters
    ----------
    path : Path
        The file to be replaced.

    Raises
    ------
    DataError
        If the path cannot be written; it names the path, not the file beside it.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "rows.csv") as half:
    ...         _ = half.write_text("a,b")
    ...     print(*os.listdir(folder))
    rows.csv
    """
    with _said(path):
        mode = _mode_of(path)
        in_place = mode is not None and not stat.S_ISREG(mode)
        target = Path(os.path.realpath(path))
        half = path if in_place else _beside(target)
    try:
        try:
            yield half
        except OSError as error:
            if error.errno in _FULL or error.filename in (str(half), half):
                raise _error(path, error) from None
            raise  # of other work in the ``with`` block
        if not in_place:
            with _said(path):
                _synced(half)
                os.chmod(half, 0o666 & ~_umask() if mode is None else stat.S_IMODE(mode))
                os.replace(half, target)
    finally:
        if not in_place:
            half.unlink(missing_ok=True)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors of a file that grows too large."""


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Raise errors of the operating system as a sentence about ``path``."""
    try:
        yield
    except OSError as error:
        raise _error(path, error) from None
    except ValueError as error:  # a NUL in the name
        raise DataError(f"{str(path)!r}: cannot be written: {error}") from None


def _error(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be written: {error.strerror or error}")


def _beside(path: Path) -> Path:
    """Create a file in the folder of ``path`` and return it."""
    handle, half = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    return Path(half)


def _mode_of(path: Path) -> int | None:
    """Return the mode of the file to be overwritten, None if it does not exist."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return mode


def _synced(path: Path) -> None:
    """Force a file to the disk before it takes the place of another."""
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    """Return the umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
