"""Options that have no effect beside others are refused, and shares are read as they are meant."""

from __future__ import annotations

from itertools import combinations

import pytest
from typer.testing import CliRunner

from costmodel.cli.app import app
from costmodel.cli.limits import share_limit
from costmodel.errors import DataError

GPU = "gtx-1080-ti/paper"
NET = "squeezenet?size=64"
FORMULA = ("formula", "pointwise?h=7&w=7")
WALKED = {
    ("report", NET): ("--batch 2", "--fast-memory 64KB", "--depth 3", "--like fvcore"),
    ("report", NET, "-p", GPU): ("--explain", "--fast-memory 64KB", "--depth 1"),
    FORMULA: ("--of mac", "--latex", "--fast-memory 64KB", "--dim c1=8"),
    ("compare", NET, "resnet18?size=64", "-p", GPU): ("--over batch=1:4", "--depth 3", "--batch 2"),
}
FORMS = {"report": ("--json", "--csv", "--html -"), "formula": ("--json",)}
FORMS["compare"] = ("--json", "--html -")


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words), prog_name="costmodel")
    return result.exit_code, result.output


@pytest.mark.parametrize("command", WALKED, ids=" ".join)
def test_of_two_options_each_has_an_effect(command: tuple[str, ...]) -> None:
    options = (*WALKED[command], *FORMS[command[0]])
    alone = {option: run(*command, *option.split()) for option in ("", *options)}
    assert alone[""][0] == 0
    for pair in combinations(options, 2):
        code, text = run(*command, *pair[0].split(), *pair[1].split())
        if code == 2:
            assert text.count("\n") == 1
            continue
        for kept, other in (pair, pair[::-1]):
            if alone[other] != alone[""]:
                assert text != alone[kept][1], f"{other} is ignored beside {kept}"


ONE = ("compare", NET, "-p", GPU)
TWO = ("compare", NET, "resnet18", "-p", GPU)
SOLVE = ("solve", "pointwise?h=56&w=56", "--at-least", "multiply_adds=5e6")
SWEEP = ("sweep", "mobilenet_v1", "-p", GPU, "--choose", "width=0.5,1.0")
WHATIF = ("whatif", "pointwise?h=7&w=7&c1=8", "-p", GPU, "--by", "c2")
DESIGN = ("calibrate", "--design", "3", "-p", "raspberry-pi-4/ncnn")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ((*SOLVE, "--minimize", "mac", "-p", "raspberry-pi-4/ncnn"), "a platform has no effect"),
        ((*SOLVE, "-p", GPU), "a platform has no effect on mac"),
        ((*ONE, "--over", "batch=1:4"), "--over"),
        ((*ONE, "--fail-if-slower", "5%"), "--fail-if-slower"),
        ((*TWO, "--over", "batch=1:4", "--batch", "2"), "--batch"),
        ((*TWO, "-i", "1x3x64x64"), "take parameters"),
        (("whatif", NET, "-p", GPU, "-i", "1x3x64x64"), "take parameters"),
        ((*WHATIF, "--max-latency", "1ms", "--over", "c2=8:64"), "--max-latency and --over"),
        ((*SWEEP, "--workers", "2", "--scheduler", "tcp://nowhere:1"), "--workers"),
        ((*DESIGN, "--json"), "--json"),
        ((*DESIGN, "-o", "x.toml"), "--output"),
        ((*DESIGN, "--as-is", "--keep-good"), "--keep-good and --as-is"),
        ((*DESIGN, "table.csv"), "the table"),
        (("calibrate", "--backend", "torch", "--keep-good"), "--keep-good"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_option_without_effect_is_refused(words: tuple[str, ...], option: str) -> None:
    code, text = run(*words)
    assert code == 2
    assert option in text
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--no-kernels", "--table", "x.csv"),
        ("--precision", "5"),
        ("--precision", "0"),
        ("--precision", "200%"),
        ("--backend", "arm:emulated", "--repeat"),
        ("--backend", "arm:emulated", "--no-kernels"),
        ("--backend", "arm:emulated", "--precision", "2%"),
        ("--backend", "arm:emulated", "-p", "raspberry-pi-4/costmodel-neon"),
    ],
    ids=" ".join,
)
def test_commands_that_measure_refuse_them_too(words: tuple[str, ...]) -> None:
    pytest.importorskip("torch")
    code, text = run("validate", "linear", *words)
    assert code == 2
    assert text.count("\n") == 1
    named = words[-2] if words[-2] != "--no-kernels" else words[0]
    assert (words[-1] if words[-1].startswith("--") else named) in text or "share of 5" in text


@pytest.mark.parametrize("text", ["5%", "0.05", ".05", " 5 % ", "5e-2"])
def test_a_share_may_be_written_in_both_ways(text: str) -> None:
    assert share_limit(text) == pytest.approx(0.05)
    assert run(*TWO, "--fail-if-slower", text)[0] == 1


@pytest.mark.parametrize(
    "text", ["5", "1", "1.0", "100", "-1%", "%", "", "a few", "1e400%", "1e400"]
)
def test_a_share_that_may_be_meant_as_per_cent_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="share"):
        share_limit(text)
    code, said = run(*TWO, f"--fail-if-slower={text}")
    assert code == 2
    assert "share" in said
    assert said.count("\n") == 1
