"""The tools for authors of operators: every kind of fault is reported, several at once."""

from __future__ import annotations

import dataclasses
import itertools
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import strategies as st

from costmodel import ops, testing
from costmodel.algebra.symbols import dim
from costmodel.errors import CostModelError, DataError, ShapeError
from costmodel.ops import OPERATORS, Nest, Op
from costmodel.ops.tensor import Tensor
from costmodel.testing import IMAGE, Case, Count, OperatorTable, fill, images

X = Tensor((2, 3, 5, 7))
ELEMENTS = 2 * 3 * 5 * 7


def operator(*fields: tuple[str, Any], frozen: bool = True, eq: bool = True, **members: Any) -> Any:
    """Return an operator class like a rectifier, but for its ``fields`` and ``members``."""
    sound = {
        "infer": lambda self, *inputs: (inputs[0],),
        "nest": lambda self, *inputs: Nest(parallel=inputs[0].shape, elementwise=1),
    }
    return dataclasses.make_dataclass(
        "Faulty",
        fields,
        bases=(Op,),
        namespace={"kernel_kinds": (), **sound, **members},
        frozen=frozen,
        eq=eq,
        slots=True,
    )


@pytest.fixture
def enter(monkeypatch):
    """Return a function that makes a class an operator with a strategy, and returns the class."""

    def enter(cls, strategy=None):
        table = OperatorTable("strategy", "costmodel/testing, beside its family")
        table.register(cls.__name__)(strategy or strategy_of(cls))
        monkeypatch.setattr(testing.opening, "STRATEGIES", table)
        monkeypatch.setitem(OPERATORS, cls.__name__, cls)
        return cls

    return enter


def strategy_of(cls, *values):
    """Return a strategy for operators of ``cls`` on images."""

    @st.composite
    def strategy(draw):
        return fill(draw, IMAGE, lambda s: Case(cls(*values), images(s)))

    return strategy


def problems(op: Any, *inputs: Tensor, **given: Any) -> list[str]:
    """Return the lines of what is wrong with ``op``."""
    with pytest.raises(AssertionError) as caught:
        testing.assert_operator(op, *inputs, **given)
    first, *rest = str(caught.value).splitlines()
    assert first == f"{op!r} on {', '.join(map(str, inputs)) or 'no inputs'}:"
    return [line.removeprefix("- ") for line in rest]


def loops(op: Any, x: tuple[int, ...]) -> Count:
    indices = set(itertools.product(*map(range, x)))
    return Count([x], elementwise=len(indices), touched=[indices], written=indices)


def test_a_sound_operator_passes(enter) -> None:
    called = []
    testing.assert_operator(enter(operator())(), X, oracle=loops, emit=lambda *a: called.append(a))
    assert [(type(op).__name__, inputs) for op, inputs in called] == [("Faulty", (X,))]


# ---- each fault alone

UNSOUND = Nest(parallel=(2, 3), elementwise=1, reads=(7,), writes=(7,))


CALLS = itertools.count(1)


def branches(self, x):
    return Nest(parallel=x.shape, elementwise=1 if x.shape[1] > 2 else 2)


def guesses(self, x):
    return Nest(parallel=x.shape, elementwise=1 if type(x.shape[1]) is int else 2)


