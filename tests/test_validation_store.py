"""The store: power cuts, full disks, two writers, resumption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from costmodel.calibration.measurement import read_measurements, write_measurements
from costmodel_validation.errors import StoreError
from costmodel_validation.measuring.clock import summary
from costmodel_validation.measuring.store import Result, Store, result_key

WRITER = """
import sys
from costmodel_validation.measuring.store import Result, Store
from costmodel_validation.measuring.clock import summary
with Store(sys.argv[1]) as store:
    for i in range(int(sys.argv[2])):
        store.append(Result(f"net{i}", "fake", "p", {}, timing=summary([1.0 + i])))
        print(i, flush=True)
"""


def result(spec: str, seconds: float = 1.0, **fields: object) -> Result:
    timing = summary([seconds])
    return Result(
        spec, "fake", "host/fake", {"threads": 1, "dtype": "float32"}, timing=timing, **fields
    )  # type: ignore[arg-type]


def writer(store: Path, count: int, prelude: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", prelude + WRITER, str(store), str(count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    stored = result("a", 0.5, host={"cpu": "x"}, kernel="conv1")
    with Store(path) as store:
        store.append(stored)
    assert Store(path).results() == [stored]
    assert stored.key in Store(path)


def test_a_failure_is_kept_and_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    with Store(path) as store:
        store.append(Result("a", "fake", "p", {}, failure="it crashed"))
        assert result_key("a", "fake", {}) not in store
        store.append(Result("a", "fake", "p", {}, timing=summary([1.0])))
        assert result_key("a", "fake", {}) in store
    assert [r.failure for r in Store(path).results()] == [""]


def test_settings_and_runs_are_different_measurements() -> None:
    keys = {
        result_key("a", "torch", {"threads": 1}),
        result_key("a", "torch", {"threads": 2}),
        result_key("a", "torch", {"threads": 1}, run=1),
        result_key("a", "torch", {"threads": 1}, kernel="conv"),
        result_key("a", "ncnn", {"threads": 1}),
    }
    assert len(keys) == 5


@pytest.mark.parametrize("cut", [1, 5, 40, 200])
def test_a_torn_last_line_is_reported_and_never_glued_to(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "s.jsonl"
    with Store(path) as store:
        for name in "abc":
            store.append(result(name))
    path.write_bytes(path.read_bytes()[:-cut])
    torn = Store(path)
    assert [r.spec for r in torn.results()] == (["a", "b"] if cut > 1 else ["a", "b", "c"])
    assert torn.torn == ([3] if cut > 1 else [])
    with torn as store:
        store.append(result("d"))
    after = Store(path)
    assert [r.spec for r in after.results()][-1] == "d"
    assert len(after.results()) == len(torn.results())


def test_kill_9_in_mid_campaign_loses_nothing_finished(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    with writer(path, 100_000) as process:
        assert process.stdout is not None
        for _ in range(20):
            last = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        rest = process.communicate()[0].split()
    last = int(rest[-1]) if rest else last
    assert process.returncode == -signal.SIGKILL
    kept = [r.spec for r in Store(path).results()]
    assert kept[: last + 1] == [f"net{i}" for i in range(last + 1)]
    with Store(path) as store:  # the lock of the killed process is gone
        store.append(result("again"))
    assert Store(path).results()[-1].spec == "again"


def test_a_full_disk_is_one_sentence_and_keeps_what_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
    with writer(path, 100, prelude=limit) as process:
        out, error = process.communicate(timeout=60)
    finished = len(out.split())
    assert 2 <= finished < 100
    last = error.strip().splitlines()[-1]
    assert last.startswith("costmodel_validation.errors.StoreError: ")
    assert f"s.jsonl: the disk is full; the {finished} " in last
    text = path.read_text()
    assert text.endswith("\n")
    assert len([json.loads(line) for line in text.splitlines()]) == finished
    assert Store(path).torn == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
def test_a_device_without_space() -> None:
    with Store("/dev/full") as store, pytest.raises(StoreError, match="the disk is full; the 0 "):
        store.append(result("a"))


def test_two_writers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    with (
        Store(path),
        pytest.raises(StoreError, match="another measurement writes to it"),
        Store(path),
    ):
        pass


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_store_that_is_removed_under_the_campaign_is_made_again(tmp_path: Path, how: str) -> None:
    path = tmp_path / "s.jsonl"
    with Store(path) as store:
        store.append(Result("a", "torch", "host", {}, timing=summary([1.0, 1.1])))
        path.unlink()
        if how == "replaced":
            (tmp_path / "other").write_text("")
            (tmp_path / "other").rename(path)
        store.append(Result("b", "torch", "host", {}, timing=summary([2.0, 2.1])))
        store.append(Result("c", "torch", "host", {}, failure="tried"))
        with pytest.raises(StoreError, match="another measurement writes to it"), Store(path):
            pass
    assert [result.spec for result in Store(path).results()] == ["a", "b", "c"]


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no/s.jsonl: cannot be opened: No such file"):
        Store(tmp_path / "no" / "s.jsonl").__enter__()


def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("buy milk\n")
    with pytest.raises(StoreError, match="no line of it is a result"):
        Store(path)
    assert path.read_text() == "buy milk\n"


def test_results_become_a_measurement_table(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    with Store(path) as store:
        store.append(result("shufflenet_v2", 0.25))
        store.append(result("shufflenet_v2", 0.1, kernel="conv1"))
        store.append(Result("resnet50", "fake", "p", {}, failure="no"))
        rows = store.to_measurements()
    write_measurements(tmp_path / "t.csv", rows)
    (row,), bad = read_measurements(tmp_path / "t.csv")
    assert bad == []
    assert (row.network, row.seconds, row.platform) == ("shufflenet_v2", 0.25, "host/fake")
    assert (row.threads, row.dtype, row.extra["samples"]) == (1, "float32", "1")


def test_every_result_says_when() -> None:
    assert abs(time.time() - _epoch(result("a").measured_at)) < 60


def _epoch(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
