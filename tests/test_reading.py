"""Files and texts of foes: one sentence of the library's error, soon, whatever they hold."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import costmodel as cm
from costmodel.algebra.written import parse_dim
from costmodel.calibration.measurement import read_measurements
from costmodel.errors import LONGEST, CostModelError, DataError, GraphError, ShapeError, listed
from costmodel.graph.serialize import from_json
from costmodel.hardware import load_hardware
from costmodel.reading import MAX_TOML_BYTES, is_file, parse_json, parse_toml, read_bytes
from costmodel.runtimes import load_runtime
from costmodel_validation.measuring.store import Store

READERS: dict[str, Callable[[Path], object]] = {
    ".json": cm.load,
    ".toml": load_hardware,
    ".csv": read_measurements,
    ".param": lambda path: cm.from_ncnn(path, (1, 3, 8, 8)),
}


def refusal(call: Callable[[], object], seconds: float = 2.0) -> str:
    """Return the message of what is raised: of the library, one line, and in time."""
    start = time.thread_time()
    with pytest.raises(CostModelError) as caught:
        call()
    assert time.thread_time() - start < seconds
    message = str(caught.value)
    assert message.isprintable()
    assert 0 < len(message) <= LONGEST
    return message


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "No such file"),
        ("n" * 300, "File name too long"),
        ("nul\0", "embedded null"),
        ("folder", "directory"),
        ("pipe", "pipe"),
        ("endless", "is larger than"),
        ("latin", "not UTF-8 text"),
    ],
)
def test_every_reader_refuses_what_is_no_file(
    tmp_path: Path, suffix: str, name: str, words: str
) -> None:
    path = tmp_path / f"{name}{suffix}"
    if name == "folder":
        path.mkdir()
    elif name == "pipe":
        os.mkfifo(path)
    elif name == "endless":
        path.symlink_to("/dev/zero")
    elif name == "latin":
        path.write_bytes(b"\xff\xfe")
    assert words in refusal(lambda: READERS[suffix](path), seconds=10)


def test_a_limit_counts_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"
    assert "larger than 4 bytes" in refusal(lambda: read_bytes(tmp_path / "a", 4))
    assert not is_file("a\0b")


NESTED = 200_000
TOML = {
    "lists": "a = " + "[" * NESTED,
    "tables": "a = " + "{a = " * (NESTED // 5),
    "keys": "a." * (MAX_TOML_BYTES // 2 - 8) + "a = 1",
    "quoted keys": '"a".' * (MAX_TOML_BYTES // 4 - 8) + "a = 1",
    "keys behind an open text": '# it\'s\n# """\n' + "a." * 60_000 + "a = 1",
    "headers": "[" + "a." * 60_000 + "a]",
    "digits": "a = " + "9" * 5000,
    "hexadecimal": "a = 0x" + "f" * 5000,
    "64 bits": f"a = {2**63}",
    "twice": "a = 1\na = 2",
    "size": "#" * (MAX_TOML_BYTES + 1),
}


@pytest.mark.parametrize("name", TOML)
def test_toml_of_foes_is_refused(name: str) -> None:
    assert "not" in refusal(lambda: parse_toml(TOML[name]))


def test_toml_of_friends_is_read() -> None:
    text = "[a.b]\nc = [" + ", ".join(["0.25"] * 100) + ']\nd = "a.' + "b." * 100 + '"\n'
    assert parse_toml(text)["a"]["b"]["c"] == [0.25] * 100
    assert parse_toml(f"a = {2**63 - 1}") == {"a": 2**63 - 1}


@pytest.mark.parametrize(
    "text",
    [
        "[" * NESTED,
        '{"a":' * NESTED,
        "9" * 5000,
        "1e999",
        "[NaN]",
        "-Infinity",
        '{"a": 1, "a": 2}',
        '"\\ud800"',
        b"\xff",
    ],
    ids=lambda text: str(text[:12]),
)
def test_json_of_foes_is_refused(text: str | bytes) -> None:
    assert "not JSON" in refusal(lambda: parse_json(text))


