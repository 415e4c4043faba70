"""One network of the list: its import, both counts, and three times."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import MeasuringError
from .entry import Call
from .independent import (
    flop_counter,
    independent_count,
    taken_apart,
)
from .networks import Network
from .ours import full_square, our_graph
from .result import NOT_INSTALLED, Result
from .sentence import sentence
from .through_onnx import EXPORTERS, exported, predictions

_SEED = 20
_REPEATS = 3
_ENOUGH = 2.0
"""Time of one task after which it is not repeated. [s]"""


def measure(network: Network, onnx: bool = False) -> Result:
    """Build a network, import it, count it twice, and time three counters.

    With ``onnx``, also export it and count the files.

    Both counts start from the same weights and inputs, each from its own module, so neither sees
    side effects of the other. The same holds for their times.
    """
    import torch

    if network.missing:
        return Result(network.name, missing=network.missing)
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, about nothing that is measured here
        try:
            count = independent_count(_build(network))
            call, others = _build(network), _build(network)
        except Exception as error:
            return Result(network.name, broken=sentence(error))
        counts: dict[str, Any] = {"independent": count.counted, "missed": dict(count.missed)}
        seconds, failure = _times(others)
        try:
            graph = our_graph(call.fresh())
            ours = full_square(graph)
            seconds["ours"] = _best(partial(_count_again, ours), call)
            counts["ours"] = ours
            if onnx:
                counts["predicted"] = predictions(graph)
        except Exception as error:
            counts["failure"] = sentence(error)
        files = {name: exported(_build(network), name) for name in EXPORTERS} if onnx else {}
    return Result(network.name, **counts, seconds=seconds, fvcore=failure, files=files)


def _build(network: Network) -> Call:
    import torch

    torch.manual_seed(_SEED)
    call = network.build()
    torch.manual_seed(_SEED)
    return call


def _times(call: Call) -> tuple[dict[str, float], str]:
    """Return the best time of the other counters, and why fvcore does not work.

    Torch's counter runs with the settings needed to see attention, otherwise as fast as possible.
    """
    import torch

    with taken_apart(call.module):
        seconds = {"FlopCounterMode": _best(_count_with_torch, call)}
    try:
        with torch.no_grad():
            return seconds | {"fvcore": _best(_count_with_fvcore, call)}, ""
    except ImportError:
        return seconds, NOT_INSTALLED
    except Exception as error:
        return seconds, sentence(error)


def _best(task: Callable[[Call], object], call: Call) -> float:
    """Return the shortest time of several, each on arguments of its own [s].

    As in :mod:`timeit`, garbage is collected between the runs, not in them: with large libraries
    loaded one collection takes longer than many of the tasks, and it meets one or the other.
    """
    durations: list[float] = []
    while len(durations) < _REPEATS and sum(durations) < _ENOUGH:
        each = call.fresh()
        gc.collect()
        gc.disable()
        try:
            start = time.perf_counter()
            task(each)
            durations.append(time.perf_counter() - start)
        finally:
            gc.enable()
    return min(durations)


def _count_again(before: int, call: Call) -> None:
    """Import and count once more; the result must be the same."""
    count = full_square(our_graph(call))
    if count != before:
        raise MeasuringError(f"imported once more it counts {count:,}, after {before:,}")


def _count_with_torch(call: Call) -> int:
    with flop_counter() as counter:
        call.run()
    return int(counter.get_total_flops())


def _count_with_fvcore(call: Call) -> int:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(*_positional(call))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return int(analysis.total())


def _positional(call: Call) -> tuple[Any, tuple[Any, ...]]:
    """Return a module that takes keyword arguments by position after the positional ones."""
    import torch

    if not call.kwargs:
        return call.module, call.args
    names = [name for name, value in call.kwargs.items() if torch.is_tensor(value)]
    fixed = {name: value for name, value in call.kwargs.items() if name not in names}
    places = len(call.args)

    class Positional(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = call.module

        def forward(self, *inputs: Any) -> Any:
            named = dict(zip(names, inputs[places:], strict=True))
            return self.module(*inputs[:places], **named, **fixed)

    return Positional().eval(), (*call.args, *(call.kwargs[name] for name in names))
