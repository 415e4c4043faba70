"""Spaces on a cluster of processes: nothing is lost or counted twice where one is killed."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.spaces import Space, chunks

ARM = "rk3399/tflite"


def space():
    choices = {"blocks": tuple(range(1, 9)), "c1": tuple(range(8, 72, 8)), "c2": (16, 24, 100)}
    return Space("stacks", cm.zoo.g1_stack, choices, ("c1", "c2"))


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed", reason="needs the extra `cluster`")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as found:
        yield found


def assert_all_once(found):
    here = cm.sweep(space(), ARM)
    assert found.seen == here.seen == space().count
    for name, values in here.columns.items():
        np.testing.assert_allclose(found.columns[name], values, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the cluster, about the worker that is killed
def test_a_worker_that_is_killed_costs_nothing(cluster, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 3)
    monkeypatch.setattr(chunks, "STRUCTURES", 1)
    killed = []

    def kill(seen, whole):
        if not killed:
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    with cluster.get_client() as client:
        found = cm.sweep(space(), ARM, executor=client.get_executor(pure=False), progress=kill)
    assert killed
    assert_all_once(found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_command_takes_a_scheduler(cluster):
    arguments = ["sweep", "mobilenet_v1", "-p", ARM, "--choose", "width=0.5,1.0"]
    here = CliRunner().invoke(app, arguments)
    there = CliRunner().invoke(app, [*arguments, "--scheduler", cluster.scheduler_address])
    assert here.exit_code == there.exit_code == 0, there.output
    assert here.stdout == there.stdout
    assert "2 kept of 2 predicted" in there.stdout


def _end():
    os.kill(os.getpid(), signal.SIGKILL)


def test_chunks_that_a_broken_pool_lost_are_predicted_here(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 3)
    monkeypatch.setattr(chunks, "STRUCTURES", 1)
    with ProcessPoolExecutor(1) as executor:
        executor.submit(_end)
        found = cm.sweep(space(), ARM, executor=executor)
    assert_all_once(found)


def test_no_scheduler_is_an_error_in_one_sentence():
    pytest.importorskip("distributed", reason="needs the extra `cluster`")
    arguments = ["sweep", "mobilenet_v1", "-p", ARM, "--choose", "width=0.5,1.0"]
    found = CliRunner().invoke(app, [*arguments, "--scheduler", "nowhere"], prog_name="costmodel")
    assert found.exit_code == 2, found.output
    assert "no Dask scheduler" in found.output
