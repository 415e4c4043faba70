"""Threads that are kept on some clusters of a CPU: ``?cores=``."""

from __future__ import annotations

from pathlib import Path

import pytest

import costmodel as cm
from costmodel.calibration.conditions import check_conditions
from costmodel.errors import DataError
from costmodel.hardware import hardware_names, load_hardware
from costmodel.hardware.clusters import cluster_names, on_clusters
from costmodel.platforms import calibrations
from costmodel.platforms.machine import machine_for

GEN_2 = "snapdragon-8-gen-2/ncnn"


def test_threads_run_on_the_cores_named() -> None:
    where = cm.load_platform(f"{GEN_2}?threads=4&cores=cortex-a710,cortex-a715")
    assert where.name == f"{GEN_2}?threads=4&cores=cortex-a715,cortex-a710"
    assert cm.load_platform(where.name).name == where.name
    machine = machine_for(where, "float16")
    # Two 128-bit pipes of 8 halves on each of four cores at 2.8 GHz; 512 KiB of L2 each.
    assert machine.multiply_adds == pytest.approx(4 * 16 * 2.8e9)
    assert machine.private_cache == 4 * 2**19
    assert machine.cache == 8 * 2**20  # the L3 of all


def test_cores_decide_the_time() -> None:
    network = cm.zoo.shufflenet_v2()
    prime, big, little = (
        cm.latency(network, f"{GEN_2}?cores={core}").seconds
        for core in ("cortex-x3", "cortex-a715", "cortex-a510")
    )
    assert cm.latency(network, GEN_2).seconds == prime
    assert 1.3 * prime < big < little / 1.3


def test_a_static_split_over_clusters_waits_for_the_slower() -> None:
    cores = "threads=6&cores=cortex-x3,cortex-a715,cortex-a510"
    static, dynamic = (
        machine_for(cm.load_platform(f"snapdragon-8-gen-2/{runtime}?{cores}"), "float32")
        for runtime in ("ncnn", "tvm")
    )
    # The in-order A510 keeps up at 0.7 of its peak: 2 GHz times 4 elements.
    assert static.multiply_adds == pytest.approx(6 * 0.7 * 4 * 2e9)
    assert dynamic.multiply_adds == pytest.approx(16 * 3.2e9 + 2 * 8 * 2.8e9 + 3 * 4 * 2e9)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            f"{GEN_2}?cores=cortex-a78",
            "snapdragon-8-gen-2 has no cores 'cortex-a78'; its clusters are cortex-x3, "
            "cortex-a715, cortex-a710, cortex-a510",
        ),
        (
            "snapdragon-855/ncnn?cores=prime",
            "snapdragon-855 has no cores 'prime'; its clusters are cortex-a76@2.84, "
            "cortex-a76@2.42, cortex-a55",
        ),
        (f"{GEN_2}?cores=cortex-x3,", "snapdragon-8-gen-2 has no cores ''; its clusters are"),
        (
            "gtx-1080-ti/paper?cores=sm",
            "gtx-1080-ti has no cores 'sm'; it has none; leave cores out",
        ),
        (
            "exynos-9610/ncnn?cores=cortex-a53",
            "the caches of cores 'cortex-a53' of exynos-9610 are unknown; give cluster.l2",
        ),
        (f"{GEN_2}?threads=3&cores=cortex-a715", "has 2 cores, not 3 (2 cortex-a715)"),
    ],
)
def test_unknown_cores_are_answered_with_the_clusters(name: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        cm.load_platform(name)
    assert message in str(error.value)


def test_all_clusters_are_the_device() -> None:
    for device in hardware_names():
        hardware = load_hardware(device)
        if hardware.clusters:
            everything = ",".join(dict.fromkeys(c.core for c in hardware.clusters))
            assert on_clusters(hardware, everything) == (hardware, "")
            assert len(set(cluster_names(hardware))) == len(hardware.clusters)


def test_the_cluster_of_the_fastest_cores_alone_is_as_fast() -> None:
    for device in ("snapdragon-810", "rk3588", "odroid-n2", "apple-m1"):
        whole = load_hardware(device)
        part, name = on_clusters(whole, cluster_names(whole)[0])
        assert name == whole.core
        assert (part.peak, part.units, part.clock) == (whole.peak, whole.units, whole.clock)
        assert part.levels == whole.levels


def test_a_cluster_has_caches_of_its_own() -> None:
    sizes = {}
    for name in ("rk3399", "rk3588", "snapdragon-845"):
        part, _ = on_clusters(load_hardware(name), load_hardware(name).clusters[-1].core)
        sizes[name] = {x.name: (x.size, x.scope) for x in part.levels if x.name in ("l2", "l3")}
    assert sizes == {
        "rk3399": {"l2": (512 * 2**10, "device")},
        "rk3588": {"l2": (128 * 2**10, "unit"), "l3": (3 * 2**20, "device")},
        "snapdragon-845": {"l3": (2 * 2**20, "device")},
    }


def test_clusters_of_one_core_are_told_apart_by_clock() -> None:
    hardware = load_hardware("snapdragon-855")
    part, name = on_clusters(hardware, "cortex-a76@2.42")
    assert (name, part.units, part.clock) == ("cortex-a76@2.42", 3, 2.42e9)
    assert on_clusters(hardware, "cortex-a76")[1] == "cortex-a76"
    # A part of a part is a part of the whole.
    assert on_clusters(part, "cortex-a55")[0].core == "cortex-a55"


def test_a_calibration_of_all_cores_serves_some_with_the_spread_of_priors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path))
    whole = cm.load_platform("snapdragon-810/ncnn", calibrated=False)
    cores = {**whole.settings, "cores": "cortex-a53"}
    found = calibrations.derived(whole.fitted, cores, whole.settings)
    assert found.provenance["measured with"] == "cores=all"
    assert calibrations.distance(cores, cores) < calibrations.distance(cores, whole.settings)


def test_rows_of_other_cores_are_refused() -> None:
    row = cm.Measurement("shufflenet_v2", 0.1, platform=f"{GEN_2}?cores=cortex-a710", row=3)
    (bad,) = check_conditions([row], cm.load_platform(GEN_2, calibrated=False))
    assert bad.row == 3
    assert bad.reason == (
        f"cores are cortex-a710, but the platform's are all: take {GEN_2}?cores=cortex-a710"
    )
    assert not check_conditions([row], cm.load_platform(row.platform, calibrated=False))
