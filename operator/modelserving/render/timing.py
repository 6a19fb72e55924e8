"""How long an engine may take to start and to stop."""

from dataclasses import dataclass

from modelserving.engine.flags import SHUTDOWN_TIMEOUT_SECONDS, drains
from modelserving.units import MIB, ceil_div, round_up

# Pessimistic on purpose: these only end a start that hangs, since an engine that fails exits by itself.
# Download: what a line of one gigabit carries.
DOWNLOAD_BYTES_PER_SECOND = 100 * MIB
# Reading into GPU memory: public logs of vLLM starts show 1 to 2 GB/s from local disks; half of the lower end.
LOAD_BYTES_PER_SECOND = 500 * MIB
# Imports, torch.compile, CUDA graphs, warm-up: 30 to 120 s in public logs; more where the node is busy.
WARM_UP_SECONDS = 300
# A small model may still wait for a slow registry of kernels or a cold cache.
SHORTEST_START_SECONDS = 1800
# The engine gives up this much before the kubelet does, so that its own message is in the log.
MARGIN_SECONDS = 60
STARTUP_PERIOD_SECONDS = 10
# Placing the pod and pulling an image of some 10 GB, beyond the start itself.
PLACING_SECONDS = 1200
# Endpoints are taken out of rotation within seconds; requests that still arrive are served until then.
PRE_STOP_SECONDS = 10
# What a pod takes to end after its last request: engine processes and NCCL.
EXIT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that the pod's fields state.

    Attributes:
        engine_ready: vLLM's own patience with its engine processes (VLLM_ENGINE_READY_TIMEOUT_S).
        startup: the kubelet's patience until the engine answers.
        progress_deadline: after it a rollout counts as stalled.
        grace: from the wish to stop to the kill.
    """

    engine_ready: int
    startup: int
    progress_deadline: int
    grace: int


def timing(checkpoint_bytes: int, engine_version: str) -> Timing:
    """Bound the start of an engine by the size of its checkpoint, and its end by what its version can do."""
    reading = ceil_div(checkpoint_bytes, DOWNLOAD_BYTES_PER_SECOND) + ceil_div(checkpoint_bytes, LOAD_BYTES_PER_SECOND)
    ready = round_up(max(SHORTEST_START_SECONDS, reading + WARM_UP_SECONDS), STARTUP_PERIOD_SECONDS)
    startup = ready + MARGIN_SECONDS
    draining = SHUTDOWN_TIMEOUT_SECONDS if drains(engine_version) else 0
    return Timing(ready, startup, startup + PLACING_SECONDS, PRE_STOP_SECONDS + draining + EXIT_SECONDS)
