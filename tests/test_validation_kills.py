"""Campaigns of the real backend that are killed and resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from costmodel_validation.kills import PLAN, _Counting, _faults, campaign_of, trial
from costmodel_validation.measuring.store import Store


@pytest.mark.slow
@pytest.mark.parametrize("after", [1.5, 6.0])
def test_a_killed_campaign_is_resumed_without_loss(tmp_path: Path, after: float) -> None:
    found = trial(tmp_path / "s.jsonl", 4, after)
    assert found.faults == ()
    assert found.torn <= 1


@pytest.mark.slow
def test_what_is_lost_or_repeated_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    trial(path, 2, 60.0)  # runs to its end
    campaign = campaign_of(2)
    results = {result.spec: result for result in Store(path).results()}
    first, second = campaign.specs
    store = _Counting(path)
    nothing = dict.fromkeys(campaign.specs, 0)
    assert _faults(campaign, store, results, nothing) == []
    store.tally.turns = {first: PLAN.rounds - 3}
    assert _faults(campaign, store, {second: results[second]}, {**nothing, first: 3}) == []
    lost = _faults(campaign, store, {second: results[second]}, {**nothing, first: 4})
    assert lost == [f"{first}: 4 rounds kept, 5 new, 8 in all"]
    again = replace(results[second], batch=2)
    assert "measured again" in _faults(campaign, store, {second: again}, {**nothing, first: 3})[0]