def test_pairs_of_surrogates_are_one_character() -> None:
    assert parse_json('"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    "text",
    [
        "sqrt(" + "9" * 4000 + ")",
        "sqrt(" + "9" * 900 + ")",
        "floor(Max(" * 40 + "a,b/3" + ",c)/7)" * 40,
        "floor(Max(" * 3 + "a,b/3" + ",c)/7)" * 3,
        "Max(" + ",".join(f"a{i}*b{i}" for i in range(300)) + ")",
        "Max(" + ",".join(f"a{i}*b{i}" for i in range(13)) + ")",
        "Max(" + ",".join(f"Max(a{i},b{i},c{i}*2)" for i in range(5)) + ")",
        "*".join(["9" * 99] * 9),
        "((2**64)**64)**64",
        "a**17",
        "(1/a)**65",
        "-" * 900 + "a",
        "(" * 400 + "a",
        "a" * 51,
        "1if 2else 3",
        "0x10",
        "²",
        "a-a+1/(a-a)",
    ],
    ids=lambda text: text[:16],
)
def test_expressions_have_limits(text: str) -> None:
    refusal(lambda: parse_dim(text))


@pytest.mark.parametrize(
    "text",
    ["Max(floor(h/2), ceiling(w/3)) - 1", "sqrt(a*b)**3", "+".join("abcdefgh" * 12), "2**64"],
)
def test_expressions_within_the_limits_are_read(text: str) -> None:
    assert parse_dim(str(parse_dim(text))) == parse_dim(text)


def _document(*nodes: str) -> str:
    return '{"format": "costmodel-graph", "schema": 1, "nodes": [' + ",".join(nodes) + "]}"


def _input(name: str, *sizes: str) -> str:
    shape = "[" + ",".join(sizes) + "]"
    return (
        f'{{"name": "{name}", "op": "Input", "fields": {{"shape": {shape}, "dtype": "float32"}}, '
        f'"outputs": [{{"shape": {shape}, "dtype": "float32"}}]}}'
    )


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("a[2J" * 100, [_input("a", '"x"')]),
        ("expressions", [_input(f"a{i}", f'{{"expr": "a{i}*{i}+b"}}') for i in range(6000)]),
        ("sizes", [_input("a", *(f'{{"expr": "a{i}+b"}}' for i in range(40_000)))]),
        ("unknown", [f'{{"name": "a{i}", "op": "X{i}"}}' for i in range(25_000)]),
        ("outputs", [_input("a", "1").replace('"outputs": [', '"outputs": [' + "{}," * 10_000)]),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_graphs_of_foes_are_refused_in_time(name: str, nodes: list[str]) -> None:
    refusal(lambda: from_json(_document(*nodes)))


def test_one_node_may_take_a_tensor_often() -> None:
    k = 60_000
    taken = ",".join(['["a",0]'] * k)
    concat = (
        f'{{"name": "c", "op": "Concat", "fields": {{"axis": 0}}, "inputs": [{taken}], '
        f'"outputs": [{{"shape": [{k}], "dtype": "float32"}}]}}'
    )
    start = time.thread_time()
    assert len(from_json(_document(_input("a", "1"), concat))) == 2
    assert time.thread_time() - start < 3


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("gpt2?layers=1000000000", "at most|between -256 and 256"),
        ("bert?layers=20000", "between -256 and 256"),
        ("densenet?layers=100000", "at most 200 layers"),
        ("densenet?layers=150,150", "at most 200 layers"),
        ("nasbench201?arch_str=x&cells=100000", "between -256 and 256"),
        ("concat?shape=1&axis=0&parts=" + "9" * 40, "between -256 and 256"),
        ("mobilenet_v1?width=inf", "must lie between"),
        ("mobilenet_v1?width=nan", "must lie between"),
        ("shufflenet_v2?width=1e300", "must lie between"),
        ("identity?shape=" + "1," * 64 + "1", "must be sizes"),
        ("x" * 5000, "at most 4096"),
        ("x" * 300 + ".json", "no such file"),
        ("a\0.onnx", "no such file"),
        ("resnet50?size=abc", "write size=dim:abc"),
        ("resnet50?batch=2*auto", "write batch=dim:2\\*auto"),
        ("resnet50?size=22O", "must be an integer"),
        ("shufflenet_v2?width=dim:c", "must be a number"),
    ],
    ids=lambda value: value[:24],
)
def test_specs_have_limits(spec: str, words: str) -> None:
    import re

    assert re.search(words, refusal(lambda: cm.network(spec)))


