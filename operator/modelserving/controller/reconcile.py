"""One look at one resource: read, decide, bring the workload there, tell. The whole idea in one function.

    cache ─▶ decide ─▶ render ─▶ ensure (Deployment, Service) ─▶ tell (status, events)

It may be called at any time, any number of times: it writes only where something differs. A spec that leads to no plan touches
nothing: what ran keeps running. `planOnly` on a resource that runs deletes its workload, as asked.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from modelserving.api.choices import Replan
from modelserving.api.modelserving import ModelServing
from modelserving.api.reasons import Reason
from modelserving.controller.cache import Cache, Serving
from modelserving.controller.children import Kept
from modelserving.controller.decide import Decider, Decision, Undecided, Unscheduled
from modelserving.controller.interest import Interests
from modelserving.controller.picture import ClusterPicture
from modelserving.controller.pods import pods_key
from modelserving.controller.report import Findings, Reporter, wanted_replicas
from modelserving.controller.troubles import Told, Troubles, seconds_since
from modelserving.controller.workload import Ensured, Workload
from modelserving.planning.plan import Plan, Rejection
from modelserving.planning.record import from_json
from modelserving.render.manifests import RenderProblem, render
from modelserving.render.names import PLAN_ANNOTATION, RENDERED_ANNOTATION, SPEC_ANNOTATION
from modelserving.render.workload import WorkloadObservation
from modelserving.settings import Settings

_Manifests = tuple[dict[str, Any], ...]
# What brings another plan where the GPUs of the one in force are gone.
_OTHER_PLAN = {
    Replan.NEVER: "a change of the model, its precision, its context or its GPUs in spec makes a new one, and so would spec.replan: Always",
    Replan.WHEN_UNSCHEDULABLE: "what runs keeps running, and a new plan is made when its pods find no node",
    Replan.ALWAYS: "spec.replan lets a new one take its place, and none could start now",
}


class Reconciler:
    """Looks at resources.

    Args:
        settings: of the operator.
        cache: what is known.
        picture: of the cluster.
        troubles: of pods.
        decider: decides.
        workload: writes Deployments and Services.
        reporter: writes statuses.
        interests: who cares for what.
        now: time of day, RFC 3339.
    """

    def __init__(
        self,
        settings: Settings,
        cache: Cache,
        picture: ClusterPicture,
        troubles: Troubles,
        decider: Decider,
        workload: Workload,
        reporter: Reporter,
        interests: Interests,
        now: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._picture = picture
        self._troubles = troubles
        self._now = now
        self._decider = decider
        self._workload = workload
        self._reporter = reporter
        self._interests = interests

    async def reconcile(self, key: str) -> float | None:
        """Look at one resource; returns seconds after which to look again, None where events suffice.

        Raises:
            ClusterError: the API server did not answer, or not now.
        """
        serving = self._cache.serving(key)
        if serving is None or serving.deleting:
            self._forget(key)
            return None
        with self._workload.ask_ahead(serving):
            await asyncio.sleep(0)
            return await self._look(serving)

    async def _look(self, serving: Serving) -> float | None:
        key, manifest = serving.key, serving.manifest()
        decision = self._decider.decide(key, manifest, self._cache.kept(serving), self._unscheduled(key))
        if isinstance(decision, Undecided):
            wait = self._settings.status_settle_seconds - decision.seconds
            if wait > 0:
                return wait
            return await self._tell(serving, manifest, decision, self._findings(serving, decision))
        manifests = self._render(decision)
        if self._rolls_out(serving, decision, manifests):
            decision = self._decider.place_anew(decision)
            manifests = self._render(decision)
        ensured = await self._act(serving, decision, manifests)
        self._note(serving, decision, ensured)
        if ensured.silent:
            return ensured.retry_seconds
        found = self._findings(serving, decision, ensured, manifests)
        again = await self._tell(serving, manifest, decision, found)
        waits = (again, ensured.retry_seconds, decision.retry_seconds, self._told(serving).wait_seconds)
        return min((wait for wait in waits if wait is not None), default=None)

    async def _tell(
        self, serving: Serving, manifest: dict[str, Any], decision: Decision | Undecided, found: Findings
    ) -> float | None:
        """Tell what was found, unless it is to wait; returns seconds after which to come again."""
        wait = self._reporter.wait(serving.key, found)
        if wait > 0:
            return wait
        waits = found.workload is not None and found.workload.ready < found.workload.desired
        if waits and isinstance(decision, Decision) and found.outcome is decision.outcome:
            # What a plan that has no pods yet waits for is told as it is now, whatever it was when the plan was made.
            found = replace(found, outcome=self._decider.place_anew(decision).outcome)
        await self._reporter.tell(serving, manifest, found)
        return None

    async def tell_bug(self, key: str, error: Exception) -> None:
        """Tell in the status that looking at a resource failed for a reason that is no fault of its author."""
        serving = self._cache.serving(key)
        if serving is not None and not serving.deleting:
            message = f"The operator failed on this resource, and tries again: {type(error).__name__}: {error}"
            found = Findings(Rejection(Reason.RECONCILE_ERROR, message), self._running(serving))
            await self._reporter.tell(serving, serving.manifest(), found)

    def assume_known(self) -> None:
        """Count on the GPUs of every plan in force whose pods are not all there: new resources are planned for before it is looked at."""
        for key in self._cache.known_keys():
            serving = self._cache.serving(key)
            kept = self._cache.kept(serving) if serving is not None else Kept()
            replicas = wanted_replicas(serving.manifest()) if serving is not None and kept.plan else 0
            if not self._picture.lacks_pods(pods_key(key), replicas):
                continue
            plan = from_json(kept.plan)
            if plan is not None:
                self._picture.assume(pods_key(key), plan, replicas)

    def _rolls_out(self, serving: Serving, decision: Decision, manifests: _Manifests | RenderProblem | None) -> bool:
        """Whether a plan in force is about to change its Deployment: what it knew of free GPUs is then out of date."""
        child = self._workload.deployment(serving)
        if decision.fresh or child is None or not isinstance(manifests, tuple):
            return False
        digest: str = manifests[0]["metadata"]["annotations"][RENDERED_ANNOTATION]
        return child.rendered != digest

    def _render(self, decision: Decision) -> _Manifests | RenderProblem | None:
        return render(*decision.runs, self._settings) if decision.runs is not None else None

    async def _act(self, serving: Serving, decision: Decision, manifests: _Manifests | RenderProblem | None) -> Ensured:
        """Bring the workload to what was decided."""
        if manifests is None or decision.runs is None:
            return Ensured()
        if isinstance(manifests, RenderProblem):
            return Ensured(Rejection(manifests.reason, manifests.message))
        wanted, plan = decision.runs
        if wanted.spec.plan_only:
            self._cache.keep(serving, Kept())
            return Ensured(wrote=await self._workload.remove(serving))
        pods = pods_key(serving.key)
        if decision.fresh or self._lacks_pods(serving, wanted):
            # Before anything is awaited: the next plan must not count on the same GPUs.
            self._picture.assume(pods, plan, wanted.spec.replicas)
        ensured = await self._workload.ensure(serving, manifests)
        if ensured.rejection is not None:
            self._picture.release(pods)
        elif not ensured.silent and decision.fresh:
            annotations = manifests[0]["metadata"]["annotations"]
            self._cache.keep(serving, Kept(annotations[PLAN_ANNOTATION], annotations.get(SPEC_ANNOTATION, "")))
        # Why the spec as it is now is not served matters more than what stands against what runs.
        return ensured if isinstance(decision.outcome, Plan) else replace(ensured, rejection=None)

    def _lacks_pods(self, serving: Serving, wanted: ModelServing) -> bool:
        """Whether the workload is about to be made, or made larger: its pods will take GPUs that look free."""
        child = self._workload.deployment(serving)
        return child is None or child.workload is None or child.workload.desired < wanted.spec.replicas

    def _note(self, serving: Serving, decision: Decision, ensured: Ensured) -> None:
        running = decision.outcome if isinstance(decision.outcome, Plan) else decision.in_force
        conflict = ensured.silent or (
            ensured.rejection is not None and ensured.rejection.reason == Reason.NAME_CONFLICT
        )
        self._interests.note(
            serving.key,
            wants_nodes=decision.on_nodes or (decision.serving is not None and decision.serving.spec.plan_only),
            wants_name=conflict,
            product=running.placement.gpu_product if running is not None else "",
        )

    def _findings(
        self,
        serving: Serving,
        decision: Decision | Undecided,
        ensured: Ensured | None = None,
        manifests: _Manifests | RenderProblem | None = None,
    ) -> Findings:
        workload = self._running(serving)
        if isinstance(decision, Undecided):
            return Findings(None, workload, decision.in_force, reading=decision.reading)
        if workload is not None and workload.problem and decision.note:
            workload = replace(workload, problem=f"{workload.problem} {decision.note}")
        rejection = ensured.rejection if ensured is not None else None
        outcome = rejection or decision.outcome
        arguments = ()
        if isinstance(manifests, tuple):
            arguments = tuple(manifests[0]["spec"]["template"]["spec"]["containers"][0]["args"])
        return Findings(
            outcome,
            workload,
            decision.in_force if workload is not None else None,
            arguments if outcome is decision.outcome else (),
            cluster_problem=(ensured.contested if ensured is not None else "")
            or self._cluster_problem(decision, outcome, workload is not None),
            contested=ensured is not None and bool(ensured.contested),
            wrote=ensured is not None and ensured.wrote,
        )

    def _running(self, serving: Serving) -> WorkloadObservation | None:
        child = self._workload.deployment(serving)
        if child is None or child.workload is None or child.deleting:
            return None
        trouble = self._told(serving).trouble
        if trouble is None:
            return child.workload
        return replace(child.workload, problem=f"{trouble.message}.", problem_reason=trouble.reason)

    def _unscheduled(self, key: str) -> Unscheduled:
        since = self._troubles.unscheduled_since(pods_key(key))
        return Unscheduled(since, seconds_since(since, self._now())) if since else Unscheduled()

    def _told(self, serving: Serving) -> Told:
        """What keeps the resource's pods from answering."""
        return self._troubles.of(pods_key(serving.key), self._now())

    def _cluster_problem(self, decision: Decision, outcome: Plan | Rejection, runs: bool) -> str:
        if not runs or not isinstance(outcome, Plan) or outcome.placement.gpu_product in self._picture.products():
            return ""
        policy = decision.serving.spec.replan if decision.serving is not None else Replan.NEVER
        return f"The plan is for {outcome.placement.gpu_product}, and no node has that any more; {_OTHER_PLAN[policy]}."

    def _forget(self, key: str) -> None:
        self._interests.forget(key)
        self._reporter.forget(key)
        self._picture.release(pods_key(key))
