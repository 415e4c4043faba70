"""The zoo by name."""

from __future__ import annotations

from typing import Any

import networkx as nx

from costmodel.errors import DataError, suggest
from costmodel.zoo.blocks import g1_stack, g2_stack, g3_stack, g4_stack, pointwise
from costmodel.zoo.classic import alexnet, googlenet, squeezenet, vgg16
from costmodel.zoo.densenets import condensenet, densenet
from costmodel.zoo.efficientnet import efficientnet_b0, efficientnet_lite0, mnasnet
from costmodel.zoo.igcv import igcv3
from costmodel.zoo.mobilenets import mobilenet_v1, mobilenet_v2
from costmodel.zoo.mobilenets_v3 import mobilenet_v3
from costmodel.zoo.nasbench import nasbench201
from costmodel.zoo.nasnets import nasnet_a, pnasnet5
from costmodel.zoo.parameters import Network, check_values
from costmodel.zoo.resnets import resnet, resnet18, resnet50
from costmodel.zoo.shufflenets_v1 import shufflenet_v1, shufflenet_v1_50, xception_like
from costmodel.zoo.shufflenets_v2 import se_shufflenet_v2_164, shufflenet_v2, shufflenet_v2_50
from costmodel.zoo.singles import (
    attention,
    batch_norm,
    bmm,
    channel_shuffle,
    concat,
    conv2d,
    depthwise,
    elementwise,
    identity,
    layer_norm,
    linear,
    matmul,
    pool,
    softmax,
)
from costmodel.zoo.transformer import bert, gpt2, vit

NETWORKS: dict[str, Network] = {
    # networks
    "alexnet": alexnet,
    "bert": bert,
    "condensenet": condensenet,
    "densenet": densenet,
    "efficientnet_b0": efficientnet_b0,
    "efficientnet_lite0": efficientnet_lite0,
    "googlenet": googlenet,
    "gpt2": gpt2,
    "igcv3": igcv3,
    "mnasnet": mnasnet,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "nasbench201": nasbench201,
    "nasnet_a": nasnet_a,
    "pnasnet5": pnasnet5,
    "resnet": resnet,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "se_shufflenet_v2_164": se_shufflenet_v2_164,
    "shufflenet_v1": shufflenet_v1,
    "shufflenet_v1_50": shufflenet_v1_50,
    "shufflenet_v2": shufflenet_v2,
    "shufflenet_v2_50": shufflenet_v2_50,
    "squeezenet": squeezenet,
    "vgg16": vgg16,
    "vit": vit,
    "xception_like": xception_like,
    # blocks of the paper's Tables 1-4
    "pointwise": pointwise,
    "g1_stack": g1_stack,
    "g2_stack": g2_stack,
    "g3_stack": g3_stack,
    "g4_stack": g4_stack,
    # single operators
    "attention": attention,
    "batch_norm": batch_norm,
    "bmm": bmm,
    "channel_shuffle": channel_shuffle,
    "concat": concat,
    "conv2d": conv2d,
    "depthwise": depthwise,
    "elementwise": elementwise,
    "layer_norm": layer_norm,
    "linear": linear,
    "matmul": matmul,
    "pool": pool,
    "identity": identity,
    "softmax": softmax,
}
"""All networks of the zoo by name."""


def find(name: str) -> Network:
    """Return the zoo function named ``name``.

    Raises
    ------
    DataError
        If there is none; lists close names.

    Examples
    --------
    >>> find("shufflenetv2")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: unknown network 'shufflenetv2'; did you mean shufflenet_v2 or ...
    """
    if name in NETWORKS:
        return NETWORKS[name]
    if not isinstance(name, str):
        raise DataError(f"a network must be its name, such as 'resnet50', got {name!r}")
    raise DataError(f"unknown network {name!r}; {suggest(name, NETWORKS)}")


def build(name: str, **parameters: Any) -> nx.DiGraph:
    """Return the network of the zoo named ``name``.

    Parameters
    ----------
    name : str
        A key of :data:`NETWORKS`.
    **parameters
        Parameters of its function.

    Raises
    ------
    DataError
        If the name or a parameter is unknown, or a parameter is of the wrong type or missing.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(build("mobilenet_v1", width=0.25))
    41030272
    >>> build("resnet50", depth=34)
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: resnet50 has no parameter 'depth'; it takes size, batch, ...
    """
    network = find(name)
    check_values(name, network, parameters)
    return network(**parameters)
