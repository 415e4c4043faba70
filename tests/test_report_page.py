"""The page of a report: what it holds without scripts, and how it behaves in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from functools import cache
from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.ops import Conv, Elementwise
from costmodel.prediction.modules import by_operator, is_host_bound, spent
from costmodel.report import collect, comparison_page, details, page
from costmodel.report.html.whole import graph_data
from costmodel.report.text import seconds
from costmodel.report.tree import tree

GPU = "gtx-1080-ti/paper"
EAGER = "rtx-4090/torch-eager"
MOST_BYTES = 1_500_000
CHROMIUM = shutil.which("chromium")


@cache
def shown(network: str, platform: str | None = GPU) -> str:
    return page_of(cm.network(network), platform)


def page_of(graph, platform: str | None) -> str:
    prediction = None if platform is None else cm.latency(graph, platform)
    return page(collect(graph, prediction), details(graph, platform, date="2026-01-31"))


@cache
def long_network():
    """Return a network of 2,000 operators from ONNX, in 500 modules."""
    onnx = pytest.importorskip("onnx")
    import numpy as np

    make, nodes, x = onnx.helper.make_node, [], "x"
    for i in range(500):
        at = f"/body/block_{i}"
        nodes += [
            make("Conv", [x, "w"], [f"c{i}"], name=f"{at}/conv/Conv", pads=[1] * 4),
            make("Relu", [f"c{i}"], [f"r{i}"], name=f"{at}/relu/Relu"),
            make("Sigmoid", [f"r{i}"], [f"s{i}"], name=f"{at}/Sigmoid"),
            make("Add", [f"s{i}", x], [f"a{i}"], name=f"{at}/Add"),
        ]
        x = f"a{i}"
    value = onnx.helper.make_tensor_value_info
    ends = [value(name, onnx.TensorProto.FLOAT, [1, 16, 32, 32]) for name in ("x", x)]
    weights = onnx.numpy_helper.from_array(np.zeros((16, 16, 3, 3), np.float32), "w")
    graph = onnx.helper.make_graph(nodes, "long", ends[:1], ends[1:], [weights])
    opset = onnx.helper.make_opsetid("", 17)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "long.onnx"
        onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), file)
        return cm.from_onnx(file)


# ---- without scripts


def test_the_page_says_under_which_conditions_it_holds():
    text = shown("shufflenet_v2")
    for words in (
        "input float32[1, 3, 224, 224]",
        "NVIDIA GeForce GTX 1080 Ti",
        "2026-01-31",
        "as in the network",
        "from 51 measurements",
        "90 % interval",
        "2 FLOPs",
        "predicted, not measured",
    ):
        assert words in text


def test_every_kernel_and_operator_stands_in_the_page_itself():
    graph = cm.network("shufflenet_v2")
    without = re.sub(r"<script.*?</script>", "", shown("shufflenet_v2"), flags=re.S)
    for k in cm.latency(graph, GPU).kernels:
        assert f"<td>{k.kernel.name}</td>" in without
    for o in collect(graph).operators:
        assert f"<td>{o.name}</td>" in without
    assert without.count("<circle") > 10
    assert "<title>classifier.linear (linear): " in without


@pytest.mark.parametrize("platform", [GPU, EAGER, "raspberry-pi-4/ncnn", "t4/cuda-graphs"])
def test_times_by_operator_and_the_rest_add_up_to_the_latency(platform):
    graph = cm.network("shufflenet_v2?width=0.5")
    p = cm.latency(graph, platform)
    report = collect(graph, p)
    rest = float(p.fixed) + float(p.transfer)
    assert sum(spent(p)) + rest == pytest.approx(float(p.seconds))
    root = tree(report.operators, report.seconds)
    assert root.seconds + rest == pytest.approx(float(p.seconds))
    assert sum(report.module_seconds.values()) + rest == pytest.approx(float(p.seconds))
    assert is_host_bound(p) == (platform == EAGER)


def test_steps_of_one_operator_count_for_it():
    p = cm.latency(cm.network("shufflenet_v2"), GPU)
    found = by_operator([p.kernels[0].kernel.name], p)
    assert set(found) == {"", p.kernels[0].kernel.name}
    assert sum(found.values()) == pytest.approx(sum(spent(p)))


def test_a_device_that_waits_for_its_host_is_said_to():
    assert "The device waits for its host" in shown("shufflenet_v2", EAGER)
    assert "The device waits for its host" not in shown("shufflenet_v2")


def test_shared_parameters_count_once_in_the_modules():
    b = cm.Builder("twice")
    x = b.input((1, 8, 14, 14))
    with b.module("body"):
        x = b.add(Conv(8, (1, 1)), x, name="a", weights="w")
        x = b.add(Conv(8, (1, 1)), x, name="b", weights="w")
    graph = b.finish(x)
    root = tree(collect(graph).operators, {})
    assert root.params == cm.params(graph) > 0


def test_many_operators_of_one_module_are_drawn_in_groups():
    b = cm.Builder("flat")
    x = b.input((1, 8, 14, 14))
    for _ in range(100):
        x = b.add(Elementwise("relu"), x)
    graph = b.finish(x)
    data = graph_data(collect(graph), details(graph))
    assert data["paths"] == [["operators 1 to 40"], ["operators 41 to 80"], ["operators 81 to 100"]]
    assert len(data["links"]) == 99


@pytest.mark.parametrize("platform", [None, "raspberry-pi-4/ncnn", "h100-sxm/torch-compile"])
def test_every_kind_of_platform_has_its_page(platform):
    text = shown("mobilenet_v2?width=0.25&size=96", platform)
    assert ("<h2>Roofline</h2>" in text) == (platform is not None)
    assert "<h2>Memory over time</h2>" in text
    assert "nan" not in re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.S)


def test_a_network_that_does_nothing_has_a_page():
    b = cm.Builder("nothing")
    graph = b.finish(b.input((1, 8)))
    assert "No operator takes time" in page_of(graph, None)


@pytest.mark.parametrize(
    "graph",
    [
        lambda: cm.network("shufflenet_v2"),
        lambda: cm.network("densenet?layers=6,12,48,32"),
        long_network,
    ],
    ids=["shufflenet_v2", "densenet201", "2000 operators from ONNX"],
)
def test_pages_stay_small(graph):
    assert len(page_of(graph(), GPU).encode()) <= MOST_BYTES


# ---- in a browser

browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

PROBE = """
<script>
const out = {};
const rows = (id) => [...document.getElementById(id).tBodies[0].rows];
const column = (id, i) => rows(id).map((row) => row.cells[i].textContent);
const click = (node) => node.dispatchEvent(new MouseEvent("click", {bubbles: true}));
const heads = [...document.querySelectorAll("#kernels th button")];
heads[3].click();
out.down = column("kernels", 3);
heads[3].click();
out.up = column("kernels", 3);
heads[0].click();
out.names = column("kernels", 0);
out.sorted = heads[0].parentElement.getAttribute("aria-sort");
const filter = document.querySelector("input[data-table=kernels]");
filter.value = "depthwise STAGE3";
filter.dispatchEvent(new Event("input"));
out.left = rows("kernels").filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
out.said = filter.closest(".tools").querySelector("output").textContent;
const dot = document.querySelector(".dot");
dot.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
out.hover = document.getElementById("hover").textContent;
out.title = dot.querySelector("title").textContent;
const view = document.getElementById("graph-view");
const boxes = () => view.querySelectorAll("g").length;
out.closed = boxes();
const module = view.querySelector(".module");
out.module = module ? module.dataset.key : "";
if (module) module.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true}));
out.opened = boxes();
const chip = document.querySelector("#graph-open button");
if (chip) click(chip);
out.again = boxes();
const cell = document.querySelectorAll(".icicle button")[1];
if (cell) click(cell);
out.gone = document.querySelectorAll(".icicle .gone").length;
out.wide = document.documentElement.scrollWidth - window.innerWidth;
out.width = window.innerWidth;
const probe = document.createElement("pre");
probe.id = "probe";
probe.textContent = JSON.stringify(out);
document.body.append(probe);
</script>
"""


BROWSER = (str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr")


def browse(text: str, folder: Path, width: int, probe: str = PROBE) -> dict:
    """Return what a page does when it is used; its console must stay empty."""
    file = folder / "page.html"
    file.write_text(text.replace("</body>", f"{probe}</body>"), encoding="utf-8")
    command = [
        *BROWSER,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},900",
        "--dump-dom",
        file.as_uri(),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    assert not [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    (found,) = re.findall(r'<pre id="probe">(.*?)</pre>', run.stdout, re.S)
    return json.loads(unescape(found))


def numbers(texts: list[str]) -> list[float]:
    return [0.005 if text == "<0.01" else float(text) for text in texts]


@browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 400])
def test_tables_sort_and_filter_and_modules_open(tmp_path, width):
    found = browse(shown("shufflenet_v2"), tmp_path, width)
    assert numbers(found["down"]) == sorted(numbers(found["down"]), reverse=True)
    assert numbers(found["up"]) == sorted(numbers(found["up"]))
    assert found["sorted"] == "ascending"
    assert found["names"][0] == "classifier.avg"
    assert found["names"][-1] == "stage4.3.main.conv_3"
    assert found["left"]
    assert all("stage3" in name for name in found["left"])
    assert found["said"] == f"{len(found['left'])} of 75"
    assert found["hover"] == found["title"] != ""
    assert found["closed"] == found["again"] == 7
    assert found["opened"] == 9  # conv1 gave way to its three operators
    assert found["gone"] > 0
    assert found["wide"] <= 0  # tables scroll in themselves, the page does not


@browser
@pytest.mark.slow
@pytest.mark.parametrize(
    "graph",
    [lambda: cm.network("densenet?layers=6,12,48,32"), long_network],
    ids=["densenet201", "2000 operators from ONNX"],
)
def test_large_networks_run_without_a_word_on_the_console(tmp_path, graph):
    found = browse(page_of(graph(), GPU), tmp_path, 400)
    assert numbers(found["down"]) == sorted(numbers(found["down"]), reverse=True)
    assert found["opened"] > found["closed"] == found["again"]
    assert found["wide"] <= 0


# ---- a comparison


@cache
def compared(networks: tuple[str, ...], platforms: tuple[str, ...]) -> str:
    return comparison_page(cm.compare(networks, platforms), ("a and b, batch=1:64: never",))


NETWORKS = ("shufflenet_v2", "mobilenet_v2", "squeezenet")


def test_a_comparison_has_every_entry_and_difference():
    found = cm.compare(NETWORKS, (GPU, "rk3399/tflite"))
    text = compared(NETWORKS, (GPU, "rk3399/tflite"))
    for e in found.entries:
        assert f"<td>{e.network}</td><td class=t>{e.platform}</td>" in text
        assert seconds(float(e.prediction.seconds)) in text
    assert text.count("times as long") == len(found.differences) == 7
    for d in found.differences:
        assert f"{d.ratio:.3g} times as long" in text
        assert all(name in text for name in d.modules)
    assert "squeezenet against shufflenet_v2, on rk3399/tflite" in text
    assert "rk3399/tflite against gtx-1080-ti/paper, both mobilenet_v2" in text
    assert "a and b, batch=1:64: never." in text


def test_times_of_a_difference_add_up():
    found = cm.compare(NETWORKS[:2], GPU)
    (d,) = found.differences
    rest = [float(e.prediction.fixed + e.prediction.transfer) for e in found.entries]
    apart = float(found.seconds[1] - found.seconds[0])
    assert sum(d.terms.values()) == pytest.approx(apart)
    assert sum(d.modules.values()) + rest[1] - rest[0] == pytest.approx(apart)


def test_names_of_a_comparison_are_text(tmp_path):
    graph = cm.network("alexnet")
    graph.graph["name"] = "<script>alert(1)</script>"
    text = comparison_page(cm.compare([graph, "resnet18"], GPU))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_the_command_writes_the_page(tmp_path):
    words = ["compare", "alexnet", "resnet18", "-p", GPU, "--over", "batch=1:4"]
    result = CliRunner().invoke(app, [*words, "--html", str(tmp_path / "both.html")])
    assert result.output == f"wrote {tmp_path / 'both.html'}\n"
    text = (tmp_path / "both.html").read_text("utf-8")
    assert "Where the faster one changes" in text
    assert CliRunner().invoke(app, [*words, "--html", "-"]).stdout == text
    wrong = CliRunner().invoke(app, [*words, "--html", "-", "--json"])
    assert (wrong.exit_code, "give one of --json and --html" in wrong.stderr) == (2, True)


COMPARED = """
<script>
const table = document.getElementById("modules-1");
const rows = () => [...table.tBodies[0].rows];
const cells = (i) => rows().map((row) => row.cells[i].textContent);
const out = {first: cells(3)};
table.querySelectorAll("th button")[3].click();
out.down = cells(3);
const filter = document.querySelector("input[data-table=modules-1]");
filter.value = "STAGE";
filter.dispatchEvent(new Event("input"));
out.left = rows().filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
out.wide = document.documentElement.scrollWidth - window.innerWidth;
const probe = document.createElement("pre");
probe.id = "probe";
probe.textContent = JSON.stringify(out);
document.body.append(probe);
</script>
"""


@browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 400])
def test_a_comparison_sorts_filters_and_fits(tmp_path, width):
    text = compared(NETWORKS, (GPU, "rk3399/tflite"))
    found = browse(text, tmp_path, width, COMPARED)
    signs = [value[0] for value in found["down"]]
    assert signs == sorted(signs)  # "+" before "-"
    assert found["first"] != found["down"]
    assert found["left"]
    assert all("stage" in name for name in found["left"])
    assert found["wide"] <= 0


@browser
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["report", "comparison"])
def test_pages_print(tmp_path, kind):
    text = shown("shufflenet_v2") if kind == "report" else compared(NETWORKS, (GPU,))
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [*BROWSER, f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer",
         f"--print-to-pdf={tmp_path / 'page.pdf'}", (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert 1 <= (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n") <= 12
