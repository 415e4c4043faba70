"""The command ``coverage``: its list, its independent count, and how it runs."""

from __future__ import annotations

import sys
from math import prod
from typing import Any

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from costmodel import Builder  # noqa: E402
from costmodel.ops import Attention, Linear  # noqa: E402
from costmodel_validation.__main__ import app  # noqa: E402
from costmodel_validation.coverage import command, show  # noqa: E402
from costmodel_validation.coverage.differences import FORMULAS, MOST, differences, reasons  # noqa: E402
from costmodel_validation.coverage.entry import Call  # noqa: E402
from costmodel_validation.coverage.guarded import measured  # noqa: E402
from costmodel_validation.coverage.independent import independent_count  # noqa: E402
from costmodel_validation.coverage.networks import QUICK, networks  # noqa: E402
from costmodel_validation.coverage.ours import full_square, our_graph  # noqa: E402
from costmodel_validation.coverage.result import Result, read_results  # noqa: E402
from costmodel_validation.coverage.through_onnx import (  # noqa: E402
    ENGINES,
    EXPORTERS,
    Exported,
    exported,
    predictions,
)
from costmodel_validation.errors import StoreError  # noqa: E402

WANTED = """
hf: albert+mask, bart, big_bird+mask, bloom, clip, deberta_v2, deepseek_v3, deformable_detr,
dinov2, encodec, funnel+mask, gemma+mask, gpt2, gpt2 decode, gpt_neo, gpt_neox, layoutlm+mask,
llama plain (cache out), llama+mask, longformer+mask, mamba, mamba2, mistral+mask, mixtral,
mixtral decode, modernbert+mask, qwen2, qwen2+mask, qwen3, recurrent_gemma, roberta, roberta+mask,
rt_detr, squeezebert, squeezebert+mask, switch_transformers, t5, vits, xlnet, xlnet+mask
pcv: channelnet, diracnet18v2, fishnet99, ibnb_resnet50, menet228_12x1_g3, preresnet18,
pyramidnet101_a360
plain: LSTM_bi_lm, LSTM_proj_lm, RNN_bi_lm, deepspeech2, deform_conv, dlrm_embeddingbag, esrgan,
fno_fft, packed_lstm, vqvae
timm: bat_resnext26ts, cait_xxs24_224, coatnet_nano_rw_224, crossvit_9_dagger_240, csatv2,
deit3_small_patch16_224, densenet121, efficientnet_b0, inception_v3, levit_128s, mixer_s32_224,
mobilenetv1_100, mobilenetv2_100, mobilenetv3_large_100, mobilenetv4_conv_small, mobileone_s0,
mobilevitv2_050, poolformer_s12, regnetz_b16, repvit_m1, resnet18, resnet18@b8, resnet50,
resnetv2_50x1_bit, shvit_s1, swiftformer_xs, swin_tiny_patch4_window7_224, tf_efficientnetv2_b0,
tiny_vit_5m_224, vit_relpos_small_patch16_224, vit_tiny_r_s16_p8_224
tv: deeplabv3_resnet50, efficientnet_v2_s, fasterrcnn_mobilenet_v3_large_320_fpn, googlenet_aux,
inception_v3, mc3_18, mvit_v2_s, regnet_y_400mf, retinanet_resnet50_fpn, s3d,
ssdlite320_mobilenet_v3_large, vit_b_32
"""


def wanted() -> set[str]:
    names: set[str] = set()
    family = ""
    for part in WANTED.replace("\n", ", ").split(", "):
        head, colon, tail = part.strip().partition(": ")
        family = head if colon else family
        name = tail if colon else head
        if name.strip(","):
            names.add(f"{family}/{name.strip(',')}")
    return names


def test_the_list_holds_the_hundred_and_as_many_again():
    assert len(wanted()) == 100
    assert wanted() <= set(networks())
    assert len(set(networks()) - wanted()) >= 120


def test_quick_takes_thirty_networks_of_torch_alone():
    assert len(set(QUICK)) == 30
    assert all(networks()[name].needs == () for name in QUICK)


@pytest.mark.parametrize("name", ["moe/top-2 sorted", "plain/packed_lstm"])
def test_two_builds_of_one_seed_do_the_same_work(name):
    counts = []
    for _ in range(2):
        torch.manual_seed(3)
        counts.append(independent_count(networks()[name].build()))
    assert counts[0] == counts[1]


