"""Probing: this machine, and copied /proc and /sys trees of others."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from costmodel.errors import DataError
from costmodel.hardware import Hardware, lint, load_hardware
from costmodel.hardware.host import probe_host

X86 = """processor\t: {n}
vendor_id\t: {vendor}
cpu family\t: {family}
model\t\t: {model}
model name\t: Test CPU
cpu MHz\t\t: 2600.000
physical id\t: 0
core id\t\t: {core}
flags\t\t: fpu sse2 {flags}
"""
ARM = """processor\t: {n}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: {part}
"""


def tree(folder: Path, blocks: list[str], files: dict[str, str] | None = None) -> Path:
    """A root with /proc/cpuinfo and files under /sys/devices/system/cpu."""
    (folder / "proc").mkdir()
    (folder / "proc/cpuinfo").write_text("\n".join(blocks) + "\n")
    (folder / "proc/meminfo").write_text("MemTotal:        4000000 kB\nMemFree: 1 kB\n")
    for name, text in (files or {}).items():
        path = folder / "sys/devices/system/cpu" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder


def x86(
    n: int, *, family: int = 6, model: int = 85, flags: str = "", core: int | None = None
) -> str:
    vendor = "GenuineIntel" if family == 6 else "AuthenticAMD"
    core = n if core is None else core
    return X86.format(n=n, vendor=vendor, family=family, model=model, flags=flags, core=core)


def cache(cpu: int, index: int, level: int, kind: str, size: str, shared: str) -> dict[str, str]:
    folder = f"cpu{cpu}/cache/index{index}"
    parts = {"level": str(level), "type": kind, "size": size, "shared_cpu_list": shared}
    return {f"{folder}/{key}": value for key, value in parts.items()}


@pytest.mark.skipif(platform.system() != "Linux", reason="probing reads Linux's files")
def test_this_machine() -> None:
    host = load_hardware("host")
    assert host.name == "host"
    assert host.kind == "cpu"
    assert host.units >= 1
    assert 5e8 < host.clock < 7e9
    assert host.peak_for("float32") == pytest.approx(
        2 * host.units * host.clock * host.lanes["float32"]
    )
    assert host.dram.bandwidth
    assert lint(host) == []


@pytest.mark.parametrize(
    ("block", "core", "float32", "int8", "width"),
    [
        (x86(0, family=25, model=17, flags="avx avx2 fma avx512f"), "zen-4", 16, 64, 16),
        (x86(0, family=25, model=1, flags="avx avx2 fma"), "zen-3", 16, 21, 8),
        (x86(0, family=26, model=2, flags="avx avx2 fma avx512f"), "zen-5", 32, 128, 16),
        (x86(0, model=79, flags="avx avx2 fma"), "broadwell", 16, 16, 8),
        (x86(0, flags="fma avx512f"), "skylake-sp", 32, 42, 16),
        (x86(0, flags="fma avx512f avx512_vnni"), "cascade-lake", 32, 128, 16),
    ],
)
def test_x86_cores_are_told_by_family_and_model(
    tmp_path: Path, block: str, core: str, float32: int, int8: int, width: int
) -> None:
    host = probe_host(tree(tmp_path, [block]))
    assert (host.core, host.lanes["float32"], host.lanes["int8"]) == (core, float32, int8)
    assert host.lane_width("float32") == width
    assert host.clock == 2.6e9
    assert lint(host) == []


@pytest.mark.parametrize(
    ("flags", "lanes", "width"),
    [("avx avx2 fma avx512f", 16, 16), ("avx avx2 fma", 16, 8), ("avx", 8, 8), ("", 4, 4)],
)
def test_an_unknown_x86_core_gets_the_least_of_its_instruction_set(
    tmp_path: Path, flags: str, lanes: int, width: int
) -> None:
    host = probe_host(tree(tmp_path, [x86(0, model=250, flags=flags)]))
    assert (host.core, host.lanes, host.lane_width("float32")) == (
        "unknown",
        {"float32": lanes},
        width,
    )
    assert host.facts["lanes.float32"].kind == "assumed"
    assert host.peak_for("float16") == host.peak["float32"]
    assert lint(host) == []


def test_hyper_threads_share_a_core_and_affinity_counts(tmp_path: Path) -> None:
    root = tree(tmp_path, [x86(n, flags="fma avx512f", core=n % 2) for n in range(4)])
    assert probe_host(root).units == 2
    assert probe_host(root, cpus={0, 2}).units == 1
    assert probe_host(root, cpus={1, 2}).units == 2
    with pytest.raises(DataError, match="no processor open to this process"):
        probe_host(root, cpus={9})


def test_caches_come_from_sys_and_sharing_decides_the_scope(tmp_path: Path) -> None:
    files = {
        **cache(0, 0, 1, "Data", "48K", "0"),
        **cache(0, 1, 1, "Instruction", "32K", "0"),
        **cache(0, 2, 2, "Unified", "2048K", "0"),
        **cache(0, 3, 3, "Unified", "30720K", "0-1"),
    }
    host = probe_host(tree(tmp_path, [x86(n, flags="fma avx512f") for n in range(2)], files))
    found = {level.name: (level.size, level.scope) for level in host.levels[1:4]}
    assert found == {
        "l1": (48 * 1024, "unit"),
        "l2": (2048 * 1024, "unit"),
        "l3": (30720 * 1024, "device"),
    }
    assert host.facts["level.l1.size"].kind == "probed"
    # 128 bytes a cycle on each of two cores, from the core's file.
    assert host.level("l1").bandwidth == pytest.approx(2 * 128 * 2.6e9)
    assert host.dram.size == 4_000_000 * 1024


def test_hyper_threads_do_not_make_a_cache_shared(tmp_path: Path) -> None:
    files = {**cache(0, 0, 1, "Data", "32K", "0,2"), "cpu0/topology/thread_siblings_list": "0,2"}
    root = tree(tmp_path, [x86(n, flags="fma avx512f", core=n % 2) for n in range(4)], files)
    assert probe_host(root).level("l1").scope == "unit"


def test_the_highest_clock_of_sys_is_preferred(tmp_path: Path) -> None:
    files = {"cpu0/cpufreq/cpuinfo_max_freq": "3900000"}
    host = probe_host(tree(tmp_path, [x86(0, flags="fma avx512f hypervisor")], files))
    assert host.clock == 3.9e9
    assert host.facts["clock"].kind == "probed"


@pytest.mark.parametrize(
    ("model", "clock", "kind"), [(85, 3.5e9, "assumed"), (250, 2.6e9, "probed")]
)
def test_a_virtual_machine_hides_its_clock(
    tmp_path: Path, model: int, clock: float, kind: str
) -> None:
    # The known core's usual boost, or the counter's clock for want of better; both say so.
    host = probe_host(tree(tmp_path, [x86(0, model=model, flags="fma avx512f hypervisor")]))
    assert (host.clock, host.facts["clock"].kind) == (clock, kind)
    assert ("hidden (cpu MHz says 2600)" if kind == "assumed" else "virtual machine") in host.facts[
        "clock"
    ].note
    assert lint(host) == []


def test_an_arm_server_without_a_clock_gets_its_usual_one(tmp_path: Path) -> None:
    host = probe_host(tree(tmp_path, [ARM.format(n=0, part="0xd0c")]))
    assert (host.core, host.clock) == ("neoverse-n1", 3.0e9)
    assert host.facts["clock"].kind == "assumed"


def raspberry_pi_4(folder: Path) -> Hardware:
    files = {f"cpu{n}/cpufreq/cpuinfo_max_freq": "1500000" for n in range(4)}
    return probe_host(tree(folder, [ARM.format(n=n, part="0xd08") for n in range(4)], files))


def test_arm_equals_the_device_file(tmp_path: Path) -> None:
    host, shipped = raspberry_pi_4(tmp_path), load_hardware("raspberry-pi-4")
    assert host.core == "cortex-a72"
    assert (host.units, host.clock, host.lanes) == (shipped.units, shipped.clock, shipped.lanes)
    assert host.peak == pytest.approx(dict(shipped.peak))
    # Such boards show no caches in /sys: the core's file stands in.
    assert host.level("l1").size == 32 * 1024
    assert lint(host) == []


def test_big_and_little_cores_make_clusters(tmp_path: Path) -> None:
    parts = ["0xd03"] * 4 + ["0xd07"] * 4
    files = {
        f"cpu{n}/cpufreq/cpuinfo_max_freq": "1555200" if n < 4 else "1958400" for n in range(8)
    }
    host = probe_host(tree(tmp_path, [ARM.format(n=n, part=p) for n, p in enumerate(parts)], files))
    assert [(c.core, c.units) for c in host.clusters] == [("cortex-a57", 4), ("cortex-a53", 4)]
    assert (host.core, host.units, host.clock) == ("cortex-a57", 4, 1.9584e9)
    assert host.peak_for("float32", units=8) == pytest.approx(2 * 4 * 4 * (1.9584e9 + 1.5552e9))


@pytest.mark.parametrize(
    ("implementer", "part", "core"),
    [
        ("0x41", "0xc07", "cortex-a7"),
        ("0x41", "0xd42", "cortex-a78ae"),
        ("0x41", "0xd44", "cortex-x1"),
        ("0x41", "0xd40", "neoverse-v1"),
        # HiSilicon's own number for the Cortex-A76 of the Kirin 980 is Arm's for Neoverse V1.
        ("0x48", "0xd40", "cortex-a76"),
        ("0x41", "0xd49", "neoverse-n2"),
        ("0x41", "0xd4f", "neoverse-v2"),
        ("0x4e", "0x004", "carmel"),
        ("0x51", "0x211", "kryo"),
        # Kryo 385 Gold: a Cortex-A75.
        ("0x51", "0x802", "cortex-a75"),
        ("0x61", "0x022", "icestorm"),
        ("0x61", "0x023", "firestorm"),
    ],
)
def test_arm_cores_are_told_by_implementer_and_part(
    tmp_path: Path, implementer: str, part: str, core: str
) -> None:
    block = ARM.format(n=0, part=part).replace("0x41", implementer)
    files = {"cpu0/cpufreq/cpuinfo_max_freq": "2000000"}
    host = probe_host(tree(tmp_path, [block], files))
    assert host.core == core
    assert lint(host) == []


def test_an_unknown_arm_core_without_a_clock_is_assumed_and_says_so(tmp_path: Path) -> None:
    host = probe_host(tree(tmp_path, [ARM.format(n=0, part="0xfff")]))
    assert host.lanes == {"float32": 4}
    assert host.facts["clock"].kind == "assumed"
    assert "calibrate" in host.facts["clock"].note


def test_elsewhere_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"host cannot be probed on .* give its path"):
        probe_host(tmp_path)


def test_a_core_without_vectors_is_refused(tmp_path: Path) -> None:
    block = "processor\t: 0\nmodel name\t: riscv\n"
    with pytest.raises(DataError, match="no vector instruction set"):
        probe_host(tree(tmp_path, [block]))


@pytest.mark.parametrize("name", ["host", "Host", "HOST"])
def test_no_file_may_have_the_name_of_the_machine_at_hand(name: str, tmp_path: Path) -> None:
    from costmodel.hardware import lint_device
    from costmodel.hardware.files import device_path
    from costmodel.platforms import load_platform

    file = tmp_path / f"{name}.toml"
    text = device_path("raspberry-pi-4").read_text("utf-8")
    file.write_text(text.replace('name = "raspberry-pi-4"', f'name = "{name}"'), "utf-8")
    for load in (load_hardware, lambda path: load_platform(f"{path}/ncnn")):
        with pytest.raises(DataError, match=rf"{name}\.toml: name: .* means the machine at hand"):
            load(str(file))
    (finding,) = lint_device(file)
    assert str(file) in finding.message


def test_a_calibration_of_this_machine_may_be_a_file_of_its_name(tmp_path: Path) -> None:
    import costmodel as cm

    rows = [cm.Measurement(f"linear?{s}", 1e-3) for s in ("cin=64&cout=64", "cin=128&cout=64")]
    cm.calibrate(rows, "raspberry-pi-4/ncnn").save(tmp_path / "host.toml")
    assert cm.load_platform(str(tmp_path / "host.toml")).name == "raspberry-pi-4/ncnn"
