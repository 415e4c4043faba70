"""Readers of kernels and networks on newer GPUs, on a few lines of each file; their splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import costmodel as cm
from costmodel.errors import DataError
from costmodel.graph.serialize import save
from costmodel.platforms import load_platform
from costmodel.prediction.table import tabulate
from costmodel.reading import parse_toml
from costmodel_validation.scores import left_out, protocols, silicon, timm, transformer_layers
from costmodel_validation.scores.bench import MODEL, PRIORS, Bench, Score
from costmodel_validation.scores.dataset import DATA_VARIABLE, DeviceSet
from costmodel_validation.scores.figures import Figures, judge
from costmodel_validation.scores.goals import verdicts
from costmodel_validation.scores.splits import beyond, by_site
from costmodel_validation.scores.teachers import TEACHERS

ATTENTION = "kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,step,window_size"
FILES = {
    "silicon/gemm_bf16.csv": """\
system,kernel_source,gemm_dtype,m,n,k,latency_ms
h100_sxm,a,bfloat16,16,256,512,0.004
h100_sxm,a,bfloat16,32,256,512,0.005
a100_sxm,a,bfloat16,16,256,512,0.006
""",
    "silicon/context_attention_bf16.csv": f"""\
system,{ATTENTION},latency_ms
h100_sxm,a,2,128,8,2,64,0,0,0.02
h100_sxm,a,2,128,8,2,64,0,,0.02
h100_sxm,a,2,128,8,2,64,0,64,0.01
h100_sxm,a,2,128,8,2,64,0,128,0.04
h100_sxm,a,2,128,8,2,64,384,0,0.03
""",
    "silicon/generation_attention_bf16.csv": f"""\
system,{ATTENTION},latency_ms
h100_sxm,a,2,1,8,2,64,1023,0,0.02
h100_sxm,a,2,1,8,2,64,1023,128,0.01
""",
    "silicon/encoder_attention_bf16.csv": """\
system,kernel_source,batch_size,isl,num_heads,head_dim,latency_ms
h100_sxm,a,2,128,8,72,0.02
""",
    "silicon/elementwise_scale_fp8.csv": """\
system,kernel_source,m,k,latency_ms
h100_sxm,a,64,128,0.002
""",
    "transformer_layers/layers.csv": """\
