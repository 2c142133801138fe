"""The sandbox's applications and interviews make sense together."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from sandbox.world import Options, build


@pytest.mark.parametrize(
    "sizes",
    [
        {"interviews": 300},
        {"interviews": 300, "candidates": 40},
        {"interviews": 100, "candidates": 60, "jobs": 1},
        {"interviews": 8, "candidates": 3},
        {"interviews": 20, "candidates": 1, "jobs": 1},
        {"interviews": 400, "candidates": 500, "jobs": 20},
    ],
)
def test_interviews_fit_their_applications(sizes: dict[str, Any]) -> None:
    for account in build(Options(seed=7, providers=("ashby", "greenhouse"), **sizes)).values():
        account.add("interviews", {})
        rows = {
            resource: {key: thing.values for key, thing in account.things(resource).items()}
            for resource in ("applications", "interviews", "job_interview_stages", "jobs", "users")
        }
        stages = rows["job_interview_stages"]
        seen: dict[str, list[tuple[Any, int]]] = defaultdict(list)
        for interview in rows["interviews"].values():
            application = rows["applications"][str(interview["application"]["id"])]
            stage = stages[str(interview["job_interview_stage"]["id"])]
            assert stage["job"] == application["job"]
            assert stage["position"] > 1
            assert stage["position"] <= stages[str(application["current_stage"]["id"])]["position"]
            planned = interview["start_at"] or interview["created_at"]
            job = rows["jobs"][str(application["job"]["id"])]
            assert job["created_at"] < application["applied_at"] < interview["created_at"]
            assert interview["created_at"] <= planned
            assert application["rejected_at"] is None or planned < application["rejected_at"]
            assert {str(one["id"]) for one in interview["interviewers"]} <= rows["users"].keys()
            seen[str(application["id"])].append((planned, stage["position"]))
        for passed in seen.values():
            positions = [position for _, position in sorted(passed)]
            assert positions == sorted(positions)


def test_applications_end_in_every_stage_and_some_interviews_are_cancelled() -> None:
    (account,) = build(Options(providers=("ashby",), interviews=300)).values()
    stages = Counter(
        thing.values["current_stage"]["name"] for thing in account.things("applications").values()
    )
    assert len(stages) == 4
    statuses = Counter(thing.values["status"] for thing in account.things("interviews").values())
    assert 0.05 < statuses["cancelled"] / 300 < 0.25
    assert statuses["completed"] > statuses["cancelled"] > statuses["scheduled"] > 0
