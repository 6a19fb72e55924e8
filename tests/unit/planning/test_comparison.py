"""The comparison of methods: true figures beside those that everybody repeats, and what those leave out."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comparison_cases import LLAMA, LLAVA, LLAVA_VIDEO, MIXED, MIXTURE, answer, compared, compared_on, row
from modelserving.api.modelserving import Precision
from modelserving.models.facts import FactsRefusal
from modelserving.models.metadata import CheckpointRef, MetadataFailure
from modelserving.planning.comparison import Comparison, compare
from modelserving.planning.plan import Rejection
from modelserving.planning.request import Checkpoint
from modelserving.units import GB, GIB
from planning_cases import A100, H100, L40S, T4, cluster, facts, node, request

# The language model of LLaVA-OneVision-72B, by hand: 80 layers of 8,192 with 64 heads and 8 KV heads of 128, MLP of 29,568.
HIDDEN, LAYERS, MLP = 8192, 80, 29568
ATTENTION = HIDDEN * (HIDDEN + 2 * 8 * 128) + HIDDEN * HIDDEN
LINEAR = LAYERS * (ATTENTION + 3 * HIDDEN * MLP)
PADDED_LINEAR = LAYERS * (ATTENTION + 3 * HIDDEN * 29696)
# Attention of 26 layers of SigLIP, 1,152 wide, which quantization while loading reaches too.
TOWER_ATTENTION = 26 * 4 * 1152 * 1152
# Bytes a weight: a scale for 32 in mxfp8 and mxfp4; a scale of 2 bytes and a zero point of half a byte for 128 in AWQ and GPTQ.
MXFP8, MXFP4, INT4, INT8_GROUPED = 1 + 1 / 32, 0.5 + 1 / 32, 0.5 + 2.5 / 128, 1 + 3 / 128
BY_HAND = {
    "asStored": 2 * 73_180_000_000,
    "cast": 2 * 73_180_000_000,
    "fp8WhileLoading": 2 * 73_180_000_000 - LINEAR - TOWER_ATTENTION,
    "mxfp8WhileLoading": 2 * 73_180_000_000 - (2 - MXFP8) * (LINEAR + TOWER_ATTENTION),
    "fp8Published": 2 * 73_180_000_000 - LINEAR,
    "int8W8A8": 2 * 73_180_000_000 - LINEAR,
    "int8Gptq": 2 * 73_180_000_000 - 2 * LINEAR + INT8_GROUPED * PADDED_LINEAR,
    "mxfp4WhileLoading": 2 * 73_180_000_000 - (2 - MXFP4) * (LINEAR + TOWER_ATTENTION),
    "int4Awq": 2 * 73_180_000_000 - 2 * LINEAR + INT4 * PADDED_LINEAR,
    "int4Gptq": 2 * 73_180_000_000 - 2 * LINEAR + INT4 * PADDED_LINEAR,
    "fp8KvCache": 2 * 73_180_000_000,
    "cpuOffload": 2 * 73_180_000_000,
}


@pytest.mark.parametrize("key", BY_HAND)
def test_weights_of_llava_onevision_are_those_of_hand_arithmetic(key: str) -> None:
    found = row(compared(LLAVA), key)
    assert found.weights_bytes == pytest.approx(BY_HAND[key], rel=0.004)
    assert found.bytes_per_parameter == pytest.approx(BY_HAND[key] / 73_180_000_000, rel=0.004)


def test_folklore_has_144_72_and_36_gb_where_the_truth_is_more() -> None:
    comparison = compared(LLAVA)
    true = [(row(comparison, key).weights_bytes or 0) / GB for key in ("cast", "fp8Published", "int4Awq")]
    assert [round(size) for size in true] == [146, 76, 43]
    assert all(size > folklore for size, folklore in zip(true, (144, 72, 36), strict=True))


# (method, product) -> (tensor parallel, pipeline parallel, nodes), for 4 requests of 32,768 tokens
LAYOUTS = {
    ("asStored", H100): (4, 1, 1),
    ("asStored", A100): (8, 1, 1),
    ("asStored", L40S): (4, 2, 2),
    ("fp8WhileLoading", H100): (2, 1, 1),
    ("fp8WhileLoading", A100): (4, 1, 1),
    ("fp8WhileLoading", L40S): (4, 1, 1),
    ("int8W8A8", H100): (2, 1, 1),
    ("int4Awq", A100): (4, 1, 1),
    ("int4Awq", T4): (1, 16, 16),
    ("wholeNode", H100): (8, 1, 1),
    ("pipeline", H100): (1, 3, 1),
    ("pipeline", A100): (1, 7, 1),
    ("pipeline", L40S): (1, 6, 2),
    ("cpuOffload", H100): (1, 1, 1),
    ("cpuOffload", A100): (2, 1, 1),
}


@pytest.mark.parametrize("case", LAYOUTS, ids=lambda case: " on ".join(case))
def test_the_fewest_gpus_of_llava_onevision(case: tuple[str, str]) -> None:
    layout = answer(compared(LLAVA), *case).layout
    assert layout is not None
    config = layout.config
    assert (config.tensor_parallel_size, config.pipeline_parallel_size, layout.nodes) == LAYOUTS[case]
    assert layout.memory.fits


OBSTACLES = {
    ("asStored", T4): ("InsufficientGPUMemory", "136.3 GiB of weights on the GPU, 13.4 GiB to spend; 16 such nodes"),
    ("fp8KvCache", T4): ("KvCacheDtypeNeedsNewerGpu", "8.0 or newer"),
    ("wholeNode", T4): ("OneGpuNodes", "one GPU each"),
    ("wholeNode", L40S): ("InsufficientGPUMemory", "on each of 4 GPUs"),
    ("shorterContext", H100): ("NothingToSave", "32,768 tokens fit on as few GPUs"),
    ("shorterContext", L40S): (
        "InsufficientGPUMemory",
        "38.2 GiB without it, which may reach 41.0 GiB; 40.8 GiB to spend",
    ),
    ("cpuOffload", T4): ("InsufficientGPUMemory", "with all layers in host memory short by"),
}


@pytest.mark.parametrize("case", OBSTACLES, ids=lambda case: " on ".join(case))
def test_what_does_not_work_says_why(case: tuple[str, str]) -> None:
    found = answer(compared(LLAVA), *case)
    reason, part = OBSTACLES[case]
    assert (found.layout, found.reason) == (None, reason)
    assert part in found.message


ABSENT = {
    "int8WhileLoading": ("NothingToQuantize", "routed experts only"),
    "nvfp4WhileLoading": ("NothingToQuantize", "routed experts only"),
    "bitsandbytes": ("UnknownQuantization", "left with 0.28"),
    "diskOffload": ("NoDiskOffload", "--kv-offloading-size"),
}


@pytest.mark.parametrize("key", ABSENT)
def test_what_vllm_does_not_have_says_what_it_has_instead(key: str) -> None:
    found = row(compared(LLAVA), key)
    reason, part = ABSENT[key]
    assert (found.method.reason, found.answers, found.weights_bytes) == (reason, (), None)
    assert part in found.method.absent


def test_llava_video_is_compared_though_vllm_cannot_run_it() -> None:
    video, onevision = compared(LLAVA_VIDEO), compared(LLAVA)
    assert "LlavaQwenForCausalLM" in video.cannot_run
    assert "llava-hf/llava-onevision-qwen2-72b-ov-hf runs instead" in video.cannot_run
    assert not video.works
    assert [found.weights_bytes for found in video.rows] == [found.weights_bytes for found in onevision.rows]
    cuts = [answer(comparison, "asStored", H100).layout for comparison in (video, onevision)]
    assert cuts[0] is not None
    assert cuts[1] is not None
    assert cuts[0].config == cuts[1].config
    assert cuts[0].memory.kv_cache == cuts[1].memory.kv_cache


def test_experts_are_quantized_while_loading_where_a_model_has_them() -> None:
    comparison = compared(MIXTURE)
    experts = row(comparison, "int8WhileLoading")
    assert experts.weights_bytes == pytest.approx(32.2 * GB, rel=0.01)
    assert answer(comparison, "int8WhileLoading", H100).layout is not None
    assert answer(comparison, "nvfp4WhileLoading", H100).reason == "QuantizationNeedsNewerGpu"


def test_offload_says_how_long_a_step_takes_at_least() -> None:
    found = answer(compared(LLAVA), "cpuOffload", H100)
    assert found.layout is not None
    offloaded = found.layout.memory.tightest_rank.offloaded_bytes
    assert offloaded > 100 * GIB
    # 32 GT/s over 16 lanes, 128 of 130 bits are data: 63.0 GB/s.
    assert f"at least {offloaded / 63.015e9:.1f} s a step over 16 lanes of PCIe 5" in found.note
    mixture = answer(compared(MIXTURE), "cpuOffload", L40S)
    assert "where its tokens go to every expert" in mixture.note


def test_old_gpus_compute_in_16_bits_what_is_stored_in_fp8() -> None:
    comparison = compared(LLAVA)
    for key in ("fp8WhileLoading", "fp8Published"):
        assert "computes in 16 bits" in answer(comparison, key, A100).note
        assert answer(comparison, key, H100).note == ""


def test_a_context_beyond_the_fewest_gpus_is_found() -> None:
    comparison = compared(LLAMA, context=8192, concurrency=1)
    t4 = answer(comparison, "mxfp4WhileLoading", T4)
    assert t4.layout is not None
    assert 8192 < t4.longest_context < 131072
    assert answer(comparison, "asStored", H100).longest_context == 131072


def test_a_shorter_context_saves_gpus_where_memory_is_what_is_missing() -> None:
    comparison = compared(MIXTURE)
    as_asked, shorter = (answer(comparison, key, A100).layout for key in ("asStored", "shorterContext"))
    assert as_asked is not None
    assert shorter is not None
    assert shorter.gpus < as_asked.gpus
    assert 2048 <= shorter.config.max_model_len < 32768


def test_variants_that_are_named_take_the_place_of_estimates() -> None:
    awq = Checkpoint(CheckpointRef("llama31-8b-awq"), Precision.INT4)
    comparison = compared_on(MIXED, LLAMA, awq, context_length=8192)
    keys = [found.method.key for found in comparison.rows]
    assert "int4Awq" not in keys
    assert "int8W8A8" in keys
    named = row(comparison, "variant:int4")
    assert named.method.label == "int4, llama31-8b-awq"
    assert not named.method.is_estimate
    estimate = row(compared(LLAMA, context=8192, concurrency=1), "int4Awq")
    assert named.weights_bytes == pytest.approx(estimate.weights_bytes, rel=0.004)


UNUSABLE_VARIANTS: dict[str, tuple[Any, str, str]] = {
    "cannot be had": (MetadataFailure("ModelNotFound", "there is no such model", False), "ModelNotFound", "no such"),
    "cannot be understood": (FactsRefusal("ConfigInvalid", "bits is 3"), "ConfigInvalid", "bits is 3"),
    "is stored otherwise": (facts(LLAMA), "VariantMismatch", "it is stored as bf16"),
}


@pytest.mark.parametrize(("known", "reason", "part"), UNUSABLE_VARIANTS.values(), ids=UNUSABLE_VARIANTS)
def test_a_variant_that_does_not_do_is_a_row_that_says_so(known: Any, reason: str, part: str) -> None:
    ref = CheckpointRef("org/variant")
    asked = request(LLAMA, Checkpoint(ref, Precision.INT8), context_length=8192)
    comparison = compare(asked, {CheckpointRef(LLAMA): facts(LLAMA), ref: known}, MIXED)
    assert isinstance(comparison, Comparison)
    found = row(comparison, "variant:int8")
    assert (found.method.reason, found.answers) == (reason, ())
    assert part in found.method.absent
    assert comparison.works


def test_a_quantized_model_is_not_quantized_again() -> None:
    comparison = compared_on(MIXED, "llama31-8b-awq", context_length=8192)
    assert answer(comparison, "fp8WhileLoading", H100).reason == "QuantizationMismatch"
    assert row(comparison, "cast").method.reason == "StoredQuantized"
    assert "int4Awq" not in [found.method.key for found in comparison.rows]
    assert comparison.works


def test_an_older_vllm_has_what_it_had() -> None:
    comparison = compared_on(MIXED, LLAMA, context_length=8192, engine_version="0.19.0")
    assert row(comparison, "fp8WhileLoading").method.quantization == "fp8"
    assert answer(comparison, "fp8WhileLoading", H100).layout is not None
    assert answer(comparison, "mxfp4WhileLoading", H100).reason == "UnknownQuantization"
    assert row(comparison, "mxfp4WhileLoading").weights_bytes is None
    assert row(comparison, "bitsandbytes").method.reason == "NotSized"


def test_products_asked_for_are_the_only_ones_compared() -> None:
    comparison = compared_on(MIXED, LLAMA, context_length=8192, gpu_products=(L40S,))
    assert [shape.gpu.product for shape in comparison.shapes] == [L40S]


def test_an_fp8_cache_that_is_asked_for_is_no_method_of_its_own() -> None:
    comparison = compared_on(MIXED, LLAMA, context_length=8192, kv_cache_dtype="fp8")
    assert "fp8KvCache" not in [found.method.key for found in comparison.rows]
    assert row(comparison, "asStored").method.kv_cache_dtype == "fp8"


REJECTED = {
    "a context longer than the model's": ({"context_length": 10**6}, facts(LLAMA), MIXED, "ContextTooLong"),
    "no nodes": ({}, facts(LLAMA), cluster(), "NoGPUNodes"),
    "no node of the product": ({"gpu_products": ("NVIDIA-B200",)}, facts(LLAMA), MIXED, "NoGPUNodes"),
    "no facts": ({}, MetadataFailure("ModelNotFound", "gone", False), MIXED, "ModelNotFound"),
}


@pytest.mark.parametrize(("fields", "known", "nodes", "reason"), REJECTED.values(), ids=REJECTED)
def test_nothing_to_compare_is_a_rejection(fields: dict[str, Any], known: Any, nodes: Any, reason: str) -> None:
    found = compare(request(LLAMA, **fields), {CheckpointRef(LLAMA): known}, nodes)
    assert isinstance(found, Rejection)
    assert found.reason == reason


def test_notes_tell_of_estimates_and_of_padding() -> None:
    notes = " ".join(compared(LLAVA).notes)
    assert "Whether anybody has published one was not looked up" in notes
    assert "int8 GPTQ, published; int4 AWQ, published; int4 GPTQ, published: its intermediate size of 29,568" in notes


MODELS = ("gemma2-9b", "deepseek-v2-lite", "gpt-oss-20b", "nemotron-h-8b", "whisper-large-v3", "qwen2.5-vl-72b", LLAMA)


@settings(max_examples=12)
@given(
    model=st.sampled_from(MODELS),
    gpus=st.integers(1, 9),
    product=st.sampled_from([H100, A100, L40S, T4]),
    context=st.none() | st.integers(1, 4096),
    concurrency=st.integers(1, 4096),
    most=st.none() | st.integers(1, 4),
    version=st.sampled_from(["0.8.5", "0.19.0", "0.32.0", "0.33.0"]),
)
def test_it_is_total_and_every_layout_fits(
    model: str, gpus: int, product: str, context: int | None, concurrency: int, most: int | None, version: str
) -> None:
    nodes = cluster(node("a", product, gpus))
    length = None if context is None else min(context, facts(model).max_model_len)
    asked = {"context_length": length, "concurrency": concurrency, "engine_version": version}
    comparison = compared_on(nodes, model, max_gpus_per_replica=most, **asked)
    for found in comparison.rows:
        assert bool(found.method.absent) == (found.answers == ())
        for reply in found.answers:
            assert (reply.layout is None) == bool(reply.message)
            if reply.layout is None:
                continue
            assert reply.layout.memory.fits
            assert reply.longest_context >= reply.layout.config.max_model_len
            assert most is None or reply.layout.gpus <= most


def test_the_order_of_nodes_does_not_matter() -> None:
    backwards = replace(MIXED, nodes=MIXED.nodes[::-1])
    assert compared_on(backwards, LLAMA, context_length=8192) == compared_on(MIXED, LLAMA, context_length=8192)