def test_symbols_that_are_meant_are_symbols() -> None:
    def names(spec: str) -> set[str]:
        from costmodel.graph import free_symbols

        return {str(s) for s in free_symbols(cm.network(spec))}

    assert names("pointwise?h=56&w=56&c1=c&c2=32*m") == {"c", "m"}
    assert names("resnet18?size=size&batch=batch") == {"size", "batch"}
    assert names("resnet18?size=dim:pixels") == {"pixels"}


@pytest.mark.parametrize(
    "line",
    [
        "[" * NESTED,
        '{"schema": 1, "spec": "a"}',
        '{"schema": ' + "9" * 5000 + "}",
        "[]",
        "null",
        "\ud83d",
    ],
    ids=lambda line: line[:12],
)
def test_broken_lines_of_a_store_are_torn(tmp_path: Path, line: str) -> None:
    from costmodel_validation.fuzz.models import store_lines

    path = tmp_path / "s.jsonl"
    path.write_bytes(store_lines()[0] + line.encode("utf-8", "surrogatepass") + b"\n")
    store = Store(path)
    assert len(store.results()) == 3
    assert store.torn == [4]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"settings": {"threads": 2, "dtype": "float32", "between": 0}', '"settings": null'),
        ('"quiet": 0.002', '"quiet": NaN'),
        ('"quiet": 0.002', '"quiet": "2 ms"'),
        ('"quiet": 0.002', '"quiet": -1.0'),
        ('"quiet": 0.002', '"quiet": true'),
        ('"batch": 1', '"batch": "1"'),
        ('"threads": 2', '"threads": "two"'),
        ('"between": 0', '"between": 1e999'),
        ('"spec": "resnet50?size=224"', '"spec": 5'),
        ('"timing": {', '"timing": [{'),
    ],
)
def test_a_line_of_a_store_with_a_wrong_value_is_torn(tmp_path: Path, old: str, new: str) -> None:
    from costmodel_validation.fuzz.models import store_lines

    whole, line = (lines.decode() for lines in store_lines())
    assert old in line
    path = tmp_path / "s.jsonl"
    path.write_text(whole + line.replace(old, new) + "\n")
    store = Store(path)
    assert store.torn == [4]
    assert len(store.to_measurements()) == 1


@pytest.mark.parametrize("word", ["0=1e999", "0=²", "0=-1e400", "0=nan", "-23300=1,inf"])
def test_numbers_of_ncnn_are_finite(tmp_path: Path, word: str) -> None:
    path = tmp_path / "n.param"
    path.write_text(f"7767517\n2 2\nInput data 0 1 a\nInterp up 1 1 a b {word}\n")
    assert "line 4" in refusal(lambda: cm.from_ncnn(path, (1, 3, 8, 8)))


def test_a_calibration_cannot_name_itself(tmp_path: Path) -> None:
    from costmodel.platforms import load_platform
    from costmodel_validation.fuzz.readers import READERS as FUZZED

    path = tmp_path / "c.toml"
    text = FUZZED["calibration"].seeds()[0].decode()
    start = text.index("platform = ")
    end = text.index("\n", start)
    path.write_text(f'{text[:start]}platform = "{path}"{text[end:]}')
    assert "HARDWARE/RUNTIME by name" in refusal(lambda: load_platform(str(path)))


def test_a_runtime_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\ntitle = "One"\nsource = "a test"\n')
    assert load_runtime(str(path)).title == "One"
    path.write_text('name = "mine"\ntitle = "Two"\nsource = "a test"\n')
    assert load_runtime(str(path)).title == "Two"


@pytest.mark.parametrize("kind", [DataError, GraphError, ShapeError])
def test_messages_are_one_short_line(kind: type[CostModelError]) -> None:
    message = str(kind("node 'a\n\x1b[2Jb' is " + "x" * 1000 + " and " + "y " * 1000))
    assert message.isprintable()
    assert len(message) <= LONGEST
    assert listed(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
