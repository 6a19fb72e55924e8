"""Facts of vLLM by version."""

import pytest

from modelserving.engine.versions import DEFAULT_ENGINE_VERSION, KNOWN_VERSIONS, engine_version


def test_known_versions_have_no_note() -> None:
    assert DEFAULT_ENGINE_VERSION in KNOWN_VERSIONS
    for text in (*KNOWN_VERSIONS, "v0.32.0", "0.32.1", "0.32.0rc1.dev3"):
        assert not engine_version(text).note, text


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("0.29.1", "0.28.0"),
        ("0.5.4", "0.4.0"),
        ("0.9.1", "0.8.5"),
        ("1.2.0", "0.33.0"),
        ("nightly", DEFAULT_ENGINE_VERSION),
        ("", DEFAULT_ENGINE_VERSION),
    ],
)
def test_others_take_the_nearest_and_say_so(text: str, nearest: str) -> None:
    version = engine_version(text)
    assert version.text == text
    assert nearest in version.note
    assert version.number == engine_version(nearest).number


# Origin: vLLM's sources of the versions named; the columns are those of the engine's own defaults.
TURNS: dict[str, tuple[str, str, str]] = {
    "utilization rises to 0.92": ("gpu_memory_utilization", "0.19.1", "0.20.2"),
    "CUDA graphs are counted": ("counts_cuda_graphs", "0.19.1", "0.20.2"),
    "a prompt need not be one batch": ("first_engine", "0.7.3", "0.8.1"),
    "longer prompts are cut into larger pieces": ("chunk_tokens", "0.6.4.post1", "0.7.3"),
    "context and NCCL leave the budget": ("snapshot_after_nccl", "0.8.5", "0.11.2"),
    "1024 sequences on large GPUs": ("large_gpu_tier", "0.8.5", "0.11.2"),
    "sampling no longer sorts": ("fused_sampler", "0.16.0", "0.17.0"),
    "huge GPUs have their tier": ("huge_gpu_tier", "0.27.1", "0.28.0"),
    "activation order is refused": ("rejects_act_order", "0.28.0", "0.32.0"),
    "the sampler is warmed up": ("warms_sampler", "0.32.0", "0.33.0"),
}


@pytest.mark.parametrize("name", TURNS)
def test_what_changed_when(name: str) -> None:
    attribute, before, after = TURNS[name]
    assert getattr(engine_version(before), attribute) != getattr(engine_version(after), attribute)


def test_methods_come_and_go() -> None:
    def known(version: str) -> frozenset[str]:
        return engine_version(version).methods

    assert "gguf" in known("0.23.0")
    assert "gguf" not in known("0.24.0")
    assert "bitsandbytes" in known("0.27.1")
    assert "bitsandbytes" not in known("0.28.0")
    assert "fp8_per_tensor" not in known("0.18.0")
    assert "fp8_per_tensor" in known("0.20.0")
    assert "fp8_per_channel" not in known("0.20.0")
    assert "fp8_per_channel" in known("0.27.0")


def test_no_version_has_the_lmms_class() -> None:
    assert not any(engine_version(text).supports("LlavaQwenForCausalLM") for text in KNOWN_VERSIONS)
    assert engine_version("0.32.0").supports("LlavaOnevisionForConditionalGeneration")
