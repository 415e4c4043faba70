"""Networks from elsewhere: torch modules, ONNX files, ncnn files."""

from costmodel.importers.ncnn import from_ncnn as from_ncnn
from costmodel.importers.onnx_file import from_onnx as from_onnx
from costmodel.importers.torch_module import from_torch as from_torch

__all__ = ["from_ncnn", "from_onnx", "from_torch"]
