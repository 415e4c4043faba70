"""Every command on right input: what it prints, its JSON, its files, its manners."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys

import jsonschema
import pytest
import typer
from typer.testing import CliRunner

import costmodel as cm
from costmodel.calibration import calibrate
from costmodel.calibration.measurement import Measurement, write_measurements
from costmodel.cli import group
from costmodel.cli.app import app
from costmodel.cli.networks import load_network
from costmodel.errors import DataError
from costmodel.hardware import hardware_names
from costmodel.report import schema
from costmodel.specs.batch import with_batch
from costmodel.zoo import NETWORKS
from costmodel.zoo.parameters import accepted, parse_value

GPU = "gtx-1080-ti/paper"
CPU = "snapdragon-810/paper"


def run(*arguments: str, code: int = 0, **kwargs):
    result = CliRunner().invoke(app, list(arguments), prog_name="costmodel", **kwargs)
    assert result.exit_code == code, result.output
    return result


DOCUMENTS = [
    ["report", "shufflenet_v2"],
    ["report", "resnet18", "--platform", GPU, "--batch", "2"],
    ["report", "mobilenet_v2", "--platform", CPU],
    ["formula", "pointwise"],
    ["formula", "resnet18", "--of", "span"],
    ["formula", "pointwise", "--of", "latency", "--platform", CPU],
    ["advise", "shufflenet_v1", "--platform", GPU],
    ["platforms", "list"],
    ["platforms", "show", "gtx-1080-ti"],
    ["platforms", "show", "ncnn"],
    ["platforms", "show", CPU],
    ["platforms", "check"],
    ["zoo"],
]


@pytest.mark.parametrize("arguments", DOCUMENTS, ids=" ".join)
def test_json_follows_the_published_schema(arguments):
    document = json.loads(run(*arguments, "--json").stdout)
    validator = jsonschema.Draft202012Validator(schema())
    kind = document["format"].removeprefix("costmodel-")
    # The definition by itself gives a readable error; the whole schema must take it too.
    jsonschema.validate(document, {**schema()["$defs"][kind], "$defs": schema()["$defs"]})
    assert validator.is_valid(document)


def test_the_schema_refuses_what_is_no_document():
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    document = json.loads(run("report", "resnet18", "--json").stdout)
    for broken in (
        {**document, "schema": 2},
        {**document, "extra": 1},
        {**document, "coverage": 1.5},
        {**document, "totals": {**document["totals"], "mac_elements": -1}},
    ):
        assert not validator.is_valid(broken)


def test_report_json_holds_the_library_s_figures():
    graph = cm.zoo.shufflenet_v2()
    totals = json.loads(run("report", "shufflenet_v2", "--json").stdout)["totals"]
    assert totals["multiply_adds"] == cm.multiply_adds(graph)
    assert totals["flops"] == 2 * cm.multiply_adds(graph)
    assert totals["mac_elements"] == cm.mac(graph)
    assert totals["mac_bytes"] == cm.mac(graph, unit="bytes")
    assert totals["mac_lower_bound_elements"] == cm.mac_lower_bound(graph)
    assert totals["params"] == cm.params(graph)
    assert totals["activation_memory_elements"] == cm.activation_memory(graph)
    assert totals["span_steps"] == cm.span(graph)
    assert totals["average_parallelism"] == cm.parallelism(graph)


def test_report_says_its_words_and_the_coverage():
    out = run("report", "shufflenet_v2", "--platform", GPU).stdout
    for words in (
        "coverage 100 %",
        "multiply-adds",
        "FLOPs, 2 each",
        "MAC (memory access cost)",
        "elements",
        "MAC lower bound",
        "predicted",
        "90 % interval",
        "from 51 measurements",
        "bottleneck",
        "slowest kernels",
    ):
        assert words in out


def test_explain_shows_every_kernel_and_what_was_fused():
    graph = cm.zoo.pointwise(56, 56, 32, 64)
    lines = run("report", "mobilenet_v1", "--platform", GPU, "--explain").stdout.splitlines()
    assert "depthwise + batch_norm" in " ".join(" ".join(lines).split())  # it may be wrapped
    for name in ("launch", "compute", "memory", "passes", "waits for"):
        assert any(name in line for line in lines)
    assert cm.multiply_adds(graph) > 0


def test_report_csv_has_a_row_an_operator_or_a_kernel():
    rows = list(csv.DictReader(io.StringIO(run("report", "resnet18", "--csv").stdout)))
    assert sum(int(r["multiply_adds"]) for r in rows) == cm.multiply_adds(cm.zoo.resnet18())
    out = run("report", "resnet18", "--csv", "--platform", GPU).stdout
    kernels = list(csv.DictReader(io.StringIO(out)))
    assert 0 < len(kernels) < len(rows)
    assert all(float(k["seconds"]) > 0 for k in kernels)


def test_report_html_is_one_file_that_loads_nothing(tmp_path):
    file = tmp_path / "r.html"
    run("report", "resnet18", "--platform", GPU, "--html", str(file))
    text = file.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert not re.search(r"<script src|<link|https?://|@import|url\(", text)
    assert "default-src 'none'" in text


def test_report_takes_a_saved_graph_and_a_python_callable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cm.save(cm.zoo.resnet18(), "saved.json")
    (tmp_path / "own.py").write_text("import costmodel as cm\nnet = cm.zoo.resnet18\n")
    found = [
        json.loads(run("report", spec, "--json").stdout)["totals"]
        for spec in ("saved.json", "python:own.py:net", "resnet18")
    ]
    assert found[0] == found[1] == found[2]


def test_batch_of_a_saved_graph_is_the_batch_of_the_zoo(tmp_path):
    file = tmp_path / "saved.json"
    cm.save(cm.zoo.shufflenet_v2(), file)
    eight = load_network(str(file), batch=8)
    assert cm.cost(eight) == cm.cost(cm.zoo.shufflenet_v2(batch=8))
    assert cm.cost(load_network("shufflenet_v2", batch=8)) == cm.cost(eight)


def test_batch_is_refused_where_the_graph_has_it_built_in():
    b = cm.Builder("fixed")
    from costmodel.ops import Linear, Reshape

    x = b.add(Reshape((1, -1)), b.add(Reshape((64,)), b.input((1, 64))))
    built_in = b.finish(b.add(Linear(10), x))
    b = cm.Builder("fixed")
    weights_follow = b.finish(
        b.add(Linear(10, bias=False), b.add(Reshape((-1,)), b.input((1, 64))))
    )
    for graph in (built_in, weights_follow):
        with pytest.raises(DataError, match="the batch of fixed is fixed"):
            with_batch(graph, 8)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["formula", "pointwise"], "MAC = h*w*(c1 + c2) + c1*c2 "),
        (["formula", "pointwise"], "FLOPs = 2*c1*c2*h*w "),
        (["formula", "pointwise"], "parallelism = c2*h*w "),
        (["formula", "pointwise", "--of", "mac"], "h*w*(c1 + c2) + c1*c2"),
        (["formula", "conv2d?cin=c&cout=c&k=1&size=56", "--of", "multiply-adds"], "3136*c**2"),
        (["formula", "resnet18?size=224&batch=1", "--of", "params"], "11689512"),
    ],
    ids=lambda v: v if isinstance(v, str) else " ".join(v),
)
def test_formula_prints_closed_forms(arguments, line):
    assert any(found.strip().startswith(line) for found in run(*arguments).stdout.splitlines())


def test_formula_of_the_bound_is_equation_1_and_explains_B():
    out = run("formula", "pointwise").stdout
    assert "MAC >= 2*sqrt(B*h*w) + B/(h*w)" in out
    assert "B = multiply-adds" in out


def test_formula_of_traffic_names_its_fast_memory():
    out = run("formula", "pointwise", "--of", "traffic").stdout
    assert out.strip() == "Max(2*c1*c2*h*w/sqrt(S) - 2*S, c1*h*w + c2*h*w + c1*c2)"
    out = run("formula", "pointwise", "--fast-memory", "64KiB").stdout
    assert "traffic >= Max(c1*c2*h*w/64 - 32768, " in out
    (entry,) = json.loads(run("formula", "pointwise", "--of", "traffic", "--json").stdout)[
        "formulas"
    ]
    assert entry["note"] == "S = elements of fast memory"
    run("formula", "pointwise", "--of", "mac", "--fast-memory", "1 kB", code=2)
    run("formula", "pointwise?c1=S", "--of", "traffic", code=2)
    run("formula", "pointwise", "--fast-memory", "1 B", code=2)


def test_report_shows_the_least_traffic_through_fast_memory():
    small = json.loads(run("report", "mobilenet_v2", "--fast-memory", "512KB", "--json").stdout)
    (bound,) = small["totals"]["cache_lower_bounds"]
    expected = cm.cache_lower_bound(cm.network("mobilenet_v2"), capacity=128_000)
    assert bound == {"name": "fast memory", "fast_memory_bytes": 512_000, "elements": expected}
    out = run("report", "mobilenet_v2", "--fast-memory", "512KB").stdout
    assert "through 512 kB fast memory" in out
    platform = json.loads(run("report", "resnet18", "-p", CPU, "--json").stdout)
    caches = platform["totals"]["cache_lower_bounds"]
    assert [b["name"] for b in caches] == ["l1", "l2"]
    assert caches[0]["elements"] >= caches[1]["elements"]


def test_formula_in_latex():
    out = run("formula", "pointwise", "--of", "mac", "--latex").stdout
    assert out == "h w \\left(c_{1} + c_{2}\\right) + c_{1} c_{2}\n"


def test_formula_leaves_batch_and_size_of_a_network_open():
    out = run("formula", "resnet18", "--of", "mac").stdout
    assert "batch" in out
    assert "size" in out


def test_formula_of_latency_can_be_evaluated():
    graph = cm.zoo.pointwise(56, 56, 128, 256)
    lines = run("formula", "pointwise", "--of", "latency", "--platform", CPU).stdout.splitlines()
    from sympy import sympify

    from costmodel.prediction.latency import latency

    values = {"h": 56, "w": 56, "c1": 128, "c2": 256}
    for line in lines:
        name, _, text = line.partition(" = ")
        values[name] = sympify(text.partition("#")[0]).subs(values)
    seconds = float(values["latency"])
    assert seconds == pytest.approx(latency(graph, CPU).seconds, rel=1e-2)


def test_platforms_list_and_check():
    out = run("platforms").stdout
    assert "gtx-1080-ti" in out
    assert "torch-eager" in out
    assert (
        f"{len(hardware_names())} devices checked, 0 findings" in run("platforms", "check").stdout
    )


def test_platforms_check_exits_1_on_a_wrong_file(tmp_path):
    from pathlib import Path

    import costmodel.hardware

    shipped = Path(costmodel.hardware.__file__).parent / "devices" / "gtx-1080-ti.toml"
    wrong = tmp_path / "gtx-1080-ti.toml"
    wrong.write_text(shipped.read_text(encoding="utf-8").replace("484 GB/s", "48.4 GB/s"))
    result = run("platforms", "check", str(wrong), code=1)
    assert "memory.bandwidth" in result.stdout
    assert "1 device checked, " in result.stdout
    document = json.loads(run("platforms", "check", str(wrong), "--json", code=1).stdout)
    jsonschema.validate(document, schema())
    assert document["findings"]
    wrong.write_text(shipped.read_text(encoding="utf-8").replace("pascal", "paskal"))
    renamed = tmp_path / "board.toml"
    renamed.write_text(shipped.read_text(encoding="utf-8"))
    result = run("platforms", "check", str(wrong), str(renamed), "t4", code=1)
    assert "architecture: 'paskal-gaming' is unknown; did you mean pascal-gaming" in result.stdout
    assert "board: name: is 'gtx-1080-ti'; it must be the file's, 'board'" in result.stdout
    assert "3 devices checked" in result.stdout


def test_platforms_show_prints_value_unit_kind_and_source():
    out = " ".join(run("platforms", "show", "gtx-1080-ti").stdout.split())
    for words in ("memory.bandwidth 484 GB/s datasheet", "link.bandwidth 15.8 GB/s derived"):
        assert words in out


def test_platforms_show_prints_where_priors_are_from():
    out = " ".join(run("platforms", "show", "raspberry-pi-4/ncnn").stdout.split())
    assert "cost of calling a normalization, relative to call" in out
    assert "Sources of the priors fixed: assumption: tens of microseconds" in out
    document = json.loads(run("platforms", "show", "raspberry-pi-4/ncnn", "--json").stdout)
    jsonschema.validate(document, schema())
    assert all(parameter["source"] for parameter in document["parameters"])
    runtime = " ".join(run("platforms", "show", "paper").stdout.split())
    assert "gpu launch value 2.3e-06, spread 0.3: fit to DeepBench's float" in runtime
    # The values of a calibration are from its measurements.
    assert "Sources of the priors" not in run("platforms", "show", "gtx-1080-ti/paper").stdout


def test_calibrate_writes_a_file_that_other_commands_take(tmp_path):
    table, file = tmp_path / "t.csv", tmp_path / "fitted.toml"
    sizes = (16, 32, 64, 128, 256)
    rows = [Measurement(f"pointwise?h=56&w=56&c1={c}&c2={c}", 1e-4 * c) for c in sizes]
    write_measurements(table, rows)
    out = run("calibrate", str(table), "-p", CPU, "-o", str(file)).stdout
    assert "5 rows fitted, median error" in out
    report = json.loads(run("report", "resnet18", "--platform", str(file), "--json").stdout)
    assert report["prediction"]["basis"] == "5 measurements"
    assert calibrate(rows, CPU).platform.fitted.rows == 5


def test_a_calibration_of_own_hardware_is_a_platform_beside_its_file(tmp_path):
    from pathlib import Path

    import costmodel.hardware

    shipped = Path(costmodel.hardware.__file__).parent / "devices" / "gtx-1080-ti.toml"
    text = shipped.read_text(encoding="utf-8").replace('name = "gtx-1080-ti"', 'name = "mine"')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    table, file = tmp_path / "t.csv", tmp_path / "fitted.toml"
    rows = [Measurement(f"pointwise?h=56&w=56&c1={c}&c2={c}", 1e-6 * c) for c in (64, 128, 256)]
    write_measurements(table, rows)
    own = f"{tmp_path / 'mine.toml'}/torch-eager"
    run("calibrate", str(table), "-p", own, "-o", str(file), "--as-is")
    report = json.loads(run("report", "resnet18", "--platform", str(file), "--json").stdout)
    assert report["prediction"]["basis"] == "3 measurements"


def test_calibrate_keeps_good_rows_only_when_asked(tmp_path):
    table, file = tmp_path / "t.csv", tmp_path / "fitted.toml"
    table.write_text("network,seconds\nresnet18,0.5\nresnet18,nan\n")
    run("calibrate", str(table), "-p", CPU, "-o", str(file), code=2)
    assert not file.exists()
    result = run("calibrate", str(table), "-p", CPU, "-o", str(file), "--keep-good")
    assert "left out row 3" in result.stderr
    assert file.exists()


def test_defaults_that_zoo_prints_can_be_given():
    listed = json.loads(run("zoo", "--json").stdout)["networks"]
    for entry in listed:
        parameters = accepted(NETWORKS[entry["name"]])
        for shown in entry["parameters"]:
            parameter = parameters[shown["name"]]
            if shown["default"] is not None:
                value = parse_value(entry["name"], shown["name"], parameter, shown["default"])
                assert value == parameter.default, (entry["name"], shown["name"])
    assert "layers=6,12,24,16, growth=32" in run("zoo", "densenet").stdout
    assert cm.network("conv2d?padding=None").graph == cm.network("conv2d").graph


def test_zoo_lists_networks_with_parameters():
    out = run("zoo").stdout
    assert "shufflenet_v2:" in out
    assert "width=1.0" in out


def test_version_and_help_with_examples():
    assert run("--version").stdout.startswith("costmodel ")
    for command in ("report", "formula", "advise", "calibrate", "zoo", "platforms"):
        assert "Example: costmodel " in run(command, "--help").stdout
    for command in ("list", "show", "check"):
        assert "Example: costmodel " in run("platforms", command, "--help").stdout
    assert "--install-completion" in run("--help").stdout


class FakeEntry:
    def __init__(self, name, thing):
        self.name, self.value, self._thing = name, f"somewhere:{name}", thing

    def load(self):
        if isinstance(self._thing, Exception):
            raise self._thing
        return self._thing


def test_commands_of_other_packages(monkeypatch):
    def hello(name: str, loud: bool = False) -> None:
        """Greet."""
        if name == "bad":
            raise DataError("no such person")
        print(name.upper() if loud else name)

    apps = typer.Typer()
    apps.command("one")(lambda: print("first"))
    apps.command("two")(lambda: print("second"))
    entries = [
        FakeEntry("hello", hello),
        FakeEntry("apps", apps),
        FakeEntry("broken", ImportError("no torch")),
        FakeEntry("report", hello),
    ]
    monkeypatch.setattr(group, "entry_points", lambda group: entries)
    text = run("--help").stdout
    assert "Greet." in text
    assert "cannot be loaded: ImportError: no torch" in text
    assert run("hello", "you", "--loud").stdout == "YOU\n"
    assert run("apps", "two").stdout == "second\n"
    assert "no such person" in run("hello", "bad", code=2).stderr
    assert "ImportError: no torch" in run("broken", code=2).stderr
    assert "multiply-adds" in run("report", "resnet18").stdout  # nobody replaces what is built in


def test_help_lists_commands_of_other_packages_without_loading_them(monkeypatch):
    class Entry(FakeEntry):
        def load(self):
            raise AssertionError("help loads what it only has to name")

    entries = [Entry("validate", None), Entry("validation", None)]
    entries[0].value, entries[1].value = (
        "costmodel_validation.cli:validate",
        "costmodel_validation.__main__:app",
    )
    monkeypatch.setattr(group, "entry_points", lambda group: entries)
    text = " ".join(run("--help").stdout.split())
    assert "Run NETWORKS and print what is predicted beside what is measured" in text
    assert "validation Check the claims of the project: score, reproduce" in text


@pytest.mark.parametrize("module", ["sympy", "networkx", "pint", "rich.table"])
def test_help_starts_without(module):
    code = (
        "import sys; from costmodel.cli.app import app; "
        "app(['report', '--help'], standalone_mode=False); "
        f"sys.exit({module!r} in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.returncode == 0


def piped(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "costmodel.cli", *arguments],
        capture_output=True,
        env={**kept, **environment},
        timeout=120,
        check=False,
    )


def test_piped_reports_are_plain_text_of_80_columns():
    result = piped("report", "shufflenet_v2", "--platform", GPU, "--explain")
    assert result.returncode == 0
    assert result.stderr == b""
    text = result.stdout.decode()
    assert "\x1b" not in text
    assert not re.search(r"[\u2500-\u259f]", text)  # no lines, no blocks
    assert max(map(len, text.splitlines())) <= 80


def test_ascii_terminals_and_no_color_are_honoured():
    ascii_only = piped("report", "resnet18", "--platform", GPU, PYTHONIOENCODING="ascii")
    assert ascii_only.returncode == 0
    ascii_only.stdout.decode("ascii")
    loud = piped("report", "resnet18", FORCE_COLOR="1", TERM="xterm-256color")
    quiet = piped("report", "resnet18", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm-256color")
    colours = rb"\x1b\[[0-9;]*3[0-9]m"
    assert b"\x1b" in loud.stdout
    assert not re.search(colours, quiet.stdout)


def test_a_closed_pipe_leaves_no_traceback():
    command = f"{sys.executable} -m costmodel.cli report resnet50 --csv | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, timeout=120, check=False)
    assert b"Traceback" not in result.stderr
    assert result.stdout.startswith(b"name,")


@pytest.mark.parametrize(
    "words",
    [
        ["report", "shufflenet_v2", "-p", "gtx-1080-ti/paper"],
        ["report", "vit?size=160&depth=2", "-p", "raspberry-pi-4/ncnn", "--json"],
        ["compare", "alexnet", "resnet18", "-p", "rk3399/tflite"],
        ["platforms", "show", "rk3399/tflite"],
        ["zoo"],
    ],
    ids=" ".join,
)
def test_reports_on_numbers_start_without_sympy(words):
    """Its import takes longer than all that they compute."""
    code = (
        "import sys; from costmodel.cli.app import app; "
        f"app({words!r}, standalone_mode=False); sys.exit(3 if 'sympy' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
