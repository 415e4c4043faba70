"""Costs of a whole network, or of one operator: exact ints, arrays or sympy expressions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import networkx as nx
import numpy as np

from costmodel.algebra.formula import tidy
from costmodel.algebra.symbols import Dim, is_symbolic, total
from costmodel.counting.cost import Cost, sum_costs
from costmodel.counting.subject import Prepared, Subject, prepare
from costmodel.errors import DataError
from costmodel.graph import Node
from costmodel.graph.shared import sharing
from costmodel.ops import Output
from costmodel.ops.tensor import Tensor

Unit = Literal["elements", "bytes"]


def cost(subject: Subject, *inputs: Tensor) -> Cost:
    """Return the additive costs, summed over the operators (without fusion).

    Parameters
    ----------
    subject : DiGraph, Op or Prepared
        A graph, or an operator with its ``inputs``.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.cost(cm.zoo.pointwise(56, 56, 128, 128)).multiply_adds
    51380224
    """
    return prepare(subject, *inputs).total


def multiply_adds(subject: Subject, *inputs: Tensor) -> Dim:
    """Return the multiply-adds: what the ShuffleNet V2 paper and many tools call "FLOPs".

    Elementwise operations are not counted (see :func:`work`).

    Parameters
    ----------
    subject : DiGraph, Op or Prepared
        A graph, or an operator with its ``inputs``.

    Returns
    -------
    Dim
        [multiply-add]

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(cm.zoo.pointwise(*cm.symbols("h w c1 c2")))
    c1*c2*h*w
    """
    return tidy(cost(subject, *inputs).multiply_adds)


def flops(subject: Subject, *inputs: Tensor, per_multiply_add: int = 2) -> Dim:
    """Return the FLOPs: two for each multiply-add, as in FLOP/s and in every report.

    Elementwise operations are not counted (see :func:`work`).

    Parameters
    ----------
    subject : DiGraph, Op or Prepared
        A graph, or an operator with its ``inputs``.
    per_multiply_add : {1, 2}
        2 counts as hardware vendors do; 1 as the ShuffleNet V2 paper does, which is
        :func:`multiply_adds`.

    Returns
    -------
    Dim
        [FLOP]

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.flops(cm.zoo.pointwise(*cm.symbols("h w c1 c2")))
    2*c1*c2*h*w
    """
    if per_multiply_add not in (1, 2):
        raise DataError(f"per_multiply_add must be 1 or 2, got {per_multiply_add!r}")
    return tidy(cost(subject, *inputs).multiply_adds * per_multiply_add)


def mac(subject: Subject, *inputs: Tensor, unit: Unit = "elements") -> Dim:
    r"""Return the memory access cost: all inputs, weights and outputs of every operator, once.

    Parameters
    ----------
    subject : DiGraph, Op or Prepared
        A graph, or an operator with its ``inputs``.
    unit : {"elements", "bytes"}
        Elements as in the paper, or bytes by the dtype of each tensor.

    Returns
    -------
    Dim
        [element] or [byte]

    Notes
    -----
    For a 1x1 convolution :math:`hw(c_1 + c_2) + c_1 c_2` :cite:p:`ma2018shufflenet`. Assumes that
    each operator moves each tensor once, without fusion, and that views are free.

    This is the convention of the paper: whole inputs count, including pixels skipped by a stride;
    taps that meet only padding count; a tensor in two slots of an operator counts twice; operators
    that no output depends on count. The unavoidable traffic is lower: lower bounds count only
    elements that the loops touch (:func:`~costmodel.counting.io_bounds.io_lower_bound`).

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(cm.zoo.pointwise(*cm.symbols("h w c1 c2")))
    c1*c2 + h*w*(c1 + c2)
    """
    costs = cost(subject, *inputs)
    return tidy(costs.mac if _check_unit(unit) == "elements" else costs.bytes)


def params(subject: Subject, *inputs: Tensor, unit: Unit = "elements") -> Dim:
    """Return the learned elements; shared weights count once.

    Buffers do not count. :func:`trainable_params` counts those that get gradients. Of operators
    that share weights, a bias that only one of them has counts too.

    Raises
    ------
    GraphError
        If operators share the name of their weights but need different ones.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.params(cm.zoo.pointwise(56, 56, 128, 64))
    8192
    """
    ready = prepare(subject, *inputs)
    if _check_unit(unit) == "elements":
        return tidy(total(stored_elements(ready)))
    return tidy(total(t.bytes for _, tensors in _stored(ready) for t in tensors.values()))


def stored_elements(ready: Prepared) -> list[Dim]:
    """Return the learned elements of each node that no node before it stores [element].

    Examples
    --------
    >>> import costmodel as cm
    >>> stored_elements(cm.prepare(cm.zoo.pointwise(56, 56, 128, 64)))
    [0, 8192, 0]
    """
    added = sharing(ready.nodes)
    found = [costs.params for costs in ready.costs]
    for i, numbers in added.items():
        learned = ready.nodes[i].op.weights(*ready.nodes[i].inputs)
        found[i] = total([learned[k].elements for k in numbers])
    return found


def _stored(ready: Prepared) -> Iterator[tuple[Node, dict[int, Tensor]]]:
    """Yield each node with the learned tensors that no node before it stores, by number."""
    added = sharing(ready.nodes)
    for i, node in enumerate(ready.nodes):
        learned = dict(enumerate(node.op.weights(*node.inputs)))
        yield node, learned if i not in added else {k: learned[k] for k in added[i]}


def trainable_params(subject: Subject, *inputs: Tensor) -> Dim:
    """Return the learned elements that get gradients; shared weights count once.

    Networks from torch know them (``requires_grad``). The rest of :func:`params` is frozen.

    Returns
    -------
    Dim
        [element]

    Raises
    ------
    DataError
        If the source of the network does not say it, as in ONNX files and the zoo.

    Examples
    --------
    >>> import costmodel as cm
    >>> g = cm.zoo.pointwise(56, 56, 128, 64)
    >>> g.nodes["conv"]["trainable"] = (False,)  # as from_torch writes it
    >>> cm.params(g), cm.trainable_params(g)
    (8192, 0)
    """
    ready = prepare(subject, *inputs)
    counted: list[Dim] = []
    for node, learned in _stored(ready):
        flags = node.trainable or ()
        if learned and len(flags) <= max(learned):
            raise DataError(
                f"nothing says which parameters of {node.name!r} are trainable: import the network "
                "from torch, where requires_grad does"
            )
        counted += [tensor.elements for k, tensor in learned.items() if flags[k]]
    return tidy(total(counted))


def work(subject: Subject, *inputs: Tensor) -> Dim:
    """Return the steps of a single processor: multiply-adds and elementwise operations [step].

    Examples
    --------
    >>> from costmodel.ops import Elementwise
    >>> work(Elementwise("relu"), Tensor((1, 8, 7, 7)))
    392
    """
    return tidy(cost(subject, *inputs).work)


def intensity(
    subject: Subject, *inputs: Tensor, per_multiply_add: int = 2, unit: Unit = "bytes"
) -> Dim:
    """Return the arithmetic intensity without fusion: FLOPs per byte moved.

    Parameters
    ----------
    subject : DiGraph, Op or Prepared
        A graph, or an operator with its ``inputs``.
    per_multiply_add : {1, 2}
        2 gives FLOPs, 1 multiply-adds.
    unit : {"bytes", "elements"}
        Unit of the traffic.

    Returns
    -------
    Dim
        [FLOP/byte]

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.intensity(cm.zoo.pointwise(56, 56, 128, 128))
    31.36
    """
    ready = prepare(subject, *inputs)
    moved = mac(ready, unit=unit)
    done = flops(ready, per_multiply_add=per_multiply_add)
    if not is_symbolic(moved) and np.any(moved == 0):
        raise DataError("arithmetic intensity is undefined: the network moves nothing")
    return done / moved


def activation_memory(graph: nx.DiGraph | Prepared, unit: Unit = "elements") -> Dim:
    """Return the peak memory of activations over the best known order of execution.

    A tensor lives from its producer to its last consumer; views share memory. The function tries
    the insertion order and one that frees memory greedily; finding the best order is NP-hard. For
    symbols and arrays it uses only the first.

    Returns
    -------
    Dim
        [element] or [byte]

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.activation_memory(cm.zoo.pointwise(56, 56, 128, 64))
    602112
    """
    from costmodel.counting.memory import peak

    return peak(graph, unit=_check_unit(unit))


@dataclass(frozen=True, slots=True)
class ModuleCost:
    """The costs of the operators of one module.

    Parameters
    ----------
    module : str
        Dotted path, ``""`` for operators outside modules.
    cost : Cost
        Sum of their costs.
    operators : int
        Number of operators.
    """

    module: str
    cost: Cost
    operators: int


def by_module(graph: nx.DiGraph | Prepared, depth: int = 1) -> list[ModuleCost]:
    """Return the costs of each module, in order of appearance.

    Parameters
    ----------
    graph : DiGraph
        An op graph whose source has modules.
    depth : int
        Number of parts of the dotted path that identify a module.

    Examples
    --------
    >>> import costmodel as cm
    >>> [m.module for m in by_module(cm.zoo.shufflenet_v2())][:3]
    ['conv1', 'maxpool', 'stage2']
    """
    if type(depth) is not int:
        raise DataError(f"depth must be an integer, got {depth!r}")
    ready = prepare(graph)
    groups: dict[str, list[Cost]] = {}
    for node, result in zip(ready.nodes, ready.costs, strict=True):
        if node.inputs and not isinstance(node.op, Output):
            groups.setdefault(".".join(node.module.split(".")[:depth]), []).append(result.cost)
    return [ModuleCost(name, sum_costs(parts), len(parts)) for name, parts in groups.items()]


def _check_unit(unit: str) -> Unit:
    if unit == "elements" or unit == "bytes":
        return unit  # type: ignore[return-value]
    raise DataError(f"unit must be 'elements' or 'bytes', got {unit!r}")
