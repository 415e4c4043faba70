"""The table of kinds of kernel: complete, referred to by every operator, checked at import."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import costmodel as cm
from costmodel import kinds
from costmodel.kinds import KINDS, complete
from costmodel.ops import OPERATORS, Op
from costmodel.ops.product import Product
from costmodel.ops.tensor import Tensor

SOURCE = Path(kinds.__file__).read_text(encoding="utf-8")
ROW = re.compile(r'^    "(\w+)": Kind\(.*\),\n', re.MULTILINE)
IMPORT = """
import sys, types
module = types.ModuleType("costmodel.kinds")
sys.modules["costmodel.kinds"] = module
exec(compile(sys.stdin.read(), "kinds.py", "exec"), module.__dict__)
import costmodel.public
"""


def test_every_row_is_found_by_the_test_that_deletes_it() -> None:
    assert ROW.findall(SOURCE) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_row_the_import_fails_and_names_it(kind: str) -> None:
    (row,) = (m for m in ROW.finditer(SOURCE) if m[1] == kind)
    without = SOURCE[: row.start()] + SOURCE[row.end() :]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], input=without, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert repr(kind) in done.stderr or f" {kind}" in done.stderr.splitlines()[-1]


def test_the_unchanged_table_imports() -> None:
    subprocess.run([sys.executable, "-c", IMPORT], input=SOURCE, check=True, text=True)


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_declares_its_kinds(name: str) -> None:
    assert set(OPERATORS[name].kernel_kinds) <= set(KINDS)
    assert set(KINDS) == {kind for op in OPERATORS.values() for kind in op.kernel_kinds}


def test_a_table_must_hold_every_kind_and_no_other() -> None:
    table = dict.fromkeys(KINDS, 0)
    assert complete(table, "weights") == table
    with pytest.raises(LookupError, match="table of weights has no entry for the kinds pool"):
        complete({k: 0 for k in KINDS if k != "pool"}, "weights")
    with pytest.raises(LookupError, match="table of weights has entries for unknown kinds sort"):
        complete({**table, "sort": 0}, "weights")


class OneToOne(Op):
    """The rest of an operator whose declaration is left out."""

    kernel_kinds = ()

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return inputs


def test_a_class_that_does_not_name_its_kernel_fails_when_it_is_defined() -> None:
    with pytest.raises(TypeError, match="Sort does not name the kernel that it starts"):

        @dataclass(frozen=True)
        class Sort(OneToOne):
            pass


def test_a_class_that_names_an_unknown_kernel_fails() -> None:
    with pytest.raises(TypeError, match="Sort starts the unknown kind 'sort'; known are"):

        class Sort(OneToOne):
            kernel_kinds = ("sort",)


def test_a_class_of_several_kernels_says_which() -> None:
    with pytest.raises(TypeError, match="starts one of pool, max_pool: it needs kernel_kind"):

        class Both(OneToOne):
            kernel_kinds = ("pool", "max_pool")


def test_a_class_of_products_gives_them() -> None:
    with pytest.raises(TypeError, match="starts linear: it needs products"):

        class Half(OneToOne):
            kernel_kinds = ("linear",)

    class Whole(OneToOne):
        kernel_kinds = ("linear",)

        def products(self, *inputs: Tensor) -> tuple[Product, ...]:
            return (Product(1, 1, 1, 1),)

    assert Whole().kernel_kind() == "linear"


def test_an_operator_of_ones_own_is_timed_as_its_kind() -> None:
    class Halve(OneToOne):
        """Takes a tensor to half of itself."""

        kernel_kinds = ("elementwise",)

        def fields(self) -> dict[str, object]:
            return {}

        def nest(self, *inputs: Tensor) -> cm.ops.base.Nest:
            return cm.ops.base.Nest(parallel=inputs[0].shape, elementwise=1)

    b = cm.Builder()
    own = b.finish(b.add(Halve(), b.input((1, 8, 14, 14))))
    b = cm.Builder()
    known = b.finish(b.add(cm.ops.Elementwise("neg"), b.input((1, 8, 14, 14))))
    for where in ("gtx-1080-ti/torch-eager", "raspberry-pi-4/ncnn"):
        assert cm.latency(own, where).seconds == cm.latency(known, where).seconds
