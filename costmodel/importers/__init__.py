"""Networks from elsewhere: torch modules, ONNX files, ncnn files."""

from costmodel.importers.custom import onnx_operator as onnx_operator
from costmodel.importers.custom import torch_operator as torch_operator
from costmodel.importers.ncnn import from_ncnn as from_ncnn
from costmodel.importers.onnx_file import from_onnx as from_onnx
from costmodel.importers.torch_module import from_torch as from_torch
from costmodel.importers.torch_module.formulas import flop_formulas as flop_formulas

__all__ = [
    "flop_formulas",
    "from_ncnn",
    "from_onnx",
    "from_torch",
    "onnx_operator",
    "torch_operator",
]
