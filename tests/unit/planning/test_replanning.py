"""When a new plan is looked for, and when it takes the place of the one in force."""

from dataclasses import replace

import pytest

from modelserving.api.choices import Replan
from modelserving.planning.plan import Plan, Rejection
from modelserving.planning.planner import plan
from modelserving.planning.replanning import Due, due, replaces
from planning_cases import H100, L40S, cluster, facts, node, request


def served_by(product: str, **fields: int) -> Plan:
    asked = request("llama31-8b", context_length=8192, **fields)
    made = plan(asked, {asked.checkpoints[0].ref: facts("llama31-8b")}, cluster(node("a", product)))
    assert isinstance(made, Plan)
    return made


@pytest.mark.parametrize(
    ("policy", "waited", "wanted"),
    [
        (Replan.NEVER, None, Due()),
        (Replan.NEVER, 1e6, Due()),
        (Replan.WHEN_UNSCHEDULABLE, None, Due()),
        (Replan.WHEN_UNSCHEDULABLE, 100.0, Due(wait_seconds=200.0)),
        (Replan.WHEN_UNSCHEDULABLE, 300.0, Due(now=True, wait_seconds=300.0)),
        (Replan.ALWAYS, None, Due(now=True)),
        (Replan.ALWAYS, 1.0, Due(now=True, wait_seconds=300.0)),
    ],
)
def test_when_a_new_plan_is_looked_for(policy: Replan, waited: float | None, wanted: Due) -> None:
    assert due(policy, waited, patience_seconds=300.0) == wanted


def test_a_plan_gives_way_to_one_that_runs_something_else_and_could_start_at_once() -> None:
    in_force = served_by(H100)
    assert replaces(served_by(L40S), in_force)
    assert replaces(served_by(H100, tensor_parallel_size=2), in_force)


def test_a_plan_stays_where_nothing_else_would_run_or_nothing_could_start() -> None:
    in_force, other = served_by(H100), served_by(L40S)
    assert not replaces(served_by(H100), in_force)
    assert not replaces(Rejection("InsufficientGPUMemory", "too large"), in_force)
    assert not replaces(replace(other, placement=replace(other.placement, waiting="Waits for free GPUs.")), in_force)


def test_a_branch_that_moved_is_no_reason_to_restart() -> None:
    in_force = served_by(H100)
    assert not replaces(replace(in_force, revision="0123abc", decision="Another sentence."), in_force)
