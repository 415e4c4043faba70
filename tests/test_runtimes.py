"""Runtime files: those that ship load; wrong ones are refused with file and field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import costmodel as cm
from costmodel import runtimes
from costmodel.errors import DataError
from costmodel.platforms import load_platform
from costmodel.runtimes import ALGORITHMS, ANCHORS, FOLLOWERS, load_runtime, runtime_names
from costmodel.timing.multipliers import multipliers
from costmodel.timing.parameters import priors

GOOD = 'name = "mine"\ntitle = "Mine"\nsource = "seen"\n'


def rule(**changes: str) -> str:
    """Return a fusion rule as TOML, fields replaced or (empty) left out."""
    fields = {"behind": '["linear"]', "takes": '["relu"]', "source": '"seen"', **changes}
    return "[[fusion]]\n" + "".join(f"{k} = {v}\n" for k, v in fields.items() if v)


def written(folder: Path, text: str) -> str:
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_names() -> None:
    assert {"paper", "ncnn", "onnxruntime", "tflite", "torch-eager"} <= set(runtime_names())
    assert runtime_names() == sorted(runtime_names())


@pytest.mark.parametrize("name", runtime_names())
def test_shipped_files_load(name: str) -> None:
    runtime = load_runtime(name)
    assert runtime.name == name
    assert runtime.title
    assert runtime.source
    assert {name for rule in runtime.fusion for name in rule.behind} <= set(ANCHORS)
    assert {name for rule in runtime.fusion for name in rule.takes} <= set(FOLLOWERS)
    assert all(rule.source for rule in runtime.fusion)
    assert set(runtime.algorithms) <= set(ALGORITHMS)
    assert set(runtime.priors) <= {*ALGORITHMS, "arm", "x86"}
    assert all(entry["source"] for table in runtime.priors.values() for entry in table.values())
    assert runtime.grouped in ("batched", "serial")


def test_a_file_of_ones_own_with_its_defaults(tmp_path: Path) -> None:
    runtime = load_runtime(written(tmp_path, GOOD + rule() + rule(takes='["clamp", "add"]')))
    assert (runtime.name, len(runtime.fusion)) == ("mine", 2)
    assert runtime.taken_behind("linear", "add") == {"relu", "clamp", "add"}
    assert runtime.taken_behind("matmul") == frozenset()
    assert (runtime.dead_code, runtime.transfers) == (False, False)
    assert (runtime.fold_constants, runtime.asynchronous) == (False, False)
    assert runtime.grouped == "batched"
    assert (runtime.layout, runtime.own_depthwise) == ("nhwc", ())
    assert (runtime.fused_attention, runtime.fold_zero_products) == (True, True)
    assert runtime.copies == ()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (GOOD + "dead_cod = true\n", "unknown field dead_cod"),
        (GOOD + 'dead_code = "yes"\n', "dead_code must be a bool, got 'yes'"),
        (GOOD + "dead_code = 1\n", "dead_code must be a bool"),
        (GOOD + 'copies = "Split"\n', "copies must be a list"),
        (GOOD + "fusion = 3\n", "fusion must be a list"),
        (GOOD + "fusion = [3]\n", "fusion rule 1 must have the fields behind, takes, source"),
        (GOOD + rule(source=""), "fusion rule 1 must have the fields behind, takes, source"),
        (GOOD + rule(source='" "'), "fusion rule 1: source must say where the rule is known"),
        (GOOD + rule() + rule(takes="5"), "fusion rule 2: takes must be a list of names, got 5"),
        (GOOD + rule(behind="[]"), "fusion rule 1: behind must be a list of names, got []"),
        (GOOD + rule(takes='["activation"]'), "rule 1: takes: 'activation' is unknown; known are"),
        (GOOD + rule(takes="[3]"), "fusion rule 1: takes: 3 is unknown"),
        (
            'name = "yours"\ntitle = "Mine"\nsource = "s"\n',
            "its name is 'yours' but must be 'mine'",
        ),
        (GOOD + '[algorithms]\ncpu = "winograd"\n', "algorithms.cpu must be a list"),
        (GOOD + rule(behind='["conv"]'), "fusion rule 1: behind: 'conv' is unknown; known are"),
        (GOOD + '[algorithms]\ncpu = ["fft"]\n', "algorithms.cpu: 'fft' is unknown"),
        (GOOD + '[algorithms]\ngpu = ["plain"]\n', "algorithms.gpu: 'plain' is unknown"),
        (GOOD + 'copies = ["Conv"]\n', "copies: 'Conv' is unknown"),
        (GOOD + 'copies = ["OPERATORS"]\n', "copies: 'OPERATORS' is unknown"),
        (
            GOOD + "[algorithms]\ntpu = []\n",
            "tpu: 'tpu' is unknown; did you mean gpu or cpu",
        ),
        (GOOD + 'copies = ["Spilt"]\n', "copies: 'Spilt' is unknown; did you mean Split"),
        (GOOD + 'grouped = "in turn"\n', "grouped: 'in turn' is unknown"),
        (GOOD + 'layout = "chw"\n', "layout: 'chw' is unknown; did you mean nchw"),
        (GOOD + 'own_depthwise = "float32"\n', "own_depthwise must be a list"),
        (GOOD + 'own_depthwise = ["half"]\n', "own_depthwise: 'half' is unknown; known are"),
        (GOOD + "[priors.tpu]\n", "priors: 'tpu' is unknown; did you mean gpu or cpu"),
        (GOOD + "[priors]\ngpu = 3\n", "priors.gpu must be a table, got 3"),
        (GOOD + "[priors.gpu]\ngemm = 0.5\n", "priors.gpu.gemm must be a table with a value"),
        (GOOD + "[priors.gpu]\ngemm = { value = 0.5 }\n", "priors.gpu.gemm has no source; give"),
        *(
            (
                GOOD + f'[priors.{table}]\nsource = "seen"\nfixed = {{ {fields} }}\n',
                f"priors.{table}.fixed must have a value, and at most a spread and a source",
            )
            for table in ("cpu", "x86", "gpu")
            for fields in (
                "",
                "spread = 1.0",
                'value = 1e-6, name = "call"',
                'value = 1, unit = "ms"',
                "value = 1e-6, upper = 1.0",
                'value = 1e-6, meaning = "-"',
            )
        ),
        (
            GOOD + '[priors.cpu]\nsource = " "\ngemm = { value = 0.5 }\n',
            "priors.cpu.gemm has no source",
        ),
        (
            GOOD + '[priors.cpu]\nsource = "seen"\ngemm = { value = 0.5, source = "" }\n',
            "priors.cpu.gemm has no source",
        ),
        ('name = "mine"\ntitle = "Mine"\n', "source must be a str, got None"),
        ("name = \n", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, field: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(DataError) as error:
        load_runtime(file)
    assert Path(file).name in str(error.value).split()[0]  # a long path is cut in its middle
    assert field in str(error.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml: cannot be read: No such file"):
        load_runtime(str(tmp_path / "none.toml"))
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"\n')
    with pytest.raises(DataError, match=r"latin\.toml: cannot be read: not UTF-8"):
        load_runtime(str(tmp_path / "latin.toml"))


def test_a_source_of_several_lines_is_one_line(tmp_path: Path) -> None:
    (found,) = load_runtime(written(tmp_path, GOOD + rule(source='"""seen\n  twice"""'))).fusion
    assert found.source == "seen twice"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torch", "did you mean pytorch-mobile or torch-compile or torch-eager?"),
        ("pytorch", "did you mean pytorch-mobile?"),
        ("TFLite", "did you mean tflite or"),
        ("onnx-runtime", "did you mean onnxruntime"),
        ("", "costmodel platforms lists them, such as accelerator, armnn, cuda-graphs and"),
    ],
)
def test_an_unknown_name_finds_those_near_it(name: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        load_runtime(name)
    assert f"unknown runtime {name!r}; " in str(caught.value)
    assert said in str(caught.value)
    assert len(str(caught.value)) <= 150


def test_a_prior_has_the_source_of_its_own_or_of_its_table(tmp_path: Path) -> None:
    text = """[priors.gpu]
