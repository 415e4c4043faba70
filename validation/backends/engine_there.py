"""Engines on boards, found there or sent from a path given by the user."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

from costmodel.errors import DataError

from ..arm.bench.private import MARK, Program
from ..arm.bench.remote import AdbTarget, SshTarget
from ..arm.bench.targets import parse_board
from ..arm.bench.texts import harmless
from ..arm.errors import BackendError
from .engine_models import TITLES

PROGRAMS = {"ncnn": "benchncnn", "tflite": "benchmark_model"}
"""The program of an engine that runs a network again and again; ONNX Runtime is run by Python."""

_PACKAGES = {"ncnn": "ncnn", "onnxruntime": "onnxruntime", "tflite": "ai-edge-litert"}
_PYTHONS = ("python3", "python")
_ELF, _AARCH64 = b"\x7fELF", 183


@dataclass(frozen=True)
class Wanted:
    """What a target says of its engine.

    Parameters
    ----------
    engine : str
        ``"ncnn"``, ``"onnxruntime"`` or ``"tflite"``.
    python : str
        The Python on the board whose package is used; by default the first that has it.
    program : str
        A program here that is sent and used; by default none.
    """

    engine: str
    python: str = ""
    program: str = ""


@dataclass(frozen=True)
class EngineThere:
    """An engine on a board.

    Parameters
    ----------
    kind : {"python", "program"}
        What runs it.
    path : str
        Of that Python or program, on the board.
    version : str
        As the package says; empty for programs, which do not say.
    folder : str
        The private folder.
    runner : str
        Where the server for Python packages lies.
    machine : str
        As ``uname -m`` says there.
    sent : Program
        What of it was sent: checked there before every run.
    """

    kind: Literal["python", "program"]
    path: str
    version: str
    folder: str
    runner: str
    machine: str
    sent: Program = field(repr=False)


def parse_engine(engine: str, text: str) -> tuple[SshTarget | AdbTarget, Wanted]:
    """Return the board and the engine that ``ssh://...`` or ``adb://...`` names.

    Parameters
    ----------
    engine : str
        The name of the engine.
    text : str
        The board, and behind a ``?`` which Python or program.

    Raises
    ------
    DataError
        If it names no board, or asks for what there is not.

    Examples
    --------
    >>> board, wanted = parse_engine("ncnn", "ssh://pi@board?python=/home/pi/venv/bin/python")
    >>> board.host, wanted.python
    ('board', '/home/pi/venv/bin/python')
    """
    place, _, query = text.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    known = ("python", "program") if engine in PROGRAMS else ("python",)
    for key, value in pairs:
        if key not in known or not value or not value.isprintable():
            raise DataError(
                f"{engine}:{place} takes {' or '.join(f'?{name}=PATH' for name in known)}, "
                f"not {f'{key}={value}'!r}"
            )
    if len({key for key, _ in pairs}) != len(pairs) or len(pairs) > 1:
        raise DataError(f"{engine}:{place} takes one of {' and '.join(known)}, once")
    try:
        board = parse_board(f"arm:{place}")
    except DataError as error:
        raise DataError(str(error).replace("arm:", f"{engine}:")) from None
    return board, Wanted(engine, **dict(pairs))


def find_engine(target: SshTarget | AdbTarget, wanted: Wanted, name: str) -> EngineThere:
    """Find an engine on a board, or send it there.

    Raises
    ------
    BackendError
        If there is none: the message says what would help.
    """
    runner = Program((Path(__file__).parent / "board_runner.py").read_bytes(), "engine", ".py")
    folder = target.install(runner)
    machine = target.look(runner).machine
    where = f"{folder}/{runner.name}"
    if wanted.program:
        sent = Program(_content(wanted.program), "engine")
        path = f"{target.install(sent)}/{sent.name}"
        version = f"sent, {sent.sha256[:12]}"
        return EngineThere("program", path, version, folder, where, machine, sent)
    pythons = (wanted.python,) if wanted.python else _PYTHONS
    said = _asked(target, wanted.engine, pythons, where, folder, name)
    if "python" in said:
        version = said.get("found", "unknown")
        return EngineThere("python", said["python"], version, folder, where, machine, runner)
    if "program" in said and not wanted.python:
        return EngineThere("program", said["program"], "", folder, where, machine, runner)
    if "crashed" in said:
        raise BackendError(
            f"{name}: {TITLES[wanted.engine]}'s package for {said['crashed']} crashes on the "
            "board: it may be built for a newer processor"
        )
    raise BackendError(_absent(wanted, name, folder))


def _asked(
    target: SshTarget | AdbTarget,
    engine: str,
    pythons: Sequence[str],
    runner: str,
    folder: str,
    name: str,
) -> dict[str, str]:
    program = PROGRAMS.get(engine, "")
    command = (
        f"for p in {' '.join(map(shlex.quote, pythons))}; do "
        f'v=$("$p" {shlex.quote(runner)} find {engine} 2>/dev/null </dev/null) && '
        f'{{ echo "{MARK}python $p"; echo "$v"; break; }} || '
        f'{{ [ $? -gt 128 ] && echo "{MARK}crashed $p"; }}; done; '
    )
    if program:
        command += (
            f'for p in "$(command -v {program})" {shlex.quote(f"{folder}/{program}")}; do '
            f'[ -f "$p" ] && [ -x "$p" ] && {{ echo "{MARK}program $p"; break; }}; done; '
        )
    done = target.shell(f'{command}echo "{MARK}looked"')
    said: dict[str, str] = {}
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith(MARK):
            key, _, value = line.removeprefix(MARK).partition(" ")
            said.setdefault(key, value.strip())
    if "looked" not in said:
        raise BackendError(f"{name}: the board did not say which engines it has")
    if not all(value.isprintable() for value in said.values()):
        raise BackendError(f"{name}: the board names its engine {harmless(str(said))}")
    return said


def _content(path: str) -> bytes:
    """Return the program that is sent.

    Raises
    ------
    BackendError
        If it cannot be read, or is one for another processor.
    """
    try:
        content = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise BackendError(f"{path}: the program cannot be read: {error.strerror}") from None
    if not content.startswith((_ELF, b"#!")):
        raise BackendError(f"{path} is not a program")
    if content.startswith(_ELF) and int.from_bytes(content[18:20], "little") != _AARCH64:
        raise BackendError(f"{path} is a program for another processor than 64-bit ARM")
    return content


def _absent(wanted: Wanted, name: str, folder: str) -> str:
    title, package = TITLES[wanted.engine], _PACKAGES[wanted.engine]
    python = wanted.python or "python3"
    said = (
        f"{name}: there is no {title} on the board: {python} there lacks its package or numpy "
        f"(pip install {package} numpy)"
    )
    if wanted.engine not in PROGRAMS or wanted.python:
        return said
    program = PROGRAMS[wanted.engine]
    return (
        f"{said}, and there is no {program} on its PATH or in {folder}; one that lies here is sent "
        f"with {name.partition('?')[0]}?program=PATH"
    )