FAULTS: dict[str, tuple[Any, tuple[Any, ...], str]] = {
    "mutable": (operator(frozen=False), (), "fields: Faulty must be a @dataclass(frozen=True"),
    "compared by identity": (operator(eq=False), (), "fields: another Faulty of the same fields"),
    "field of a wrong type": (
        operator(("count", "int")),
        ("3",),
        "fields: Faulty count must be int, got '3'",
    ),
    "field that grows": (
        operator(
            ("count", "int"),
            __post_init__=lambda self: object.__setattr__(self, "count", self.count + 1),
        ),
        (1,),
        "fields: another Faulty of the same fields must be equal to it",
    ),
    "arity that is not a number": (operator(arity="one"), (), "arity: the arity must be a number"),
    "too few inputs": (operator(arity=2), (), "arity: ShapeError: Faulty takes 2 inputs, got 1"),
    "shape rule that fails": (
        operator(infer=lambda self, x: (x.with_shape(x.shape[9]),)),
        (),
        "shape rule: IndexError: tuple index out of range",
    ),
    "shape rule that returns a list": (
        operator(infer=lambda self, x: [x]),
        (),
        "shape rule: Faulty.infer must return a tuple of tensors, got [Tensor(",
    ),
    "weights that are no tensors": (
        operator(weights=lambda self, x: (3,)),
        (),
        "shape rule: Faulty.weights must return a tuple of tensors, got (3,)",
    ),
    "shape rule that changes": (
        operator(infer=lambda self, x: (x.with_shape(next(CALLS)),)),
        (),
        "shape rule: Faulty.infer must give the same each time",
    ),
    "symbols for ints": (
        operator(infer=lambda self, x: (x.with_shape(dim("q")),)),
        (),
        "shape rule: Faulty.infer must give int sizes for int sizes",
    ),
    "fraction of an operation": (
        operator(nest=lambda self, x: Nest(parallel=x.shape, elementwise=0.5)),
        (),
        f"costs: elementwise must be an int of at least 0, got {ELEMENTS / 2}",
    ),
    "negative traffic": (
        operator(nest=lambda self, x: Nest(parallel=x.shape, elementwise=1, writes=(-1,))),
        (),
        "costs: writes must be an int of at least 0, got -1",
    ),
    "nest that fails": (
        operator(nest=lambda self, x: Nest(parallel=x.sizes)),
        (),
        "costs: AttributeError: 'Tensor' object has no attribute 'sizes'",
    ),
    "span beyond the work": (
        operator(nest=lambda self, x: Nest(x.shape, (9,), points=3, elementwise=1)),
        (),
        "costs: the span 9 must be at most the work 3",
    ),
    "view that moves": (
        operator(is_view=True),
        (),
        f"costs: a view must be free, it moves {2 * ELEMENTS} elements in {ELEMENTS} operations",
    ),
    "reads of an input that is not there": (
        operator(nest=lambda self, x: Nest(x.shape, elementwise=1, reads=(1, 9), writes=(1,))),
        (),
        "costs: 8 bytes cannot be 11 elements of float32",
    ),
    "sizes that are branched on": (
        operator(nest=branches),
        (),
        "open sizes: ValueError: The truth value of an array with more than one element",
    ),
    "other costs for symbols": (
        operator(nest=guesses),
        (),
        f"open sizes: elementwise: {2 * ELEMENTS} for symbols, {ELEMENTS} for ints",
    ),
    "other costs for arrays": (
        operator(nest=guesses),
        (),
        f"open sizes: elementwise: {2 * ELEMENTS} for arrays, {ELEMENTS} for ints",
    ),
    "field that JSON cannot hold": (
        operator(("factor", "float | None")),
        (math.inf,),
        "JSON: GraphError: node 'faulty': inf cannot be written to JSON",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported(fault: str, enter) -> None:
    cls, values, line = FAULTS[fault]
    enter(cls, strategy_of(cls, *values))
    found = problems(cls(*values), X)
    assert any(problem.startswith(line) for problem in found), found


def test_what_does_not_come_back_from_a_file_is_reported(enter) -> None:
    cls = enter(operator(("sizes", "Dim")), strategy_of(ops.Identity))
    # A tuple of the same numbers is another field than a list: lists cannot be hashed.
    found = problems(cls([1, 2]), X)
    assert "fields: sizes must be hashable, got [1, 2]" in found
    assert "fields: Faulty sizes must be Dim, got [1, 2]" in found
    assert any(line.startswith("JSON: GraphError: node 'faulty'") for line in found)


# ---- strategy and registration


def test_an_operator_without_place_or_strategy_says_where_they_go() -> None:
    found = problems(operator()(), X)
    assert found == [
        "registration: Faulty is not in costmodel.ops.OPERATORS: import it in "
        "costmodel/ops/__init__.py",
        "strategy: operator 'Faulty' has no strategy: register one in costmodel/testing, beside "
        "its family",
    ]


def test_a_strategy_that_is_written_after_the_first_try_counts(enter) -> None:
    cls = operator()
    assert len(problems(cls(), X)) == 2
    enter(cls)
    testing.assert_operator(cls(), X)


def test_a_strategy_of_another_operator_is_reported(enter) -> None:
    cls = operator()
    enter(cls, strategy_of(ops.Identity))
    assert problems(cls(), X) == ["strategy: it draws Identity"]


def test_a_strategy_that_fails_is_reported(enter) -> None:
    def strategy():
        raise ValueError("no strategy yet")

    cls = enter(operator(), strategy)
    assert problems(cls(), X) == ["strategy: it draws nothing: ValueError: no strategy yet"]


def test_sizes_that_the_strategy_cannot_leave_open_are_reported(enter) -> None:
    """The given inputs may stay numbers where the rule refuses symbols; a template may not."""

    def infer(self, *inputs):
        if type(inputs[0].shape[1]) is not int:
            raise ShapeError("channels must be a number")
        return (inputs[0],)

    cls = enter(operator(infer=infer))
    assert problems(cls(), X) == [
        "strategy: its sizes cannot be left open: ShapeError: channels must be a number"
    ]


# ---- what the caller brings


def test_loops_and_emission_that_fail_are_reported(enter) -> None:
    cls = enter(operator())

    def emit(op, inputs):
        raise CostModelError("torch has no such function")

    assert problems(cls(), X, oracle=lambda op: Count(), emit=emit) == [
        "counting loops: TypeError: test_loops_and_emission_that_fail_are_reported.<locals>."
        "<lambda>() takes 1 positional argument but 2 were given",
        "emission: CostModelError: torch has no such function",
    ]


def test_every_figure_of_the_loops_is_compared(enter) -> None:
    cls = enter(operator())
    wrong = Count([(1,)], 1, 2, [set(range(ELEMENTS + 1))], {1}, {1, 2}, reads=3)
    assert problems(cls(), X, oracle=lambda op, x: wrong) == [
        "counting loops: output shapes: the formula says [(2, 3, 5, 7)], the loops count [(1,)]",
        "counting loops: multiply_adds: the formula says 0, the loops count 1",
        f"counting loops: elementwise: the formula says {ELEMENTS}, the loops count 2",
        f"counting loops: reads: the formula says {ELEMENTS}, the loops count 3",
        "counting loops: weight_reads: the formula says 0, the loops count 1",
        f"counting loops: writes: the formula says {ELEMENTS}, the loops count 2",
        f"counting loops: input 0: the loops touch {ELEMENTS + 1} elements of {X}",
    ]


def test_faults_of_all_kinds_come_in_one_message() -> None:
    def emit(op, inputs):
        raise CostModelError("torch has no such function")

    cls = operator(("count", "int"), frozen=False, eq=False, nest=guesses)
    found = problems(cls("3"), X, oracle=lambda op, x: Count([x]), emit=emit)
    kinds = [line.split(":")[0] for line in found]
    assert list(dict.fromkeys(kinds)) == [
        "fields",
        "registration",
        "strategy",
        "open sizes",
        "bounds",
        "counting loops",
        "emission",
    ]
    assert len(found) >= 9


def test_checks_that_could_not_be_made_are_named() -> None:
    shapeless = problems(operator(frozen=False, infer=lambda self, x: None)(), X, oracle=loops)
    assert shapeless[0].startswith("fields: Faulty must be a @dataclass")
    assert shapeless[-1] == "nothing that needs the shape rule was checked"


def test_wrong_costs_hide_neither_loops_nor_emission(enter) -> None:
    def emit(op, inputs):
        raise CostModelError("torch has no such function")

    cls = enter(operator(nest=lambda self, x: Nest(parallel=x.shape, elementwise=0.5)))
    found = problems(cls(), X, oracle=loops, emit=emit)
    assert found[-3:] == [
        "open sizes and bounds were not checked: they need the costs",
        f"counting loops: elementwise: the formula says {ELEMENTS / 2}, the loops count {ELEMENTS}",
        "emission: CostModelError: torch has no such function",
    ]


def test_sizes_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match=r"takes inputs of int sizes, got float32\[n\]"):
        testing.assert_operator(ops.Identity(), Tensor((dim("n"),)))


# ---- tables


def test_a_table_refuses_a_second_entry_and_names_what_is_missing() -> None:
    table: OperatorTable[int] = OperatorTable("strategy", "costmodel/testing")
    for name in OPERATORS:
        if name not in ("Conv", "Pool"):
            table.register(name)(1)
    with pytest.raises(ValueError, match="'Linear' has two entries of the kind strategy"):
        table.register("Linear")(2)
    with pytest.raises(DataError, match="operators Conv, Pool: each has no strategy: register one"):
        table.check_complete()
    with pytest.raises(DataError, match="operator 'Conv' has no strategy: register one in cost"):
        table["Conv"]
    table.register("Conv")(1)
    table.register("Pool")(1)
    table.check_complete()
    table.register("Convv")(1)
    with pytest.raises(DataError, match="strategy of Convv: no operator of that name"):
        table.check_complete()


def test_strategies_of_an_unknown_operator_are_refused_by_name() -> None:
    for draw in (testing.cases, testing.templates, testing.symbolic_cases):
        with pytest.raises(DataError, match="operator 'Convv' has no strategy"):
            draw("Convv")


# ---- without hypothesis


def test_without_hypothesis_only_testing_is_missing_and_says_what_brings_it() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None; import costmodel; import costmodel.testing"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: costmodel.testing needs hypothesis: "
        'pip install "nn-costmodel[testing]"'
    )
    assert run.stderr.count("Traceback") == 1
