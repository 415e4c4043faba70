"""A case for every edge of every kernel, for the tests and for the tables of costs."""

from __future__ import annotations

from collections.abc import Sequence

from .program import Shape, Spec, SpecBuilder

Case = tuple[str, list[Shape], list[Shape], dict[str, int | str]]

SMOOTH: tuple[str, ...] = (
    "gelu",
    "gelu_tanh",
    "leaky_relu",
    "elu",
    "neg",
    "abs",
    "square",
    "hard_tanh",
)
SMOOTH += ("erf", "floor", "ceil", "round", "sign", "clamp", "mish", "softplus", "sin", "cos")
REDUCTIONS = ("sum", "mean", "max", "min", "norm", "prod", "var")
ARITHMETIC = ("add", "sub", "mul", "div", "max", "min")


def _numbers() -> list[Case]:
    shape = (1, 3, 5, 5)
    return [(f"{kind}_number", [shape], [shape], {"value": "1.25"}) for kind in ARITHMETIC]


# kernel, shapes in, shapes out, parameters: edges of every blocking (8 x 12 tiles, 256 deep, 480
# wide, 4 and 8 lanes), odd sizes, batches, groups, each activation
CASES: Sequence[Case] = [
    ("conv1x1", [(1, 58, 28, 28)], [(1, 58, 28, 28)], {"act": "relu", "bias": 1}),
    ("conv1x1", [(1, 300, 7, 7)], [(1, 9, 7, 7)], {"act": "relu6", "bias": 1}),
    ("conv1x1", [(2, 13, 23, 23)], [(2, 17, 23, 23)], {"bias": 1}),
    ("conv1x1", [(1, 520, 1, 1)], [(1, 8, 1, 1)], {}),
    ("conv1x1", [(1, 3, 1, 3)], [(1, 5, 1, 3)], {}),
    ("conv1x1", [(1, 24, 9, 9)], [(1, 48, 9, 9)], {"groups": 3, "act": "relu", "bias": 1}),
    ("conv1x1", [(2, 40, 5, 5)], [(2, 20, 5, 5)], {"groups": 4, "bias": 1}),
    (
        "conv3x3",
        [(1, 3, 33, 33)],
        [(1, 24, 17, 17)],
        {"stride": 2, "pad": 1, "bias": 1, "act": "relu"},
    ),
    (
        "conv3x3",
        [(1, 7, 19, 21)],
        [(1, 6, 19, 21)],
        {"stride": 1, "pad": 1, "act": "relu6", "bias": 1},
    ),
    ("conv3x3", [(2, 5, 8, 8)], [(2, 4, 6, 6)], {"stride": 1, "pad": 0}),
    ("conv3x3", [(1, 4, 3, 3)], [(1, 9, 1, 1)], {"stride": 2, "pad": 0}),
    ("winograd3x3", [(1, 16, 28, 28)], [(1, 20, 28, 28)], {"pad": 1, "act": "relu", "bias": 1}),
    ("winograd3x3", [(2, 7, 13, 9)], [(2, 5, 13, 9)], {"pad": 1, "bias": 1}),
    ("winograd3x3", [(1, 4, 5, 7)], [(1, 8, 3, 5)], {"pad": 0, "act": "relu6"}),
    ("winograd3x3", [(1, 64, 7, 7)], [(1, 64, 7, 7)], {"pad": 1}),
    ("winograd3x3", [(1, 3, 60, 60)], [(1, 4, 60, 60)], {"pad": 1}),
    (
        "conv",
        [(1, 3, 32, 32)],
        [(1, 16, 16, 16)],
        {"k": 7, "stride": 2, "pad": 3, "act": "relu", "bias": 1},
    ),
    ("conv", [(1, 16, 15, 15)], [(1, 8, 8, 8)], {"k": 1, "stride": 2, "bias": 1}),
    ("conv", [(2, 12, 11, 13)], [(2, 6, 11, 13)], {"k": 3, "stride": 1, "pad": 1, "groups": 3}),
    ("conv", [(1, 6, 12, 12)], [(1, 5, 12, 6)], {"kh": 1, "kw": 7, "stride": 1, "ph": 0, "pw": 0}),
    ("conv", [(1, 4, 14, 14)], [(1, 4, 14, 14)], {"k": 3, "stride": 1, "pad": 2, "dilation": 2}),
    ("conv", [(1, 32, 56, 56)], [(1, 8, 56, 56)], {"k": 3, "stride": 1, "pad": 1}),
    (
        "conv3x3",
        [(1, 3, 8, 9)],
        [(1, 4, 4, 5)],
        {"stride": 2, "ph": 0, "pw": 1, "ph_end": 1, "pw_end": 1},
    ),
    (
        "conv",
        [(1, 3, 8, 8)],
        [(1, 4, 4, 4)],
        {"k": 5, "stride": 2, "pad": 1, "ph_end": 2, "pw_end": 2},
    ),
    ("winograd3x3", [(1, 3, 8, 8)], [(1, 4, 7, 7)], {"pad": 0, "ph_end": 1, "pw_end": 1}),
    ("depthwise", [(1, 3, 8, 8)], [(1, 3, 4, 4)], {"k": 3, "stride": 2, "ph_end": 1, "pw_end": 1}),
    ("maxpool", [(1, 3, 8, 8)], [(1, 3, 4, 4)], {"k": 3, "stride": 2, "ph_end": 1, "pw_end": 1}),
    ("avgpool", [(1, 3, 8, 8)], [(1, 3, 4, 4)], {"k": 3, "stride": 2, "ph_end": 1, "pw_end": 1}),
    ("depthwise", [(1, 10, 28, 28)], [(1, 10, 28, 28)], {"k": 3, "stride": 1, "pad": 1, "bias": 1}),
    (
        "depthwise",
        [(2, 5, 15, 13)],
        [(2, 5, 8, 7)],
        {"k": 3, "stride": 2, "pad": 1, "act": "relu", "bias": 1},
    ),
    (
        "depthwise",
        [(1, 6, 14, 14)],
        [(1, 6, 14, 14)],
        {"k": 5, "stride": 1, "pad": 2, "act": "relu6"},
    ),
    ("depthwise", [(1, 6, 14, 17)], [(1, 6, 7, 9)], {"k": 5, "stride": 2, "pad": 2, "bias": 1}),
    ("depthwise", [(1, 4, 7, 7)], [(1, 4, 7, 7)], {"k": 7, "stride": 1, "pad": 3}),
    (
        "depthwise",
        [(1, 4, 12, 12)],
        [(1, 4, 12, 12)],
        {"k": 3, "stride": 1, "pad": 2, "dilation": 2},
    ),
    ("depthwise", [(1, 4, 10, 10)], [(1, 4, 4, 4)], {"k": 3, "stride": 3, "pad": 1}),
    ("depthwise", [(1, 3, 3, 3)], [(1, 3, 1, 1)], {"k": 3, "stride": 1, "pad": 0}),
    ("linear", [(1, 1024, 1, 1)], [(1, 1000, 1, 1)], {"bias": 1}),
    ("linear", [(3, 7, 3, 3)], [(3, 5, 1, 1)], {"bias": 1, "act": "relu"}),
    ("linear", [(1, 3, 1, 1)], [(1, 2, 1, 1)], {"act": "relu6", "bias": 1}),
    ("maxpool", [(1, 6, 28, 28)], [(1, 6, 14, 14)], {"k": 3, "stride": 2, "pad": 1}),
    ("maxpool", [(2, 3, 13, 13)], [(2, 3, 6, 6)], {"k": 3, "stride": 2, "ceil": 1}),
    ("maxpool", [(1, 3, 14, 14)], [(1, 3, 7, 7)], {"k": 3, "stride": 2, "ceil": 1}),
    ("maxpool", [(1, 3, 9, 9)], [(1, 3, 3, 3)], {"k": 3, "stride": 3}),
    (
        "avgpool",
        [(1, 6, 15, 15)],
        [(1, 6, 15, 15)],
        {"k": 3, "stride": 1, "pad": 1, "include_pad": 0},
    ),
    ("avgpool", [(1, 6, 15, 15)], [(1, 6, 8, 8)], {"k": 3, "stride": 2, "pad": 1}),
    ("avgpool", [(1, 4, 8, 8)], [(1, 4, 4, 4)], {"k": 2, "stride": 2}),
    ("avgpool", [(1, 4, 8, 8)], [(1, 4, 4, 4)], {"k": 3, "stride": 2, "ceil": 1, "include_pad": 0}),
    ("globalpool", [(2, 9, 7, 7)], [(2, 9, 1, 1)], {}),
    ("relu", [(1, 5, 7, 7)], [(1, 5, 7, 7)], {}),
    ("relu6", [(1, 3, 5, 5)], [(1, 3, 5, 5)], {}),
    ("sigmoid", [(1, 3, 5, 7)], [(1, 3, 5, 7)], {}),
    ("silu", [(1, 3, 5, 7)], [(1, 3, 5, 7)], {}),
    ("hsigmoid", [(1, 3, 5, 7)], [(1, 3, 5, 7)], {}),
    ("hswish", [(1, 3, 5, 7)], [(1, 3, 5, 7)], {}),
    ("tanh", [(1, 3, 5, 7)], [(1, 3, 5, 7)], {}),
    ("softmax", [(2, 1001, 1, 1)], [(2, 1001, 1, 1)], {}),
    ("softmax", [(2, 5, 3, 3)], [(2, 5, 3, 3)], {}),
    ("add", [(1, 7, 9, 9), (1, 7, 9, 9)], [(1, 7, 9, 9)], {"act": "relu"}),
    ("add", [(2, 7, 3, 3), (1, 7, 1, 1)], [(2, 7, 3, 3)], {}),
    ("mul", [(1, 7, 9, 9), (1, 7, 9, 9)], [(1, 7, 9, 9)], {}),
    ("mul", [(2, 7, 5, 5), (2, 7, 1, 1)], [(2, 7, 5, 5)], {"act": "relu6"}),
    ("batchnorm", [(2, 6, 5, 5)], [(2, 6, 5, 5)], {"act": "relu"}),
    ("bias", [(2, 6, 5, 5)], [(2, 6, 5, 5)], {"act": "relu6"}),
    ("shuffle", [(2, 12, 5, 5)], [(2, 12, 5, 5)], {"groups": 3}),
    ("concat", [(2, 3, 5, 5), (2, 4, 5, 5), (2, 1, 5, 5)], [(2, 8, 5, 5)], {}),
    ("split", [(2, 8, 5, 5)], [(2, 3, 5, 5), (2, 5, 5, 5)], {}),
    ("slice", [(2, 8, 5, 5)], [(2, 3, 5, 5)], {"begin": 4}),
    ("copy", [(1, 8, 5, 5)], [(1, 200, 1, 1)], {}),
    *[(kind, [(1, 3, 5, 7)], [(1, 3, 5, 7)], {}) for kind in SMOOTH],
    *[(kind, [(2, 3, 5, 5)] * 2, [(2, 3, 5, 5)], {}) for kind in ("sub", "div", "max", "min")],
    ("sub", [(2, 3, 5, 5), (1, 3, 1, 1)], [(2, 3, 5, 5)], {"act": "relu"}),
    ("div", [(1, 1, 6, 5), (2, 4, 1, 1)], [(2, 4, 6, 5)], {}),
    ("max", [(1, 197, 9, 1), (1, 1, 9, 1)], [(1, 197, 9, 1)], {}),
    ("min", [(2, 1, 5, 1), (1, 3, 5, 6)], [(2, 3, 5, 6)], {}),
    *_numbers(),
    ("broadcast", [(1, 3, 1, 5)], [(2, 3, 4, 5)], {}),
    ("broadcast", [(2, 3, 4, 1)], [(2, 3, 4, 5)], {}),
    ("concat", [(2, 3, 4, 5), (2, 3, 1, 5)], [(2, 3, 5, 5)], {"axis": 2}),
    ("concat", [(2, 3, 4, 5), (2, 3, 4, 2)], [(2, 3, 4, 7)], {"axis": 3}),
    ("split", [(2, 3, 9, 5)], [(2, 3, 4, 5), (2, 3, 5, 5)], {"axis": 2}),
    ("slice", [(2, 3, 9, 5)], [(2, 3, 9, 2)], {"axis": 3, "begin": 1, "step": 2}),
    ("slice", [(2, 9, 3, 5)], [(2, 4, 3, 5)], {"begin": 1, "step": 2}),
    ("gather", [(2, 9, 3, 5)], [(2, 12, 3, 5)], {"axis": 1, "seed": 5}),
    ("gather", [(2, 3, 5, 9)], [(2, 3, 5, 4)], {"axis": 3, "seed": 6}),
    ("transpose", [(2, 3, 4, 5)], [(2, 4, 3, 5)], {"order": "0213"}),
    ("transpose", [(1, 12, 49, 1)], [(1, 49, 12, 1)], {"order": "0213"}),
    ("transpose", [(2, 3, 4, 5)], [(5, 4, 3, 2)], {"order": "3210"}),
    ("layernorm", [(1, 197, 19, 1)], [(1, 197, 19, 1)], {"inner": 19, "affine": 1, "bias": 1}),
    ("layernorm", [(1, 4, 6, 7)], [(1, 4, 6, 7)], {"inner": 42}),
    ("layernorm", [(1, 7, 64, 1)], [(1, 7, 64, 1)], {"inner": 64, "rms": 1, "affine": 1}),
    ("groupnorm", [(2, 6, 5, 5)], [(2, 6, 5, 5)], {"groups": 3, "affine": 1}),
    ("groupnorm", [(1, 4, 3, 3)], [(1, 4, 3, 3)], {"groups": 4}),
    ("prelu", [(2, 6, 5, 5)], [(2, 6, 5, 5)], {}),
    ("prelu", [(2, 6, 5, 5)], [(2, 6, 5, 5)], {"groups": 2}),
    ("linear", [(197, 19, 1, 1)], [(197, 33, 1, 1)], {"bias": 1, "act": "relu"}),
    ("linear", [(9, 300, 1, 1)], [(9, 7, 1, 1)], {}),
    ("matmul", [(2, 3, 17, 9), (2, 3, 9, 21)], [(2, 3, 17, 21)], {}),
    ("matmul", [(2, 3, 9, 17), (1, 1, 21, 9)], [(2, 3, 17, 21)], {"swap_a": 1, "swap_b": 1}),
    ("matmul", [(2, 3, 9, 8), (2, 1, 7, 8)], [(2, 3, 9, 7)], {"swap_b": 1, "value": "0.25"}),
    ("attention", [(1, 3, 50, 16)] * 3, [(1, 3, 50, 16)], {}),
    ("attention", [(2, 4, 9, 5), (2, 2, 9, 5), (2, 2, 9, 7)], [(2, 4, 9, 7)], {"causal": 1}),
    ("attention", [(1, 2, 5, 8), (1, 2, 13, 8), (1, 2, 13, 8)], [(1, 2, 5, 8)], {}),
    ("adaptiveavg", [(1, 3, 13, 11)], [(1, 3, 6, 6)], {}),
    ("adaptivemax", [(2, 3, 7, 7)], [(2, 3, 3, 10)], {}),
    ("nearest", [(1, 3, 7, 5)], [(1, 3, 14, 10)], {}),
    ("nearest", [(1, 3, 7, 5)], [(1, 3, 4, 9)], {}),
    ("bilinear", [(1, 3, 7, 5)], [(1, 3, 14, 10)], {}),
    ("bilinear", [(2, 3, 7, 9)], [(2, 3, 5, 4)], {}),
    ("bicubic", [(1, 3, 7, 5)], [(1, 3, 14, 10)], {}),
    ("bicubic", [(2, 3, 7, 9)], [(2, 3, 5, 4)], {}),
    ("deconv", [(1, 6, 7, 7)], [(1, 5, 14, 14)], {"k": 2, "stride": 2, "bias": 1}),
    ("deconv", [(2, 6, 5, 9)], [(2, 4, 5, 9)], {"k": 3, "stride": 1, "pad": 1, "groups": 2}),
    ("deconv", [(1, 4, 5, 5)], [(1, 3, 11, 11)], {"k": 4, "stride": 2, "ph": 1, "pw": 1}),
    ("deconv", [(1, 4, 5, 5)], [(1, 3, 7, 7)], {"k": 2, "stride": 1, "dilation": 2}),
    *[(f"reduce_{kind}", [(2, 19, 1, 1)], [(2, 1, 1, 1)], {}) for kind in REDUCTIONS],
    *[(f"reduce_{kind}", [(2, 5, 3, 3)], [(2, 1, 3, 3)], {}) for kind in REDUCTIONS],
    ("cumsum", [(2, 7, 3, 3)], [(2, 7, 3, 3)], {}),
    ("cumsum", [(3, 9, 1, 1)], [(3, 9, 1, 1)], {}),
    ("lrn", [(2, 7, 3, 3)], [(2, 7, 3, 3)], {"inner": 5}),
    ("lrn", [(1, 3, 5, 5)], [(1, 3, 5, 5)], {"inner": 4}),
    ("pad", [(2, 3, 5, 7)], [(2, 3, 7, 10)], {"begin_h": 1, "begin_w": 2}),
    ("pad", [(2, 3, 5, 7)], [(3, 5, 5, 7)], {"begin": 1, "begin_c": 2}),
    ("softmax", [(12, 6, 1, 1)], [(12, 6, 1, 1)], {"causal": 1, "inner": 4}),
    ("softmax", [(6, 3, 1, 1)], [(6, 3, 1, 1)], {"causal": 1, "inner": 6}),
    ("transpose", [(1, 2, 60, 6)], [(1, 1, 240, 3)], {"order": "42130", "dims": "3x2x5x4x6"}),
    ("transpose", [(1, 2, 30, 12)], [(1, 1, 60, 12)], {"order": "02134", "dims": "2x3x5x2x12"}),
    (
        "conv",
        [(2, 4, 11, 13)],
        [(2, 6, 6, 5)],
        {"k": 3, "stride": 2, "stride_w": 3, "pad": 1, "pw": 2, "dilation": 1, "dilation_w": 2},
    ),
    (
        "conv",
        [(2, 4 * 5, 7, 9)],
        [(2, 6 * 3, 7, 5)],
        {
            "k": 3,
            "stride": 1,
            "stride_w": 2,
            "pad": 1,
            "kd": 3,
            "stride_d": 2,
            "pd": 1,
            "depth": 5,
            "groups": 2,
            "act": "relu",
            "bias": 1,
        },
    ),
    ("depthwise", [(1, 3, 9, 12)], [(1, 3, 9, 4)], {"k": 3, "stride": 1, "stride_w": 3, "pad": 1}),
    ("maxpool", [(1, 3, 9, 12)], [(1, 3, 9, 6)], {"k": 3, "stride": 1, "stride_w": 2, "pad": 1}),
    ("maxpool", [(1, 3, 9, 9)], [(1, 3, 7, 7)], {"k": 3, "stride": 1, "pad": 1, "dilation": 2}),
    ("avgpool", [(1, 3, 9, 12)], [(1, 3, 4, 12)], {"kh": 3, "stride": 2, "stride_w": 1}),
    (
        "deconv",
        [(1, 4, 5, 6)],
        [(1, 3, 10, 16)],
        {"kh": 2, "kw": 3, "stride": 2, "stride_w": 3, "pw": 1},
    ),
]
_ROOTS = ("exp", "sqrt", "rsqrt", "reciprocal")
POSITIVE: Sequence[Case] = [
    *[(kind, [(1, 3, 5, 7)], [(1, 3, 5, 7)], {}) for kind in _ROOTS],
    ("pow_number", [(1, 3, 5, 7)], [(1, 3, 5, 7)], {"value": "3"}),
]
"""Of positive numbers: behind an exponential."""
SCALE = 9
"""Inputs reach beyond the places where activations change their course."""
SEEDED = {"conv1x1", "conv3x3", "winograd3x3", "conv", "depthwise", "linear", "batchnorm", "bias"}
SEEDED |= {"layernorm", "groupnorm", "prelu", "deconv"}


def one_spec(cases: Sequence[Case] = CASES) -> Spec:
    """All cases as one network, so that one start of the emulator runs them."""
    builder = SpecBuilder()
    for number, (kernel, shapes_in, shapes_out, params) in enumerate(cases):
        scale = SCALE if len(shapes_in) == 1 and kernel not in SEEDED else 1
        reads = [
            builder.tensor(shape, seed=10 * number + i, scale=scale)
            for i, shape in enumerate(shapes_in)
        ]
        writes = [builder.tensor(shape) for shape in shapes_out]
        seed = {"seed": number} if kernel in SEEDED else {}
        builder.op(kernel, reads, writes, **params, **seed)
    for kernel, shapes_in, shapes_out, params in POSITIVE if cases is CASES else ():
        x, positive = builder.tensor(shapes_in[0], seed=1, scale=3), builder.tensor(shapes_in[0])
        builder.op("exp", [x], [positive])
        builder.op(kernel, [positive], [builder.tensor(shapes_out[0])], **params)
    spec = builder.build()
    return spec.dumping(spec.written())
