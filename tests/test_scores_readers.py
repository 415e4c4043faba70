"""Readers of public measurements, on a few lines of each file."""

from __future__ import annotations

from pathlib import Path

import pytest

import costmodel as cm
from costmodel.errors import DataError
from costmodel.platforms import load_platform
from costmodel.prediction.table import tabulate
from validation.scores import deepbench, mlperf, nasbench201, ncnn, neusight, tophub
from validation.scores.dataset import DATA_VARIABLE, DeviceSet
from validation.scores.efficientnet_lite import efficientnet_lite

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
    assert cm.flops(cm.network(conv.network)) == 4 * 32 * 5 * 20 * 341 * 79
    (gemm,) = sets["deepbench gtx-1080-ti"].rows
    assert gemm.seconds == pytest.approx(25e-5)
    assert cm.flops(cm.network(gemm.network)) == 1760 * 16 * 1024


def test_tophub_agrees_with_the_printed_multiply_adds(data: Path) -> None:
    sets = by_name(tophub.device_sets())
    direct, depthwise = sets["tophub bcm2837"].rows
    assert cm.flops(cm.network(direct.network)) == 118013952
    assert cm.flops(cm.network(depthwise.network)) == 903168
    assert [row.group for row in sets["tophub bcm2837 Winograd"].rows] == ["winograd"]


def test_ncnn_takes_the_cpu_and_no_more_threads_than_cores(data: Path) -> None:
    sets = by_name(ncnn.device_sets())
    single = sets["ncnn snapdragon-810 x1"]
    assert [row.seconds for row in single.rows] == [0.0045]
    assert sets["ncnn raspberry-pi-4 x4"].rows == ()
    half = sets["ncnn snapdragon-855-plus x1"]
    graphs = [s.graph(s.rows[0]) for s in (single, half)]
    assert cm.flops(graphs[0]) == cm.flops(graphs[1])
    assert cm.mac(graphs[0], unit="bytes") == 2 * cm.mac(graphs[1], unit="bytes")


def test_mlperf(data: Path) -> None:
    (found,) = mlperf.device_sets()
    assert found.name == "mlperf tflite-v2.4.1 float32"
    assert len(found.rows) == mlperf.FEWEST  # the other system has too few
    assert cm.flops(found.graph(found.rows[0])) == pytest.approx(13.6e6, rel=0.05)


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
    assert cm.flops(conv) == 2 * 128 * 64 * 9 * 28 * 28
    assert cm.flops(linear) == cm.flops(bmm) == 2 * 64 * 128 * 256
    assert (cm.mac(add), cm.mac(number)) == (3 * 64 * 128, 2 * 64 * 128)


def test_without_data_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(DataError, match=rf"no measurements at .*nothing: set {DATA_VARIABLE}"):
        tophub.device_sets()
