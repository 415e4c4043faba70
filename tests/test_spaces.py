"""Design spaces: chunks give what single variants give, interrupted sweeps go on."""

from __future__ import annotations

import csv
import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import costmodel as cm
from costmodel.algebra.arrays import computed_once, narrowed, whole
from costmodel.algebra.symbols import total
from costmodel.cli.app import app
from costmodel.errors import CostModelError, DataError, GraphError
from costmodel.ops.tensor import Tensor
from costmodel.platforms import load_platform
from costmodel.report import schema
from costmodel.spaces import SPACES, Space, find_space
from costmodel.spaces import chunks as chunks_module
from costmodel.spaces import sweeping as module
from costmodel.spaces.evaluate import COLUMNS, evaluate
from costmodel.spaces.select import conditions, pareto

ARM = "rk3399/tflite"
GPU = "gtx-1080-ti/paper"


def run(*arguments, code=0):
    result = CliRunner().invoke(app, list(arguments), prog_name="costmodel")
    assert result.exit_code == code, result.output
    return result


def stacks():
    choices = {"blocks": (1, 2, 3), "c1": tuple(range(8, 72, 8)), "c2": (16, 24, 100)}
    return Space("stacks", cm.zoo.g1_stack, choices, ("c1", "c2"))


# ---- variants


def test_numbers_stand_for_variants_one_to_one():
    space = stacks()
    variants = [tuple(space.variant(i).values()) for i in range(space.count)]
    assert len(set(variants)) == space.count == 72
    with pytest.raises(DataError, match="0 to 71, not 72"):
        space.variant(72)


@pytest.mark.parametrize("name", list(SPACES))
@pytest.mark.parametrize("platform", [ARM, GPU])
def test_every_space_is_predicted_as_its_single_networks_are(name, platform):
    space = find_space(name)
    found = cm.sweep(space, platform, sample=6)
    # And variants of one structure, which are arrays of one graph.
    near = np.unique(np.linspace(0, space.alike - 1, 5).astype(int)) + space.alike
    columns = evaluate(space, load_platform(platform), near)
    for numbers, rows in ((found.columns["variant"], found.columns), (near, columns)):
        for i in range(0, len(numbers), 2):
            graph = space.graph(int(numbers[i]))
            assert rows["latency"][i] == pytest.approx(
                cm.latency(graph, platform).seconds, rel=1e-9
            )
            assert rows["flops"][i] == cm.flops(graph) == 2 * rows["multiply_adds"][i]
            assert rows["params"][i] == cm.params(graph)
            assert rows["mac"][i] == cm.mac(graph)


@pytest.mark.parametrize("platform", [ARM, GPU])
def test_scattered_variants_are_predicted_as_those_on_a_grid_are(platform, monkeypatch):
    space = find_space("shufflenet_v2")
    place = load_platform(platform)
    near = np.arange(500, 5000)  # a grid, most of which is asked for
    far = np.linspace(0, space.alike - 1, 40).astype(int)  # few of a large one
    on_grid = evaluate(space, place, near)
    for name, values in evaluate(space, place, np.concatenate([near, far])).items():
        np.testing.assert_allclose(values[: len(near)], on_grid[name], rtol=1e-12)
    for i in (0, 4499):
        graph = space.graph(int(near[i]))
        assert on_grid["latency"][i] == pytest.approx(cm.latency(graph, platform).seconds, rel=1e-9)
        assert on_grid["params"][i] == cm.params(graph)
    shuffled = np.random.default_rng(0).permutation(near)
    for name, values in evaluate(space, place, shuffled).items():
        np.testing.assert_allclose(values, on_grid[name][shuffled - 500], rtol=1e-12)


def test_sizes_on_a_grid_keep_to_the_axes_that_they_depend_on():
    a = whole(np.array([2, 4]).reshape(2, 1))
    b = whole(np.array([6, 8, 10]).reshape(1, 3))
    assert narrowed(a + (b - a)).tolist() == [[6, 8, 10]]
    assert narrowed(a + b).shape == (2, 3)
    with computed_once():
        assert narrowed(a + (b - a)) is narrowed((b + a) - a)
    x = Tensor.inferred((1, a + (b - a), 7, 7), "float32")
    assert x.shape[1].shape == (1, 3)


def test_sums_of_arrays_of_several_shapes_are_sums():
    a, b = np.arange(3.0).reshape(3, 1), np.arange(4.0).reshape(1, 4)
    np.testing.assert_array_equal(total([a, 1, b, a, 2.0, b]), 2 * a + 2 * b + 3)


def test_a_function_that_changes_its_graph_makes_a_space_too():
    def changed(c):
        graph = cm.zoo.g1_stack(c1=c, c2=8, blocks=1)
        return graph.copy()

    space = Space("changed", changed, {"c": (8, 16)})
    found = evaluate(space, load_platform(ARM), np.arange(2))
    for i in range(2):
        expected = cm.latency(space.graph(i), ARM).seconds
        assert found["latency"][i] == pytest.approx(expected, rel=1e-12)
    wrong = Space("wrong", lambda c: cm.zoo.resnet18(batch=-c), {"c": (1,)})
    with pytest.raises(CostModelError):
        evaluate(wrong, load_platform(ARM), np.arange(1))


