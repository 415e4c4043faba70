"""Runtimes: how a framework turns a network into kernels. One data file per runtime."""

from costmodel.runtimes.load import load_runtime as load_runtime
from costmodel.runtimes.load import runtime_names as runtime_names
from costmodel.runtimes.packs import Packs as Packs
from costmodel.runtimes.runtime import ALGORITHMS as ALGORITHMS
from costmodel.runtimes.runtime import ANCHORS as ANCHORS
from costmodel.runtimes.runtime import FOLLOWERS as FOLLOWERS
from costmodel.runtimes.runtime import GROUPED as GROUPED
from costmodel.runtimes.runtime import FusionRule as FusionRule
from costmodel.runtimes.runtime import Runtime as Runtime
