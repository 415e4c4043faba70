"""Every ARM kernel, built, emulated, compared with NumPy to 1e-5 of the largest value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from costmodel.errors import DataError
from costmodel_validation.arm.bench.build import build_armbench
from costmodel_validation.arm.bench.cases import CASES, POSITIVE, one_spec
from costmodel_validation.arm.bench.program import Spec, SpecBuilder
from costmodel_validation.arm.bench.result import RunResult
from costmodel_validation.arm.bench.targets import emulated_target
from costmodel_validation.arm.checks import reference
from costmodel_validation.arm.checks.check import Deviation, check, relative_error


@pytest.fixture(scope="module")
def spec() -> Spec:
    return one_spec()


@pytest.fixture(scope="module")
def result(spec: Spec) -> RunResult:
    return emulated_target().run(spec)


@pytest.fixture(scope="module")
def deviations(spec: Spec, result: RunResult) -> list[Deviation]:
    return check(spec, result.tensors)


@pytest.mark.parametrize(
    "index", range(len(CASES)), ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)]
)
def test_kernel_matches_numpy(deviations: list[Deviation], index: int) -> None:
    assert deviations[index].kernel == CASES[index][0]
    assert deviations[index].relative <= 1e-5


def test_kernels_of_positive_numbers_match_numpy(deviations: list[Deviation]) -> None:
    rest = deviations[len(CASES) :]
    assert {deviation.kernel for deviation in rest} == {case[0] for case in POSITIVE}
    assert max(deviation.relative for deviation in rest) <= 1e-5


def test_every_kernel_has_a_case() -> None:
    assert {case[0] for case in (*CASES, *POSITIVE)} == set(reference.KERNELS)


def test_the_binary_and_the_reference_list_the_same_kernels() -> None:
    names = build_armbench().read_bytes()
    for name in reference.KERNELS:
        assert name.encode() + b"\0" in names


def test_check_notices_a_wrong_value(spec: Spec, result: RunResult) -> None:
    tensors: dict[int, Any] = {number: value.copy() for number, value in result.tensors.items()}
    tensors[spec.calls[0].outputs[0]].flat[5] += 1e-3
    assert [d.index for d in check(spec, tensors) if not d.ok] == [0]


def test_relative_error_is_infinite_for_nan_and_wrong_shape() -> None:
    assert relative_error(np.array([np.nan]), np.array([1.0])) == float("inf")
    assert relative_error(np.ones((2, 1)), np.ones(2)) == float("inf")


def test_the_emulator_is_found_out(result: RunResult) -> None:
    assert result.label == "emulated"
    assert "qemu" in result.host["emulator"]


def test_inputs_are_those_of_the_documented_generator() -> None:
    builder = SpecBuilder()
    x = builder.tensor((1, 3, 5, 5), seed=9)
    y = builder.tensor((1, 3, 5, 5))
    builder.op("copy", [x], [y])
    tensors: Mapping[int, Any] = emulated_target().run(builder.build([x, y])).tensors
    expected = reference.uniform(9, reference.WEIGHT, 75).reshape(1, 3, 5, 5)
    assert np.array_equal(tensors[x], expected)
    assert np.array_equal(tensors[y], expected)
    assert np.abs(expected).max() < 1
    assert np.abs(expected).min() >= 2.0**-24


def test_views_share_memory() -> None:
    builder = SpecBuilder()
    whole = builder.tensor((1, 8, 3, 3), seed=1)
    half = builder.view(whole, (1, 4, 3, 3), offset=36)
    y = builder.tensor((1, 4, 3, 3))
    builder.op("relu", [half], [y])
    spec = builder.build([y])
    assert all(d.ok for d in check(spec, emulated_target().run(spec).tensors))


TENSORS = "tensor 0 1 4 6 6 seed=1\ntensor 1 1 4 6 6\ntensor 2 1 8 6 6\n"
RUN = "run warmup=0 repeats=1 budget_ms=10\n"
OP = "op relu in=0 out=1\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (TENSORS + "op relux in=0 out=1\n" + RUN, 4, "no kernel is called 'relux'"),
        (TENSORS + "op relu in=0 out=1 stride=2\n" + RUN, 4, "no field 'stride'"),
        (TENSORS + "op conv1x1 in=0 out=1\n" + RUN, 4, "needs the field seed"),
        (
            TENSORS + "op conv1x1 in=0 out=1 seed=1 groups=x\n" + RUN,
            4,
            "groups must be a whole number",
        ),
        (TENSORS + "op conv1x1 in=0 out=1 seed=1 groups=3\n" + RUN, 4, "3 groups do not divide"),
        (
            TENSORS + "op conv1x1 in=0 out=1 seed=1 act=gelu\n" + RUN,
            4,
            "act must be none, relu or relu6",
        ),
        (TENSORS + "op relu in=0 out=2\n" + RUN, 4, "gives a tensor of shape 1 4 6 6, but 1 8 6 6"),
        (TENSORS + "op relu in=2 out=1\n" + RUN, 4, "tensor 2 is read before anything writes it"),
        (TENSORS + "op relu in=0 out=7\n" + RUN, 4, "tensor 7 is not declared"),
        (TENSORS + "op relu in=0 out=0\n" + RUN, 4, "overwritten while it is read"),
        (TENSORS + "op add in=0 out=1\n" + RUN, 4, "add takes 2 to 2 inputs"),
        (TENSORS + "op relu in=0 out\n" + RUN, 4, "expected key=value"),
        (TENSORS + "op\n" + RUN, 4, "the kernel's name is missing"),
        (TENSORS + "tensor 0 1 1 1 1\n", 4, "tensor 0 is declared twice"),
        ("tensor 0 1 4 6\n", 1, "W is missing"),
        ("tensor 0 1 4 6 0\n", 1, "W must be a whole number from 1"),
        ("tensor 0 1 1048576 1048576 2\n", 1, "has more than"),
        ("tensor 0 1 1 1 1 sed=1\n", 1, "tensor has no field 'sed'"),
        ("tensor 99999999999999999999 1 1 1 1\n", 1, "a tensor's number must be a whole number"),
        ("tensor 0 1 1 1 1\nview 1 1 2 1 1 of=0 offset=0\n", 2, "does not lie inside tensor 0"),
        ("frob 1\n", 1, "a line starts with tensor, view, op, run or dump"),
        (TENSORS + OP + "run warmup=0\n", 5, "run needs warmup, repeats and budget_ms"),
        (TENSORS + OP + RUN + RUN, 6, "run is given twice"),
        (TENSORS + OP + "dump 1 2\n", 5, "one word too many"),
        (TENSORS + OP, 4, "no run line"),
        ("", None, "no operator"),
        ("#" * 5000 + "\n", 1, "longer than"),
    ],
)
def test_a_wrong_specification_is_refused_with_its_line(
    text: str, line: int | None, words: str
) -> None:
    class Text(Spec):
        def text(self) -> str:
            return text

    with pytest.raises(DataError) as caught:
        emulated_target().run(Text((), ()))
    assert words in str(caught.value)
    if line is not None:
        assert f"line {line} of the specification" in str(caught.value)


def test_batches_of_everything_agree_with_single_images() -> None:
    builder = SpecBuilder()
    x = builder.tensor((2, 8, 9, 9), seed=1)
    y = builder.tensor((2, 8, 9, 9))
    builder.op("winograd3x3", [x], [y], pad=1, seed=3)
    for image in range(2):
        part = builder.view(x, (1, 8, 9, 9), image * 8 * 81)
        builder.op("winograd3x3", [part], [builder.tensor((1, 8, 9, 9))], pad=1, seed=3)
    spec = builder.build()
    tensors = emulated_target().run(spec.dumping(spec.written())).tensors
    both, first, second = (tensors[number] for number in spec.written())
    assert np.array_equal(both, np.concatenate([first, second]))
