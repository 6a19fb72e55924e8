"""What planning counts a pod to need is what its pod asks for once it is rendered."""

from typing import Any

import pytest

from modelserving.planning.layouts import Layout
from modelserving.planning.pod_needs import pod_asked
from modelserving.render.manifests import render
from modelserving.units import parse_millis, parse_whole
from render_cases import SETTINGS, plan, serving

CASES: dict[str, dict[str, Any]] = {
    "nothing said": {},
    "other requests": {"pod": {"resources": {"requests": {"cpu": 16, "memory": "64Gi", "ephemeral-storage": "300Gi"}}}},
    "a CPU limit below the plan": {"pod": {"resources": {"limits": {"cpu": "1500m"}}}},
    "a CPU limit above it": {"pod": {"resources": {"limits": {"cpu": "64", "memory": "256Gi"}}}},
    "weights on a claim": {"cache": {"persistentVolumeClaim": {"claimName": "weights"}}},
    "weights on a bounded disk": {"cache": {"emptyDir": {"sizeLimit": "140Gi"}}},
}


@pytest.mark.parametrize("spec", CASES.values(), ids=CASES)
def test_it_is_what_the_rendered_pod_asks_for(spec: dict[str, Any]) -> None:
    made, written = plan(), serving(**spec)
    rendered = render(written, made, SETTINGS)
    assert isinstance(rendered, tuple)
    requests = rendered[0]["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    asked = pod_asked(written.spec.pod, written.spec.cache)
    need = asked.need(Layout(made.config.tensor_parallel_size, 1), made.memory.host_memory_bytes, made.checkpoint_bytes)
    assert need.gpus == int(requests["nvidia.com/gpu"])
    assert need.cpu_millis == parse_millis(requests["cpu"])
    # Memory and disk are rendered in whole MiB.
    for wanted, name in ((need.memory_bytes, "memory"), (need.ephemeral_bytes, "ephemeral-storage")):
        assert 0 <= parse_whole(requests.get(name, "0")) - wanted < 2**20


@pytest.mark.parametrize(
    "written", [{"requests": {"cpu": "many"}}, {"requests": "all"}, {"limits": {"memory": ["1Gi"]}}]
)
def test_what_is_no_quantity_is_left_to_rendering(written: dict[str, Any]) -> None:
    spec = serving(pod={"resources": written}).spec
    assert pod_asked(spec.pod, spec.cache).requests == ()
    assert pod_asked(spec.pod, spec.cache).limits == ()
