"""The engine's configuration that a plan decides; every size explicit, names as vLLM's flags."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What `vllm serve` is started with.

    Attributes:
        dtype: resolved: `bfloat16`, `float16` or `float32`.
        quantization: `--quantization`; None where the checkpoint itself decides or nothing is quantized.
        kv_cache_dtype: `--kv-cache-dtype`.
        data_parallel_size: engines that share out the requests, each tensor x pipeline parallel over GPUs of its own; what is not an
            expert each of them holds for itself.
        cpu_offload_bytes: bytes of weights per GPU kept in host memory (`--cpu-offload-gb`).
        block_size: tokens in a KV cache block; None lets the attention backend choose.
        limit_mm_per_prompt: images, videos, … a prompt may hold, as pairs; empty means vLLM's default.
        mm_encoder_tp_mode: `weights` shards multimodal towers over tensor-parallel ranks, `data` keeps them whole on each.
        enable_prefix_caching: whether finished blocks are kept for prompts that begin alike; None: vLLM's default.
        disable_hybrid_kv_cache_manager: whether layers with a window keep the whole context.
    """

    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    gpu_memory_utilization: float
    dtype: str = "bfloat16"
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    enable_expert_parallel: bool = False
    quantization: str | None = None
    kv_cache_dtype: str = "auto"
    enforce_eager: bool = False
    cpu_offload_bytes: int = 0
    block_size: int | None = None
    limit_mm_per_prompt: tuple[tuple[str, int], ...] = ()
    mm_encoder_tp_mode: str = "weights"
    enable_prefix_caching: bool | None = None
    disable_hybrid_kv_cache_manager: bool = False

    @property
    def world_size(self) -> int:
        """GPUs of one replica."""
        return self.tensor_parallel_size * self.pipeline_parallel_size * self.data_parallel_size

    @property
    def expert_ranks(self) -> int:
        """Ranks that routed experts of a layer are shared out to, or cut over: those of all engines (FusedMoEParallelConfig.make)."""
        return self.tensor_parallel_size * self.data_parallel_size

    @property
    def shares_out_tokens(self) -> bool:
        """Whether the ranks of an engine take different tokens to the experts; some classes hold shared experts whole for it.

        Source: vLLM 0.32 config/parallel.py, `use_sequence_parallel_moe`.
        """
        return self.enable_expert_parallel and self.tensor_parallel_size > 1 and self.data_parallel_size > 1


@dataclass(frozen=True, slots=True)
class EngineRefusal:
    """vLLM would not start with this configuration, whatever the memory.

    Attributes:
        reason: CamelCase.
        message: what is wrong and what to do instead.
    """

    reason: str
    message: str
