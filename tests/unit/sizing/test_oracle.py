"""Sizing against vLLM's own code and against what real starts logged.

The real engine cannot run here without a GPU; its answers are data, see tests/data/oracle/README.md.
"""

import statistics
from typing import Any

import pytest

from model_cases import GPUS, OBSERVATIONS, ORACLE, V32, engine_config, facts_of, observed_gpu, sentence
from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.defaults import batch_defaults, default_gpu_memory_utilization, resolve_dtype
from modelserving.engine.rules import refusal
from modelserving.engine.versions import engine_version
from modelserving.sizing.cuda_graphs import capture_sizes
from modelserving.sizing.kv_cache import pool, stage_caches
from modelserving.sizing.memory import estimate
from modelserving.sizing.weights import rank_weights
from modelserving.units import GIB

REFUSED = [row for row in ORACLE if "error" in row]
STARTED = [row for row in ORACLE if "error" not in row]
OLDER = engine_version("0.19.0")

# A piece of vLLM's own message, and the reason we give for it.
REASONS = {
    "not supported for now": "ArchitectureNotSupported",
    "Unknown quantization method": "UnknownQuantization",
    "desc_act=True": "ActOrderNotSupported",
    "not aligned with the quantized weight shape": "QuantizationGroupsNotDivisible",
    "to be divisible by 32": "QuantizationGroupsNotDivisible",
    "attention heads (": "HeadsNotDivisible",
    "is not divisible by 7": "VocabularyNotDivisible",
    "Cannot find the config file": "QuantizationConfigMissing",
    "missing 1 required positional argument": "QuantizationConfigMissing",
    "missing 3 required positional arguments": "QuantizationConfigMissing",
    "No module named 'humming'": "QuantizationConfigMissing",
    "is deprecated and will be removed": "QuantizationDeprecated",
    "does not match the quantization method": "QuantizationMismatch",
    "greater than the derived max_model_len": "ContextTooLong",
    "FP8 PTPC online quant requires": "QuantizationNeedsNewerGpu",
    "not supported for the current GPU": "QuantizationNeedsNewerGpu",
    "FP8 KV cache is not supported": "KvCacheDtypeNeedsNewerGpu",
}


def configured(case: dict[str, Any]) -> EngineConfig | EngineRefusal:
    """The engine's configuration of a case, defaults filled in by us."""
    facts, gpu, flags = facts_of(case["model"]), GPUS[case["gpu"]], case.get("args", {})
    dtype = resolve_dtype(facts, flags.get("dtype", "auto"), gpu)
    if isinstance(dtype, EngineRefusal):
        return dtype
    tokens, sequences = batch_defaults(V32, gpu)
    length = case.get("max_model_len", -1)
    return EngineConfig(
        max_model_len=facts.max_model_len if length == -1 else length,
        max_num_seqs=flags.get("max_num_seqs", sequences),
        max_num_batched_tokens=flags.get("max_num_batched_tokens", tokens),
        gpu_memory_utilization=default_gpu_memory_utilization(V32),
        dtype=dtype,
        tensor_parallel_size=case.get("tp", 1),
        pipeline_parallel_size=case.get("pp", 1),
        quantization=case.get("quant"),
        kv_cache_dtype=case.get("kv_dtype", "auto"),
        enforce_eager=flags.get("enforce_eager", False),
        block_size=flags.get("block_size"),
        limit_mm_per_prompt=tuple(flags.get("limit_mm_per_prompt", {}).items()),
    )


def started(case: dict[str, Any]) -> EngineConfig:
    config = configured(case)
    assert isinstance(config, EngineConfig)
    assert refusal(facts_of(case["model"]), config, GPUS[case["gpu"]], V32) is None
    return config


def test_the_data_covers_what_is_claimed() -> None:
    assert {row["case"]["model"] for row in ORACLE} >= {
        "llama31-8b",
        "qwen2-72b",
        "qwen2.5-7b",
        "mistral-7b-v01",
        "llava-onevision-72b",
        "llava-video-72b-qwen2",
        "llama31-8b-awq",
        "llama31-8b-ct-fp8",
    }
    assert len(STARTED) >= 140
    assert len(REFUSED) >= 35


@pytest.mark.parametrize("row", STARTED, ids=lambda row: sentence(row["case"]))
def test_weights_agree_to_the_byte(row: dict[str, Any]) -> None:
    case, told = row["case"], row["weights"]
    facts, stage = facts_of(case["model"]), case.get("pp_rank", 0)
    weights = rank_weights(facts, started(case), V32, stage)
    assert weights.on_gpu.value == told["allocated_bytes"]
    assert weights.largest_module == told["online_peak_extra_bf16"]
    older = rank_weights(facts, started(case), OLDER, stage)
    assert round(older.on_gpu.value / GIB, 4) == told["allocated_gib_pre_max_split"]


@pytest.mark.parametrize("row", STARTED, ids=lambda row: sentence(row["case"]))
def test_kv_cache_agrees_to_the_byte(row: dict[str, Any]) -> None:
    case, told = row["case"], row["kv"]
    config = started(case)
    cache = stage_caches(facts_of(case["model"]), config, GPUS[case["gpu"]], V32)[case.get("pp_rank", 0)]
    need = cache.need(concurrency=1)
    assert need.block_size == told["block_size"]
    assert need.bytes_per_block == told["bytes_per_block"]
    assert need.one_request_bytes == told["one_request_bytes"]
    assert need.min_bytes_to_start == told["min_kv_bytes_to_start"]
    given = told.get("with_avail")
    if given and case.get("max_model_len") != -1:
        found = pool(cache, int(given["avail_gib"] * GIB), config.max_model_len)
        assert (found.num_blocks, found.tokens) == (given["num_blocks"], given["kv_cache_size_tokens"])
        assert found.max_concurrency == pytest.approx(given["max_concurrency"], abs=1e-4)


