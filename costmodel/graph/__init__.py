"""The op graph: a ``networkx.DiGraph`` of a fixed schema, its builder and its files."""

from costmodel.graph.builder import Builder as Builder
from costmodel.graph.builder import Value as Value
from costmodel.graph.convert import converted as converted
from costmodel.graph.convert import in_dtype as in_dtype
from costmodel.graph.schema import MAX_ELEMENTS as MAX_ELEMENTS
from costmodel.graph.schema import MAX_NODES as MAX_NODES
from costmodel.graph.schema import SCHEMA as SCHEMA
from costmodel.graph.schema import Link as Link
from costmodel.graph.schema import Node as Node
from costmodel.graph.schema import OpGraph as OpGraph
from costmodel.graph.schema import Source as Source
from costmodel.graph.schema import at as at
from costmodel.graph.schema import free_symbols as free_symbols
from costmodel.graph.schema import infer_node as infer_node
from costmodel.graph.schema import inputs_of as inputs_of
from costmodel.graph.schema import nodes_in_order as nodes_in_order
from costmodel.graph.schema import sources_of as sources_of
from costmodel.graph.schema import validate as validate
from costmodel.graph.serialize import from_json as from_json
from costmodel.graph.serialize import load as load
from costmodel.graph.serialize import save as save
from costmodel.graph.serialize import to_json as to_json
