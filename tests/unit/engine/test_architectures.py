"""Which architectures vLLM has a class for."""

from model_cases import V32
from modelserving.engine.architectures import known_architectures


def test_the_registry_is_packaged() -> None:
    known = known_architectures()
    assert len(known) > 300
    assert {"LlamaForCausalLM", "DeepseekV4ForCausalLM", "Gemma4ForConditionalGeneration"} <= known
    assert "LlavaQwenForCausalLM" not in known


def test_a_bare_decoder_runs_in_the_class_of_its_language_model() -> None:
    assert V32.supports("Qwen3Model")
    assert not V32.supports("TomorrowModel")
