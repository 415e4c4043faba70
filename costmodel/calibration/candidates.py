"""Candidate operators for a calibration, on a CPU and on a GPU: each kind, from small to large."""

from __future__ import annotations

from itertools import product

_Images = tuple[tuple[int, int], ...]
"""Channels, and pixels along each side."""


def candidates(kind: str = "cpu") -> list[str]:
    """Return single operators that span the space: each kind, from small to large.

    Parameters
    ----------
    kind : str
        Kind of hardware. A GPU gets batches, long products, attention, and tensors on both sides of
        its caches.

    Examples
    --------
    >>> len(candidates()) > 100, len(candidates("gpu")) > 200
    (True, True)
    """
    return _on_gpu() if kind == "gpu" else _on_cpu()


def _on_cpu() -> list[str]:
    images = ((16, 112), (32, 56), (64, 56), (128, 28), (256, 14), (512, 7))
    # Channels that do not fill vectors, and kernels so small that the call dominates.
    odd = ((24, 56), (58, 28), (116, 14), (232, 7), (16, 7))
    return [
        *_convolutions(images, odd),
        *_elementwise((*images, *odd, (256, 56))),
        *_pools(),
        *_products(),
    ]


def _convolutions(images: _Images, odd: _Images) -> list[str]:
    dense = [(c, f * c, s, k, 1) for (c, s), k, f in product(images, (1, 3), (1, 2))]
    dense += [(1024, 1024, 7, 1, 1), (144, 32, 28, 1, 1), (960, 160, 7, 1, 1)]
    dense += [(c, c, s, 1, 1) for c, s in odd]
    dense += [(64, 128, 56, 3, 2), (128, 256, 28, 3, 2), (64, 128, 56, 1, 2), (48, 64, 28, 5, 1)]
    # Small images, for which some libraries use another algorithm.
    dense += [(16, 16, 32, 3, 1), (64, 64, 8, 3, 1), (96, 208, 14, 3, 1), (128, 32, 7, 3, 1)]
    dense += [(3, 24, 224, 3, 2), (3, 64, 224, 7, 2)]
    specs = [f"conv2d?cin={i}&cout={o}&size={s}&k={k}&stride={t}" for i, o, s, k, t in dense]
    # Squeeze-and-excite.
    specs += [f"conv2d?cin={4 * c}&cout={c}&size=1&k=1&bias=true" for c in (8, 24, 168)]
    specs += [
        f"conv2d?cin={c}&cout={c}&size={s}&k=1&groups={g}"
        for (c, s), g in product(images[1:], (2, 8))
    ]
    specs += [f"conv2d?cin=128&cout=128&size=28&k=3&groups={g}" for g in (8, 32)]
    depthwise = [(c, s, k, 1) for (c, s), k in product((*images, (1024, 7)), (3, 5))]
    depthwise += [(c, s, 3, 1) for c, s in odd] + [(120, 28, 5, 1)]
    depthwise += [(96, 112, 3, 2), (256, 28, 3, 2), (116, 28, 3, 2)]
    specs += [f"depthwise?c={c}&size={s}&k={k}&stride={t}" for c, s, k, t in depthwise]
    return specs


def _elementwise(images: _Images) -> list[str]:
    specs = ["identity?shape=1x64x56x56"]
    for c, s in images:
        specs += [f"elementwise?kind={k}&shape=1x{c}x{s}x{s}" for k in ("relu", "add")]
        specs += [f"batch_norm?c={c}&size={s}", f"concat?shape=1x{c}x{s}x{s}"]
    shuffled = ((32, 56), (116, 28), (128, 28), (256, 14), (232, 14), (512, 7))
    specs += [f"channel_shuffle?c={c}&size={s}&groups=2" for c, s in shuffled]
    kinds = ("sigmoid", "silu", "hard_swish")
    shapes = ("1x64x56x56", "1x256x14x14", "1x120x1x1")
    specs += [f"elementwise?kind={k}&shape={shape}" for k, shape in product(kinds, shapes)]
    specs += [
        "elementwise?kind=gelu&shape=1x197x3072",
        "elementwise?kind=gelu_tanh&shape=1x64x3072",
    ]
    return specs


def _pools() -> list[str]:
    # Maxima use branches, and branch predictors memorize those of a small input.
    shapes = ((16, 112, 3, 2), (64, 56, 3, 2), (128, 28, 3, 2), (64, 112, 2, 2), (64, 28, 3, 1))
    specs = [
        f"pool?kind={kind}&c={c}&size={s}&k={k}&stride={t}&padding={k // 2 if k > 2 else 0}"
        for kind, (c, s, k, t) in product(("max", "avg"), shapes)
    ]
    specs += [f"pool?kind=avg&c={c}&size=7&k=7&stride=1&padding=0" for c in (128, 1024)]
    return specs


