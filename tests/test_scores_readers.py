"""Readers of public measurements, on a few lines of each file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import costmodel as cm
from costmodel.counting.subject import nodes_of
from costmodel.errors import DataError
from costmodel.platforms import load_platform
from costmodel.prediction.table import tabulate
from costmodel_validation.scores import (
    deepbench,
    mlperf,
    nasbench201,
    ncnn,
    neusight,
    paddle_lite,
    tophub,
)
from costmodel_validation.scores.bench import Bench
from costmodel_validation.scores.dataset import DATA_VARIABLE, DeviceSet, Row
from costmodel_validation.scores.efficientnet_lite import efficientnet_lite

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"

FILES = {
    "nasbench201/help.csv": f"""\
index,arch_str,1080ti_1,1080ti_32,1080ti_256,silver_4114,gold_6240,samsung_a50,pixel3
0,{CELL},10.5,7.5,17.25,10.25,6.5,16,0
""",
    "nasbench201/pi5_litert.csv": f"""\
arch_idx,arch_str,device,framework,task,lat_ms_median,lat_ms_var,energy_mj,status
0,{CELL},pi5,litert,cifar100,1.5,0.1,2,ok
0,{CELL},pi5,litert,darcy,9.5,0.1,2,ok
1,{CELL},pi5,litert,darcy,9.5,0.1,2,failed
""",
    "deepbench/conv.csv": """\
device,precision,W,H,C,N,K,S_width,R_height,pad_w,pad_h,stride_w,stride_h,fwd_ms
NV_V100,Float,700,161,1,4,32,20,5,0,0,2,2,0.078
NV_V100,16 bit,700,161,1,4,32,20,5,0,0,2,2,0.05
NV_V100,Float,7,7,8,4,32,1,1,0,0,1,1,N/A
Raspberry_Pi_3,Float,7,7,8,4,32,1,1,0,0,1,1,3
""",
    "deepbench/gemm.csv": """\
device,precision,M,N,K,transA,transB,time_ms
NV_1080Ti,Float,1760,16,1024,N,N,0.25
NV_1080Ti,Float,1760,16,1024,T,N,0.5
""",
    "tophub/conv2d.csv": """\
device,algo,dtype,N,C,H,W,K,R,S,stride_h,stride_w,pad_t,pad_l,OH,OW,macs,mean_ms
bcm2837,direct,float32,1,3,224,224,64,7,7,2,2,3,3,112,112,118013952,20
bcm2837,depthwise,float32,1,32,112,112,1,3,3,2,2,1,1,56,56,903168,2
bcm2837,winograd,float32,1,64,56,56,64,3,3,1,1,1,1,56,56,115605504,5
""",
    "ncnn/benchncnn.csv": """\
device,run_id,num_threads,powersave,gpu_device,net,min_ms
Snapdragon 810,35,1,2,-1,tiny,4.5
Snapdragon 810,35,1,2,0,tiny,1.5
Snapdragon 810,33,8,0,-1,tiny,9.5
Snapdragon 855+,16,1,2,-1,tiny,1.25
""",
    "ncnn/input_shapes.csv": "net,w,h,c\ntiny,16,8,3\nmissing,8,8,3\n",
    "ncnn/param/tiny.param": """\
7767517
2 2
Input data 0 1 data
Convolution conv 1 1 data out 0=4 1=3 4=1 5=1 6=108 9=1
""",
    "mlperf/arm_singlestream.csv": "system,model,family,width_mult,resolution,dtype,p50_ms\n"
    + "".join(
        f"rpi4-fan.on-tflite-v2.4.1-ruy,m,mobilenet_v1,{0.25 + i / 100},128,fp32,{5 + i}\n"
        for i in range(mlperf.FEWEST)
    )
    + "rpi4-tflite-v2.4.1-ruy,e,efficientnet-lite1,,240,fp32,90\n",
    "mlperf/singlestream_v2.1_v3.0.csv": """\
system,model,family,width_mult,resolution,dtype,p50_ms
odroid-armnn-v22.05-neon,resnet50,resnet,,,,339.5
odroid-armnn-v22.05-neon,efficientnet-lite4-non-quantized,efficientnet,,,fp32,310.5
odroid-armnn-v22.05-neon,mobilenet-v2-0.35-96-non-quantized,mobilenet-v2,,,fp32,5.5
odroid-armnn-v22.05-neon,mobilenet-v2-0.35-96-quantized,mobilenet-v2,,,uint8,4.5
odroid-armnn-v22.05-neon,efficientnet-lite0-quantized,efficientnet,,,uint8,9.5
odroid-armnn-v22.05-neon,mobilenet-v1-1.0-224-non-quantized,mobilenet-v1,1,224,fp32,70.5
odroid-armnn-v22.05-neon,mobilenet-v3-large-minimalistic_224_1.0_float,mobilenet-v3,,,fp32,40.5
odroid-armnn-v22.05-neon,mobilenet-v3-small_224_0.75_float,mobilenet-v3,,,fp32,20.5
aws_c5.4xlarge-tflite_cpp-cpu-tflite-vmaster-default_config,mobilenet-v3-precision_float-large-224,mobilenet-v3,,,fp32,7.5
amd_zen4_workstation-reference-cpu-onnxruntime-v1.14.0-default_config,huggingface-bert,,,,,145.5
""",
    "paddle_lite/benchmark.csv": """\
