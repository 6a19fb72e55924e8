"""Facts of vLLM by version, as data.

Each row of `_ROWS` states what changed in that version; everything else carries over from the row before. Origin of all
rows: vLLM sources of the versions named (config/cache.py, envs.py, v1/worker/gpu_worker.py, engine/arg_utils.py,
model_executor/layers/quantization/__init__.py, model_executor/models/registry.py), read for 0.8.5 to 0.33.0. Older ones are
the first engine, whose rules are those of config.py and worker/model_runner.py `profile_run` of 0.5 to 0.7, held against
logged starts; quantization and architectures are taken as in 0.8.5.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from modelserving.engine.architectures import backend_architectures, known_architectures, known_model_types
from modelserving.models.families.pooling import bases

DEFAULT_ENGINE_VERSION = "0.32.0"

_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(.*)", re.DOTALL)
_LONGEST_SHOWN = 60
# First version whose transformers' model types are written down.
_MODEL_TYPES_SINCE = (0, 32, 0)
# `--quantization` values that 0.32 knows (config/model.py, QuantizationMethods), plus ONLINE_QUANT_SHORTHAND_NAMES.
_METHODS = frozenset(
    [
        "awq",
        "auto_awq",
        "awq_marlin",
        "fp8",
        "fbgemm_fp8",
        "fp_quant",
        "modelopt",
        "modelopt_fp4",
        "modelopt_mxfp8",
        "modelopt_mixed",
        "gptq",
        "auto_gptq",
        "gptq_marlin",
        "compressed-tensors",
        "experts_int8",
        "quark",
        "moe_wna16",
        "torchao",
        "inc",
        "humming",
        "online",
        "deepseek_v4_fp8",
        "gpt_oss_mxfp4",
    ]
)
_OLD_METHODS = _METHODS - {"humming", "online", "deepseek_v4_fp8"} | {"bitsandbytes", "gguf"}
_SHORTHANDS = frozenset({"fp8_per_tensor", "fp8_per_block", "int8_per_channel_weight_only", "mxfp8"})
_LATER_SHORTHANDS = frozenset({"fp8_per_channel", "nvfp4_per_token", "mxfp4"})


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """What differs between versions of vLLM.

    Attributes:
        text: version asked for.
        number: (major, minor, patch) whose data is used.
        note: sentence when there is no data for the version asked; empty otherwise.
        first_engine: whether it is the engine before V1: a prompt up to 32 Ki tokens is one batch, graphs are of decoding only.
        chunk_tokens: tokens of a batch where that engine cuts longer prompts (SchedulerConfig).
        gpu_memory_utilization: default of the flag (config/cache.py).
        counts_cuda_graphs: whether the estimate for CUDA graphs is taken out of the KV cache
            (VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS; PR #30515).
        snapshot_after_nccl: whether CUDA context and NCCL lie outside the budget (PR #25359).
        second_runner: whether dense models run on model runner V2, whose sampler keeps persistent buffers.
        fused_sampler: whether sampling needs 14 bytes a logit instead of a sort (since 0.17).
        huge_gpu_tier: whether GPUs of 160 GiB and more have defaults of their own.
        large_gpu_tier: whether GPUs of 70 GiB and more default to 1024 sequences.
        async_scheduling: whether a second batch is in flight by default.
        chunked_hybrid: whether layers that attend within chunks keep a chunk instead of the whole context
            (VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE: off in envs.py of 0.11, on in that of 0.14).
        requantizes: whether a method that quantizes while loading may be put on a ModelOpt checkpoint
            (layers/quantization/base_config.py).
        wide_graphs: whether compute capability 10 captures graphs up to 1024 rows.
        never_splits_large: whether blocks above 20 MiB are kept whole while loading (max_split_size_mb=20).
        warms_sampler: whether the profile run samples with penalties set (PR #57926).
        rejects_act_order: whether GPTQ desc_act and its like are refused (PR #54809).
        symmetric_gptq: whether GPTQ must be symmetric (auto_gptq.py, TYPE_MAP, in 0.32; earlier versions were not read).
        outer_config_ties: whether embeddings are tied where only the config around a language model's says so
            (config/vllm.py, `with_hf_config`); 0.19's logs show a head of its own for such models.
        methods: values `--quantization` takes.
        online_methods: of these, what quantizes a 16-bit checkpoint while loading.
    """

    text: str
    number: tuple[int, int, int]
    note: str = ""
    first_engine: bool = False
    chunk_tokens: int = 2048
    gpu_memory_utilization: float = 0.9
    counts_cuda_graphs: bool = False
    snapshot_after_nccl: bool = False
    second_runner: bool = False
    fused_sampler: bool = False
    huge_gpu_tier: bool = False
    large_gpu_tier: bool = False
    async_scheduling: bool = False
    chunked_hybrid: bool = False
    requantizes: bool = False
    wide_graphs: bool = False
    never_splits_large: bool = False
    warms_sampler: bool = False
    rejects_act_order: bool = False
    symmetric_gptq: bool = False
    outer_config_ties: bool = False
    methods: frozenset[str] = _OLD_METHODS
    online_methods: frozenset[str] = frozenset({"fp8"})

    def supports(self, architecture: str) -> bool:
        """Whether vLLM has a model class for an architecture of config.json; known for 0.32, taken for all.

        A bare decoder (`…Model`), or one that scores, runs in the class of the model that generates.
        """
        known = known_architectures() | backend_architectures()
        return architecture in known or any(base in known for base in bases(architecture))

    def reads(self, model_type: str) -> bool:
        """Whether this vLLM and its transformers have a config class for a model type; known for 0.32 and later."""
        return self.number < _MODEL_TYPES_SINCE or not model_type or model_type in known_model_types()


def _rows() -> tuple[EngineVersion, ...]:
    rows = [EngineVersion("0.4.0", (0, 4, 0), first_engine=True, chunk_tokens=512)]

    def add(*number: int, **changes: object) -> None:
        text = ".".join(str(part) for part in number)
        rows.append(replace(rows[-1], text=text, number=number, **changes))  # type: ignore[arg-type]

    add(0, 7, 0, chunk_tokens=2048)
    add(0, 8, 5, first_engine=False)
    add(0, 11, 0, snapshot_after_nccl=True, large_gpu_tier=True)
    add(0, 14, 0, async_scheduling=True, chunked_hybrid=True)
    add(0, 17, 0, fused_sampler=True)
    add(0, 18, 0)
    add(0, 19, 0)
    online = frozenset({"fp8"}) | _SHORTHANDS
    known = _OLD_METHODS | _METHODS
    add(
        *(0, 20, 0),
        gpu_memory_utilization=0.92,
        counts_cuda_graphs=True,
        methods=known | online,
        online_methods=online,
    )
    add(0, 24, 0, methods=(known | online) - {"gguf"})
    add(0, 25, 0, second_runner=True)
    online |= _LATER_SHORTHANDS
    add(0, 27, 0, methods=(known | online) - {"gguf"}, online_methods=online)
    add(0, 28, 0, methods=_METHODS | online, huge_gpu_tier=True)
    add(0, 30, 0, rejects_act_order=True)
    add(0, 31, 0)
    add(
        *(0, 32, 0),
        wide_graphs=True,
        never_splits_large=True,
        requantizes=True,
        symmetric_gptq=True,
        outer_config_ties=True,
    )
    add(0, 33, 0, warms_sampler=True)
    return tuple(rows)


_ROWS = _rows()
KNOWN_VERSIONS = tuple(row.text for row in _ROWS)


@lru_cache(maxsize=256)
def engine_version(text: str) -> EngineVersion:
    """Facts of a version; of the nearest one known, with a note, if there is no data for it.

    A patch release has the data of its minor release. Older than the first known takes the first, newer than the last
    the last; text that is no version takes the default's.
    """
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        shown = text[:_LONGEST_SHOWN]
        return replace(
            _newest_up_to(_number(DEFAULT_ENGINE_VERSION)),
            text=shown,
            note=f"{shown!r} is no vLLM version: sized as vLLM {DEFAULT_ENGINE_VERSION}",
        )
    number = _number(text)
    row = _newest_up_to(number)
    note = ""
    if number[:2] not in {known.number[:2] for known in _ROWS}:
        note = f"there is no data for vLLM {text[:_LONGEST_SHOWN]}: sized as vLLM {row.text}"
    return replace(row, text=text[:_LONGEST_SHOWN], note=note)


def _number(text: str) -> tuple[int, int, int]:
    match = _VERSION.fullmatch(text.strip())
    major, minor, patch = match.groups()[:3] if match else ("0", "0", "0")
    return int(major), int(minor), int(patch or 0)


def _newest_up_to(number: tuple[int, int, int]) -> EngineVersion:
    return next((row for row in reversed(_ROWS) if row.number[:2] <= number[:2]), _ROWS[0])