@pytest.mark.parametrize(
    ("decide", "sentence"),
    [
        (lambda n: n > 4, r"build fails on arrays of c1, n \(The truth value"),
        (lambda n: range(n), "build fails on arrays of c1, n"),
        (lambda n: np.all(n > 4), "variant 3 has other multiply_adds among others than alone"),
        (lambda n: int(np.max(n)) > 4, "variant 0 has other multiply_adds among others than alone"),
    ],
)
def test_sizes_that_change_the_structure_are_refused(decide, sentence):
    def build(c1, n):
        return cm.zoo.g1_stack(c1, 8, blocks=1 if decide(n) else 2)

    choices = {"c1": (8, 16), "n": (3, 5)}
    with pytest.raises(DataError, match=sentence):
        cm.sweep(Space("own", build, choices, ("c1", "n")), ARM)
    if "variant" in sentence:
        right = cm.sweep(Space("own", build, choices, ("c1",)), ARM)
        alone = [cm.multiply_adds(right.space.graph(int(n))) for n in right.columns["variant"]]
        assert right.columns["multiply_adds"].tolist() == alone


def test_known_networks_are_in_their_spaces():
    graph = SPACES["shufflenet_v2"]().build(size=224, c2=116, c3=232, c4=464, c5=1024)
    assert cm.flops(graph) == cm.flops(cm.zoo.shufflenet_v2())
    blocks = {f"depth{i}": 2 for i in range(1, 5)}
    widths = {f"width{i}": 32 * 2**i for i in range(1, 5)}
    ours = SPACES["resnet"]().build(**blocks, **widths)
    assert cm.flops(ours) == cm.flops(cm.zoo.resnet18())
    assert find_space("nasbench201").count == 5**6


def test_operations_on_equal_arrays_are_computed_once_and_as_before():
    a, b = whole(np.array([3, 2**40])), whole(np.array([5, 7]))
    plain = (a * b + 1) // 2
    with computed_once():
        assert (a * b) is (a * b)
        assert (a - b) is not (b - a)
        assert np.array_equal((a * b + 1) // 2, plain)
        assert (a * 2).tolist() != (a * 3).tolist()
        large = a * whole(np.array([2**40, 2**40]))
        assert large.dtype == float
    assert (a * b) is not (a * b)


# ---- sweeps


def test_chunks_executors_and_samples_change_nothing(monkeypatch):
    whole_sweep = cm.sweep(stacks(), ARM)
    assert len(whole_sweep) == whole_sweep.seen == 72
    monkeypatch.setattr(chunks_module, "CHUNK", 5)
    for executor in (None, ThreadPoolExecutor(2)):
        other = cm.sweep(stacks(), ARM, executor=executor)
        for name, values in whole_sweep.columns.items():
            np.testing.assert_allclose(other.columns[name], values, rtol=1e-12)
    sampled = cm.sweep(stacks(), ARM, sample=30)
    assert len(set(sampled.columns["variant"].tolist())) == 30
    assert set(sampled.columns["variant"]) <= set(whole_sweep.columns["variant"])


def test_other_processes_predict_the_same():
    space = find_space("mobilenet_v2", {"size": ("128", "160"), "width": ("0.5", "1.0")})
    here = cm.sweep(space, ARM)
    with ProcessPoolExecutor(1) as executor:
        there = cm.sweep(space, ARM, executor=executor)
    np.testing.assert_array_equal(here.columns["latency"], there.columns["latency"])


def test_an_interrupted_sweep_goes_on_where_it_was(monkeypatch, tmp_path):
    monkeypatch.setattr(chunks_module, "CHUNK", 10)
    done = []

    def interrupted(seen, whole):
        done.append(seen)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cm.sweep(stacks(), ARM, folder=tmp_path / "parts", progress=interrupted)
    predicted = []

    def noted(space, platform, numbers):
        predicted.extend(numbers)
        return evaluate(space, platform, numbers)

    monkeypatch.setattr(module, "evaluate", noted)
    (tmp_path / "parts" / "chunk-000003.half").write_bytes(b"cut off")
    resumed = cm.sweep(stacks(), ARM, folder=tmp_path / "parts")
    assert sorted(predicted) == list(range(done[-1], 72))
    np.testing.assert_allclose(
        resumed.columns["latency"], cm.sweep(stacks(), ARM).columns["latency"]
    )
    with pytest.raises(DataError, match="another sweep"):
        cm.sweep(stacks(), GPU, folder=tmp_path / "parts")


def test_a_sweep_does_not_go_on_with_other_facts_of_one_name(tmp_path):
    here = load_platform(ARM)
    cm.sweep(stacks(), here, folder=tmp_path / "parts")
    faster = replace(here, hardware=replace(here.hardware, clock=2 * here.hardware.clock))
    eager = replace(here, runtime=replace(here.runtime, dead_code=not here.runtime.dead_code))
    for other in (faster, eager):
        assert other.name == here.name
        with pytest.raises(DataError, match="another sweep"):
            cm.sweep(stacks(), other, folder=tmp_path / "parts")
    assert len(cm.sweep(stacks(), load_platform(ARM), folder=tmp_path / "parts")) == 72


def test_conditions_best_and_front_are_of_the_whole(monkeypatch):
    monkeypatch.setattr(chunks_module, "CHUNK", 7)
    every = cm.sweep(stacks(), ARM).columns
    limit = float(np.median(every["flops"]))
    found = cm.sweep(stacks(), ARM, f"flops<{limit!r}", best=5)
    fine = every["flops"] < limit
    np.testing.assert_allclose(found.columns["latency"], np.sort(every["latency"][fine])[:5])
    front = cm.sweep(stacks(), ARM, front=("latency", "params"))
    values = np.stack([every["latency"], every["params"]], axis=1)
    assert set(front.columns["variant"]) == set(every["variant"][pareto(values)])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.tuples(*[st.integers(0, 5)] * n), min_size=1, max_size=40)
    )
)
def test_a_front_is_what_nothing_dominates(rows):
    values = np.array(rows, dtype=float)
    expected = [not any(all(b <= a) and any(b < a) for b in values) for a in values]
    assert pareto(values).tolist() == expected


