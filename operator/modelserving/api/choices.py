"""The closed sets of words the API knows."""

from enum import StrEnum


class Precision(StrEnum):
    """Precision of the weights."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"


class KvCachePrecision(StrEnum):
    """Precision of the KV cache, as `--kv-cache-dtype` of vLLM 0.32 names it."""

    AUTO = "auto"
    FP8 = "fp8"
    FP8_E4M3 = "fp8_e4m3"
    FP8_E5M2 = "fp8_e5m2"
    BF16 = "bfloat16"
    FP16 = "float16"


class Fallback(StrEnum):
    """One thing the operator may give up to make a model fit."""

    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"
    FP8_KV_CACHE = "fp8KvCache"
    CPU_OFFLOAD = "cpuOffload"
    SHORTER_CONTEXT = "shorterContext"
    SMALLER_BATCHES = "smallerBatches"
    EAGER = "eager"


class Replan(StrEnum):
    """When a new plan may replace the one in force although the spec did not change."""

    NEVER = "Never"
    WHEN_UNSCHEDULABLE = "WhenUnschedulable"
    ALWAYS = "Always"
