"""What the time formulas need of a platform: facts of hardware and runtime for one dtype."""

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
        The same at the highest clock that the hardware is known to reach; infinite where the peak
        is an assumption. [multiply-add/s]
    vector : float
        Peak without tensor cores. [multiply-add/s]
    clock : float
        Of these units. [Hz]
    lanes : int
        Elements of a vector, threads of a warp.
    cache : float
        Last-level cache, or the buffer of an accelerator, 0 where it is not known. [byte]
    private_cache : float
        Of a CPU whose cores share a last level: the largest cache before it, of all cores used;
        else 0. [byte]
    bandwidth : float
        Of the memory, by the datasheet. [B/s]
    link : float
        Host to device; 0 where memory is shared, or where moving inputs does not count. [B/s]
    asynchronous : bool
        Whether the host dispatches kernels ahead of the device.
    algorithms : frozenset of str
        Algorithms of convolution that the runtime has.
    grouped_serially : bool
        Whether the groups of a convolution run one after the other.
    transposes : bool
        Whether a GPU's library changes the layout of images for convolutions on tensor cores.
    generated : bool
        Whether a compiler writes the kernels of norms and softmax.
    own_depthwise : bool
        Whether a framework's own kernel, not a library's, does depthwise convolutions on a GPU.
    generation : Generation
        Of a GPU: tiles of its libraries.
    sustained : float
        What a GPU's board power sustains. [multiply-add/s]
    cache_bandwidth : float
        What a GPU's multiprocessors can draw from the last-level cache. [B/s]
    interfaces : tuple of (float, float)
        For each level of memory whose bandwidth is known: the bytes that may lie nearer, and the
        most that it delivers; main memory last. [byte], [B/s]
    one_core : frozenset of str
        Kinds of kernel that the runtime does not split among the cores of a CPU.
    packs : Packs, optional
        How the engine of a CPU packs channels.
    sleeps : bool
        Whether the threads of the runtime sleep between kernels.
    element : int
        Of a CPU: the bytes of an element in arithmetic, 4 where halves are only stored. [byte]
    narrow : float
        Of a CPU: elements that an operation beside products takes at once, relative to float32. [1]
    in_float32 : frozenset of str
        Kinds of kernel that hold halves and compute in float32, as ``float32``.
    float32 : (float, int)
        Of a CPU: what its cores reach in float32, and the elements of a vector.
        [multiply-add/s], [1]
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
    private_cache: float
    bandwidth: float
    link: float
    asynchronous: bool
    algorithms: frozenset[str]
    grouped_serially: bool
    transposes: bool
    generated: bool
    own_depthwise: bool
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
    float32: tuple[float, int] = (0.0, 1)

    @property
    def winograd(self) -> bool:
        """Whether the runtime has Winograd's algorithm."""
        return not self.algorithms.isdisjoint(("winograd", "whole_winograd"))
