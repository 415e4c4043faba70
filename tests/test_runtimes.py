"""Runtime files: those that ship load; wrong ones are refused with file and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from costmodel.errors import DataError
from costmodel.kernels import CLASSES
from costmodel.runtimes import FOLLOWERS, load_runtime, runtime_names
from costmodel.runtimes import runtime as runtimes

GOOD = 'name = "mine"\ntitle = "Mine"\nsource = "seen"\n'


def written(folder: Path, text: str) -> str:
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_names() -> None:
    assert {"paper", "ncnn", "onnxruntime", "tflite", "torch-eager"} <= set(runtime_names())
    assert runtime_names() == sorted(runtime_names())


@pytest.mark.parametrize("name", runtime_names())
def test_shipped_files_load(name: str) -> None:
    runtime = load_runtime(name)
    assert runtime.name == name
    assert runtime.title
    assert runtime.source
    assert set(runtime.fusion) <= {*CLASSES.values(), "copy"}
    assert {f for followers in runtime.fusion.values() for f in followers} <= set(FOLLOWERS)
    assert set(runtime.algorithms) <= {"cpu", "gpu"}
    assert set(runtime.priors) <= {"cpu", "gpu"}
    assert runtime.grouped in ("batched", "serial")


def test_a_file_of_ones_own_with_its_defaults(tmp_path: Path) -> None:
    runtime = load_runtime(written(tmp_path, GOOD + '[fusion]\nmatmul = ["activation"]\n'))
    assert (runtime.name, runtime.fusion) == ("mine", {"matmul": ("activation",)})
    assert (runtime.dead_code, runtime.transfers) == (False, False)
    assert (runtime.fused_attention, runtime.fold_zero_products) == (True, True)
    assert runtime.copies == ()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (GOOD + "dead_cod = true\n", "unknown field ['dead_cod']"),
        (GOOD + 'dead_code = "yes"\n', "dead_code should be a bool, got 'yes'"),
        (GOOD + "dead_code = 1\n", "dead_code should be a bool"),
        (GOOD + 'copies = "Split"\n', "copies should be a list"),
        (GOOD + "fusion = 3\n", "fusion should be a dict"),
        (
            GOOD + '[fusion]\nmatmul = ["relu"]\n',
            "fusion.matmul: 'relu' is unknown; known are batch_norm",
        ),
        (GOOD + "[fusion]\nmatmul = 5\n", "fusion.matmul should be a list, got 5"),
        (GOOD + '[algorithms]\ncpu = "winograd"\n', "algorithms.cpu should be a list"),
        (GOOD + '[fusion]\nconv = ["activation"]\n', "fusion.conv: 'conv' is unknown"),
        (GOOD + '[algorithms]\ncpu = ["fft"]\n', "algorithms.cpu: 'fft' is unknown"),
        (GOOD + "[algorithms]\ntpu = []\n", "algorithms.tpu: 'tpu' is unknown; known are gpu, cpu"),
        (GOOD + 'copies = ["Spilt"]\n', "copies: 'Spilt' is unknown; known are"),
        (GOOD + 'grouped = "in turn"\n', "grouped: 'in turn' is unknown"),
        ('name = "mine"\ntitle = "Mine"\n', "source should be a str, got None"),
        ("name = \n", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, field: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(DataError) as error:
        load_runtime(file)
    assert str(error.value).startswith(file)
    assert field in str(error.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml: cannot be read: No such file"):
        load_runtime(str(tmp_path / "none.toml"))
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"\n')
    with pytest.raises(DataError, match=r"latin\.toml: not UTF-8"):
        load_runtime(str(tmp_path / "latin.toml"))


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(DataError, match=r"unknown runtime 'tensorrt'; known are .*torch-eager"):
        load_runtime("tensorrt")


def test_the_classes_that_may_fuse_are_those_of_the_kernels() -> None:
    assert set(runtimes.CLASSES) == {*CLASSES.values(), "copy"}
