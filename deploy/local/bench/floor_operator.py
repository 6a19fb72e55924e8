"""The least that an operator can do: one handler that applies one Deployment, the smallest there is, and decides nothing.

`kopf run` runs it. What it takes is what the machine, the API server and kopf take; what others take beyond that is their own.
"""

from typing import Any

import kopf
from kubernetes.aio import client, config

KIND = ("modelserving.dev", "v1alpha1", "modelservings")
APPLY = "application/apply-patch+yaml"


@kopf.on.startup()  # type: ignore[untyped-decorator]  # as in modelserving.app.handlers
async def connect(memo: kopf.Memo, settings: kopf.OperatorSettings, **_: Any) -> None:
    """Make the client."""
    settings.posting.enabled = False
    await config.load_kube_config()
    memo.deployments = client.AppsV1Api(client.ApiClient())


@kopf.on.resume(*KIND)  # type: ignore[untyped-decorator]
@kopf.on.create(*KIND)  # type: ignore[untyped-decorator]
async def ensure(memo: kopf.Memo, name: str, namespace: str, **_: Any) -> None:
    """Apply the Deployment."""
    labels = {"app": name}
    container = {"name": "vllm", "image": "vllm/vllm-openai", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": pod},
    }
    kopf.adopt(manifest)
    await memo.deployments.patch_namespaced_deployment(
        name, namespace, manifest, field_manager="floor", force=True, _content_type=APPLY
    )
