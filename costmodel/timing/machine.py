"""Inputs of the time formulas from a platform: facts of hardware and runtime for one dtype."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.runtimes import Packs
from costmodel.timing.tiles import Generation


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts for one dtype and number of threads.

    Parameters
    ----------
    kind : str
        ``"gpu"``, ``"cpu"`` or ``"accelerator"``.
    units : int
        Streaming multiprocessors, cores used, or arrays.
    multiply_adds : float
        Dense peak of these units. [multiply-add/s]
    tensor : bool
        Whether a GPU reaches it on tensor cores.
    operands : float
        Bytes of operands that the tensor cores of one multiprocessor multiply in a cycle, relative
        to Ampere's. [1]
    ceiling : float
        The same at the highest known clock of the hardware; infinite if the peak is assumed.
        [multiply-add/s]
    vector : float
        Peak without tensor cores. [multiply-add/s]
    clock : float
        Of these units. [Hz]
    lanes : int
        Elements of a vector, threads of a warp.
    cache : float
        Last-level cache, or the buffer of an accelerator; 0 if unknown. [byte]
    shared_memory : float
        That of one multiprocessor of a GPU; else 0. [byte]
    private_cache : float
        On a CPU whose cores share the last level: the largest cache before it, summed over the
        cores used; else 0. [byte]
    bandwidth : float
        Of the memory, by the datasheet. [B/s]
    stream : float
        Share of the bandwidth of a GPU's memory that streams reach, relative to other GPUs. [1]
    link : float
        Host to device; 0 if memory is shared, or if moving inputs does not count. [B/s]
    asynchronous : bool
        Whether the host dispatches kernels ahead of the device.
    algorithms : frozenset of str
        Algorithms of convolution that the runtime has.
    grouped_serially : bool
        Whether the groups of a convolution run one after the other.
    transposes : bool
        Whether a GPU's library transposes images for convolutions on tensor cores.
    generated : bool
        Whether a compiler writes the kernels of norms and softmax.
    own_depthwise : bool
        Whether depthwise convolutions on a GPU use the framework's own kernel.
    cublas_lt : bool
        Whether linear layers on a GPU call cuBLASLt in place of cuBLAS.
    bias_apart : bool
        Whether kernels of their own do what joins a library's convolution.
    paged_attention : bool
        Whether fused attention reads keys and values from a cache of pages.
    generation : Generation
        Of a GPU: tiles of its libraries.
    sustained : float
        Speed that a GPU's board power sustains. [multiply-add/s]
    cache_bandwidth : float
        Bandwidth from the last-level cache to a GPU's multiprocessors. [B/s]
    interfaces : tuple of (float, float)
        For each level of memory with a known bandwidth: the capacity closer than it, and its
        maximum bandwidth; main memory last. [byte], [B/s]
    one_core : frozenset of str
        Kinds of kernel that the runtime does not split among the cores of a CPU.
    packs : Packs, optional
        How the engine of a CPU packs channels.
    sleeps : bool
        Whether the threads of the runtime sleep between kernels.
    element : int
        On a CPU: the bytes of an element in arithmetic; 4 if half precision is only stored. [byte]
    narrow : float
        On a CPU: elements per operation in kernels other than products, relative to float32. [1]
    in_float32 : frozenset of str
        Kinds of kernel that store half precision and compute in ``float32``.
    widens : bool
        On a CPU: whether 8-bit operands are widened to 16 bits, for want of instructions for their
        products.
    per_channel : frozenset of str
        Integer dtypes whose weights have a scale for each output channel.
    scaled : frozenset of str
        Kinds of kernel that scale and round every 8-bit result.
    one_by_one : frozenset of str
        On a CPU: kinds of kernel without vectors for 8-bit elements.
    loads_stall : bool
        On a CPU: whether cores issue in order and load less than a vector in a cycle.
    float32 : (float, int)
        On a CPU: the float32 peak of its cores, and the elements of a vector. [multiply-add/s], [1]
    """

    kind: str
    units: int
    multiply_adds: float
    tensor: bool
    operands: float
    ceiling: float
    vector: float
    clock: float
    lanes: int
    cache: float
    shared_memory: float
    private_cache: float
    bandwidth: float
    stream: float
    link: float
    asynchronous: bool
    algorithms: frozenset[str]
    grouped_serially: bool
    transposes: bool
    generated: bool
    own_depthwise: bool
    cublas_lt: bool
    bias_apart: bool
    paged_attention: bool
    generation: Generation
    sustained: float
    cache_bandwidth: float
    interfaces: tuple[tuple[float, float], ...]
    one_core: frozenset[str] = frozenset()
    packs: Packs | None = None
    sleeps: bool = False
    element: int = 4
    narrow: float = 1.0
    in_float32: frozenset[str] = frozenset()
    widens: bool = False
    per_channel: frozenset[str] = frozenset()
    scaled: frozenset[str] = frozenset()
    one_by_one: frozenset[str] = frozenset()
    loads_stall: bool = False
    float32: tuple[float, int] = (0.0, 1)

    @property
    def winograd(self) -> bool:
        """Whether the runtime has Winograd's algorithm."""
        return not self.algorithms.isdisjoint(("winograd", "whole_winograd"))