source = "a fit"
gemm = { value = 0.5 }
direct = { value = 0.5, spread = 0.1, source = "a guess" }
"""
    file = written(tmp_path, GOOD + text)
    assert {name: p["source"] for name, p in load_runtime(file).priors["gpu"].items()} == {
        "gemm": "a fit",
        "direct": "a guess",
    }


@pytest.mark.parametrize("table", ["gpu", "cpu", "arm", "x86", "accelerator"])
@pytest.mark.parametrize("device", ["raspberry-pi-4", "rtx-3090", "accelerator", "host"])
@pytest.mark.parametrize(
    ("prior", "said"),
    [
        ("fixd = { value = 1e-6 }", "unknown parameter 'fixd'; did you mean fixed?"),
        ("fixed = { value = true }", "must be finite numbers"),
        ("fixed = { value = -1e-6 }", "must lie between"),
        ('fixed = { value = "1 us" }', "must be finite numbers"),
        ("fixed = { value = 1e-6, spread = -1.0 }", "its spread -1 not be negative"),
    ],
)
def test_a_wrong_prior_is_refused_on_any_hardware(
    tmp_path: Path, table: str, device: str, prior: str, said: str
) -> None:
    kinds = "[algorithms]\ngpu = []\ncpu = []\naccelerator = []\n"
    file = written(tmp_path, GOOD + kinds + f'[priors.{table}]\nsource = "seen"\n{prior}\n')
    with pytest.raises(DataError) as error:
        load_platform(f"{device}/{file}")
    assert f"runtime mine: priors.{table}: " in str(error.value)
    assert said in str(error.value)


def test_a_prior_that_a_runtime_changes_has_the_source_of_the_runtime() -> None:
    of_kind = {p.name: p.source for p in (*priors("gpu"), *multipliers())}
    platform = load_platform("t4/torch-eager", calibrated=False)
    of_platform = {p.name: p.source for p in platform.fitted.parameters}
    changed = platform.runtime.priors["gpu"]
    assert 0 < len(changed) < len(of_kind)
    for name, source in of_platform.items():
        assert source == (changed[name]["source"] if name in changed else of_kind[name])


# Conditions


def seconds(spec: str, runtime: str, gpu: str = "v100-sxm2-16gb") -> float:
    return float(cm.latency(cm.network(spec), f"{gpu}/{runtime}").seconds)


@pytest.mark.parametrize("gpu", ["t4", "v100-sxm2-16gb", "a100-sxm-80gb", "h100-sxm"])
def test_a_kernel_in_a_graph_has_the_floor_of_the_device(gpu: str) -> None:
    for spec in ("elementwise?kind=relu&shape=1x8", "softmax?shape=8x64"):
        assert 1.6e-6 <= seconds(spec, "cuda-graphs", gpu) <= 2.6e-6


@pytest.mark.parametrize(
    "spec",
    ["elementwise?kind=relu&shape=1x8", "linear?cin=8&cout=8", "conv2d?cin=8&cout=8&size=7&k=1"],
)
def test_a_small_kernel_pays_for_its_host(spec: str) -> None:
    graph, library, eager = (
        seconds(spec, name) for name in ("cuda-graphs", "cuda-library", "torch-eager")
    )
    assert 1.5 * graph < library < eager / 3


def test_a_large_kernel_is_the_same_whoever_starts_it() -> None:
    spec = "linear?n=8192&cin=8192&cout=8192"
    graph, library = seconds(spec, "cuda-graphs"), seconds(spec, "cuda-library")
    assert library == pytest.approx(graph, rel=1e-3)
    assert seconds(spec, "torch-eager") == pytest.approx(graph, rel=1e-2)


@pytest.mark.parametrize(
    "runtime", ["torch-eager", "torch-compile", "cuda-graphs", "cuda-library", "tvm"]
)
def test_what_python_costs_is_no_constant_of_the_device(runtime: str) -> None:
    """A small kernel under Python takes 25 to 60 us (NeuSight), of which the device has 4."""
    theta = load_platform(f"v100-pcie-32gb/{runtime}", calibrated=False).fitted.theta
    assert 1e-6 <= theta["launch"] <= 4e-6
    assert theta["fixed"] <= (3e-5 if runtime == "torch-compile" else 1e-5)
    if runtime == "torch-eager":
        for spec in ("elementwise?kind=add&shape=64x128", "softmax?shape=64x128"):
            assert 2.5e-5 <= seconds(spec, runtime, "v100-pcie-32gb") <= 6e-5


def test_a_file_like_another_has_its_rules_and_priors_and_changes_some(tmp_path: Path) -> None:
    toco, ruy = load_runtime("tflite-toco"), load_runtime("tflite-ruy")
    assert (toco.fusion, toco.packs) == (ruy.fusion, ruy.packs)
    assert toco.priors["cpu"]["fixed"]["value"] < 2e-5 < ruy.priors["cpu"]["fixed"]["value"]
    assert toco.priors == {"cpu": {**ruy.priors["cpu"], "fixed": toco.priors["cpu"]["fixed"]}}
    assert (toco.fold_pools, ruy.fold_pools) == (False, True)
    assert (toco.engine, ruy.engine) == ("tflite-ruy", "tflite-ruy")
    mine = load_runtime(written(tmp_path, GOOD + 'like = "ncnn"\ndead_code = false\n'))
    assert (mine.title, mine.engine, mine.dead_code) == ("Mine", "ncnn", False)
    assert mine.algorithms == load_runtime("ncnn").algorithms


def test_a_table_may_be_like_that_of_another_runtime(tmp_path: Path) -> None:
    xnnpack, tflite = load_runtime("xnnpack"), load_runtime("tflite")
    assert tflite.packs == xnnpack.packs
    assert tflite.arithmetic == replace(
        xnnpack.arithmetic, per_channel=("int8",), scaled=("elementwise",), neon=("elementwise",)
    )
    mine = '[packs]\nlike = "ncnn"\n[arithmetic]\nlike = "tflite"\nint8 = []\n'
    found = load_runtime(written(tmp_path, GOOD + mine))
    assert found.packs == load_runtime("ncnn").packs
    assert found.arithmetic == replace(tflite.arithmetic, int8=())


@pytest.mark.parametrize(
    ("like", "error"),
    [
        ('"tflit"', "packs.like: unknown runtime 'tflit'; did you mean tflite"),
        ("3", "packs.like must be the name of a runtime, got 3"),
        ('"torch-eager"', "packs.like: runtime 'torch-eager' has no table packs"),
    ],
)
def test_a_table_like_none(like: str, error: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=error):
        load_runtime(written(tmp_path, GOOD + f"[packs]\nlike = {like}\n"))


def test_a_long_source_stands_in_one_file() -> None:
    texts = [p.read_text("utf-8") for p in Path(runtimes.__file__).parent.glob("*.toml")]
    assert sum("neoni8mm" in text for text in texts) == 1


def test_priors_of_a_file_like_another_have_their_own_sources(tmp_path: Path) -> None:
    own = '[priors.x86]\nsource = "my own"\ngemm = { value = 0.5 }\n'
    mine, ncnn = (
        load_runtime(written(tmp_path, GOOD + 'like = "ncnn"\n' + own)),
        load_runtime("ncnn"),
    )
    assert mine.priors["x86"]["gemm"] == {"value": 0.5, "source": "my own"}
    assert mine.priors["x86"]["pack"] == ncnn.priors["x86"]["pack"]
    assert mine.priors["cpu"] == ncnn.priors["cpu"]
    with pytest.raises(DataError, match="priors must be a dict, got 3"):
        load_runtime(written(tmp_path, GOOD + 'like = "ncnn"\npriors = 3\n'))


def test_converters_older_than_xnnpack_feed_the_kernels_without_it() -> None:
    ruy = load_runtime("tflite-ruy")
    for name in ("tflite-toco", "tflite-strict"):
        older = load_runtime(name)
        assert (older.engine, older.one_core) == ("tflite-ruy", ruy.one_core)
        assert older.priors["cpu"]["gemm"] == ruy.priors["cpu"]["gemm"]
    assert not load_runtime("tflite-strict").fold_zero_products
    assert load_runtime("tflite").engine == "tflite"


@pytest.mark.parametrize(
    ("like", "error"),
    [
        ('"tflit"', "like: unknown runtime 'tflit'; did you mean tflite"),
        ("3", "like must be a str, got 3"),
    ],
)
def test_a_file_like_none(like: str, error: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=error):
        load_runtime(written(tmp_path, GOOD + f"like = {like}\n"))


def test_a_fusion_rule_may_hold_on_some_hardware_only(tmp_path: Path) -> None:
    text = GOOD + rule(hardware='["gpu"]') + rule(takes='["clamp"]', hardware='["cpu"]')
    runtime = load_runtime(written(tmp_path, text))
    assert runtime.taken_behind("linear", hardware="gpu") == {"relu"}
    assert runtime.taken_behind("linear", hardware="cpu") == {"clamp"}
    assert runtime.taken_behind("linear", hardware="accelerator") == frozenset()
    assert runtime.taken_behind("linear") == {"relu", "clamp"}
    with pytest.raises(DataError, match=r"fusion rule 1: hardware: 'gpus' is unknown"):
        load_runtime(written(tmp_path, GOOD + rule(hardware='["gpus"]')))
    with pytest.raises(DataError, match="hardware must be a list of names"):
        load_runtime(written(tmp_path, GOOD + rule(hardware="[]")))
