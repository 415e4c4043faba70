"""The programs that stand for the cells of recurrent layers compute those cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numeric import KINDS
from scipy.special import expit

from costmodel.ops import Linear, Recurrent, RecurrentSteps, Split
from costmodel.ops.product import Product
from costmodel.ops.tensor import Tensor

HIDDEN = 3


def rnn(x: np.ndarray, hidden: np.ndarray, state: np.ndarray) -> np.ndarray:
    return np.tanh(x + hidden)


def lstm(x: np.ndarray, hidden: np.ndarray, state: np.ndarray) -> np.ndarray:
    i, f, g, o = np.split(x + hidden, 4, axis=-1)
    return expit(o) * np.tanh(expit(f) * state + expit(i) * np.tanh(g))


def gru(x: np.ndarray, hidden: np.ndarray, state: np.ndarray) -> np.ndarray:
    new, old = np.split(x, 3, axis=-1), np.split(hidden, 3, axis=-1)
    r, z = (expit(new[j] + old[j]) for j in (0, 1))
    n = np.tanh(new[2] + r * old[2])
    return (1 - z) * n + z * state


@pytest.mark.parametrize(("cell", "gates"), [(lstm, 4), (gru, 3), (rnn, 1)])
def test_a_step_computes_the_cell(cell: Callable[..., np.ndarray], gates: int) -> None:
    rng = np.random.default_rng(0)
    x, state, second = (rng.standard_normal((2, n * HIDDEN)) for n in (gates, 1, 1))
    weights = rng.standard_normal((gates * HIDDEN, HIDDEN))
    program = RecurrentSteps(cell.__name__, HIDDEN).expand(Tensor((7, 2, gates * HIDDEN)))
    values = [x, state, second]
    for step in program.steps:
        taken = [values[i] for i in step.inputs]
        match step.op:
            case Split(axis, parts):
                values += np.split(taken[0], parts, axis=axis)
            case Linear():
                values.append(taken[0] @ weights.T)
            case _:
                values.append(KINDS[step.op.kind](*taken))
    # An LSTM carries a second state, the cell; the others mix in the hidden one.
    carried = second if cell is lstm else state
    (result,) = (values[i] for i in program.outputs)
    assert result == pytest.approx(cell(x, state @ weights.T, carried))
    assert program.times == 7


def test_products_of_one_size_run_after_each_other() -> None:
    x = Tensor((10, 2, 64))
    inputs = Product(1, 4 * 128, 10 * 2, 64)
    steps = Product(1, 4 * 128, 2, 128, times=10)
    assert Recurrent("lstm", 128).products(x) == (inputs, steps)
    # Of two directions, twice; the second of two layers takes what both of the first make.
    both = Recurrent("lstm", 128, layers=2, bidirectional=True).products(x)
    second = Product(1, 4 * 128, 10 * 2, 256, times=2)
    assert both == (
        Product(1, 4 * 128, 10 * 2, 64, times=2),
        Product(1, 4 * 128, 2, 128, times=40),
        second,
    )


@pytest.mark.parametrize(
    ("kind", "functions"),
    [
        ("rnn", {"tanh": 1}),
        ("gru", {"sigmoid": 2, "tanh": 1}),
        ("lstm", {"sigmoid": 3, "tanh": 2}),
    ],
)
def test_every_step_evaluates_the_functions_of_its_gates(
    kind: str, functions: dict[str, int]
) -> None:
    found = Recurrent(kind, 128, layers=2, bidirectional=True).functions(Tensor((10, 2, 64)))
    assert found == {name: n * 4 * 10 * 2 * 128 for name, n in functions.items()}
