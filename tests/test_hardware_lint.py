"""The linter passes what ships and catches the mistakes that other device tables are known for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import costmodel.hardware
from costmodel.errors import DataError
from costmodel.hardware import (
    Fact,
    Hardware,
    hardware_names,
    lint,
    lint_device,
    load_core,
    load_hardware,
)

SHIPPED = Path(costmodel.hardware.__file__).parent / "devices"


@pytest.mark.parametrize("name", hardware_names())
def test_shipped_files_are_clean(name: str) -> None:
    assert [str(finding) for finding in lint_device(name)] == []


def changed(folder: Path, name: str, old: str, new: str) -> Hardware:
    """A shipped device with one figure wrong."""
    text = (SHIPPED / f"{name}.toml").read_text()
    assert text.count(old) >= 1, old
    (folder / f"{name}.toml").write_text(text.replace(old, new))
    return load_hardware(folder / f"{name}.toml")


@pytest.mark.parametrize(
    ("name", "old", "new", "field", "said"),
    [
        # PyTorch's table before PR 182023; its L4 with H100's memory; TFLOPS times 1e15.
        ("h100-sxm", '"989.4 TFLOP/s"', '"1979 TFLOP/s"', "peak.bfloat16", "sparse"),
        ("l4", '"300 GB/s"', '"3350 GB/s"', "memory.bandwidth", "11.2 times"),
        ("t4", '"8.1 TFLOP/s"', '"8.1 PFLOP/s"', "peak.float32", "prefix"),
        # A multiply-add counted twice, once, and in the lanes.
        ("gtx-1080-ti", '"11.34 TFLOP/s"', '"22.68 TFLOP/s"', "peak.float32", "twice"),
        (
            "gtx-1080-ti",
            '"11.34 TFLOP/s"',
            '"5.67 TFLOP/s"',
            "peak.float32",
            "multiply-adds instead",
        ),
        (
            "gtx-1080-ti",
            "float32 = { value = 128,",
            "float32 = { value = 256,",
            "peak.float32",
            "0.5",
        ),
        # GB and GiB, both ways, in rates and in sizes.
        ("gtx-1080-ti", '"484 GB/s"', '"484 GiB/s"', "memory.bandwidth", "GB/s for GiB/s"),
        ("gtx-1080-ti", '"484 GB/s"', '"450.8 GB/s"', "memory.bandwidth", "GiB/s for GB/s"),
        ("gtx-1080-ti", '"11 GiB"', '"11 GB"', "memory.size", "no whole MiB"),
        ("gtx-1080-ti", '"2.75 MiB"', '"2.75 MB"', "level.l2.size", "no whole KiB"),
        # The memory of another card: the A100 80 GB's bandwidth on the 40 GB board (onnx-tool).
        ("a100-pcie-40gb", '"1555 GB/s"', '"1935 GB/s"', "memory.bandwidth", "1.24 times"),
        # Bits and bytes; both directions of the link; a wrong clock or unit count.
        ("gtx-1080-ti", '"11 Gbit/s"', '"11 GB/s"', "memory.bandwidth", "0.125 times"),
        ("gtx-1080-ti", '"15.75 GB/s"', '"31.5 GB/s"', "link.bandwidth", "both directions"),
        ("gtx-1080-ti", '"1582 MHz"', '"1481 MHz"', "peak.float32", "1.07 times"),
        ("l4", "units = { value = 58,", "units = { value = 60,", "peak.float32", "0.967 times"),
        ("h100-sxm", '"1830 MHz"', '"1980 MHz"', "peak.float16", "0.924 times"),
        # Magnitudes.
        ("gtx-1080-ti", '"1582 MHz"', '"1582 GHz"', "clock", "out of the plausible"),
        ("gtx-1080-ti", "units = { value = 28,", "units = { value = 3584,", "units", "3584"),
        ("raspberry-pi-4", '"12.8 GB/s"', '"12.8 MB/s"', "memory.bandwidth", "plausible"),
        # Order of the levels.
        ("gtx-1080-ti", '"2.75 MiB"', '"64 KiB"', "level.l2.size", "not above that of shared"),
        (
            "gtx-1080-ti",
            'value = 128, source = "NVIDIA CUDA C++ Programming Guide, Compute Cap'
            "abilities, 6.1, Shared",
            'value = 16, source = "NVIDIA CUDA C++ Programming Guide, Compute '
            "Capabilities, 6.1, Shared",
            "level.l2.bandwidth",
            "is above that of shared",
        ),
        # Clusters that do not add up.
        (
            "snapdragon-810",
            'units = { value = 4, source = "Qualcomm Snapdragon 810 processor product'
            ' brief", kind = "datasheet", note',
            'units = { value = 8, source = "x", kind = "datasheet", note',
            "units",
            "number of cortex-a57",
        ),
        (
            "snapdragon-855",
            'units = { value = 4, source = "Qualcomm Snapdragon 855 Mobile Platform '
            'product brief", kind = "datasheet" }\nclock = { value = "1.8 GHz"',
            'units = { value = 4, source = "x", kind = "datasheet" }\nclock = { value = "5.8 GHz"',
            "cluster",
            "fastest",
        ),
    ],
)
def test_known_mistakes_are_found(
    tmp_path: Path, name: str, old: str, new: str, field: str, said: str
) -> None:
    findings = lint(changed(tmp_path, name, old, new))
    assert any(f.field == field and said in f.message for f in findings), list(map(str, findings))
    assert all(f.hardware == name for f in findings)


def test_the_ridge_point_must_be_sane() -> None:
    gpu = load_hardware("gtx-1080-ti")
    # Everything a thousand times up: consistent with itself, and still absurd.
    absurd = replace(gpu, clock=gpu.clock * 1e3, peak={k: v * 1e3 for k, v in gpu.peak.items()})
    assert [f.field for f in lint(absurd)] == ["peak.float32"]
    assert "ridge point 2.34e+04" in lint(absurd)[0].message


def test_every_fact_needs_a_source_and_every_guess_a_note() -> None:
    gpu = load_hardware("gtx-1080-ti")
    fact = gpu.facts["memory.bandwidth"]
    nameless = replace(gpu, facts={**gpu.facts, "memory.bandwidth": replace(fact, source=" ")})
    assert [str(f) for f in lint(nameless)] == ["gtx-1080-ti: memory.bandwidth: has no source"]
    guessed = Fact(fact.value, fact.unit, fact.source, "assumed")
    unexplained = replace(gpu, facts={**gpu.facts, "memory.bandwidth": guessed})
    assert ["no note says why" in f.message for f in lint(unexplained)] == [True]


def test_nan_is_in_no_range() -> None:
    gpu = load_hardware("gtx-1080-ti")
    clock = replace(gpu.facts["clock"], value=float("nan"))
    assert any(f.field == "clock" for f in lint(replace(gpu, facts={**gpu.facts, "clock": clock})))


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        ("2e15", "sustained.bfloat16: is 2.02 times peak.bfloat16; it must be a part of it"),
        ("1e12", "sustained.bfloat16: is 0.00101 times peak.bfloat16"),
    ],
)
def test_power_sustains_a_part_of_the_peak(tmp_path: Path, rate: str, said: str) -> None:
    text = (SHIPPED / "h200.toml").read_text("utf-8")
    wrong = text.replace('"735 TFLOP/s"', f'"{rate} FLOP/s"', 1)
    (tmp_path / "h200.toml").write_text(wrong)
    (found,) = lint_device(tmp_path / "h200.toml")
    assert said in str(found)


def test_everything_wrong_with_a_file_is_said_in_a_sentence_each(tmp_path: Path) -> None:
    text = (SHIPPED / "gtx-1080-ti.toml").read_text()
    for old, new in (
        ('"484 GB/s", source = ', '"484 GB/s", note = '),
        ('architecture = "pascal-gaming"', 'architecture = "paskal"'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (tmp_path / "board.toml").write_text(text)
    assert [str(finding) for finding in lint_device(tmp_path / "board.toml")] == [
        "board: architecture: 'paskal' is unknown; did you mean pascal?",
        "board: memory.bandwidth: has no source; every number needs one",
        "board: name: is 'gtx-1080-ti'; it must be the file's, 'board'",
    ]


def test_a_wrong_core_beside_the_device_is_found(tmp_path: Path) -> None:
    text = (SHIPPED / "raspberry-pi-4.toml").read_text()
    (tmp_path / "raspberry-pi-4.toml").write_text(text.replace("cortex-a72", "my-core"))
    (finding,) = lint_device(tmp_path / "raspberry-pi-4.toml")
    assert str(finding).startswith("raspberry-pi-4.toml: there is no core 'my-core'; put its file")
    source = load_core("cortex-a72").line_size.source
    core = (SHIPPED.parent / "cores" / "cortex-a72.toml").read_text()
    core = core.replace('name = "cortex-a72"', 'name = "my-core"')
    wrong = core.replace(f'value = "64 B", source = "{source}"', 'value = "64 B", source = ""')
    assert wrong != core
    (tmp_path / "my-core.toml").write_text(wrong)
    (finding,) = lint_device(str(tmp_path / "raspberry-pi-4.toml"))
    assert str(finding) == "my-core.toml: line_size: has no source; every number needs one"
    (tmp_path / "my-core.toml").write_text(core)
    assert lint_device(tmp_path / "raspberry-pi-4.toml") == []


def test_what_is_no_device_is_an_error_and_no_finding(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no hardware 'gtx1080to'"):
        lint_device("gtx1080to")
    (tmp_path / "board.toml").write_text("name = ")
    with pytest.raises(DataError, match=r"board.toml: is not TOML"):
        lint_device(tmp_path / "board.toml")


@pytest.mark.parametrize(("value", "share"), [("900 GB/s", "1.23"), ("70 GB/s", "0.0956")])
def test_streams_reach_a_part_of_the_bandwidth(value: str, share: str) -> None:
    board = load_hardware("p100-pcie-16gb")
    seen = replace(board.facts["memory.streamed"], value=float(value.split()[0]) * 1e9)
    wrong = replace(board, facts={**board.facts, "memory.streamed": seen})
    assert [(f.field, f.message) for f in lint(wrong)] == [
        (
            "memory.streamed",
            f"is {share} times memory.bandwidth; it must be a part of it",
        )
    ]
