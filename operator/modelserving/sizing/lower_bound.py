"""What a replica takes at the least, over all of its GPUs together, however it is spread over them.

    weights   as on one GPU: cutting adds padding and copies, it takes nothing away
    KV cache  what the layers that keep the whole context keep of every request: heads are shared out or repeated over ranks, layers
              are dealt to stages, requests to engines, each kept somewhere

Nothing else is counted: activations, CUDA graphs, what lies outside of PyTorch, blocks, windows and states only add to it. A spread
whose GPUs have less than that in all need not be looked at more closely.

Weights do not count where some are offloaded: whole tensors move, so more of them than was asked for may.
"""

from dataclasses import replace

from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import AttentionKind, ModelFacts
from modelserving.sizing.kv_blocks import token_bytes
from modelserving.sizing.kv_dtype import is_turboquant, kv_dtype
from modelserving.sizing.weights import generation_only, rank_weights, weights_only

# Kernels pad what they are given, and one GPU may be given another kernel than several: a tenth of the weights is left for that.
_SURE = (9, 10)
_WHOLE_CONTEXT = (AttentionKind.FULL, AttentionKind.MLA)


def least_bytes(facts: ModelFacts, config: EngineConfig, gpu: Gpu, version: EngineVersion, concurrency: int) -> int:
    """Bytes that a replica takes at the least, over all of its GPUs.

    Args:
        facts: the model.
        config: the engine's configuration; how it is spread does not matter.
        gpu: each of its GPUs.
        version: facts of the vLLM version.
        concurrency: requests of max_model_len tokens whose KV cache must fit at once.
    """
    alone = replace(
        config,
        tensor_parallel_size=1,
        pipeline_parallel_size=1,
        data_parallel_size=1,
        enable_expert_parallel=False,
        cpu_offload_bytes=0,
    )
    kv_cache = concurrency * config.max_model_len * _token(facts, alone, gpu)
    if config.cpu_offload_bytes:
        return kv_cache
    held = rank_weights(facts, weights_only(alone), version, 0, generation_only(gpu)).on_gpu.value
    return held * _SURE[0] // _SURE[1] + kv_cache


def _token(facts: ModelFacts, alone: EngineConfig, gpu: Gpu) -> int:
    """Bytes that layers keep of a token, rounded down; 0 where that is not the same for all of them."""
    dtype = kv_dtype(facts, alone, gpu)
    if is_turboquant(dtype):
        return 0
    return sum(
        len(group.layers) * token_bytes(group, alone, dtype) // group.tokens_per_state
        for group in facts.attention
        if group.kind in _WHOLE_CONTEXT
    )