section,backend,run_precision,weights,network,soc,ms
fp32,ARMV8 CPU x,fp32,dense,MobileNetV1,rk3399,103.5
fp32,ARMV7 CPU x,fp32,dense,MobileNetV1,rk3399,116.5
fp32,ARMV8 CPU x,fp32,sparse,MobileNetV1,rk3399,56.5
fp32,ARMV8 CPU x,fp32,dense,HRNet_w18,rk3399,3491.5
fp32,ARMV8 CPU x,fp16,dense,MobileNetV2,snapdragon-845,19.5
fp32,GPU x,,dense,MobileNetV1,rk3399,45.5
int8,ARMV8 CPU x,,dense,ResNet50_quant,rk3399,473.5
""",
    "neusight/conv2d.csv": """\
Device,OPName,B,Input_Channel,Output_Channel,Input_Size,Kernel_Size,Stride,Padding,Latency
Tesla T4,conv,2,64,128,28,3,1,1,0.5
Other,conv,2,64,128,28,3,1,1,0.5
""",
    "neusight/linear.csv": "Device,OPName,B,M,N,K,Latency\nTesla T4,linear,2,64,128,256,0.25\n",
    "neusight/bmm.csv": "Device,OPName,B,M,N,K,Latency\nTesla T4,bmm,2,64,128,256,0.25\n",
    "neusight/elementwise_ln_softmax.csv": """\
Device,OPName,B,H,Latency
Tesla T4,add,64,128,0.25
Tesla T4,addu,64,128,0.25
Tesla T4,ln,64,128,0.25
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


def test_nasbench201(data: Path) -> None:
    sets = by_name(nasbench201.device_sets())
    gpu, phone = sets["nasbench201 1080ti_256"], sets["nasbench201 pixel3"]
    assert gpu.rows[0].seconds == pytest.approx(0.01725)
    assert gpu.graph(gpu.rows[0]).nodes["input"]["outputs"][0].shape == (256, 3, 32, 32)
    assert phone.rows == ()  # a time of zero is no measurement
    (row,) = sets["nasbench201 pi5_darcy"].rows
    graph = sets["nasbench201 pi5_darcy"].graph(row)
    assert graph.nodes["input"]["outputs"][0].shape == (1, 1, 88, 88)


def test_a_phone_that_keeps_products_with_zero_runs_more_kernels(data: Path) -> None:
    sets = by_name(nasbench201.device_sets())
    row = sets["nasbench201 samsung_a50"].rows[0]
    counts = {
        name: tabulate([sets[name].graph(row)], load_platform(sets[name].platform)).kernels[0]
        for name in ("nasbench201 samsung_a50", "nasbench201 pi5_cifar100", "nasbench201 1080ti_1")
    }
    strict, folded, eager = counts.values()
    # Of each of 15 cells, the edge "none" into node 2 and its addition, and that into node 3.
    assert folded + 15 * 4 == strict < eager


def test_deepbench(data: Path) -> None:
    sets = by_name(deepbench.device_sets())
    (conv,) = sets["deepbench v100-sxm2-16gb"].rows
    assert conv.seconds == pytest.approx(78e-6)
    assert cm.multiply_adds(cm.network(conv.network)) == 4 * 32 * 5 * 20 * 341 * 79
    (gemm,) = sets["deepbench gtx-1080-ti"].rows
    assert gemm.seconds == pytest.approx(25e-5)
    assert cm.multiply_adds(cm.network(gemm.network)) == 1760 * 16 * 1024


def test_tophub_agrees_with_the_printed_multiply_adds(data: Path) -> None:
    sets = by_name(tophub.device_sets())
    direct, depthwise = sets["tophub bcm2837"].rows
    assert cm.multiply_adds(cm.network(direct.network)) == 118013952
    assert cm.multiply_adds(cm.network(depthwise.network)) == 903168
    assert [row.group for row in sets["tophub bcm2837 Winograd"].rows] == ["winograd"]


def test_tuned_kernels_for_arm_read_pages_of_zeros_as_weights(data: Path) -> None:
    found = by_name(tophub.device_sets())["tophub bcm2837 Winograd"]
    assert found.weights_at_hand
    deep = Row("conv2d?cin=512&cout=512&size=7&k=3", 1.0)
    at_hand, fetched = (
        Bench.of(replace(found, rows=(deep,), weights_at_hand=known)) for known in (True, False)
    )
    times = [b.predict(b.platform, np.array([0])).seconds[0] for b in (at_hand, fetched)]
    # 512 x 512 x 36 transformed weights, at best at the bandwidth of the datasheet.
    assert times[1] - times[0] > 512 * 512 * 36 * 4 / 3.6e9