def _products() -> list[str]:
    sizes = [(1, 64, 10), (1, 512, 1000), (1, 1280, 1000), (1, 4096, 4096)]
    sizes += [(16, 512, 512), (32, 1024, 1000), (64, 768, 768), (197, 768, 768), (512, 256, 1000)]
    specs = [f"linear?n={n}&cin={i}&cout={o}" for n, i, o in sizes]
    specs += [f"bmm?b={b}&m={m}&k=64&n={m}" for b, m in ((1, 64), (8, 128), (12, 197), (64, 16))]
    specs += [f"matmul?m={m}&k={m}&n={m}" for m in (24, 64, 256)]
    heads = ((8, 64, 32), (12, 128, 64), (12, 197, 64))
    specs += [f"attention?heads={h}&length={n}&depth={d}" for h, n, d in heads]
    specs += [f"softmax?shape={shape}" for shape in ("1x1000", "64x64", "12x197x197", "512x512")]
    specs += [f"layer_norm?shape=1x{n}x{c}" for n, c in ((49, 96), (64, 512), (197, 768))]
    return specs


def _on_gpu() -> list[str]:
    return [
        *_gpu_products(),
        *_gpu_attention(),
        *_gpu_convolutions(),
        *_gpu_streams(),
    ]


def _gpu_products() -> list[str]:
    weights = [(512, 2048), (768, 768), (768, 3072), (1024, 4096), (4096, 1024), (4096, 4096)]
    weights += [(4096, 14336), (8192, 8192), (1023, 1024)]
    tokens = (1, 16, 128, 512, 2048, 8192)
    specs = [f"linear?n={n}&cin={i}&cout={o}" for (i, o), n in product(weights, tokens)]
    batches = ((12, 64), (96, 197), (256, 128), (64, 512), (16, 1024), (8, 2048))
    return specs + [f"bmm?b={b}&m={m}&k={k}&n={m}" for (b, m), k in product(batches, (64, 128))]


def _gpu_attention() -> list[str]:
    prefill = product(((1, 512), (1, 2048), (1, 8192), (8, 1024), (32, 197)), (64, 128))
    specs = [
        f"attention?n={n}&heads=16&length={length}&depth={d}&causal={causal}"
        for ((n, length), d), causal in product(prefill, ("true", "false"))
    ]
    # Decoding: one query per sequence, keys in cache or not, heads that share keys.
    decode = product((1, 16), (512, 4096, 16384), (8, 32))
    return specs + [
        f"attention?n={n}&heads=32&kv_heads={shared}&length=1&keys={keys}&depth=128"
        for n, keys, shared in decode
    ]


def _gpu_convolutions() -> list[str]:
    images = ((64, 56), (128, 28), (256, 14), (512, 7))
    batches = (1, 16, 128)
    specs = [
        f"conv2d?n={n}&cin={c}&cout={c}&size={s}&k={k}"
        for (c, s), n, k in product(images, batches, (1, 3))
    ]
    specs += [f"conv2d?n={n}&cin=3&cout=64&size=224&k=7&stride=2" for n in batches]
    specs += [
        f"conv2d?n={n}&cin={4 * c}&cout={c}&size={s}&k=1" for (c, s), n in product(images, (1, 64))
    ]
    specs += [f"conv2d?n=32&cin={c}&cout={c}&size={s}&k=3&groups=32" for c, s in images]
    return specs + [
        f"depthwise?n={n}&c={c}&size={s}&k={k}"
        for (c, s), n, k in product(images, (1, 128), (3, 7))
    ]


def _gpu_streams() -> list[str]:
    rows = ((1, 1024), (256, 768), (4096, 1024), (16384, 1024), (16384, 8192))
    specs = [f"layer_norm?shape=1x{n}x{c}" for n, c in rows]
    specs += [f"layer_norm?shape=1x{n}x{c}&rms=true" for n, c in rows]
    specs += [f"softmax?shape={n}x{c}" for n, c in rows]
    specs += [
        f"elementwise?kind={kind}&shape={n}x{c}"
        for (n, c), kind in product(rows, ("relu", "add", "gelu", "silu"))
    ]
    images = ((1, 64, 56), (32, 64, 56), (128, 256, 28))
    specs += [f"batch_norm?n={n}&c={c}&size={s}" for n, c, s in images]
    specs += [f"elementwise?kind=relu&shape={n}x{c}x{s}x{s}" for n, c, s in images]
    specs += [f"channel_shuffle?n={n}&c={c}&size={s}&groups=2" for n, c, s in images]
    return specs + [
        f"pool?kind={kind}&n={n}&c={c}&size={s}"
        for (n, c, s), kind in product(images, ("max", "avg"))
    ]
