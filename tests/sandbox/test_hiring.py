"""The sandbox's applications and interviews make sense together."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from sandbox.accounts import END
from sandbox.hiring import STAGES
from sandbox.invention import INVENTED
from sandbox.world import Options, build

OWNERS = ("interview", "application", "candidate")
"""What a thing may belong to."""


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


@pytest.mark.parametrize("candidates", [3, 8, 11, 40, 500])
def test_times_and_statuses_fit_together(candidates: int) -> None:
    options = Options(providers=("greenhouse",), interviews=200, candidates=candidates)
    (account,) = build(options).values()
    rows = {
        resource: {key: thing.values for key, thing in account.things(resource).items()}
        for resource in INVENTED
    }
    for resource, things in rows.items():
        for row in things.values():
            for owner in OWNERS:
                if known := rows[f"{owner}s"].get(str((row.get(owner) or {}).get("id"))):
                    assert known["created_at"] < row["created_at"], (resource, owner)
            for name in ("rejected_at", "submitted_at", "closed_at"):
                if row.get(name) and row[name] < END:
                    assert row[name] <= row["updated_at"]
    for row in rows["scorecards"].values():
        interview = rows["interviews"][str(row["interview"]["id"])]
        if row["submitted_at"]:
            assert interview["status"] == "completed"
            assert interview["end_at"] < row["submitted_at"]
    for row in rows["offers"].values():
        application = rows["applications"][str(row["application"]["id"])]
        assert application["current_stage"]["name"] == STAGES[-1]
        assert application["rejected_at"] is None
    assert len(rows["offers"]) == candidates // 4


def test_applications_end_in_every_stage_and_some_interviews_are_cancelled() -> None:
    (account,) = build(Options(providers=("ashby",), interviews=300)).values()
    stages = Counter(
        thing.values["current_stage"]["name"] for thing in account.things("applications").values()
    )
    assert len(stages) == 4
    statuses = Counter(thing.values["status"] for thing in account.things("interviews").values())
    assert 0.05 < statuses["cancelled"] / 300 < 0.25
    assert statuses["completed"] > statuses["cancelled"] > statuses["scheduled"] > 0
