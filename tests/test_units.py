"""Unit strings: conversion, refusal of wrong units, and the round trip."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from costmodel import units
from costmodel.errors import DataError, UnitError
from costmodel.units import EXAMPLES, format_si, parse


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("484 GB/s", "B/s", 484e9),
        ("11 Gbit/s", "bit/s", 11e9),
        ("11 Gbit/s", "B/s", 1.375e9),
        ("2.75 MiB", "B", 2.75 * 1024 * 1024),
        ("1582 MHz", "Hz", 1.582e9),
        ("11.34 TFLOP/s", "FLOP/s", 11.34e12),
        ("130 TOP/s", "FLOP/s", 130e12),
        ("15.75 GB/s", "B/s", 15.75e9),
        ("1.5PFLOP/s", "FLOP/s", 1.5e15),
        ("352 bit", "bit", 352),
        ("16 KiB", "B", 16384),
        ("16 kB", "B", 16000),
        ("5 us", "s", 5e-6),
        ("5 µs", "s", 5e-6),
        ("1e3 ms", "s", 1.0),
    ],
)
def test_parse(text: str, unit: str, value: float) -> None:
    assert parse(text, unit) == pytest.approx(value, rel=1e-12)


def test_decimal_and_binary_prefixes_differ() -> None:
    for power, (decimal, binary) in enumerate([("kB", "KiB"), ("MB", "MiB"), ("GB", "GiB")], 1):
        assert parse(f"1 {binary}", "B") == 1024**power
        assert parse(f"1 {decimal}", "B") == 1000**power


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        ("484", "B/s", "not a number with a unit"),
        ("GB/s", "B/s", "not a number with a unit"),
        ("nan GB/s", "B/s", "not a number with a unit"),
        ("9**9 GB/s", "B/s", "not a number with a unit"),
        ("", "Hz", "not a number with a unit"),
        ("1e999 GB/s", "B/s", "too large"),
        ("484 GB", "B/s", "does not measure the same as B/s"),
        ("484 GB/S", "B/s", "does not measure"),
        ("11 Gb/s", "bit/s", "does not measure"),
        ("1582 MHz", "s", "does not measure"),
        ("11.34 TFLOPS", "FLOP/s", "unknown"),
        ("11.34 TFLOP", "FLOP/s", "does not measure"),
        ("16 KB", "B", "unknown"),
        ("16 gb", "B", "unknown"),
        ("3 parrots", "s", "unknown"),
    ],
)
def test_wrong_quantities_are_refused_with_the_right_form(text: str, unit: str, said: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse(text, unit)
    assert said in str(caught.value)
    assert EXAMPLES[unit] in str(caught.value)
    assert isinstance(caught.value, DataError)


def test_a_number_without_text_is_refused() -> None:
    with pytest.raises(UnitError, match="484 GB/s"):
        parse(484e9, "B/s")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00123, "s", "1.23 ms"),
        (4.9e-6, "s", "4.9 µs"),
        (484e9, "B/s", "484 GB/s"),
        (999.96e6, "B/s", "1 GB/s"),
        (1.582e9, "Hz", "1.58 GHz"),
        (23.43, "FLOP/B", "23.4 FLOP/B"),
        (0.0, "s", "0 s"),
        (12.3456, "s", "12.3 s"),
        (7200.4, "s", "7200 s"),
        (float("inf"), "s", "inf s"),
    ],
)
def test_format(value: float, unit: str, text: str) -> None:
    assert format_si(value, unit) == text


@pytest.mark.parametrize("unit", sorted(EXAMPLES))
def test_every_example_is_itself_right(unit: str) -> None:
    assert parse(EXAMPLES[unit], unit) > 0


@given(
    value=st.floats(1e-14, 1e20).map(lambda x: float(f"{x:.3g}")),
    unit=st.sampled_from(["s", "B", "B/s", "Hz", "FLOP/s"]),
)
def test_format_then_parse_is_the_identity_at_three_digits(value: float, unit: str) -> None:
    # From 1000 s on, seconds are written out to the unit.
    tolerance = 5e-4 if unit == "s" and value >= 1000 else 1e-9
    assert parse(format_si(value, unit), unit) == pytest.approx(value, rel=tolerance)


@given(
    number=st.floats(1e-6, 1e6),
    pair=st.sampled_from([("GB/s", "MB/s", 1e3), ("GiB", "MiB", 1024), ("B/s", "bit/s", 8)]),
)
def test_prefixes_scale(number: float, pair: tuple[str, str, float]) -> None:
    large, small, ratio = pair
    base = "B" if large == "GiB" else "B/s"
    assert parse(f"{number} {large}", base) == pytest.approx(
        parse(f"{number * ratio} {small}", base), rel=1e-9
    )


def test_pint_is_imported_only_when_used() -> None:
    code = "import sys, costmodel.units; sys.exit('pint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- the prefixes that are worked out without pint


@pytest.mark.parametrize("unit", sorted(units.EXAMPLES))
def test_prefixes_are_those_of_pint(unit):
    from pint import UndefinedUnitError

    registry = units._registry()
    base, _, below = unit.partition("/")
    names = [base, *({"B": ["bit"], "FLOP": ["OP"]}.get(base, []))]
    for name in names:
        for prefix in (*units._PREFIXES, "Ki", "Mi", "Gi", "Ti", "Pi"):
            written = f"{prefix}{name}/{below}" if below else f"{prefix}{name}"
            found = units._plain_factor(written, unit)
            if found is None:
                continue
            try:
                expected = registry.Quantity(1, written).to(unit).magnitude
            except UndefinedUnitError:  # pint has no symbol with this prefix
                pytest.fail(f"{written} is read, and pint does not know it")
            assert found == pytest.approx(expected, rel=1e-12), written


@given(st.floats(1e-15, 1e23), st.sampled_from(["B", "s", "B/s", "Hz", "FLOP/s", "FLOP/B", "W"]))
def test_what_is_written_is_what_pint_makes_of_it(value, unit):
    assume(unit != "s" or value < 1)  # longer times are written in seconds
    written = units.format_si(value, unit)
    number, name = written.split(" ", 1)
    rounded = float(f"{value:.3g}")
    assert float(number) * units._registry().Quantity(1, name).to(unit).magnitude == pytest.approx(
        rounded, rel=1e-9
    )
    assert 1 <= float(number) < 1000


def test_a_report_starts_without_pint():
    code = (
        "import sys, costmodel as cm; from costmodel.report.text import seconds; "
        "seconds(cm.latency(cm.zoo.resnet18(), 'gtx-1080-ti/paper').seconds); "
        "sys.exit('pint' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