def test_conditions_are_read_and_refused():
    (c,) = conditions("latency<=1e-2", COLUMNS)
    assert c.holds({"latency": np.array([0.01, 0.02])}).tolist() == [True, False]
    for text in ("flops", "flops<", "colour<1", "flops<1 or mac<2", "__import__('os')"):
        with pytest.raises(DataError):
            conditions(text, COLUMNS)
    with pytest.raises(DataError, match="no column 'beauty'"):
        cm.sweep(stacks(), ARM, front=("beauty",))


def test_what_is_no_space_is_refused():
    with pytest.raises(DataError, match="has no values"):
        Space("s", cm.zoo.g1_stack, {"c1": ()})
    with pytest.raises(DataError, match="numbers to choose from"):
        Space("s", cm.zoo.g1_stack, {"c1": ("a",)}, ("c1",))
    with pytest.raises(DataError, match="unknown space"):
        find_space("nasbench")
    with pytest.raises(DataError, match="no 'colour' to choose"):
        find_space("resnet18", {"colour": ("1",)})


# ---- predictor


def test_a_predictor_is_the_latency_of_graphs_and_modules():
    predict = cm.predictor(ARM)
    graphs = [cm.zoo.resnet18(), cm.zoo.mobilenet_v2()]
    expected = [cm.latency(g, ARM).seconds for g in graphs]
    np.testing.assert_allclose(predict(graphs), expected, rtol=1e-12)
    assert predict(graphs[0]) == pytest.approx(expected[0], rel=1e-12)
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
    x = torch.zeros(1, 3, 32, 32)
    assert predict(net, x) == cm.latency(cm.from_torch(net, x), ARM).seconds
    for wrong in (3, net):
        with pytest.raises(GraphError):
            predict(wrong)


# ---- the command


def test_the_command_prints_writes_and_says_json(tmp_path):
    arguments = ["sweep", "mobilenet_v1", "-p", ARM, "--choose", "width=0.5,1.0", "--choose"]
    arguments += ["size=128,160"]
    out = run(*arguments).stdout
    assert "4 kept of 4 predicted" in out
    assert "width=0.5, size=128" in out
    document = json.loads(run(*arguments, "--where", "flops<200e6", "--json").stdout)
    jsonschema.validate(document, schema())
    assert 0 < len(document["rows"]) < 4
    file = tmp_path / "kept.csv"
    run(*arguments, "--best", "2", "-o", str(file), "--resume", str(tmp_path / "parts"))
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [row["width"] for row in rows] == ["0.5", "0.5"]
    run(*arguments, "-o", str(tmp_path / "kept.txt"), code=2)
    run("sweep", "mobilenet_v1", "-p", ARM, code=2)
    run("sweep", "mobilenet_v1", "-p", ARM, "--choose", "width", code=2)


def test_points_and_intervals_are_where_they_should_be():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    from costmodel.plots import swept

    found = cm.sweep(find_space("mobilenet_v2"), ARM, best=3)
    ax = swept(found, Figure().add_subplot())
    (points,) = ax.lines
    np.testing.assert_allclose(points.get_xdata(), found.columns["multiply_adds"] / 1e6)
    (bars,) = ax.collections
    for (low, high), latency in zip(
        [segment[:, 1] for segment in bars.get_segments()], points.get_ydata(), strict=True
    ):
        assert low < latency < high


def test_a_space_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "space.png"
    run("sweep", "mobilenet_v2", "-p", ARM, "--sample", "8", "--plot", str(file))
    assert file.stat().st_size > 1000
