"""Check of a board for problems before measuring, and its cleaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console

from costmodel.errors import DataError

from .arm.bench.answers import Host
from .arm.bench.board import Board
from .arm.bench.build import build_armbench
from .arm.bench.private import Found, Program
from .arm.bench.remote import AdbTarget, SshTarget
from .arm.bench.session import Session
from .arm.bench.targets import parse_board
from .arm.errors import BackendError
from .arm.identity import name_device
from .backends import ENGINES
from .backends.engine_there import Wanted, find_engine
from .measuring.running import say

board = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Target = Annotated[
    str, typer.Argument(help="arm:ssh://user@host:port or arm:adb://serial; arm: may be left out.")
]
_MACHINES = ("aarch64", "arm64")


@board.callback()
def _about() -> None:
    """Look at a board before anything is measured on it, and leave nothing behind."""


@board.command()
def check(target: Target) -> None:
    """Print the properties of TARGET, the location of the program, and possible problems.

    Exit codes: 0 if it can be used for measuring; 1 if it cannot, or only badly, with the reasons;
    2 if it cannot be reached. For example:

    costmodel board check ssh://pi@raspberrypi.local
    """
    console = Console()
    where = _parse(target)
    program = Program(build_armbench().read_bytes())
    found = where.look(program)
    say(console, f"{where.name}: the login runs commands, on {found.machine or 'some machine'}")
    troubles = list(_troubles_of_folder(found))
    if found.folder:
        say(console, f"private folder: {found.folder} (the program: {_state(found, program)})")
        for engine in ENGINES:
            say(console, f"engine {engine}: {_engine(where, engine)}")
        try:
            folder = where.install(program)
            command = where.program_command(f"{folder}/{program.name}")
            with Session(command, where.name) as session:
                host = Board(session).host()
        except BackendError as error:
            troubles.append(str(error))
        else:
            for line in _lines(host):
                say(console, line)
            troubles += _troubles_of_host(host)
    for trouble in troubles:
        say(console, f"trouble: {trouble}", "red")
    if troubles:
        raise typer.Exit(1)
    say(console, "nothing stands against measuring here")


@board.command()
def clean(target: Target) -> None:
    """Remove from TARGET what measuring has left there.

    For example:

    costmodel board clean adb://
    """
    where = _parse(target)
    removed = where.clean()
    say(Console(), f"{where.name}: {f'removed {removed}' if removed else 'there was nothing'}")


def _parse(target: str) -> SshTarget | AdbTarget:
    return parse_board(target if target.startswith("arm:") else f"arm:{target}")


def _engine(where: SshTarget | AdbTarget, engine: str) -> str:
    try:
        there = find_engine(where, Wanted(engine), where.name)
    except BackendError:
        return "not there"
    return f"{there.version}, by {there.path}" if there.version else f"by {there.path}"


def _state(found: Found, program: Program) -> str:
    if found.sha256 == program.sha256:
        return "there, as it must be"
    return "not there yet" if found.sha256 == "absent" else "another one, to be replaced"


def _troubles_of_folder(found: Found) -> Iterator[str]:
    yield from found.skipped
    if not found.folder and not found.skipped:
        yield "the login names no folder of its own"
    if found.machine and found.machine not in _MACHINES:
        yield f"the board's system is {found.machine}: the program needs one for 64-bit ARM"


def _lines(host: Host) -> Iterator[str]:
    for core in host.cores:
        clock = f", up to {core.clock / 1e9:.2f} GHz" if core.clock else ""
        governor = f", governor {core.governor}" if core.governor else ""
        yield f"core {core.number}: {core.part}{clock}{governor}"
    for key, value in host.texts.items():
        if value:
            yield f"{key}: {value}"


def _troubles_of_host(host: Host) -> Iterator[str]:
    if host.emulator:
        yield f"the emulator {host.emulator} runs the program: its times are no latency"
    if host.unverified:
        yield f"it cannot be told whether this is a real board: {host.unverified}"
    slow = sorted({core.governor for core in host.cores} - {"performance", ""})
    if slow:
        yield f"governor {', '.join(slow)}: times are steadier under performance"
    if not host.emulator:
        try:
            name_device(host)
        except DataError as error:
            yield f"{error} Give --platform when you measure"
