"""Rules by which a runtime turns a network into kernels, and the names that its file may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from costmodel.kinds import GROUPS, KINDS
from costmodel.ops.elementwise import BINARY, TERNARY, UNARY
from costmodel.runtimes.arithmetic import Arithmetic
from costmodel.runtimes.packs import Packs

ALGORITHMS = {
    "gpu": ("implicit_gemm", "winograd", "fft"),
    "cpu": ("implicit_gemm", "winograd", "whole_winograd", "plain", "blocked"),
    "accelerator": ("implicit_gemm", "winograd"),
}
"""Algorithms of convolution, by kind of hardware (:mod:`costmodel.timing`)."""
GROUPED = ("batched", "serial")
"""Ways of running the groups of a convolution on a GPU."""
INSTRUCTION_SETS = ("arm", "x86")
"""Instruction sets of CPUs, for each of which an engine has kernels, and may have priors."""
SPLITS = ("dynamic", "static")
"""Ways of splitting a kernel among the cores of a CPU: work on demand, or equal shares."""
LAYOUTS = ("nhwc", "nchw")
"""Layouts of images: with the channels last, as tensor cores need them, or before the pixels."""
FOLLOWERS = (
    *("batch_norm", "copy", "unary", "nary", "prelu", "cast", "scalar"),
    *("norm", "softmax", "reduction"),
    *UNARY,
    *BINARY,
    *TERNARY,
)
"""Operators that can be fused behind a kernel: an element-wise operator by its kind (``"scalar"``:
with a number), or all of one tensor (``"unary"``) or of several (``"nary"``); operators over rows
by their kind, ``"reduction"`` if they leave one number per row."""
ANCHORS = tuple(dict.fromkeys((*GROUPS, *KINDS, *UNARY, *BINARY, *TERNARY)))
"""Kernels that others can be fused behind: by group or kind, element-wise operators by kind."""


@dataclass(frozen=True, slots=True)
class FusionRule:
    """A rule: the operators that some kernels fuse behind them.

    Parameters
    ----------
    behind : tuple of str
        The kernels, names of :data:`ANCHORS`.
    takes : tuple of str
        The operators that join them, names of :data:`FOLLOWERS`.
    source : str
        Source of the rule.
    hardware : tuple of str
        The kinds of hardware that it holds on, names of :data:`ALGORITHMS`; empty for all.
    """

    behind: tuple[str, ...]
    takes: tuple[str, ...]
    source: str
    hardware: tuple[str, ...] = ()

    def holds(self, anchors: Iterable[str], hardware: str) -> bool:
        """Return whether it is for a kernel of any name in ``anchors``, on ``hardware``.

        Where the hardware is not known (``""``), the rules of all hardware hold.
        """
        somewhere = not (hardware and self.hardware) or hardware in self.hardware
        return somewhere and not set(anchors).isdisjoint(self.behind)


@dataclass(frozen=True)
class Runtime:
    """The rules by which a framework runs a network.

    Parameters
    ----------
    name, title : str
        Short and full name.
    source : str
        Source of the rules.
    dead_code : bool
        Whether operators that no output depends on are dropped.
    fold_constants : bool
        Whether values known before any input are computed in advance.
    fold_zero_products : bool
        Whether that includes products with zero (strictly, zero times infinity is not zero).
    fold_pools : bool
        Whether it includes pools of constants.
    scaled_weights : bool
        Whether a product with a number goes into the weights of the convolution or linear layer
        before it, if nothing else reads that: so this runs even if the number is zero.
    fused_attention : bool
        Whether attention is one kernel.
    fusion : tuple of FusionRule
        The operators that kernels fuse behind them.
    copies : tuple of str
        Operators that this runtime copies, although others treat them as views.
    algorithms : mapping of str to tuple of str
        The algorithms of convolution by kind of hardware; the runtime uses the fastest. On a CPU,
        ``plain`` and ``blocked`` are the layouts in which it reads images without a copy; the
        choice between the two follows fixed rules (:mod:`costmodel.timing.cpu_eager`);
        ``winograd`` transforms an image part by part, ``whole_winograd`` all of it before the
        products begin.
    asynchronous : bool
        Whether the host dispatches kernels ahead of the device.
    transfers : bool
        Whether the time of a network includes moving inputs and outputs to and from the device.
    grouped : {"batched", "serial"}
        Whether the groups of a convolution on a GPU run in one kernel or one after the other.
    layout : {"nhwc", "nchw"}
        Default layout of images between kernels, on a GPU and where the library of a CPU gets
        images in the caller's layout.
    generated : bool
        Whether a compiler generates all kernels except products: values of a kernel stay in
        registers, also those that other kernels read, and short rows are read once.
    fused_masks : bool
        Whether attention is one kernel even if a mask or positions are added to the scores.
    cublas_lt : bool
        Whether linear layers on a GPU call cuBLASLt, which adds a bias, in place of cuBLAS.
    paged_attention : bool
        Whether causal attention and single queries read keys and values from a cache of pages, as
        engines that serve language models do.
    own_depthwise : tuple of str
        The dtypes in which depthwise convolutions of NCHW images on a GPU use the framework's own
        kernel instead of a library's.
    split : {"dynamic", "static"}
        Whether cores of a CPU fetch more work when they are done, or all get equal parts and wait
        for the slowest.
    sleeps : bool
        Whether threads on a CPU sleep between kernels, instead of spinning.
    one_core : tuple of str
        Kinds of kernel that always run on one core of a CPU.
    priors : mapping
        Priors of the time model that this runtime changes, by kind of hardware, each with its own
        ``source`` or that of its table. Those of an instruction set precede those of ``cpu``.
    packs : Packs, optional
        How a CPU engine packs channels; None if images stay in the layout of its kernels.
    arithmetic : Arithmetic
        Narrow arithmetic that a CPU engine has kernels for. This table and ``packs`` may be
        ``like`` that of another runtime, and give only the fields that differ.
    widened : tuple of str
        Dtypes without kernels: such tensors are computed in float32, and cast at the beginning and
        the end of a network.
    last_axis_softmax : bool
        Whether a softmax over an axis other than the last one transposes before and after it.
    layouts : tuple of str
        The layouts of images that a platform may request (:meth:`layouts_apply`).
    layout_costs : mapping of str to float
        For a compiler that chooses the layout of images on a GPU by network: the expected time of
        convolutions in NHWC over that in NCHW, by class; empty if it does not choose. [1]
    bias_apart : tuple of str
        Kinds of hardware on which a separate kernel adds the bias of a library's convolution, and
        does what joins the convolution.
    bias_always : tuple of str
        Those of them on which that kernel runs even if the convolution has no bias.
    autocast : tuple of str
        The dtypes of its automatic mixed precision; empty if it has none.
    like : str
        The runtime whose rules and priors it has where its file gives no others, ``""`` for none.
    """

    name: str
    title: str
    source: str
    dead_code: bool
    fold_constants: bool
    fold_zero_products: bool
    fold_pools: bool
    scaled_weights: bool
    fused_attention: bool
    fusion: tuple[FusionRule, ...]
    copies: tuple[str, ...]
    algorithms: Mapping[str, tuple[str, ...]]
    asynchronous: bool
    transfers: bool
    grouped: str
    layout: str
    generated: bool
    fused_masks: bool
    cublas_lt: bool
    paged_attention: bool
    own_depthwise: tuple[str, ...]
    split: str
    sleeps: bool
    one_core: tuple[str, ...]
    priors: Mapping[str, Mapping[str, Mapping[str, Any]]]
    packs: Packs | None
    arithmetic: Arithmetic
    widened: tuple[str, ...]
    last_axis_softmax: bool
    layouts: tuple[str, ...]
    layout_costs: Mapping[str, float]
    bias_apart: tuple[str, ...]
    bias_always: tuple[str, ...]
    autocast: tuple[str, ...]
    like: str

    @property
    def engine(self) -> str:
        """Name of the runtime whose kernels it runs.

        Examples
        --------
        >>> from costmodel.runtimes import load_runtime
        >>> load_runtime("tflite-toco").engine
        'tflite-ruy'
        """
        return self.like or self.name

    def layouts_apply(self, hardware: str) -> bool:
        """Return whether :attr:`layouts` apply on a kind of hardware.

        On a CPU they apply only if the library gets images in the caller's layout (``plain`` among
        its algorithms).

        Examples
        --------
        >>> from costmodel.runtimes import load_runtime
        >>> eager, compiled = load_runtime("torch-eager"), load_runtime("torch-compile")
        >>> eager.layouts_apply("cpu"), compiled.layouts_apply("cpu")
        (True, False)
        """
        if hardware == "cpu" and "plain" not in self.algorithms.get("cpu", ()):
            return False
        return hardware != "accelerator" and bool(self.layouts)

    def takes_channels_last(self, hardware: str) -> bool:
        """Return whether a library of a CPU gets images with the channels last from the caller.

        Examples
        --------
        >>> from costmodel.runtimes import load_runtime
        >>> load_runtime("torch-eager").takes_channels_last("cpu")
        False
        """
        return hardware == "cpu" and self.layout == "nhwc" and self.layouts_apply(hardware)

    def taken_behind(self, *anchors: str, hardware: str = "") -> frozenset[str]:
        """Return the operators that fuse behind a kernel described by any name in ``anchors``."""
        found = self._taken.get((hardware, anchors))
        if found is None:
            rules = (r.takes for r in self.fusion if r.holds(anchors, hardware))
            found = self._taken[hardware, anchors] = frozenset().union(*rules)
        return found

    @cached_property
    def _taken(self) -> dict[tuple[str, tuple[str, ...]], frozenset[str]]:
        return {}
