"""Engines' own benchmark programs on boards: one run is one sample, of as many passes.

``benchncnn`` of ncnn fills the weights with zeros; ``benchmark_model`` of TensorFlow Lite fills the
inputs with random numbers. Both warm up first and print the mean time of their passes.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..arm.bench.answers import BoardSample
from ..arm.bench.process import DEFAULT_TIMEOUT_S, attended, ended
from ..arm.bench.remote import AdbTarget, SshTarget
from ..arm.bench.texts import harmless, last_line
from ..arm.errors import BackendError, KernelError
from ..measuring.backend import LayerTiming
from .engine_there import PROGRAMS

SAMPLE = 0.1
"""A run repeats a network until its passes take this long: to start it takes longer still. [s]"""
_DAY = 86400.0
_FINE = 20  # times the last digit that benchncnn prints: less is not precise enough
_HUNDREDTH = 1e-5  # [s]
_WATCHED = (
    "exec 3<&0; {command} </dev/null 3<&- & p=$!; "
    "{{ cat <&3; kill -9 $p; }} >/dev/null 2>&1 & w=$!; "
    "wait $p; r=$?; kill $w 2>/dev/null; (exit $r)"
)
"""Ends a program that does not look at its standard input as soon as that closes."""
_BOUND = (
    'for t in {ways}; do if $t true >/dev/null 2>&1; then echo "bound by $t"; '
    "$t grep Cpus_allowed_list /proc/self/status; break; fi; done"
)
_PROFILE = re.compile(
    r"^(?:INFO: )?\s*(?P<kind>\S.*?)\s+(?:[\d.]+\s+)?[\d.]+\s+(?P<ms>[\d.]+)\s+[\d.]+%\s+[\d.]+%\s+"
    r"[\d.]+\s+(?P<times>\d+)\s+(?P<name>\S.*)$"
)


@dataclass(frozen=True)
class _Loaded:
    """A network's file on the board, and the shape of its inputs as ncnn's program wants it."""

    path: str
    shapes: str


@dataclass
class ProgramRunning:
    """A program that is started for every sample.

    Parameters
    ----------
    target : SshTarget or AdbTarget
        The board.
    engine, path : str
        Of which engine it is, and where it lies there.
    threads : int
        Threads that it runs a network with.
    """

    target: SshTarget | AdbTarget
    engine: str
    path: str
    threads: int
    _prefix: str = ""
    _networks: list[_Loaded] = field(default_factory=list)

    @property
    def _what(self) -> str:
        return PROGRAMS[self.engine]

    def pin(self, cores: Sequence[int]) -> None:
        """Bind the program to cores.

        Raises
        ------
        BackendError
            If the board has no ``taskset`` or the cores are not these afterwards.
        """
        listed, mask = ",".join(map(str, cores)), sum(1 << core for core in set(cores))
        # util-linux takes a list; Android's toybox a mask, and busybox one that begins with 0x
        ways = (f"taskset -c {listed}", f"taskset {mask:x}", f"taskset 0x{mask:x}")
        done = self.target.shell(_BOUND.format(ways=" ".join(map(shlex.quote, ways))))
        said = done.stdout.decode(errors="replace")
        found = re.search(r"Cpus_allowed_list:\s*([\d,-]+)", said)
        way = next((way for way in ways if f"bound by {way}\n" in said), "")
        if not way or found is None or _cores(found[1]) != set(cores):
            raise BackendError(
                f"{self.target.name}: {self._what} was to be bound to core {listed}: the board's "
                f"taskset says {harmless(said.strip()) or 'nothing'}"
            )
        self._prefix = way

    def load(self, path: str, inputs: Mapping[str, tuple[int, ...]]) -> int:
        """Run a network once; return its number."""
        shapes = ",".join(f"[{','.join(map(str, reversed(shape)))}]" for shape in inputs.values())
        self._networks.append(_Loaded(path, shapes))
        self._seconds(len(self._networks) - 1, 1)
        return len(self._networks) - 1

    def samples(
        self, network: int, repeat: int, least: int, seconds: float
    ) -> tuple[BoardSample, ...]:
        """Take samples: at least as many, and for as long as asked."""
        found: list[BoardSample] = []
        begin = time.monotonic()
        while len(found) < least or time.monotonic() - begin < seconds:
            mean = self._seconds(network, repeat)
            found.append(BoardSample(mean, 0.0, False))
        return tuple(found)

    def layers(self, network: int, runs: int) -> tuple[LayerTiming, ...]:
        """Return the time of every layer; none where the program does not tell."""
        if self.engine != "tflite":
            return ()
        return profile(self._said(network, runs, "--enable_op_profiling=true"))

    def _seconds(self, network: int, repeat: int) -> float:
        said = self._said(network, repeat)
        found = mean_seconds(self.engine, said)
        if found is None:
            raise KernelError(
                f"{self.target.name}: {self._what} gave no time for the network: it says "
                f"{last_line(said.encode())!r}{_ADVICE.get(self.engine, '')}"
            )
        if not 0 < found < _DAY:
            raise KernelError(f"{self.target.name}: {self._what} says that it took {found:g} s")
        if self.engine == "ncnn" and found < _FINE * _HUNDREDTH:
            raise BackendError(
                f"{self.target.name}: benchncnn prints hundredths of a millisecond, which is too "
                f"coarse for a network of {found * 1e3:.2f} ms: use ncnn's Python package"
            )
        return found

    def _said(self, network: int, repeat: int, *more: str) -> str:
        loaded = self._networks[network]
        program = f"{self._prefix} {shlex.quote(self.path)}".strip()
        if self.engine == "ncnn":
            words = [str(repeat), str(self.threads), "0", "-1", "0"]
            words += [f"param={loaded.path}", f"shape={loaded.shapes}"]
        else:
            words = [f"--graph={loaded.path}", f"--num_threads={self.threads}"]
            words += [f"--num_runs={repeat}", "--min_secs=0", "--warmup_runs=3", *more]
        command = " ".join([program, *map(shlex.quote, words)])
        done = attended(
            self.target.command(_WATCHED.format(command=command)),
            DEFAULT_TIMEOUT_S,
            self.target.name,
        )
        if done.returncode != 0:
            said = done.stderr if done.stderr.strip() else done.stdout
            raise ended(done.returncode, said, self.target.name, self._what)
        return (done.stdout + b"\n" + done.stderr).decode(errors="replace")


_ADVICE = {"ncnn": " (versions before 2023 take no param=)"}


def mean_seconds(engine: str, said: str) -> float | None:
    """Read the mean time of a pass out of what a program printed; None where it is missing.

    Parameters
    ----------
    engine : {"ncnn", "tflite"}
        Whose program it was.
    said : str
        Its output.

    Returns
    -------
    float, optional
        [s]

    Examples
    --------
    >>> mean_seconds("ncnn", "  net.param  min =  1.00  max =  3.00  avg =  1.50")
    0.0015
    >>> round(mean_seconds("tflite", "Inference timings in us: Init: 1, Inference (avg): 1500"), 6)
    0.0015
    """
    number = r"([-+\w.]+)"
    if engine == "ncnn":
        found = re.findall(rf"min =\s*{number}\s+max =\s*{number}\s+avg =\s*{number}", said)
        scale, parts = 1e-3, found[-1] if found else ()
    else:
        means = re.findall(rf"Inference \(avg\):\s*{number}", said)
        scale, parts = 1e-6, (means[-1], means[-1], means[-1]) if means else ()
    try:
        low, high, mean = (scale * float(part) for part in parts)
    except ValueError:
        return None
    return mean if low <= mean <= high else None


def profile(said: str) -> tuple[LayerTiming, ...]:
    """Read the layers of ``benchmark_model``'s profile, in the order in which they run.

    Examples
    --------
    >>> text = '''Operator-wise Profiling Info for Regular Benchmark Runs:
    ... ==================== Run Order ====================
    ...   [node type]  [first]  [avg ms]  [%]  [cdf%]  [mem KB]  [times called]  [Name]
    ...   CONV_2D  1.2  1.1  60.0%  60.0%  0.000  1  [conv]:0
    ... ==================== Top by Computation Time ===================='''
    >>> profile(text)
    (LayerTiming(name='[conv]:0', kind='CONV_2D', samples=(0.0011,), node=''),)
    """
    _, _, regular = said.partition("Operator-wise Profiling Info for Regular Benchmark Runs:")
    _, _, table = regular.partition("Run Order")
    table, _, _ = table.partition("Top by Computation Time")
    found = [_PROFILE.match(line) for line in table.splitlines()]
    return tuple(
        LayerTiming(
            harmless(row["name"]),
            harmless(row["kind"]),
            (float(row["ms"]) * int(row["times"]) / 1e3,),
        )
        for row in found
        if row is not None
    )


def _cores(text: str) -> set[int]:
    """Return the cores of a list of the kernel, such as ``4-7``."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
