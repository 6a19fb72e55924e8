"""What shall run: the plan in force while it answers what is asked, a new one otherwise, or why there is none.

spec wrong ─▶ Rejection        field not supported ─▶ Rejection        argument refused ─▶ Rejection
plan in force made from the same request ─▶ that plan (facts are not needed, nobody is asked), unless `replan` lets a new one replace it
facts still being read ─▶ Undecided
otherwise ─▶ what the planner says
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelserving.api.choices import Replan
from modelserving.api.modelserving import ModelServing
from modelserving.api.problems import parse_serving
from modelserving.api.reasons import Reason
from modelserving.controller.children import Kept
from modelserving.controller.picture import ClusterPicture
from modelserving.controller.pods import pods_key
from modelserving.controller.ports import FactsPort, Pending, Telemetry
from modelserving.controller.resources import key_of
from modelserving.engine.flags import check_extra_args
from modelserving.planning.checkpoints import wanted
from modelserving.planning.placing import refreshed
from modelserving.planning.plan import Plan, Rejection
from modelserving.planning.planner import plan
from modelserving.planning.record import from_json
from modelserving.planning.replanning import due, replaces
from modelserving.planning.request import PlanRequest, request_from
from modelserving.planning.supported import unsupported
from modelserving.settings import Settings


@dataclass(frozen=True, slots=True)
class Decision:
    """What shall run.

    Attributes:
        outcome: a plan, or why there is none.
        serving: the resource, None where its spec is wrong.
        in_force: the plan that the workload was made from, None where there is none.
        fresh: whether the plan was made just now.
        on_nodes: whether other nodes could change the outcome.
        retry_seconds: when to look again; None where only a change of the resource or the cluster can help.
        kept: the resource as the workload was made from it, where its spec as it is now leads to no plan: what runs is kept by it.
        note: sentence on what `replan` makes of pods that find no node; empty where there is nothing to say.
    """

    outcome: Plan | Rejection
    serving: ModelServing | None
    in_force: Plan | None
    fresh: bool = False
    on_nodes: bool = False
    retry_seconds: float | None = None
    kept: ModelServing | None = None
    note: str = ""

    @property
    def runs(self) -> tuple[ModelServing, Plan] | None:
        """What the workload is made from; None where there is nothing to make it from."""
        if isinstance(self.outcome, Plan):
            return (self.serving, self.outcome) if self.serving is not None else None
        return (self.kept, self.in_force) if self.kept is not None and self.in_force is not None else None


@dataclass(frozen=True, slots=True)
class Undecided:
    """Facts are being read.

    Attributes:
        seconds: how long they have been read for.
        reading: sentence on what is being read.
        serving: the resource.
        in_force: the plan that the workload was made from, None where there is none.
    """

    seconds: float
    reading: str
    serving: ModelServing
    in_force: Plan | None


@dataclass(frozen=True, slots=True)
class Unscheduled:
    """Pods of a workload that found no node.

    Attributes:
        since: when the first of them began to wait, RFC 3339; empty where each has a node.
        seconds: for how long; None where each has a node.
    """

    since: str = ""
    seconds: float | None = None


class Decider:
    """Decides.

    Args:
        settings: of the operator.
        facts: of models.
        picture: of the cluster.
        telemetry: what is counted.
    """

    def __init__(self, settings: Settings, facts: FactsPort, picture: ClusterPicture, telemetry: Telemetry) -> None:
        self._settings = settings
        self._facts = facts
        self._picture = picture
        self._telemetry = telemetry

    def decide(
        self, key: str, manifest: Mapping[str, Any], kept: Kept, unscheduled: Unscheduled
    ) -> Decision | Undecided:
        """Decide on one resource.

        Args:
            key: `namespace/name`.
            manifest: the resource.
            kept: the plan in force, and the spec that it answered, as the workload carries them.
            unscheduled: for how long its pods have found no node.
        """
        in_force = from_json(kept.plan) if kept.plan else None
        decision = self._decide(key, manifest, in_force, unscheduled)
        if isinstance(decision, Decision) and isinstance(decision.outcome, Rejection) and in_force is not None:
            return replace(decision, kept=self._kept(manifest, kept.spec, in_force))
        return decision

    def _kept(self, manifest: Mapping[str, Any], text: str, in_force: Plan) -> ModelServing | None:
        """The resource as the workload was made from it, with as many replicas as are wanted now."""
        spec = manifest.get("spec")
        now: Mapping[str, Any] = spec if isinstance(spec, Mapping) else {}
        if not text or now.get("planOnly") is True:
            return None
        before = json.loads(text)
        for wanted_now in ({"replicas": now["replicas"]}, {}) if "replicas" in now else ({},):
            serving = parse_serving({**manifest, "spec": {**before, **wanted_now}})
            if isinstance(serving, ModelServing):
                same = self._request(serving).digest() == in_force.request_digest
                return serving if same else None
        return None

    def _decide(
        self, key: str, manifest: Mapping[str, Any], in_force: Plan | None, unscheduled: Unscheduled
    ) -> Decision | Undecided:
        serving = parse_serving(manifest)
        if not isinstance(serving, ModelServing):
            message = "The resource is not valid: " + "; ".join(map(str, serving)) + "."
            return Decision(Rejection(Reason.INVALID_SPEC, message), None, in_force)
        refused = self._refused(serving)
        if refused is not None:
            return Decision(refused, serving, in_force)
        request = self._request(serving)
        if in_force is not None and in_force.request_digest == request.digest() and not serving.spec.plan_only:
            return self._replanned(key, serving, request, in_force, unscheduled)
        return self._plan(key, serving, request, in_force)

    def _replanned(
        self, key: str, serving: ModelServing, request: PlanRequest, in_force: Plan, unscheduled: Unscheduled
    ) -> Decision:
        """The plan in force, or the one that replaces it."""
        policy, patience = serving.spec.replan, self._settings.replan_after_seconds
        found = due(policy, unscheduled.seconds, patience)
        stays = Decision(
            in_force, serving, in_force, on_nodes=policy is Replan.ALWAYS, retry_seconds=found.wait_seconds
        )
        if not found.now:
            at = f"spec.replan: a new plan is looked for {patience:g} s after {unscheduled.since}."
            note = (
                at if found.wait_seconds is not None else "spec.replan: WhenUnschedulable would look for another plan."
            )
            return replace(stays, note=note)
        new = self._plan(key, serving, request, in_force)
        if isinstance(new, Decision) and replaces(new.outcome, in_force):
            return new
        none = "spec.replan: no other plan could start now; it is looked for again when nodes change."
        return replace(stays, on_nodes=True, note=none if unscheduled.since else "")

    def place_anew(self, decision: Decision) -> Decision:
        """Place the plan in force by what is free now: it is about to be rolled out, and the cluster is no longer what it was."""
        if decision.serving is None or not isinstance(decision.outcome, Plan):
            return decision
        request = self._request(decision.serving)
        return replace(decision, outcome=refreshed(decision.outcome, request, self._picture.snapshot()), fresh=True)

    def _request(self, serving: ModelServing) -> PlanRequest:
        return request_from(
            pods_key(key_of(serving.metadata.namespace, serving.metadata.name)),
            serving.spec,
            self._settings.engine_version,
        )

    def _refused(self, serving: ModelServing) -> Rejection | None:
        spec = serving.spec
        rejection = unsupported(spec, self._settings.allow_host_path)
        if rejection is not None:
            return rejection
        version = (spec.engine.version or self._settings.engine_version).removeprefix("v")
        problem = check_extra_args(spec.engine.extra_args, version)
        return Rejection(problem.reason, problem.message) if problem is not None else None

    def _plan(
        self, key: str, serving: ModelServing, request: PlanRequest, in_force: Plan | None
    ) -> Decision | Undecided:
        token_ref = serving.spec.hugging_face.token_secret_ref
        known = self._facts.lookup(key, wanted(request), token_ref, serving.metadata.namespace)
        if isinstance(known, Pending):
            names = ", ".join(ref.model for ref in wanted(request))
            message = f"Reading what is known of {names}: config.json and the headers of its weights."
            return Undecided(known.seconds, message, serving, in_force)
        started = time.perf_counter()
        outcome = plan(request, known.facts, self._picture.snapshot())
        reason = outcome.reason if isinstance(outcome, Rejection) else Reason.PLAN_FITS.value
        self._telemetry.planned(reason, time.perf_counter() - started)
        return Decision(
            outcome,
            serving,
            in_force,
            fresh=isinstance(outcome, Plan),
            on_nodes=isinstance(outcome, Rejection),
            retry_seconds=known.retry_seconds,
        )