def call(function: Any, *args: Any) -> Call:
    class Module(torch.nn.Module):
        def forward(self, *inputs):
            return function(*inputs)

    return Call(Module().eval(), args)


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (torch.nn.Linear(5, 7), (3, 5), 3 * 5 * 7),
        (torch.nn.LSTM(5, 7, bidirectional=True), (4, 2, 5), 2 * 4 * 2 * 4 * 7 * (5 + 7)),
        (torch.nn.GRU(5, 7), (4, 2, 5), 4 * 2 * 3 * 7 * (5 + 7)),
        (
            torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
            (1, 6, 8),
            6 * 8 * (4 * 8 + 2 * 16) + 2 * 6 * 6 * 8,
        ),
    ],
)
def test_kernels_that_torch_fuses_are_counted(module, shape, expected):
    count = independent_count(Call(module.eval(), (torch.randn(*shape),)))
    assert count.counted == expected
    assert all(p.requires_grad for p in module.parameters())


def test_causal_attention_counts_in_full():
    q = torch.randn(1, 2, 6, 8)
    attention = torch.nn.functional.scaled_dot_product_attention
    count = independent_count(call(lambda x: attention(x, x, x, is_causal=True), q))
    b = Builder("attention")
    x = b.input((1, 2, 6, 8))
    graph = b.finish(b.add(Linear(8), b.add(Attention(causal=True), x, x, x)))
    assert full_square(graph) == count.counted + 2 * 6 * 8 * 8


A, B = (3, 4), (4, 5)
COMPLEX = [torch.randn(*shape, dtype=torch.cfloat) for shape in (A, B)]


@pytest.mark.parametrize(
    ("kind", "run", "args", "expected"),
    [
        ("vectors", torch.mv, (torch.randn(A), torch.randn(4)), prod(A)),
        ("vectors", torch.addmv, (torch.randn(3), torch.randn(A), torch.randn(4)), prod(A)),
        ("vectors", torch.dot, (torch.randn(9), torch.randn(9)), 9),
        (
            "sums_of_products",
            torch.addbmm,
            (torch.randn(3, 5), torch.randn(2, *A), torch.randn(2, *B)),
            2 * 3 * 4 * 5,
        ),
        ("distances", torch.cdist, (torch.randn(3, 4), torch.randn(5, 4)), 3 * 5 * 4),
        ("distances", torch.cdist, (torch.randn(30, 4), torch.randn(40, 4)), 30 * 40 * 4),
        ("complex", torch.mm, COMPLEX, 3 * 60),
        ("complex", torch.addmm, (torch.randn(5, dtype=torch.cfloat), *COMPLEX), 3 * 60),
        (
            "grouped",
            torch.nn.functional.grouped_mm,
            (
                torch.randn(6, 16).bfloat16(),
                torch.randn(2, 16, 8).bfloat16(),
                torch.tensor([2, 6], dtype=torch.int32),
            ),
            6 * 16 * 8,
        ),
    ],
)
def test_what_the_independent_count_misses_is_worked_out(kind, run, args, expected):
    lambda_args = (lambda *x: run(*x[:-1], offs=x[-1])) if kind == "grouped" else run
    assert independent_count(call(lambda_args, *args)).missed == {kind: expected}


def test_bilinear_layers_are_two_products():
    layer = torch.nn.Bilinear(3, 4, 5)
    count = independent_count(Call(layer.eval(), (torch.randn(2, 3), torch.randn(2, 4))))
    assert count.missed == {"bilinear": 2 * 5 * 4 * (3 + 1)}


def test_the_table_of_differences_is_short_and_has_formulas():
    assert len(reasons()) <= MOST
    assert set(differences()) == set(FORMULAS)


def test_verdicts():
    assert Result("n", ours=5, independent=5, missed={"vectors": 3}).verdict == "equal"
    assert Result("n", ours=8, independent=5, missed={"vectors": 3}).verdict == "explained"
    assert Result("n", ours=7, independent=5, missed={"vectors": 3}).verdict == "different"
    assert Result("n", failure="no", independent=5).verdict == "not in"
    assert Result("n", missing=("timm",)).verdict == "not installed"
    good, absent = Result("n", ours=1, independent=1), Result("m", missing=("timm",))
    assert show.reached([good] * 49 + [Result("x", failure="no", independent=1), absent])
    assert not show.reached([good] * 48 + [Result("x", failure="no", independent=1)])
    assert not show.reached([good, Result("n", ours=1, independent=2)])


