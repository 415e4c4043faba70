"""Builds of the C programs with an available compiler, cached by their inputs."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import BackendError

SOURCES = Path(__file__).parent / "src"
_COMMON = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-g0")
_ARM_FLAGS = (*_COMMON, "-D_GNU_SOURCE", "-pthread", "-static", "-lm")
_COUNTER_FLAGS = ("-std=gnu11", "-O2", "-g0", "-shared", "-fPIC")
_TIMEOUT_S = 900  # ziglang builds the C library the first time: 90 s on two slow cores


@dataclass(frozen=True)
class Compiler:
    """A way to compile C: the words before the sources, and what identifies its version."""

    name: str
    command: tuple[str, ...]
    version: str


def cache_folder() -> Path:
    """Return where builds are kept: ``$COSTMODEL_CACHE``, else the user's cache folder."""
    if override := os.environ.get("COSTMODEL_CACHE"):
        return Path(override)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "costmodel"


def _gcc_like(program: str, *flags: str) -> Compiler | None:
    path = shutil.which(program)
    if path is None:
        return None
    asked = subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=False, timeout=60
    )
    return Compiler(program, (path, *flags), asked.stdout) if asked.returncode == 0 else None


def _zig(*flags: str) -> Compiler | None:
    if importlib.util.find_spec("ziglang") is None:
        return None
    version = importlib.metadata.version("ziglang")
    return Compiler("ziglang", (sys.executable, "-m", "ziglang", "cc", *flags), version)


def _is_arm_linux() -> bool:
    return sys.platform == "linux" and platform.machine() in {"aarch64", "arm64"}


_ARM = ("-march=armv8-a", "-mtune=cortex-a57")
_ZIG_ARM = ("-target", "aarch64-linux-musl", "-mcpu=cortex_a57")
ARM_COMPILERS: dict[str, Callable[[], Compiler | None]] = {
    "cc": lambda: _gcc_like("cc", *_ARM) if _is_arm_linux() else None,
    "aarch64-linux-gnu-gcc": lambda: _gcc_like("aarch64-linux-gnu-gcc", *_ARM),
    "ziglang": lambda: _zig(*_ZIG_ARM),
}
HOST_COMPILERS: dict[str, Callable[[], Compiler | None]] = {
    "cc": lambda: _gcc_like("cc"),
    "gcc": lambda: _gcc_like("gcc"),
    "clang": lambda: _gcc_like("clang"),
    "ziglang": lambda: _zig(),
}


def build_armbench(compiler: str | None = None) -> Path:
    """Path of the static aarch64 program, built when it is not in the cache.

    Parameters
    ----------
    compiler
        A key of ``ARM_COMPILERS``; the first that is installed when not given.

    Raises
    ------
    BackendError
        No compiler is installed, or it fails.
    """
    found = _arm_compiler(compiler)
    return _build(found, sorted(SOURCES.glob("*.c")), _ARM_FLAGS, "armbench")


def arm_compiler() -> str:
    """Name and version of the compiler of the ARM program: its counts depend on it.

    Raises
    ------
    BackendError
        No compiler is installed.
    """
    found = _arm_compiler(None)
    first = found.version.partition("\n")[0]
    return first if first.startswith(found.name) else f"{found.name} {first}"


def _arm_compiler(name: str | None) -> Compiler:
    return _first(ARM_COMPILERS, name, "gcc-aarch64-linux-gnu and libc6-dev-arm64-cross")


def build_counter(compiler: str | None = None) -> Path:
    """Path of the host's library that counts instructions and cache misses (``counter/``)."""
    found = _first(HOST_COMPILERS, compiler, "gcc")
    return _build(found, [SOURCES / "counter" / "counter.c"], _COUNTER_FLAGS, "counter.so")


def _first(
    table: dict[str, Callable[[], Compiler | None]], wanted: str | None, debian: str
) -> Compiler:
    names = [wanted] if wanted is not None else list(table)
    for name in names:
        if name not in table:
            raise BackendError(f"no compiler is called {name!r}; there are {', '.join(table)}")
        if (found := table[name]()) is not None:
            return found
    raise BackendError(
        f"no C compiler was found ({', '.join(names)}): install the Python package ziglang "
        f"(pip install 'nn-costmodel[arm]') or Debian's {debian}"
    )


def _key(compiler: Compiler, sources: Sequence[Path], flags: Sequence[str]) -> str:
    """Hash of everything the result depends on."""
    digest = hashlib.sha256()
    # the interpreter's path says nothing of the compiler it starts
    command = tuple(word for word in compiler.command if word != sys.executable)
    digest.update(repr((command, compiler.version, tuple(flags))).encode())
    for path in sorted([*sources, *SOURCES.glob("*.h")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:20]


def _build(compiler: Compiler, sources: Sequence[Path], flags: Sequence[str], name: str) -> Path:
    target = cache_folder() / "arm" / _key(compiler, sources, flags) / name
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            made = Path(scratch) / name
            _compile(
                [*compiler.command, *map(str, sources), "-o", str(made), *flags],
                compiler.name,
                name,
            )
            os.replace(made, target)  # so that no one ever sees half a program
    except OSError as error:
        raise BackendError(
            f"{name} cannot be built in {target.parent}: {error.strerror}"
        ) from error
    return target


def _compile(command: Sequence[str], compiler: str, name: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{compiler} did not build {name} within {_TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = [
            line for line in done.stderr.splitlines() if "error" in line
        ] or done.stderr.splitlines()
        raise BackendError(
            f"{compiler} cannot build {name}: {lines[0] if lines else 'it said nothing'}"
        )
