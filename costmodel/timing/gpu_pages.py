r"""Attention in an engine that keeps keys and values in a cache of pages.

Beside the fused kernel (:mod:`costmodel.timing.gpu_attention`) such an engine runs small ones. One
writes new keys and values to their pages, a block of threads for each token:

.. math::

    t = \max\left(\frac{x}{N h} \, t_0,\; \frac{2 B}{\beta}\right)

:math:`x` are the tokens, :math:`h` the blocks that one of :math:`N` multiprocessors holds (at most
32), :math:`t_0` is the time of a block, :math:`B` the bytes of the keys and values, :math:`\beta`
the bandwidth at which they are read and written.

FlashAttention-3 first balances the work of sequences of different lengths, and has no heads longer
than 256. Single queries of longer heads take as long as one kernel for every sequence and head of
keys: on H100 and H200, 2.1 us each for 16 to 500 of them with heads of 512, for any number of keys
up to 2048 (github.com/ai-dynamo/aiconfigurator, vLLM 0.24; the reason is unknown). They do not if
there are more sequences than one block of the scheduler sorts. FlashAttention-2 copies the queries
that it packs, and their result, unless they already lie side by side: with one head of keys, or in
one sequence.

Sources: vLLM, vllm/v1/attention/backends/flash_attn.py (``FlashAttentionImpl.forward``) and
csrc/cache_kernels.cu (``reshape_and_cache_flash``: a grid of tokens, blocks of
``min(num_heads * head_size, 512)`` threads); github.com/vllm-project/flash-attention,
hopper/flash_prepare_scheduler.cu and csrc/flash_attn/flash_api.cpp (``mha_varlen_fwd``:
``seqlenq_ngroups_swapped`` reshapes a transposed tensor).
"""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, at_most, maximum, minimum
from costmodel.kernels import Product
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Moved, Workload

BLOCK = 512
"""Maximum number of threads of a block that copies a token. [1]"""
LONGEST = 256
"""The longest head of FlashAttention-3. [element]"""
SORTED = 992
"""Sequences that one block of its scheduler sorts. [1]"""
RESIDENT = 32
"""Maximum number of blocks on a multiprocessor (NVIDIA CUDA C++ Programming Guide). [1]"""


def kernels_beside(w: Workload, machine: Machine) -> Dim:
    """Return the number of small kernels beside a fused attention [1].

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.kernels import lower
    >>> from costmodel.platforms import load_platform
    >>> from costmodel.platforms.machine import machine_for
    >>> from costmodel.timing.reuse import workloads
    >>> a100 = load_platform("a100-sxm-80gb/cuda-graphs?dtype=bfloat16")
    >>> for kv_heads in (32, 8, 1):
    ...     graph = zoo.attention(n=2, heads=32, kv_heads=kv_heads, length=1, keys=64, depth=128)
    ...     (w,) = workloads(lower(graph, a100.runtime))
    ...     print(kernels_beside(w, machine_for(a100, "bfloat16")))
    1
    3
    1
    """
    scores = w.products[0]
    if not machine.paged_attention:
        return 0
    if machine.generation.packs_queries:
        serial = above(scores.k, LONGEST) * (1 - above(_sequences(scores), SORTED))
        heads = scores.batch / scores.shared
        return 1 + cached(scores) + single_query(scores.m) * serial * heads
    apart = above(scores.sets, 1) * above(_sequences(scores), 1)
    return cached(scores) + 2 * single_query(scores.m) * above(scores.shared, 1) * apart


def pages(w: Workload, machine: Machine, q: Theta) -> tuple[Moved, Dim]:
    """Return the traffic of filling the pages, and the least time of its blocks [s]."""
    scores, mix = w.products
    if not machine.paged_attention:
        return Moved(0, 0), 0
    tokens = _sequences(scores) * scores.m * cached(scores)
    size = 2 * tokens * scores.sets * (scores.k + mix.n) * DTYPE_BYTES[w.dtype]
    threads = minimum(BLOCK, maximum(1, scores.sets * scores.k))
    held = machine.units * minimum(RESIDENT, machine.generation.threads / threads)
    return Moved(size, size), tokens / held * q["attention_tile"] / machine.clock


def cached(scores: Product) -> Dim:
    """Return 1 for attention over cached keys: causal, or of a single query; else 0."""
    return 1 if scores.needed is not None else single_query(scores.m)


def single_query(queries: Dim) -> Dim:
    """Return 1 for a single query, else 0."""
    return at_most(queries, 1)


def above(size: Dim, limit: int) -> Dim:
    """Return 1 if a whole number exceeds a limit, else 0."""
    return 1 - at_most(size, limit)


def _sequences(scores: Product) -> Dim:
    """Return the number of sequences of a batch [1]."""
    return scores.batch / maximum(1, scores.shared * scores.sets)
