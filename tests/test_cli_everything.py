"""Every command, device, runtime and network once: as text of 60 columns and as JSON."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from costmodel.cli.app import app
from costmodel.hardware import hardware_names
from costmodel.hardware.load import load_hardware
from costmodel.platforms import platform_names
from costmodel.report import schema
from costmodel.runtimes import load_runtime, runtime_names
from costmodel.zoo import NETWORKS
from costmodel.zoo.parameters import accepted

ROOT = Path(__file__).parents[1]
GPU = "gtx-1080-ti/paper"
VALIDATOR = jsonschema.Draft202012Validator(schema())


def run(*arguments: str, code: int = 0, columns: int = 60, **environment: str):
    environment = {"COLUMNS": str(columns), "NO_COLOR": "1", **environment}
    result = CliRunner().invoke(app, list(arguments), prog_name="costmodel", env=environment)
    assert result.exit_code == code, f"{arguments}: {result.output} {result.exception!r}"
    return result


def check(*arguments: str) -> None:
    """Run a command as text of 60 columns and as JSON."""
    text = run(*arguments).stdout
    # A word that is longer than a line, such as a file or a formula, is not broken.
    long = [line for line in text.splitlines() if len(line) > 60 and " " in line.strip()]
    assert not long, "\n".join(long)
    assert VALIDATOR.is_valid(json.loads(run(*arguments, "--json").stdout))


@pytest.mark.parametrize("name", [*hardware_names(), *runtime_names(), *platform_names()])
def test_everything_known_can_be_shown(name):
    check("platforms", "show", name)


@pytest.mark.parametrize("hardware", hardware_names())
def test_every_device_has_a_report(hardware):
    device = load_hardware(hardware)
    runtime = "torch-eager"
    if device.architecture == "cdna3":  # its facts are known, not its kernels
        assert (
            "cdna3"
            in run("report", "linear?cin=8&cout=8", "-p", f"{hardware}/{runtime}", code=2).stderr
        )
        return
    check("report", "shufflenet_v2?width=0.5&size=32", "-p", f"{hardware}/{runtime}")


@pytest.mark.parametrize("runtime", runtime_names())
def test_every_runtime_has_a_report(runtime):
    own = {("gpu",): "rtx-3090", ("accelerator",): "eyeriss"}
    hardware = own.get(tuple(load_runtime(runtime).algorithms), "raspberry-pi-4")
    check("report", "mobilenet_v2?width=0.25&size=32", "-p", f"{hardware}/{runtime}")


def _required(name: str) -> list[str]:
    parameters = accepted(NETWORKS[name])
    return [key for key, p in parameters.items() if p.default is p.empty]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if not _required(name)])
def test_every_network_has_a_report(name):
    check("report", name)


CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"
OTHERS = {
    "g3_stack": "g3_stack?structure=2-fragment-series&c=128",
    "nasbench201": f"nasbench201?arch_str={CELL}&size=32",
}
"""Networks that need more than sizes, with what they need."""


@pytest.mark.parametrize("name", [name for name in NETWORKS if _required(name)])
def test_every_building_block_has_a_formula(name):
    spec = OTHERS.get(name, name)
    run("formula", spec)
    assert VALIDATOR.is_valid(json.loads(run("formula", spec, "--json").stdout))


SMALL = "shufflenet_v2?width=0.5&size=64"
PI = "raspberry-pi-4/ncnn"
COMMANDS = [
    f"advise shufflenet_v1?width=0.5&size=64 -p {GPU}",
    f"calibrate rows.csv -p {PI} -o out.toml --as-is",
    f"compare {SMALL} alexnet -p {PI} -p {GPU}",
    "formula pointwise",
    "platforms check t4",
    "platforms list",
    f"report {SMALL} -p {GPU}",
    "solve g1_stack?c1=16&blocks=1 --at-most params=4096 --at-least mac=200000 --range c2=8:512",
    f"sweep mobilenet_v1 -p {PI} --choose width=0.25,0.5 --choose size=96,128",
    f"whatif {SMALL} -p {PI}",
    f"whatif mobilenet_v2?size=64 -p {PI} --max-latency 9ms --over width=0.25:1.4",
    "zoo resnet",
]
ELSEWHERE = {"board", "measure", "validate", "validation"}
"""Commands of the package that measures, which has tests of its own."""


def test_no_command_is_left_out():
    group = get_command(app)
    names = set(group.list_commands(group.make_context("costmodel", [], resilient_parsing=True)))
    assert names - ELSEWHERE == {command.split()[0] for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(c.split()[:2]))
def test_every_command_as_text_of_60_columns_and_as_json(command, tmp_path, monkeypatch):
    if command.startswith("solve"):
        pytest.importorskip("cvxpy")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path))
    sizes = range(64, 225, 16)
    rows = [f"shufflenet_v2?width=0.5&size={size},{1e-7 * size**2}" for size in sizes]
    (tmp_path / "rows.csv").write_text("\n".join(["network,seconds", *rows]) + "\n")
    check(*shlex.split(command))


@pytest.mark.parametrize(
    "command",
    [
        "report shufflenet_v2",
        "report shufflenet_v2 --like fvcore",
        f"report shufflenet_v2 -p {GPU} --explain",
        "report shufflenet_v2 -p rtx-4090/torch-eager --depth 3",
        "zoo",
        "zoo resnet",
        "platforms",
        "platforms list",
        "platforms check t4",
    ],
)
def test_commands_fit_60_columns(command):
    text = run(*shlex.split(command)).stdout
    long = [line for line in text.splitlines() if len(line) > 60 and " " in line.strip()]
    assert not long, "\n".join(long)


# ---- manners


def test_platforms_are_refused_before_a_network_is_read(tmp_path):
    for command in (["report"], ["formula", "--of", "latency"]):
        result = run(*command, str(tmp_path / "none.onnx"), "-p", "nowhere/ncnn", code=2)
        assert "there is no hardware 'nowhere'" in result.stderr


def test_the_zoo_shows_what_holds_all_words():
    text = run("zoo", "resnet").stdout
    assert "resnet18:" in text
    assert "mobilenet_v2:" not in text
    names = {
        e["name"] for e in json.loads(run("zoo", "SHUFFLENET", "v2", "--json").stdout)["networks"]
    }
    assert names == {"shufflenet_v2", "shufflenet_v2_50", "se_shufflenet_v2_164"}
    assert "no network of the zoo holds 'resmet'" in run("zoo", "resmet", code=2).stderr


def test_an_option_given_twice_is_refused_where_one_is_taken():
    twice = ["report", "resnet18", "-p", GPU, "--platform=snapdragon-810/paper"]
    assert "report takes one --platform: give it once" in run(*twice, code=2).stderr
    for words in (["--batch", "1", "--batch", "2"], ["--depth=1", "--depth", "2"]):
        assert "give it once" in run("report", "resnet18", *words, code=2).stderr
    # Several inputs, sizes and platforms to try are meant.
    run("report", "pointwise", *(f"--dim={n}=8" for n in ("h", "w", "c1", "c2")))


@pytest.mark.parametrize("command", ["report", "formula", "advise", "calibrate", "validate"])
def test_p_is_a_platform_everywhere(command):
    text = run(command, "--help", columns=80).stdout
    (line,) = [line for line in text.splitlines() if re.match(r"\s+-p[, ]", line)]
    assert "--platform" in line


def test_html_goes_to_standard_output():
    text = run("report", "resnet18", "--html", "-").stdout
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")


@pytest.mark.parametrize(
    "command",
    ["zoo", "platforms", "report resnet50 --csv", "report densenet --explain -p t4/torch-eager"],
)
def test_head_ends_well(command):
    pipe = f"{sys.executable} -m costmodel.cli {command} | head -n 1; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "0"
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        ("costmodel report shufflenet_v", ["shufflenet_v1", "shufflenet_v2"]),
        ("costmodel report resnet18 -p rk3", ["rk3399/"]),
        ("costmodel report resnet18 --platform rk3399/tfl", ["rk3399/tflite"]),
        ("costmodel platforms show raspberry-pi-4", ["raspberry-pi-4"]),
        ("costmodel formula 'conv2d?ci'", ["conv2d?cin="]),
    ],
)
def test_the_shell_completes_networks_and_platforms(words, offers):
    found = run(
        _COSTMODEL_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    ).stdout.split()
    assert set(offers) <= set(found), found


@pytest.mark.parametrize(
    ("package", "extra", "code"),
    [
        ("onnx", "onnx", "cm.from_onnx('net.onnx')"),
        (
            "matplotlib",
            "plot",
            "import costmodel.plots as p; p.style.axes(None)",
        ),
        ("torch", "torch", "cm.network('python:own.py:net')"),
    ],
)
def test_the_extra_is_named_where_a_package_is_missing(package, extra, code, tmp_path):
    (tmp_path / "own.py").write_text("import torch\n")
    (tmp_path / "net.onnx").write_bytes(b"x")
    program = f"import sys; sys.modules[{package!r}] = None; import costmodel as cm; {code}"
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        check=False,
    )
    last = result.stderr.strip().splitlines()[-1]
    assert f'needs the package {package}: pip install "nn-costmodel[{extra}]"' in last


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["formula", "pointwise", "--of", "mca"], "--of 'mca' is not one of"),
        (["report", "resnet18", "--depth", "0"], "--depth must be at least 1"),
        (["report", "resnet18", "--batch", "x"], "--batch must be a whole number"),
        (["report", "resnet18", "--input"], "the option --input needs a value"),
        (["report", "resnet18", "--platfrom", "x"], "there is no option --platfrom; did you mean"),
        (["report", "resnet18", "resnet34"], "more was given than is taken: resnet34"),
    ],
)
def test_errors_of_options_are_sentences(arguments, said):
    error = run(*arguments, code=2).stderr
    assert said in error
    assert "Value error" not in error
    assert "Input should" not in error


FOUND = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
PAGES = [page for page in FOUND if page.exists() and "_build" not in page.parts]


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.exists() and "_build" not in p.parts], ids=lambda p: p.name
)
def test_specs_in_examples_are_quoted_for_every_shell(page):
    """In zsh a word with "?" or "*" that is not quoted is a pattern, and an error."""
    for line in page.read_text("utf-8").splitlines():
        command = line.strip().removeprefix("$ ")
        if not re.match(r"(costmodel|python -m validation) [a-z]", command):
            continue
        bare = re.sub(r"\"[^\"]*\"|'[^']*'|#.*$", "", command)
        assert not re.search(r"[?*&|<>\[\]]", bare), f"{page.name}: {line}"