def test_ncnn_takes_the_cpu_and_no_more_threads_than_cores(data: Path) -> None:
    sets = by_name(ncnn.device_sets())
    single = sets["ncnn snapdragon-810 x1"]
    assert [row.seconds for row in single.rows] == [0.0045]
    assert sets["ncnn raspberry-pi-4 x4"].rows == ()
    # Other boards with as many threads: a Raspberry Pi 4, a Snapdragon 855+ and an 8 Gen 2.
    assert single.elsewhere == ({}, {"tiny": 0.00125}, {})
    half = sets["ncnn snapdragon-855-plus x1"]
    graphs = [s.graph(s.rows[0]) for s in (single, half)]
    assert cm.multiply_adds(graphs[0]) == cm.multiply_adds(graphs[1])
    assert cm.mac(graphs[0], unit="bytes") == 2 * cm.mac(graphs[1], unit="bytes")


def test_mlperf(data: Path) -> None:
    (found,) = mlperf.device_sets()
    assert found.name == "mlperf raspberry-pi-4 tflite-ruy-v2.4.1 float32"
    assert len(found.rows) == mlperf.FEWEST  # the other systems have too few
    assert cm.multiply_adds(found.graph(found.rows[0])) == pytest.approx(13.6e6, rel=0.05)
    (said,) = [s for s in mlperf.left_out() if s.startswith("mlperf rpi4-tflite")]
    assert said.endswith("float32 is left out, 1 rows: fewer than 16 networks that can be built")


def test_mlperf_by_board_engine_and_dtype(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlperf, "FEWEST", 1)
    sets = by_name(mlperf.device_sets())
    full = sets["mlperf odroid-n2 armnn-v22.05 v2.1-v3.0 float32"]
    assert full.platform == "odroid-n2/armnn?threads=2"  # as many as it has Cortex-A53
    assert {row.network: row.seconds for row in full.rows} == {
        "resnet50": 0.3395,
        "efficientnet-lite4&float32": 0.3105,
        "mobilenet_v2?classes=1001&width=0.35&size=96&dtype=float32": 0.0055,
        "mobilenet_v1?classes=1001&width=1.0&size=224&dtype=float32": 0.0705,
        "mobilenet_v3?variant=small&classes=1001&width=0.75&size=224&dtype=float32": 0.0205,
    }
    for row in full.rows:
        assert cm.flops(full.graph(row)) > 5e6
    small = sets["mlperf odroid-n2 armnn-v22.05 v2.1-v3.0 uint8"]
    inside = {row.network.partition("?")[0]: _dtypes(small.graph(row)) for row in small.rows}
    assert inside == {"mobilenet_v2": {"uint8"}, "efficientnet-lite0&uint8": {"int8"}}
    (cloud,) = sets["mlperf xeon-platinum-8275cl tflite-vmaster v2.1-v3.0 float32"].rows
    assert (
        cloud.network == "mobilenet_v3?variant=large&classes=1001&width=1.0&size=224&dtype=float32"
    )
    assert not any("onnxruntime" in name for name in sets)  # the zoo has no BERT of that size


def _dtypes(graph: nx.DiGraph) -> set[str]:
    return {x.dtype for node in nodes_of(graph) for x in node.outputs}


def test_paddle_lite(data: Path) -> None:
    sets = by_name(paddle_lite.device_sets())
    board = sets["paddle_lite rk3399"]
    assert board.platform == "rk3399/paddle-lite"
    found = {row.network: row.seconds for row in board.rows}
    assert found == {"mobilenet_v1?dtype=float32": 0.1035, "resnet50?dtype=int8": 0.4735}
    (half,) = sets["paddle_lite snapdragon-845"].rows
    assert half.network == "mobilenet_v2?dtype=float16"
    assert board.graph(board.rows[0]).nodes["input"]["outputs"][0].dtype == "float32"


@pytest.mark.parametrize(
    ("version", "millions"), [(0, 4.652), (1, 5.416), (2, 6.092), (3, 8.197), (4, 13.007)]
)
def test_efficientnet_lite_has_the_published_parameters(version: int, millions: float) -> None:
    assert cm.params(efficientnet_lite(version)) / 1e6 == pytest.approx(millions, abs=0.02)


def test_neusight(data: Path) -> None:
    rows = by_name(neusight.device_sets())["neusight t4"].rows
    groups = ["conv", "linear", "bmm", "elementwise", "elementwise", "layer_norm"]
    assert [row.group for row in rows] == groups
    conv, linear, bmm, add, number, _ = (cm.network(row.network) for row in rows)
    assert cm.multiply_adds(conv) == 2 * 128 * 64 * 9 * 28 * 28
    assert cm.multiply_adds(linear) == cm.multiply_adds(bmm) == 2 * 64 * 128 * 256
    assert (cm.mac(add), cm.mac(number)) == (3 * 64 * 128, 2 * 64 * 128)


def test_without_data_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(DataError, match=rf"no measurements at .*nothing: set {DATA_VARIABLE}"):
        tophub.device_sets()