@pytest.mark.parametrize("row", STARTED, ids=lambda row: sentence(row["case"]))
def test_defaults_agree(row: dict[str, Any]) -> None:
    config, told = started(row["case"]), row["engine"]
    assert config.dtype == told["dtype"]
    assert config.max_model_len == told["max_model_len"]
    assert config.max_num_batched_tokens == told["max_num_batched_tokens"]
    assert config.max_num_seqs == told["max_num_seqs"]
    assert config.gpu_memory_utilization == told["gpu_memory_utilization"]
    assert (
        capture_sizes(facts_of(row["case"]["model"]), config, GPUS[row["case"]["gpu"]], V32) == told["cudagraph_sizes"]
    )


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: sentence(row["case"]))
def test_refusals_agree_and_give_the_same_reason(row: dict[str, Any]) -> None:
    case = row["case"]
    config = configured(case)
    told = config
    if isinstance(config, EngineConfig):
        objection = refusal(facts_of(case["model"]), config, GPUS[case["gpu"]], V32)
        assert objection is not None
        told = objection
    assert isinstance(told, EngineRefusal)
    assert told.reason == next(reason for piece, reason in REASONS.items() if piece in row["error"])


@pytest.mark.parametrize(
    ("model", "ranks", "gib"),
    [
        ("llama31-8b", 1, 14.9888),
        ("llama31-8b", 4, 3.7711),
        ("qwen2-72b", 2, 67.8002),
        ("qwen2-72b", 4, 33.9835),
        ("qwen2.5-7b", 4, 3.5547),
    ],
)
def test_weights_are_what_real_starts_logged(model: str, ranks: int, gib: float) -> None:
    facts = facts_of(model)
    config = engine_config(facts, OLDER, tensor_parallel_size=ranks)
    assert rank_weights(facts, config, OLDER, 0).on_gpu.value / GIB == pytest.approx(gib, abs=1e-4)


def test_parameters_of_llava_onevision_take_34_19_gib_on_four_ranks() -> None:
    facts = facts_of("llava-onevision-72b")
    weights = rank_weights(facts, engine_config(facts, tensor_parallel_size=4), V32, 0)
    assert 34.188 <= weights.on_gpu.value / GIB <= 34.188 * 1.005


def errors() -> list[tuple[dict[str, Any], Any, float]]:
    """(row, our estimate, relative error of the KV cache) of every observation."""
    found = []
    for row in OBSERVATIONS:
        facts = facts_of("llama31-8b" if "Llama" in row["model"] else "qwen2.5-7b")
        version, gpu = engine_version(row["vllm_version"]), observed_gpu(row)
        dtype = row.get("dtype", "auto")
        config = engine_config(
            facts,
            version,
            gpu,
            max_model_len=row["max_model_len"],
            gpu_memory_utilization=row["gpu_memory_utilization"],
            dtype=facts.stored_dtype if dtype == "auto" else dtype,
            tensor_parallel_size=row["tp"],
            pipeline_parallel_size=row.get("pp", 1),
            quantization="fp8" if "fp8" in row.get("quantization", "") else None,
        )
        told = estimate(facts, config, gpu, version)
        found.append((row, told, abs(told.ranks[0].kv_cache_available / GIB / row["kv_cache_gib_per_gpu"] - 1)))
    return found


def test_real_starts_had_the_kv_cache_we_estimate() -> None:
    kv_errors = [error for row, _, error in errors() if row["vllm_version"].startswith("0.19")]
    assert len(kv_errors) >= 20
    assert statistics.median(kv_errors) <= 0.002
    assert max(kv_errors) <= 0.01
    assert max(error for _, _, error in errors()) <= 0.01


def test_real_starts_lie_inside_the_bands() -> None:
    for row, told, _ in errors():
        rank = told.ranks[0]
        assert rank.weights.value / GIB == pytest.approx(row["weights_gib_per_gpu"], abs=0.015), row["id"]
        assert rank.kv_cache_available_low / GIB <= row["kv_cache_gib_per_gpu"] + 0.005, row["id"]
        for term, name in ((rank.activation_peak, "activation_peak_gib"), (rank.non_torch, "non_torch_gib")):
            # From 0.28 on vLLM logs its estimate for CUDA graphs as part of the peak.
            if name in row and engine_version(row["vllm_version"]).number < (0, 28, 0):
                assert term.low / GIB - 0.005 <= row[name] <= term.high / GIB + 0.005, row["id"]


def test_a_start_on_h100_adds_up_to_the_logged_58_11_gib() -> None:
    row = next(row for row in OBSERVATIONS if row["id"] == "llmd-v0190-meta-llama-llama-3-1-8b-tp1pp1dp1-8192")
    facts = facts_of("llama31-8b")
    gpu = observed_gpu(row)
    config = engine_config(facts, OLDER, gpu, max_model_len=8192, gpu_memory_utilization=0.95)
    rank = estimate(facts, config, gpu, OLDER).ranks[0]
    terms = [rank.weights, rank.activation_peak, rank.non_torch, rank.cuda_graphs]
    assert [round(term.value / GIB, 2) for term in terms] == [14.99, 1.87, 0.25, 0.0]
    assert rank.kv_cache_available / GIB == pytest.approx(row["kv_cache_gib_per_gpu"], abs=0.02)
