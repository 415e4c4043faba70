"""Functions: those defined in a file, and operators that ONNX defines by others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from costmodel.importers.onnx_file.call import Items
from costmodel.importers.onnx_file.operators import schema_of
from costmodel.importers.registry import UnsupportedFormError

_CODES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "bfloat16": 16,
    "float8": 17,
}


def standard_function(node: Any, version: int, made: Sequence[Any]) -> Any:
    """Return the function by which ONNX defines the operator of ``node``, or None.

    Parameters
    ----------
    node : NodeProto
        The node.
    version : int
        The version of its domain's operators.
    made : sequence
        The values of its inputs: tensors, lists, or None for absent ones.
    """
    schema = schema_of(node, version)
    if schema is None:
        return None
    import onnx

    try:
        if schema.has_function:
            written = _nearest(schema.function_opset_versions, version)
            found = schema.get_function_with_opset_version(written)
        else:
            written = _nearest(schema.context_dependent_function_opset_versions, version)
            types = [_type(x) for x in made]
            found = schema.get_context_dependent_function_with_opset_version(
                written, node.SerializeToString(), types
            )
        message = onnx.FunctionProto()
        message.ParseFromString(found)
        message.attribute_proto.extend(_defaults(schema, message))
        return message if message.node else None
    except MemoryError:
        raise
    except Exception:  # the library raises errors of any class
        return None


def _defaults(schema: Any, function: Any) -> list[Any]:
    """Return the attributes that a call may leave out, as the standard sets them."""
    there = {entry.name for entry in function.attribute_proto}
    values = (attribute.default_value for attribute in schema.attributes.values())
    return [value for value in values if value.type and value.name not in there]


def _nearest(versions: Sequence[int], wanted: int) -> int:
    """Return the newest of ``versions`` that is not newer than wanted, else the oldest."""
    return max((v for v in versions if v <= wanted), default=min(versions))


def _type(made: Any) -> bytes:
    """Return the type message of a tensor, as bytes."""
    import onnx

    if made is None:
        return b""
    if isinstance(made, Items):
        raise UnsupportedFormError("a list of tensors")
    shape = [size if isinstance(size, int) else None for size in made.shape]
    message = onnx.helper.make_tensor_type_proto(_CODES[made.tensor.dtype], shape)
    return bytes(message.SerializeToString())


def resolved(nodes: Sequence[Any], attributes: Mapping[str, Any]) -> list[Any]:
    """Return the nodes of a function with the attributes of its call in place."""
    return [_resolved(node, attributes) if _refers(node) else node for node in nodes]


def call_attributes(function: Any, node: Any) -> dict[str, Any]:
    """Return the attributes of a call of ``function`` by name, defaults included."""
    return {
        **{entry.name: entry for entry in function.attribute_proto},
        **{entry.name: entry for entry in node.attribute},
    }


def _refers(node: Any) -> bool:
    return any(
        entry.ref_attr_name or (entry.type == 5 and any(map(_refers, entry.g.node)))
        for entry in node.attribute
    )


def _resolved(node: Any, attributes: Mapping[str, Any]) -> Any:
    copy = type(node)()
    copy.CopyFrom(node)
    del copy.attribute[:]
    for entry in node.attribute:
        if entry.ref_attr_name:
            if entry.ref_attr_name in attributes:
                new = copy.attribute.add()
                new.CopyFrom(attributes[entry.ref_attr_name])
                new.name = entry.name
            continue
        new = copy.attribute.add()
        new.CopyFrom(entry)
        if entry.type == 5:
            inner = resolved(entry.g.node, attributes)
            del new.g.node[:]
            new.g.node.extend(inner)
    return copy
