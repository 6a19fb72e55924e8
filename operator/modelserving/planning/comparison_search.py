"""The fewest GPUs on which a method works on one kind of node.

one node        tensor parallel 1, 2, … as far as the node goes; then stages besides, for sizes that tensor parallelism cannot cut
several nodes   all GPUs of a node tensor parallel, a stage for each node
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from modelserving.engine.config import EngineRefusal
from modelserving.planning.comparison_limits import least_offload, longest_context
from modelserving.planning.comparison_methods import Search
from modelserving.planning.comparison_trial import HOST_MEMORY, TOO_LARGE, UNEVEN, Layout, Obstacle, Trial

# More nodes than this for one replica is no method anybody would choose.
MOST_NODES = 16
# A context shorter than this serves nobody: half of the shortest that models of 2023 and later state.
SHORTEST_CONTEXT = 2048
_NOTHING_TO_SAVE = "NothingToSave"


def find_layout(trial: Trial) -> Layout | Obstacle:
    """Find the layout of a method, or say why there is none."""
    return _SEARCHES[trial.method.search](trial)


def _fewest(trial: Trial) -> Layout | Obstacle:
    here = _first_that_fits(trial, _one_node(trial))
    if isinstance(here, Layout) or here.reason not in (TOO_LARGE, HOST_MEMORY):
        return here
    spread = _first_that_fits(trial, _several_nodes(trial))
    if isinstance(spread, Layout):
        return spread
    return Obstacle(here.reason, f"{here.message}; {MOST_NODES} such nodes would not do either")


def _one_node(trial: Trial) -> Iterator[tuple[int, int]]:
    gpus = trial.gpus_per_node
    yield from ((size, 1) for size in range(1, gpus + 1))
    for stages in range(2, gpus + 1):
        size = _largest_size(trial, gpus // stages, stages)
        if size:
            yield size, stages


def _several_nodes(trial: Trial) -> Iterator[tuple[int, int]]:
    size = _largest_size(trial, trial.gpus_per_node, 1)
    if not size:
        return
    stages_per_node = trial.gpus_per_node // size
    fewest = max(2, _least_gpus(trial) // (size * stages_per_node))
    for nodes in range(fewest, MOST_NODES + 1):
        if nodes * stages_per_node > trial.method.facts.num_layers:
            return
        yield size, nodes * stages_per_node


def _largest_size(trial: Trial, most: int, stages: int) -> int:
    """The largest tensor parallel size up to `most` that vLLM takes; 0 if it takes none."""
    if isinstance(trial.config, EngineRefusal):
        return 0
    for size in range(most, 0, -1):
        config = replace(trial.config, tensor_parallel_size=size, pipeline_parallel_size=stages)
        if trial.refused(config) is None:
            return size
    return 0


def _least_gpus(trial: Trial) -> int:
    """GPUs that weights and KV cache alone would fill, cut without any loss."""
    if isinstance(trial.config, EngineRefusal):
        return 1
    memory = trial.size(trial.config)
    return max(1, (memory.tightest_rank.weights.value + memory.kv_cache.requested_bytes) // memory.budget_bytes)


def _first_that_fits(trial: Trial, cuts: Iterable[tuple[int, int]]) -> Layout | Obstacle:
    limit = trial.request.max_gpus_per_replica
    obstacles: list[Obstacle] = []
    for size, stages in cuts:
        if limit is not None and size * stages > limit:
            continue
        found = trial.cut(size, stages)
        if isinstance(found, Layout):
            return found
        obstacles.append(found)
    return _worth_telling(obstacles)


def _worth_telling(obstacles: list[Obstacle]) -> Obstacle:
    """What stood in the way at last: memory where the largest cut was short of it, and a rule that kept larger cuts out."""
    if not obstacles:
        return Obstacle("NoCut", "there is no number of GPUs to try within the limits asked for")
    memory = [found for found in obstacles if found.reason in (TOO_LARGE, HOST_MEMORY)]
    rules = [found for found in obstacles if found.reason not in (TOO_LARGE, HOST_MEMORY, *UNEVEN)]
    if memory and rules:
        return Obstacle(memory[-1].reason, f"{memory[-1].message}; on more GPUs {rules[0].message}")
    return (memory or rules or obstacles)[-1 if memory else 0]


def _whole_node(trial: Trial) -> Layout | Obstacle:
    if trial.gpus_per_node == 1:
        return Obstacle("OneGpuNodes", "these nodes have one GPU each")
    found = _first_that_fits(trial, ((size, 1) for size in range(trial.gpus_per_node, 1, -1)))
    # The largest cut was tried first: where it is too large, so are all.
    return found if isinstance(found, Layout) else _fewest_or(trial, found)


def _fewest_or(trial: Trial, otherwise: Obstacle) -> Obstacle:
    here = _first_that_fits(trial, ((size, 1) for size in range(1, trial.gpus_per_node + 1)))
    return here if isinstance(here, Obstacle) else otherwise


def _stages(trial: Trial) -> Layout | Obstacle:
    most = min(trial.method.facts.num_layers, MOST_NODES * trial.gpus_per_node)
    if most < 2:
        return Obstacle("OneLayer", "one layer cannot be cut into stages")
    return _first_that_fits(trial, ((1, stages) for stages in range(max(2, _least_gpus(trial)), most + 1)))


def _shorter(trial: Trial) -> Layout | Obstacle:
    if isinstance(trial.config, EngineRefusal):
        return Obstacle(trial.config.reason, trial.config.message)
    asked = trial.config.max_model_len
    short = replace(trial.config, max_model_len=min(asked, SHORTEST_CONTEXT))
    obstacles = []
    for size in range(1, trial.gpus_per_node + 1):
        found = trial.attempt(replace(short, tensor_parallel_size=size))
        if isinstance(found, Obstacle):
            obstacles.append(found)
            continue
        if isinstance(trial.cut(size), Layout):
            return Obstacle(_NOTHING_TO_SAVE, f"{asked:,} tokens fit on as few GPUs")
        length = min(asked, longest_context(trial, found.config, found.memory))
        longest = replace(found.config, max_model_len=length)
        return Layout(longest, trial.size(longest), found.nodes)
    return _worth_telling(obstacles)


def _offload(trial: Trial) -> Layout | Obstacle:
    if isinstance(trial.config, EngineRefusal):
        return Obstacle(trial.config.reason, trial.config.message)
    obstacles = []
    for size in range(1, trial.gpus_per_node + 1):
        config = replace(trial.config, tensor_parallel_size=size)
        without = trial.attempt(config)
        if isinstance(without, Layout):
            fewer = "" if size == 1 else "; fewer could not hold the rest"
            return Obstacle(_NOTHING_TO_SAVE, f"all weights fit on {_gpus(size)}{fewer}")
        found = least_offload(trial, config) if without.reason == TOO_LARGE else without
        if isinstance(found, Layout):
            return found
        obstacles.append(found)
    return _worth_telling(obstacles)


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"


_SEARCHES: dict[Search, Callable[[Trial], Layout | Obstacle]] = {
    Search.FEWEST: _fewest,
    Search.WHOLE_NODE: _whole_node,
    Search.STAGES: _stages,
    Search.SHORTER: _shorter,
    Search.OFFLOAD: _offload,
}