def test_crashes_and_hangs_cost_one_network():
    made = "__import__('costmodel_validation.coverage.result', fromlist=['x']).Result('made')"
    names = ["__import__('os')._exit(7)", "__import__('time').sleep(99)", made]
    crashed, hung, last = measured(names, limit=5, task=eval)
    assert crashed.failure == "the process ended with code 7"
    assert hung.failure == "it takes more than 5 s"
    assert last == Result("made")


def test_results_in_the_file_are_not_measured_again(tmp_path, monkeypatch):
    file = tmp_path / "results.jsonl"
    name = "forms/one layer twice"
    kept = Result(name, ours=3, independent=3, seconds={"ours": 0.25})
    file.write_text(kept.line() + "\n" + '{"name": "forms/conta')
    assert read_results(file) == {name: kept}
    asked: list[str] = []
    monkeypatch.setattr(command, "measured", lambda names, **_: iter(asked.extend(names) or ()))
    result = CliRunner().invoke(app, ["coverage", "--only", name, "--json", str(file)])
    assert asked == []
    assert result.exit_code == 0, result.output
    assert "in, strict: 1 of 1" in result.output
    assert "250.0" in result.output


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_network_counts_and_takes_the_same_by_way_of_onnx(exporter):
    pytest.importorskip("onnx")
    norm = torch.nn.BatchNorm2d(8)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, bias=False), norm, torch.nn.ReLU(), torch.nn.Flatten()
    )
    call = Call(layers.eval(), (torch.randn(1, 3, 6, 6),))
    module = predictions(our_graph(call))
    file = exported(call, exporter)
    assert (file.count, file.unwritten, file.failure) == (16 * 8 * 27, "", "")
    assert file.seconds == pytest.approx(module)
    assert list(module) == list(ENGINES)


def test_files_of_exporters_are_told_apart_and_kept(tmp_path):
    files = {
        "dynamo": Exported(count=7),
        "torchscript": Exported(unwritten="RuntimeError: no such operator"),
    }
    result = Result("n", ours=5, independent=5, files=files)
    kept = tmp_path / "results.jsonl"
    kept.write_text(result.line() + "\n")
    assert read_results(kept) == {"n": result}
    lines = show.summary([result])
    assert "ONNX (dynamo) counts 7, the module 5: n" in lines
    assert "ONNX (torchscript): torch writes 0 of 1 (0.0 %), of these get in 0 of 0" in lines[-1]


def test_predictions_of_files_are_held_against_those_of_modules():
    seconds = dict.fromkeys(ENGINES, 2.0)
    files = {"dynamo": Exported(count=7, seconds={**seconds, ENGINES[0]: 2.04})}
    lines = show.summary([Result("n", ours=7, independent=7, files=files, predicted=seconds)])
    assert f"ONNX (dynamo) takes 1.020 of the module on {ENGINES[0]}: n" in lines
    end = "predicted within 1 % of the module"
    assert f"ONNX (dynamo), {ENGINES[0]}: {end} 0 of 1 (0.0 %)" in lines
    assert f"ONNX (dynamo), {ENGINES[1]}: {end} 1 of 1 (100.0 %)" in lines


def test_a_line_that_is_no_result_is_refused(tmp_path):
    file = tmp_path / "results.jsonl"
    file.write_text("[1]\n")
    with pytest.raises(StoreError, match=r"results.jsonl:1 is not a result"):
        read_results(file)


def test_only_must_name_a_network_or_a_family():
    result = CliRunner().invoke(app, ["coverage", "--only", "resnet"])
    assert "neither a network of the list nor a family: audio, decode" in result.output
    assert result.exit_code == 2


def test_libraries_that_are_absent_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)  # as if it were not installed
    from costmodel_validation.coverage.measure import measure

    result = measure(networks()["timm/resnet18"])
    assert result.verdict == "not installed"
    assert show.summary([result])[0] == "not installed: timm, 1 networks: timm/resnet18"


def test_thirty_networks_get_in_and_do_as_much_as_was_counted(tmp_path):
    file = tmp_path / "results.jsonl"
    result = CliRunner().invoke(app, ["coverage", "--quick", "--json", str(file)])
    assert result.exit_code == 0, result.output
    found = read_results(file)
    assert list(found) == list(QUICK)
    assert {r.verdict for r in found.values()} == {"equal", "explained"}
    assert all({"ours", "FlopCounterMode"} <= set(r.seconds) for r in found.values())
    assert "in, strict: 30 of 30 (100.0 %)" in result.output
