"""The numbers of the dbt package's models, worked out from the sandbox's own rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from functools import cached_property
from statistics import mean, median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.control import Sandbox

Row = dict[str, Any]
Key = tuple[str, str]

LOST = ("cancelled", "draft")
"""The statuses of interviews that do not take place."""


def by_key(rows: Iterable[Row]) -> dict[Key, Row]:
    """The rows by account and id."""
    return {(row["integrated_account_id"], row["id"]): row for row in rows}


def name(person: Row) -> str | None:
    """A person's name, or the parts that are known of it."""
    parts = (person.get("first_name"), person.get("last_name"))
    return person.get("name") or " ".join(filter(None, parts)) or None


def days(later: str, earlier: str) -> float:
    """The days between two moments."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)) / timedelta(days=1)


class Numbers:
    """The sandbox's rows by key, and what is counted of them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.accounts = {one["id"]: one for one in sandbox.accounts()}
        self.rows = {
            name: by_key(sandbox.rows(name))
            for name in ("interviews", "candidates", "jobs", "users", "job_interview_stages")
        }
        self.applications = by_key(
            {**application, "integrated_account_id": account}
            for (account, _), candidate in self.rows["candidates"].items()
            for application in candidate["applications"] or ()
        )
        self.applications |= by_key(sandbox.rows("applications"))
        self.stages = by_key(
            {
                **application["current_stage"],
                "integrated_account_id": account,
                "job": application["job"],
                "position": None,
            }
            for (account, _), application in self.applications.items()
        )
        self.stages |= self.rows["job_interview_stages"]

    def provider(self, account: str) -> str:
        name: str = self.accounts[account]["integration"]["name"]
        return name

    @cached_property
    def interviews(self) -> dict[Key, Row]:
        """The interviews with what belongs to them."""
        return {key: self._interview(row) for key, row in self.rows["interviews"].items()}

    def _interview(self, row: Row) -> Row:
        account = row["integrated_account_id"]

        def at(rows: dict[Key, Row], reference: Row | None) -> Row:
            return rows.get((account, (reference or {}).get("id", "")), {})

        stage = at(self.stages, row["job_interview_stage"])
        application = at(self.applications, row["application"] or self._only(row, stage))
        candidate = row["candidate"] or application.get("candidate") or {}
        job = application.get("job") or stage.get("job") or {}
        people = [at(self.rows["users"], one) for one in row["interviewers"] or ()]
        sources = ("start_at", "end_at", "created_at")
        source = next((name for name in sources if row[name]), None)
        return {
            "tenant_id": self.accounts[account]["tenant_id"],
            "provider": self.provider(account),
            "application_id": application.get("id"),
            "is_application_inferred": row["application"] is None and bool(application),
            "applied_at": application.get("applied_at"),
            "job_id": job.get("id"),
            "job": at(self.rows["jobs"], job).get("name"),
            "stage_id": (row["job_interview_stage"] or {}).get("id"),
            "stage": stage.get("name"),
            "stage_position": stage.get("position"),
            "candidate_id": candidate.get("id"),
            "candidate": name(at(self.rows["candidates"], candidate)),
            "organizer": name(at(self.rows["users"], row["organizer"])),
            "interviewers": [*filter(None, map(name, people))] or None,
            "interviewer_ids": row["interviewers"] and [one["id"] for one in row["interviewers"]],
            "interview_at": source and row[source],
            "interview_at_from": source,
            "status": row["status"],
            "hours": row["start_at"]
            and row["end_at"]
            and 24 * days(row["end_at"], row["start_at"]),
        }

    def _only(self, interview: Row, stage: Row) -> Row | None:
        """The only application of an interview's candidate for the job of its stage."""
        found = [
            application
            for (account, _), application in self.applications.items()
            if account == interview["integrated_account_id"]
            and application["candidate"] == interview["candidate"]
            and (not stage or application["job"] == stage["job"])
        ]
        return found[0] if len(found) == 1 else None

    @property
    def held(self) -> dict[Key, list[Row]]:
        """The interviews that take place, by application, the first one first."""
        found: dict[Key, list[Row]] = defaultdict(list)
        for (account, _), row in self.interviews.items():
            if row["status"] not in LOST:
                found[account, row["application_id"]].append(row)
        return {
            key: sorted(rows, key=lambda row: row["interview_at"]) for key, rows in found.items()
        }

    def waits(self) -> dict[Key, Row]:
        """By account and job: how long it takes from applications to their first interviews."""
        held, waits, counts = self.held, defaultdict[Key, list[float]](list), Counter[Key]()
        for (account, key), application in self.applications.items():
            job = (account, application["job"]["id"])
            counts[job] += 1
            if first := held.get((account, key)):
                waits[job].append(days(first[0]["interview_at"], application["applied_at"]))
        return {
            job: {
                "applications": count,
                "applications_interviewed": len(waits[job]),
                "median_days": median(waits[job]) if waits[job] else None,
                "average_days": mean(waits[job]) if waits[job] else None,
                "longest_days": max(waits[job], default=None),
            }
            for job, count in counts.items()
        }

    def funnel(self) -> dict[tuple[str, str, str], Row]:
        """By account, job and stage: how many applications got so far."""
        held, funnel, stages = self.held, {}, dict(self.stages)
        for (account, _), rows in held.items():
            for row in rows:
                if row["stage_id"]:
                    untold = {"name": None, "position": None, "job": {"id": row["job_id"]}}
                    stages.setdefault((account, row["stage_id"]), untold)
        for (account, key), stage in stages.items():
            job = stage["job"]["id"]
            applications = [
                (one, held.get((account, one["id"]), []))
                for (other, _), one in self.applications.items()
                if other == account and one["job"]["id"] == job
            ]
            place = stage["position"]
            seen = [
                [
                    (one["current_stage"]["id"], self._position(account, one["current_stage"])),
                    *((row["stage_id"], row["stage_position"]) for row in rows),
                ]
                for one, rows in applications
            ]
            reached = [
                any(name == key or (place and other and other >= place) for name, other in passed)
                for passed in seen
            ]
            there = [one for one, _ in applications if one["current_stage"]["id"] == key]
            funnel[account, job, key] = {
                "stage": stage["name"],
                "applications": len(applications),
                "applications_reached": sum(reached),
                "applications_now": sum(one["rejected_at"] is None for one in there),
                "interviews": sum(
                    row["stage_id"] == key for _, rows in applications for row in rows
                ),
            }
        return funnel

    def _position(self, account: str, stage: Row) -> int | None:
        position: int | None = self.stages[account, stage["id"]]["position"]
        return position

    def load(self) -> dict[tuple[str, str, str], Row]:
        """By account, interviewer and Monday: interviews that take place or not, and hours."""
        load: dict[tuple[str, str, str], Row] = {}
        for (account, _), row in self.interviews.items():
            if not row["interview_at"]:
                continue
            day = datetime.fromisoformat(row["interview_at"]).date()
            week = (day - timedelta(days=day.weekday())).isoformat()
            for user in {*(row["interviewer_ids"] or ())}:
                found = load.setdefault(
                    (account, user, week), {"interviews": 0, "interviews_cancelled": 0, "hours": 0}
                )
                found["interviews_cancelled"] += row["status"] == "cancelled"
                if row["status"] not in LOST:
                    found["interviews"] += 1
                    found["hours"] += row["hours"] or 0
        return load

    def cancellations(self) -> dict[str, tuple[int, int, int]]:
        """By provider: interviews, those with a status, those that were cancelled."""
        found: dict[str, list[Any]] = defaultdict(list)
        for row in self.interviews.values():
            found[row["provider"]].append(row["status"])
        return {
            provider: (len(all_), sum(map(bool, all_)), all_.count("cancelled"))
            for provider, all_ in found.items()
        }
