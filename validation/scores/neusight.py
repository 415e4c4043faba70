"""Single operators on V100, T4 and P100, eager PyTorch 2.1, fp32 (NeuSight, ASPLOS 2025).

Convolutions have no bias, linear layers have one (neusight/Dataset/collect.py).

Three things in these rows belong to how they were measured, and no model of a GPU can know them.
The least time of a convolution grows with the number of rows measured before it, from 60 to 330 us
on V100, 90 to 500 us on T4 and 100 to 830 us on P100: half of the rows of P100 take less than four
times that. P100 was measured on two hosts: layer normalizations and GELU take at least 46 and 31 us
there, additions and softmax 44 and 61 us, where V100 and T4 have one order of all of them. And a T4
that ran long products before still has a low clock: what a fit misses of a linear layer correlates
with the logarithm of the time of the row before by -0.4, on V100 by 0.
"""

from __future__ import annotations

from .dataset import DeviceSet, Row, read_csv

_PLATFORMS = {
    "Tesla V100-PCIE-32GB": "v100-pcie-32gb/torch-eager",
    "Tesla T4": "t4/torch-eager",
    "Tesla P100-PCIE-16GB": "p100-pcie-16gb/torch-eager",
}
_UNARY = {"gelu": "gelu", "relu": "relu", "tanh": "tanh"}
_BINARY = {"add": "add", "mul": "mul", "div": "div", "pow": "pow"}
FILES = ("conv2d", "linear", "bmm", "elementwise_ln_softmax")


def device_sets() -> list[DeviceSet]:
    """Return the operators of each GPU; rows are grouped by family."""
    found: dict[str, list[Row]] = {device: [] for device in _PLATFORMS}
    for file in FILES:
        for line in read_csv(f"neusight/{file}.csv"):
            if line["Device"] in found:
                found[line["Device"]].append(_row(line))
    return [
        DeviceSet(
            f"neusight {_PLATFORMS[device].partition('/')[0]}", _PLATFORMS[device], tuple(rows)
        )
        for device, rows in found.items()
    ]


def _row(line: dict[str, str]) -> Row:
    name = line["OPName"]
    spec, group = _SPECS.get(name, _elementwise)(line)
    return Row(spec, float(line["Latency"]) / 1e3, group)


def _conv(line: dict[str, str]) -> tuple[str, str]:
    return (
        f"conv2d?n={line['B']}&cin={line['Input_Channel']}&cout={line['Output_Channel']}"
        f"&size={line['Input_Size']}&k={line['Kernel_Size']}&stride={line['Stride']}"
        f"&padding={line['Padding']}",
        "conv",
    )


def _linear(line: dict[str, str]) -> tuple[str, str]:
    rows = int(line["B"]) * int(line["M"])
    return f"linear?n={rows}&cin={line['N']}&cout={line['K']}", "linear"


def _bmm(line: dict[str, str]) -> tuple[str, str]:
    return f"bmm?b={line['B']}&m={line['M']}&k={line['N']}&n={line['K']}", "bmm"


def _shape(line: dict[str, str]) -> str:
    return f"shape={line['B']}x{line['H']}"


def _norm(line: dict[str, str]) -> tuple[str, str]:
    kind = {"ln": "layer_norm", "softmax": "softmax"}[line["OPName"]]
    return f"{kind}?{_shape(line)}", kind


def _elementwise(line: dict[str, str]) -> tuple[str, str]:
    name = line["OPName"]
    if name in _UNARY:
        return f"elementwise?kind={_UNARY[name]}&{_shape(line)}", "elementwise"
    if name.endswith("u"):  # the second operand is a number
        return f"elementwise?kind={_BINARY[name[:-1]]}&value=1.5&{_shape(line)}", "elementwise"
    return f"elementwise?kind={_BINARY[name]}&{_shape(line)}", "elementwise"


_SPECS = {"conv": _conv, "linear": _linear, "bmm": _bmm, "ln": _norm, "softmax": _norm}
