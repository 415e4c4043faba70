"""Facts of GPUs and CPUs, each with its source: load, probe, lint."""

from __future__ import annotations

from costmodel.hardware.files import core_names as core_names
from costmodel.hardware.files import hardware_names as hardware_names
from costmodel.hardware.files import load_core as load_core
from costmodel.hardware.lint import Finding as Finding
from costmodel.hardware.lint import lint as lint
from costmodel.hardware.lint import lint_device as lint_device
from costmodel.hardware.load import load_hardware as load_hardware
from costmodel.hardware.model import Cluster as Cluster
from costmodel.hardware.model import Fact as Fact
from costmodel.hardware.model import Hardware as Hardware
from costmodel.hardware.model import Level as Level
from costmodel.hardware.names import find_device as find_device
from costmodel.hardware.peaks import peak as peak
