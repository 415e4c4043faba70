"""JSON: exact round trips, and refusal of everything that is no graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import costmodel as cm
from costmodel import ops, testing, zoo
from costmodel.errors import DataError, UnknownOperatorError
from costmodel.graph.serialize import from_json, to_json
from costmodel.ops import Op


def contents(graph: nx.DiGraph) -> Any:
    edges = {(a, b): data for a, b, data in graph.edges(data=True)}
    return graph.graph, dict(graph.nodes(data=True)), list(graph), edges


@given(graph=testing.graphs())
def test_concrete_graphs_round_trip(graph: nx.DiGraph) -> None:
    text = to_json(graph)
    again = from_json(text)
    assert contents(again) == contents(graph)
    assert to_json(again) == text


@given(drawn=testing.symbolic_graphs())
def test_symbolic_graphs_round_trip(drawn: tuple[nx.DiGraph, dict[str, int]]) -> None:
    graph, _ = drawn
    again = from_json(to_json(graph))
    assert contents(again) == contents(graph)
    assert cm.mac(again) == cm.mac(graph)


@given(drawn=testing.symbolic_cases(), symbolic=st.booleans(), data=st.data())
def test_every_operator_round_trips(
    drawn: tuple[testing.Case, dict[str, int]],
    symbolic: bool,
    data: st.DataObject,
) -> None:
    case, _ = drawn
    graph = (case if symbolic else data.draw(testing.cases(type(case.op).__name__))).graph()
    again = from_json(to_json(graph))
    assert contents(again) == contents(graph)


def document() -> dict[str, Any]:
    b = cm.Builder("net")
    x = b.input((1, 8, 6, 6))
    y = b.add(ops.Conv(8, (3, 3), padding=1, bias=True), x)
    y = b.add(ops.Elementwise("mul", value=0.5), b.add(ops.Transpose((0, 2, 3, 1)), y))
    left, right = b.add_many(ops.Split(-1, (2, 6)), y)
    loaded: dict[str, Any] = json.loads(to_json(b.finish(b.add(ops.Concat(-1), right, left))))
    return loaded


def op(name: str, doc: dict[str, Any]) -> dict[str, Any]:
    return next(n for n in doc["nodes"] if n["name"] == name)


HUGE = 10**30
BREAKS: dict[str, tuple[Any, str]] = {
    "cycle": (lambda d: op("conv", d).update(inputs=[["concat", 0]]), "cycle: .*conv"),
    "dangling edge": (lambda d: op("conv", d).update(inputs=[["ghost", 0]]), "'conv'.*'ghost'"),
    "no such output": (lambda d: op("conv", d).update(inputs=[["input", 1]]), "'input'.*output 1"),
    "negative output": (lambda d: op("conv", d).update(inputs=[["input", -1]]), "'input'.* -1"),
    "output as text": (lambda d: op("conv", d).update(inputs=[["input", "0"]]), "'conv': input 0"),
    "output as bool": (lambda d: op("conv", d).update(inputs=[["input", False]]), "'conv': input "),
    "inputs no list": (lambda d: op("conv", d).update(inputs="input"), "'conv': inputs"),
    "inputs null": (lambda d: op("conv", d).update(inputs=None), "'conv': inputs"),
    "inputs of dicts": (lambda d: op("conv", d).update(inputs=[{}]), "'conv': input 0"),
    "missing slot": (lambda d: op("conv", d).pop("inputs"), "'conv': Conv takes 1 inputs, got 0"),
    "too many slots": (lambda d: op("conv", d).update(inputs=[["input", 0]] * 2), "'conv': Conv t"),
    "wrong shape": (lambda d: op("conv", d)["outputs"][0].update(shape=[1, 8, 6, 5]), "'conv'.*5"),
    "outputs missing": (lambda d: op("conv", d).pop("outputs"), "'conv': wrong outputs"),
    "outputs a number": (lambda d: op("conv", d).update(outputs=3), "'conv': wrong outputs"),
    "shape a number": (lambda d: op("conv", d)["outputs"][0].update(shape=3), "'conv': wrong out"),
    "shape a text": (lambda d: op("conv", d)["outputs"][0].update(shape="ab"), "'conv': wrong out"),
    "shape negative": (lambda d: op("conv", d)["outputs"][0].update(shape=[-1]), "'conv': .* -1"),
    "shape huge": (lambda d: op("conv", d)["outputs"][0].update(shape=[HUGE]), "'conv': .*between"),
    "dtype unknown": (lambda d: op("conv", d)["outputs"][0].update(dtype="f"), "'conv': .*dtype"),
    "dtype a list": (lambda d: op("conv", d)["outputs"][0].update(dtype=[]), "'conv': wrong outp"),
    "op unknown": (lambda d: op("conv", d).update(op="Konv"), "'Konv' .node 'conv'"),
    "op a list": (lambda d: op("conv", d).update(op=["Conv"]), "node 'conv'"),
    "op missing": (lambda d: op("conv", d).pop("op"), "None .node 'conv'"),
    "field missing": (lambda d: op("conv", d)["fields"].pop("kernel"), "'conv': wrong fields.*ker"),
    "field unknown": (lambda d: op("conv", d)["fields"].update(colour=1), "'conv': .*colour"),
    "fields a list": (lambda d: op("conv", d).update(fields=[1]), "'conv': wrong fields"),
    "fields missing": (lambda d: op("conv", d).pop("fields"), "'conv': wrong fields"),
    "bool as int": (lambda d: op("conv", d)["fields"].update(groups=True), "'conv': .*groups"),
    "int as bool": (lambda d: op("conv", d)["fields"].update(bias=1), "'conv': .*bias must be b"),
    "float as size": (lambda d: op("conv", d)["fields"].update(groups=1.0), "'conv': .*groups"),
    "null as size": (lambda d: op("conv", d)["fields"].update(groups=None), "'conv': .*groups"),
    "text as size": (lambda d: op("conv", d)["fields"].update(groups="1"), "'conv': .*groups"),
    "kernel a number": (lambda d: op("conv", d)["fields"].update(kernel=3), "'conv': Conv k"),
    "kernel a text": (lambda d: op("conv", d)["fields"].update(kernel="33"), "'conv': a kernel"),
    "kernel of floats": (lambda d: op("conv", d)["fields"].update(kernel=[3.0, 3]), "'conv': a ke"),
    "kernel of nulls": (lambda d: op("conv", d)["fields"].update(kernel=[None, 3]), "'conv': a ke"),
    "kernel huge": (lambda d: op("conv", d)["fields"].update(kernel=[HUGE, 3]), "'conv': a kern"),
    "kernel zero": (lambda d: op("conv", d)["fields"].update(kernel=[0, 3]), "'conv': a kernel"),
    "padding text": (lambda d: op("conv", d)["fields"].update(padding="x"), "'conv': padding"),
    "padding negative": (lambda d: op("conv", d)["fields"].update(padding=-1), "'conv': a padding"),
    "nested deep": (
        lambda d: op("conv", d)["fields"].update(kernel=json.loads("[" * 90 + "]" * 90)),
        "'conv': lists are nested",
    ),
    "code": (
        lambda d: op("conv", d)["fields"].update(groups={"expr": "__import__('os').getpid()"}),
        "'conv': cannot read the expression",
    ),
    "expression no text": (
        lambda d: op("conv", d)["fields"].update(groups={"expr": 3}), "'conv': expected",
    ),
    "expression with more": (
        lambda d: op("conv", d)["fields"].update(groups={"expr": "1", "x": 1}), "'conv': expected",
    ),
    "expression not whole": (
        lambda d: op("conv", d)["fields"].update(groups={"expr": "1/2"}), "'conv': .*1/2",
    ),
    "expression too large": (
        lambda d: op("conv", d)["fields"].update(groups={"expr": "9" * 99}), "'conv': .*between",
    ),
    "kind unknown": (lambda d: op("mul", d)["fields"].update(kind="mull"), "'mul': unknown elem"),
    "kind a list": (lambda d: op("mul", d)["fields"].update(kind=[]), "'mul': unknown elem"),
    "value a text": (lambda d: op("mul", d)["fields"].update(value="0.5"), "'mul': .*value"),
    "value NaN": (lambda d: op("mul", d)["fields"].update(value=float("nan")), "NaN"),
    "value infinite": (lambda d: op("mul", d)["fields"].update(value=float("inf")), "Infinity"),
    "order of texts": (lambda d: op("transpose", d)["fields"].update(order=["0"]), "'transpose': "),
    "order wrong": (lambda d: op("transpose", d)["fields"].update(order=[0, 1]), "'transpose': .*"),
    "axis a float": (lambda d: op("concat", d)["fields"].update(axis=1.0), "'concat': .*axis"),
    "axis huge": (lambda d: op("concat", d)["fields"].update(axis=HUGE), "'concat': .*outside"),
    "parts huge": (lambda d: op("split", d)["fields"].update(parts=2**40), "'split': Split parts"),
    "parts of lists": (lambda d: op("split", d)["fields"].update(parts=[[2], 6]), "'split': Split"),
    "input huge": (lambda d: op("input", d)["fields"].update(shape=[2**39, 2**39]), "node 'input'"),
    "name twice": (lambda d: op("concat", d).update(name="conv"), "'conv'.*used twice"),
    "name a number": (lambda d: op("conv", d).update(name=3), "node name 3"),
    "name missing": (lambda d: op("conv", d).pop("name"), "node name None"),
    "module a number": (lambda d: op("conv", d).update(module=3), "'conv': module"),
    "weights a list": (lambda d: op("conv", d).update(weights=[]), "'conv': weights"),
    "no nodes": (lambda d: d.update(nodes=[]), "no nodes"),
    "nodes missing": (lambda d: d.pop("nodes"), '"nodes"'),
    "nodes a dict": (lambda d: d.update(nodes={}), '"nodes"'),
    "nodes of numbers": (lambda d: d.update(nodes=[1]), '"nodes"'),
    "format missing": (lambda d: d.pop("format"), '"format"'),
    "schema new": (lambda d: d.update(schema=99), "graph schema 99"),
    "graph name a list": (lambda d: d.update(name=[]), '"name"'),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_broken_documents_are_refused_with_node_and_field_named(name: str) -> None:
    doc = document()
    from_json(json.dumps(doc))
    break_it, message = BREAKS[name]
    break_it(doc)
    with pytest.raises(cm.CostModelError, match=message):
        from_json(json.dumps(doc))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "3", '"x"', "{}", "[" * 100_000, '{"a":' * 5_000, "\0", "1" * 5000],
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        from_json(text)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=5),
    st.just([]), st.just({}), st.just([[1]]), st.just({"expr": "h*0"}), st.just({"expr": "q"}),
)  # fmt: skip


@given(data=st.data(), junk=JUNK)
def test_random_mutations_are_refused_or_read_never_a_crash(data: st.DataObject, junk: Any) -> None:
    """Put junk in a random place, drop a random entry, or cut the text."""
    doc: Any = json.loads(to_json(data.draw(testing.graphs(max_steps=4))))
    place = doc
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not (isinstance(inner, dict | list) and inner) or data.draw(st.integers(0, 4)) == 0:
            break
        place = inner
    if data.draw(st.booleans()):
        place[key] = junk
    else:
        del place[key]
    text = json.dumps(doc)
    if data.draw(st.integers(0, 5)) == 0:
        text = text[: data.draw(st.integers(0, len(text) - 1))]
    try:
        graph = from_json(text)
    except cm.CostModelError:
        return  # refused: any other exception fails the test
    else:
        cm.validate(graph)
        assert contents(from_json(to_json(graph))) == contents(graph)


def test_all_unknown_operators_are_named_at_once() -> None:
    doc = document()
    op("conv", doc)["op"] = "Konv"
    op("mul", doc)["op"] = "Mull"
    with pytest.raises(
        UnknownOperatorError, match=r"'Konv' \(node 'conv'\), 'Mull' \(node 'mul'\)"
    ):
        from_json(json.dumps(doc))


def test_what_json_cannot_hold_exactly_is_refused() -> None:
    def one(op: Op) -> nx.DiGraph:
        b = cm.Builder()
        return b.finish(b.add(op, b.input((1, 8))))

    for op in (ops.Elementwise("mul", value=float("inf")), ops.Linear(np.array([1, 2]))):
        with pytest.raises(cm.CostModelError, match=r"node '(mul|linear)': .* be written"):
            to_json(one(op))
    assert (
        from_json(to_json(one(ops.Elementwise("mul", value=0.1)))).nodes["mul"]["op"].value == 0.1
    )


def test_files_are_written_whole_and_named_in_messages(tmp_path: Path) -> None:
    graph = cm.zoo.pointwise(*cm.symbols("h w c1 c2"))
    file = tmp_path / "g.json"
    cm.save(graph, file)
    assert contents(cm.load(file)) == contents(graph)
    assert list(tmp_path.iterdir()) == [file]  # no temporary file is left
    with pytest.raises(DataError, match=r"missing.json: cannot be read"):
        cm.load(tmp_path / "missing.json")
    with pytest.raises(DataError, match="cannot be written"):
        cm.save(graph, tmp_path / "no" / "g.json")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"g.json: .*UTF-8"):
        cm.load(file)
    file.write_text("{}")
    with pytest.raises(DataError, match=r"g.json: not a graph file"):
        cm.load(file)


def test_coverage_survives_the_round_trip() -> None:
    graph = zoo.pointwise(7, 7, 8, 8)
    graph.graph["coverage"], graph.graph["unknown"] = 0.5, ("aten.unfold",)
    again = from_json(to_json(graph))
    assert (again.graph["coverage"], again.graph["unknown"]) == (0.5, ("aten.unfold",))


@pytest.mark.parametrize("value", [-0.1, 1.5, "all", True, None])
def test_a_wrong_coverage_is_refused(value: object) -> None:
    document = json.loads(to_json(zoo.pointwise(7, 7, 8, 8)))
    document["coverage"] = value
    with pytest.raises(DataError, match="coverage"):
        from_json(json.dumps(document))
