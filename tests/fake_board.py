"""A board that answers at once, and the command that measures on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from typer.testing import CliRunner

from costmodel.cli.app import app
from costmodel_validation.arm.bench.texts import harmless
from costmodel_validation.arm.errors import KernelError


def validate(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["validate", *words], env={"COLUMNS": "1000"})
    assert result.exit_code == code, result.output
    return result


A72 = {"part": "arm:0x41:0xd08", "max_khz": 1_500_000, "governor": "performance"}


@dataclass
class Board:
    """A board whose operators take a millisecond each, as its program would answer."""

    emulator: str | None = None
    cores: tuple[dict[str, Any], ...] = tuple({**A72, "cpu": number} for number in range(4))
    unverified: str | None = None
    hertz: tuple[float, ...] = (1.5e9,)
    slow: float = 1.0
    noise: float = 0.0
    failure: str = ""
    bound: list[int] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    networks: list[int] = field(default_factory=list)
    name: str = "arm:ssh://me@board"
    where: str = "arm:ssh://me@board"

    @property
    def runs(self) -> int:
        return sum(command.startswith(("turn", "detail")) for command in self.commands)

    def session(self) -> Board:
        return self

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, command: str, timeout: float) -> dict[str, Any]:
        self.commands.append(command)
        word, *rest = command.split()
        return getattr(self, word)(*rest)

    def host(self) -> dict[str, Any]:
        told = {"machine": "aarch64", "emulator": self.emulator, "load": "0.1 0.1"}
        if self.unverified:
            told["unverified"] = self.unverified
        return {"host": {**told, "cores": list(self.cores)}}

    def pin(self, *cores: str) -> dict[str, Any]:
        self.bound = [int(core) for core in cores]
        return {"cores": self.bound}

    def threads(self, count: str) -> dict[str, Any]:
        return {"threads": [[core] for core in self.bound[: int(count)]]}

    def network(self, *words: str) -> dict[str, Any]:
        if self.failure:
            raise KernelError(harmless(self.failure))
        self.networks.append(words.count("op"))
        return {"network": len(self.networks) - 1}

    def turn(self, number: str, repeat: str, least: str, *_: str) -> dict[str, Any]:
        operators = self.networks[int(number)]
        count = max(20, int(least.partition("=")[2]))
        hertz = self.hertz[min(self.runs, len(self.hertz)) - 1]
        state = {"hertz": hertz, "core": (self.bound or [0])[0], "khz": -1, "millicelsius": 50000}
        each = operators * 1e-3 * (self.slow if hertz < max(self.hertz) else 1.0)
        each *= 1 + self.noise * (self.runs % 3)
        samples = [[(1 + 0.01 * i / count) * each, 1.0, 0] for i in range(count)]
        return {"before": state, "after": state, "samples": samples}

    def detail(self, number: str, *_: str) -> dict[str, Any]:
        return {"operators": [[1e-3] * 20] * self.networks[int(number)]}


@pytest.fixture(name="board")
def board_at_hand(monkeypatch: pytest.MonkeyPatch) -> Board:
    """Put a fake board in the place of every board that a backend is given."""
    board = Board()
    monkeypatch.setattr("costmodel_validation.backends.arm.parse_target", lambda name: board)
    return board
