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

import costmodel as cm
from costmodel.ops import Conv, Elementwise
from costmodel.prediction.modules import by_operator, is_host_bound, spent
from costmodel.report import collect, details, page
from costmodel.report.html.whole import graph_data
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


def browse(text: str, folder: Path, width: int) -> dict:
    """Return what a page does when it is used; its console must stay empty."""
    assert CHROMIUM is not None
    file = folder / "page.html"
    file.write_text(text.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder / 'profile'}",
        "--enable-logging=stderr",
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
