"""What vLLM refuses, one case a rule; its own refusals are in tests/unit/sizing/test_oracle.py."""

from dataclasses import replace
from typing import Any

import pytest

from model_cases import GPUS, H100, T4, V32, config_of, engine_config, facts_from, facts_of
from modelserving.engine.device import Gpu
from modelserving.engine.rules import refusal
from modelserving.engine.versions import EngineVersion, engine_version
from modelserving.models.facts import ModelFacts, Quantization

LLAMA = facts_of("llama31-8b")
QWEN = facts_of("qwen2.5-7b")
AWQ = facts_of("llama31-8b-awq")
BLOCKS = facts_from(
    config_of("qwen2-72b", quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]})
)
SMALL_KV = replace(LLAMA, num_kv_heads=6, num_attention_heads=48)
ODD_ROWS = facts_from(
    config_of(
        "llama31-8b",
        intermediate_size=14340,
        quantization_config={"quant_method": "gptq", "bits": 4, "group_size": -1},
    )
)

# sentence: (facts, GPU, version, flags, reason, a piece of the message)
REFUSALS: dict[str, tuple[ModelFacts, Gpu, EngineVersion, dict[str, Any], str, str]] = {
    "no class for the architecture": (
        facts_of("llava-video-72b-qwen2"),
        H100,
        V32,
        {},
        "ArchitectureNotSupported",
        "llava-hf/llava-onevision-qwen2-72b-ov-hf",
    ),
    "no class and nothing instead": (
        replace(LLAMA, architecture="NewForCausalLM"),
        H100,
        V32,
        {},
        "ArchitectureNotSupported",
        "no model class NewForCausalLM",
    ),
    "no tokens": (LLAMA, H100, V32, {"max_model_len": 0}, "SizeNotPositive", "max_model_len is 0"),
    "no ranks": (LLAMA, H100, V32, {"tensor_parallel_size": 0}, "SizeNotPositive", "tensor_parallel_size is 0"),
    "more than all memory": (LLAMA, H100, V32, {"gpu_memory_utilization": 1.1}, "UtilizationOutOfRange", "1.1"),
    "a batch below its sequences": (
        LLAMA,
        H100,
        V32,
        {"max_num_batched_tokens": 512},
        "BatchSmallerThanSequences",
        "max_num_seqs (1024)",
    ),
    "too long a context": (LLAMA, H100, V32, {"max_model_len": 131073}, "ContextTooLong", "at most 131,072 tokens"),
    "bfloat16 on Turing": (LLAMA, T4, V32, {"dtype": "bfloat16"}, "DtypeNotSupported", "8.0 or newer"),
    "asymmetric GPTQ": (
        replace(LLAMA, stored_quantization=Quantization("gptq", 4, group_size=128, symmetric=False)),
        H100,
        V32,
        {},
        "AsymmetricGptqNotSupported",
        "sym=false",
    ),
    "a flag nobody knows": (LLAMA, H100, V32, {"quantization": "zip"}, "UnknownQuantization", "'zip'"),
    "a checkpoint this version cannot read": (
        facts_of("llama31-8b-bnb"),
        H100,
        V32,
        {},
        "UnknownQuantization",
        "stored as bitsandbytes",
    ),
    "AWQ in float32": (AWQ, H100, V32, {"dtype": "float32"}, "DtypeNotSupported", "not with float32"),
    "AWQ under an fp8 flag": (AWQ, H100, V32, {"quantization": "fp8"}, "QuantizationMismatch", "stored as awq"),
    "offload of weights made while loading": (
        LLAMA,
        H100,
        V32,
        {"quantization": "fp8_per_tensor", "cpu_offload_bytes": 1},
        "OffloadWithOnTheFlyQuantization",
        "cannot offload",
    ),
    "heads": (QWEN, H100, V32, {"tensor_parallel_size": 8}, "HeadsNotDivisible", "use 1 or 2 or 4"),
    "vocabulary": (QWEN, H100, V32, {"tensor_parallel_size": 7}, "VocabularyNotDivisible", "152064 rows"),
    "KV heads": (SMALL_KV, H100, V32, {"tensor_parallel_size": 4}, "KvHeadsNotDivisible", "6 KV heads"),
    "MLP": (
        facts_from(config_of("llama31-8b", intermediate_size=9)),
        H100,
        V32,
        {"tensor_parallel_size": 2},
        "IntermediateSizeNotDivisible",
        "9",
    ),
    "a block of fp8 weights across ranks": (
        BLOCKS,
        H100,
        V32,
        {"tensor_parallel_size": 8},
        "QuantizationGroupsNotDivisible",
        "3696 inputs",
    ),
    "packed rows across ranks": (
        ODD_ROWS,
        H100,
        V32,
        {"tensor_parallel_size": 2, "dtype": "float16"},
        "QuantizationGroupsNotDivisible",
        "packs 8 rows into a word",
    ),
    "experts that are not there": (
        LLAMA,
        H100,
        V32,
        {"enable_expert_parallel": True},
        "ExpertParallelNeedsExperts",
        "",
    ),
    "pipeline stages of an encoder-decoder": (
        facts_of("whisper-large-v3"),
        H100,
        V32,
        {"pipeline_parallel_size": 2, "dtype": "float16"},
        "PipelineNotSupported",
        "tensor parallelism alone",
    ),
    "groups of a Mamba mixer": (
        facts_of("nemotron-h-8b"),
        H100,
        V32,
        {"tensor_parallel_size": 16},
        "GroupsNotDivisible",
        "8 groups",
    ),
    "experts in NVFP4 before Blackwell": (
        facts_of("qwen3-30b-a3b"),
        H100,
        V32,
        {"quantization": "nvfp4_per_token"},
        "QuantizationNeedsNewerGpu",
        "10.0 or newer",
    ),
    "more stages than layers": (LLAMA, H100, V32, {"pipeline_parallel_size": 33}, "MoreStagesThanLayers", "32 layers"),
    "an unknown cache type": (LLAMA, H100, V32, {"kv_cache_dtype": "fp9"}, "KvCacheDtypeUnknown", "'fp9'"),
    "an fp8 cache on Turing": (
        LLAMA,
        T4,
        V32,
        {"kv_cache_dtype": "fp8", "dtype": "float16"},
        "KvCacheDtypeNeedsNewerGpu",
        "7.5",
    ),
    "a block size no kernel has": (LLAMA, H100, V32, {"block_size": 24}, "BlockSizeNotSupported", "24"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_with_a_reason_and_a_way_out(name: str) -> None:
    facts, gpu, version, flags, reason, piece = REFUSALS[name]
    told = refusal(facts, engine_config(facts, version, gpu, **flags), gpu, version)
    assert told is not None
    assert told.reason == reason
    assert piece in told.message


# sentence: (facts, GPU, version, flags)
ACCEPTED: dict[str, tuple[ModelFacts, Gpu, EngineVersion, dict[str, Any]]] = {
    "defaults": (LLAMA, H100, V32, {}),
    "KV heads repeated": (LLAMA, H100, V32, {"tensor_parallel_size": 16}),
    "one rank and AWQ's own flag": (AWQ, H100, V32, {"quantization": "awq_marlin"}),
    "AWQ in bfloat16": (AWQ, H100, V32, {"dtype": "bfloat16"}),
    "blocks of fp8 that divide": (BLOCKS, H100, V32, {"tensor_parallel_size": 1}),
    "activation order, before it was refused": (facts_of("llama31-8b-gptq-act"), H100, engine_version("0.27.1"), {}),
    "a flag on gpt-oss, which keeps its own": (facts_of("gpt-oss-20b"), H100, V32, {"quantization": "fp8"}),
    "NVFP4 on a dense model, which has nothing for it": (LLAMA, H100, V32, {"quantization": "nvfp4_per_token"}),
    "experts shared out": (
        facts_of("qwen3-30b-a3b"),
        H100,
        V32,
        {"enable_expert_parallel": True, "tensor_parallel_size": 16},
    ),
    "weights taken for quantized ones": (LLAMA, H100, V32, {"quantization": "deepseek_v4_fp8"}),
    "offload of plain weights": (LLAMA, H100, V32, {"cpu_offload_bytes": 2**30}),
    "fp8 on Turing": (LLAMA, T4, V32, {"quantization": "fp8_per_tensor", "dtype": "float16"}),
    "an fp8 cache on Ampere": (LLAMA, GPUS["A10G"], V32, {"kv_cache_dtype": "fp8"}),
    "a larger block": (LLAMA, H100, V32, {"block_size": 64}),
    "a tower whose heads do not divide, held whole": (
        facts_of("qwen2.5-vl-72b"),
        H100,
        V32,
        {"tensor_parallel_size": 32, "mm_encoder_tp_mode": "data"},
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    facts, gpu, version, flags = ACCEPTED[name]
    assert refusal(facts, engine_config(facts, version, gpu, **flags), gpu, version) is None