gpu,model,input_layernorm_ms,attn_pre_proj_ms,attn_post_proj_ms,mlp_up_proj_ms,mlp_act_ms,\
mlp_down_proj_ms,add_ms,n_head,n_kv_head,n_embd,n_expanded_embd,use_gated_mlp,num_tokens,\
num_tensor_parallel_workers
a100,m,0.02,0.1,0.05,0.5,0.03,0.2,0.004,64,8,8192,28672,True,64,2
a100,m,0.03,0.1,0.05,0.5,0.03,0.2,0.004,64,8,8192,28672,True,64,2
""",
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    return tmp_path


def by_name(sets: list[DeviceSet]) -> dict[str, DeviceSet]:
    return {s.name: s for s in sets}


def test_products_of_silicon_have_cold_weights_and_a_hot_input(data: Path) -> None:
    own = by_name(silicon.device_sets())["silicon h100-sxm linear"]
    row = own.rows[0]
    assert (row.seconds, row.site) == (4e-6, "256x512")
    assert cm.multiply_adds(own.graph(row)) == 16 * 256 * 512
    table = tabulate([own.graph(row)], load_platform(own.platform), [row.between])
    (part,) = table.stacks
    weights, reads = part.workload.weights, part.workload.reads[0]
    assert weights.distance[0] > 6 * 2 * 256 * 512  # all six weights in turn
    assert reads.distance[0] < 2 * (16 * 512 + 256 * 512 + 16 * 256) + 1


def test_attention_of_silicon_leaves_windows_out(data: Path) -> None:
    sets = by_name(silicon.device_sets())
    prefill = sets["silicon h100-sxm prefill"]
    # One as long as the keys changes no result, but the kernel.
    assert [row.seconds for row in prefill.rows] == pytest.approx([2e-5, 2e-5, 3e-5])
    lower = 128 * 129 // 2
    assert cm.multiply_adds(prefill.graph(prefill.rows[0])) == 2 * 8 * lower * 2 * 64
    (decode,) = sets["silicon h100-sxm decode"].rows
    assert cm.multiply_adds(cm.network(decode.network)) == 2 * 8 * 1023 * 2 * 64
    (encoder,) = sets["silicon h100-sxm encoder"].rows
    assert cm.multiply_adds(cm.network(encoder.network)) == 2 * 8 * 128 * 128 * 2 * 72


def test_streaming_reads_two_bytes_and_writes_one(data: Path) -> None:
    own = by_name(silicon.device_sets())["silicon h100-sxm stream"]
    assert cm.mac(own.graph(own.rows[0]), unit="bytes") == 3 * 64 * 128


def test_layers_of_transformers_are_cut_among_workers(data: Path) -> None:
    (own, empty) = transformer_layers.device_sets()
    assert empty.rows == ()
    groups = [row.group for row in own.rows]
    # Layers come once; an addition of 4 microseconds is too short for its rounding.
    assert groups == ["linear", "linear", "linear", "linear", "norm", "act"]
    counts = [cm.multiply_adds(cm.network(row.network)) for row in own.rows[:4]]
    width, wide = 8192, 28672 // 2
    heads = (64 + 16) * 128 // 2
    assert counts == [
        64 * width * heads,
        64 * 64 * 128 // 2 * width,
        64 * width * 2 * wide,
        64 * wide * width,
    ]
    # A SiLU and a product, two kernels: so the times say.
    gate = own.graph(own.rows[-1])
    assert cm.mac(gate) == 5 * 64 * wide
    assert tabulate([gate], load_platform(own.platform)).kernels.tolist() == [2]


def table(names: list[str], batch: int) -> str:
    lines = [f"{name},224,{batch},2.5" for name in names]
    return "\n".join(["model,infer_img_size,infer_batch_size,infer_step_time", *lines]) + "\n"


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Printed times of networks, and no timm."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr(timm, "_has_timm", lambda: False)
    (tmp_path / "timm").mkdir()
    files = [file for _, file in (timm._FILES | timm._AGAIN).values()]
    for file, batch in zip(files, (1024, 256, 1024), strict=True):
        names = ["a"] if "nhwc" in file else ["a", "b"]
        (tmp_path / file).write_text(table(names, batch))
    return tmp_path


def test_without_timm_the_set_is_refused_with_the_way_out(
    networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(timm.GRAPHS_VARIABLE, raising=False)
    with pytest.raises(DataError, match=r"timm is not installed: install it, or set COSTMODEL_GR"):
        timm.device_sets()


def test_networks_of_timm_are_read_from_the_folder(
    networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(timm.GRAPHS_VARIABLE, str(networks / "graphs"))
    (networks / "graphs").mkdir()
    save(cm.zoo.pointwise(56, 56, 24, 48), networks / "graphs" / "a-224-1024.json")
    eager, compiled, last, *own = timm.device_sets()
    assert [(rows.name, len(rows.rows)) for rows in own] == [
        ("timm h100 eager", 18),
        ("timm h100 compiled", 9),
    ]
    assert own[1].rows[0].network == "regnetx_120-224-128"
    assert [(row.network, row.seconds) for row in last.rows] == [("a-224-1024", 2.5e-3)]
    assert [row.network for row in eager.rows] == ["a-224-1024", "b-224-1024"]
    assert compiled.rows[0].network == "a-224-256"
    assert eager.rows[0].seconds == 2.5e-3
    assert cm.multiply_adds(eager.graph(eager.rows[0])) == 56 * 56 * 24 * 48
    with pytest.raises(DataError, match="b-224-1024: it is not in "):
        eager.graph(eager.rows[1])


def test_the_networks_of_timm_are_drawn_once() -> None:
    names = {f"n{i}" for i in range(500)}
    assert timm.drawn(names) == timm.drawn(names)
    assert len(timm.drawn(names)) == timm.NETWORKS


# Splits


def test_rows_of_a_site_are_on_one_side() -> None:
    sites = [f"{i % 17}" for i in range(200)]
    for split in by_site(sites, 40, 5):
        fitted = {sites[i] for i in split.fitted}
        assert len(split.fitted) == 40
        assert fitted.isdisjoint({sites[i] for i in split.scored})


def test_beyond_scores_only_larger_rows() -> None:
    sizes = np.random.default_rng(1).permutation(100)
    split = beyond(sizes, 30)
    assert len(split.fitted) == 30
    assert sizes[split.fitted].max() < sizes[split.scored].min()


def test_no_gpu_teaches_itself() -> None:
    for device, lessons in TEACHERS.items():
        family = device.split()[2:]
        for lesson in lessons:
            assert device not in lesson
            assert all(teacher.split()[2:] == family for teacher in lesson)


def test_a_gpu_without_a_file_is_left_out_and_said(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = DeviceSet("silicon none linear", "none/cuda-graphs", ())
    sets = [*silicon.device_sets(), rows]
    monkeypatch.setattr(protocols, "_read", lambda name: sets)
    found, missing = protocols.jobs("silicon", 4)
    assert {job.device for job in found} == {s.name for s in sets} - {rows.name}
    (sentence,) = missing
    assert sentence.startswith(
        "silicon none linear is skipped, 0 rows: there is no hardware 'none'"
    )
    # Teachers that are not there teach nobody.
    lessons = {job.teachers for job in found if job.device == "silicon h100-sxm linear"}
    assert lessons == {(), ("silicon a100-sxm-80gb linear",)}


# Figures and goals


def test_the_width_of_an_interval_is_its_upper_end() -> None:
    ones = np.ones(3)
    spread = np.log(np.array([1.1, 1.2, 1.5])) / 1.6448536269514722
    assert judge(ones, ones, spread).width == pytest.approx(0.2)
    assert np.isnan(judge(ones, ones).width)


def test_priors_are_judged_beside_the_fit(data: Path) -> None:
    own = by_name(silicon.device_sets())["silicon h100-sxm linear"]
    bench = Bench.of(own)
    (split,) = by_site(["a", "b"], 1, 1)
    guesses = bench.guesses(split)
    assert guesses[PRIORS].seconds == pytest.approx(
        bench.predict(bench.platform, split.scored).seconds
    )
    assert guesses[MODEL].seconds != pytest.approx(guesses[PRIORS].seconds, rel=1e-6)


def score(method: str, mape: float, device: str = "d", fitted: int = 10) -> Score:
    figures = Figures(mape, mape, 0.9, 0.98, 0.9, 0.9, 0.3)
    return Score("tophub", device, "split", method, fitted, 1000, figures, "engine")


def test_a_calibration_that_harms_is_named() -> None:
    scores = [score(MODEL, 0.105), score(PRIORS, 0.101), score("roofline x scalar", 0.104)]
    found = {v.goal.split(":")[0]: v for v in verdicts(scores, {})}
    harmed = found["calibrated is not worse than uncalibrated"]
    assert not harmed.reached
    assert harmed.figure == "tophub: 0 of 1 tables, 0.4 points worse on d, split"
    assert found["calibrated is not worse than roofline x scalar"].reached
    covered = found["90 % intervals cover 85-95 % of the rows of a runtime"]
    assert covered.figure == "engine, operators: 90.0 % of 1000, median width 30 %"


def test_a_scored_gpu_has_not_taught_its_priors() -> None:
    for gpu in left_out.fits()["attention"]:
        shipped = load_platform(f"{gpu}/cuda-graphs", calibrated=False)
        fair = left_out.without_own(shipped)
        moved = {
            p.name
            for p, q in zip(shipped.fitted.parameters, fair.fitted.parameters, strict=True)
            if p.value != q.value
        }
        assert moved == set(left_out.fits())
        assert [p.spread for p in shipped.fitted.parameters] == [
            p.spread for p in fair.fitted.parameters
        ]
    for other in ("t4/torch-eager", "raspberry-pi-4/ncnn"):
        platform = load_platform(other, calibrated=False)
        assert left_out.without_own(platform) is platform


def test_fits_that_are_left_out_are_those_that_the_priors_name() -> None:
    """The source of each prior repeats the numbers of the file."""
    shipped = load_platform("h100-sxm/cuda-graphs", calibrated=False).fitted.parameters
    sources = {p.name: p.source for p in shipped}
    text = Path(left_out.__file__).with_name("silicon-fits.toml").read_text(encoding="utf-8")
    for name, by_gpu in parse_toml(text).items():
        for fit in (fit for fits in by_gpu.values() for fit in fits):
            spelled = (f"{fit:g}", f"{fit:.1e}".replace("e-0", "e-").replace("e+0", "e"))
            spelled += (f"{fit:.0e}".replace("e+0", "e"), f"{fit:.2f}")
            assert any(text in sources[name] for text in spelled), (name, fit)
