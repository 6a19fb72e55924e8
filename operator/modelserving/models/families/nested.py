"""A language model inside another: what its own family describes, under the names it has there.

Source: vLLM 0.32 model_executor/models/utils.py `init_vllm_registered_model`; config/vllm.py `with_hf_config`, which takes
`tie_word_embeddings` from the outer config wherever its class has that field.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from modelserving.models import families
from modelserving.models.facts import Module
from modelserving.models.families.family import Description
from modelserving.models.fields import Fields, InvalidFieldError, show

# Architecture by model_type where text_config names none (transformers MODEL_FOR_CAUSAL_LM_MAPPING_NAMES).
_ARCHITECTURES: Mapping[str, str] = {
    "cohere2": "Cohere2ForCausalLM",
    "deepseek_v2": "DeepseekV2ForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "ernie4_5": "Ernie4_5ForCausalLM",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "glm4": "Glm4ForCausalLM",
    "gpt_oss": "GptOssForCausalLM",
    "granite": "GraniteForCausalLM",
    "granitemoehybrid": "GraniteMoeHybridForCausalLM",
    "internlm2": "InternLM2ForCausalLM",
    "lfm2": "Lfm2ForCausalLM",
    "lfm2_moe": "Lfm2MoeForCausalLM",
    "llama": "LlamaForCausalLM",
    "ministral3": "MistralForCausalLM",
    "mistral": "MistralForCausalLM",
    "mistral4": "MistralLarge3ForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "nemotron_h": "NemotronHForCausalLM",
    "opt": "OPTForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen2_moe": "Qwen2MoeForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "qwen3_next": "Qwen3NextForCausalLM",
}
# Sizes that transformers' config classes fill in; composite checkpoints often leave them out.
_DEFAULTS: Mapping[str, Mapping[str, int]] = {
    "llama": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32000,
    },
    "mistral": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32000,
    },
    "qwen2": {
        "hidden_size": 4096,
        "intermediate_size": 22016,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 151936,
    },
    "gemma": {
        "hidden_size": 3072,
        "intermediate_size": 24576,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "head_dim": 256,
        "vocab_size": 256000,
        "max_position_embeddings": 8192,
    },
}
# Classes that read `hf_text_config`, which `with_hf_config` leaves as it is: the inner flag decides.
_OWN_FLAG = frozenset({"Qwen3MoeForCausalLM", "Qwen3NextForCausalLM"})
PREFIX = "language_model."


def ties(config: Fields, default: bool | None) -> bool | None:
    """Whether embeddings are tied by the outer config; None where its class has no such field: the inner one decides."""
    return default if default is None else config.flag("tie_word_embeddings", default)


def language_model(
    text: Fields,
    tied: bool | None = None,
    architecture: str = "",
    model_type: str = "llama",
    prefix: str = PREFIX,
    names: tuple[tuple[str, str], ...] = (),
) -> Description:
    """Describe the language model of a composite model.

    Args:
        text: its part of config.json.
        tied: whether embeddings are tied, where the outer config decides.
        architecture: the one that vLLM builds whatever the config names.
        model_type: where text does not say.
        prefix: what vLLM puts before its names.
        names: (piece at the start of a name, what it becomes) where that is no common prefix.

    Raises:
        InvalidFieldError: a field does not hold what it must, or nobody described this language model.
    """
    kind = text.text("model_type", model_type)
    named = architecture or next(iter(text.texts("architectures")), "") or _ARCHITECTURES.get(kind, "")
    family = families.family_of(named)
    if family is None:
        raise InvalidFieldError(f"{text.name('model_type')} is {show(kind)}, a language model nobody described")
    filled = text.or_else(_DEFAULTS.get(kind, {}))
    described = family.describe(filled)
    if tied is not None and tied != described.tie_word_embeddings and named not in _OWN_FLAG:
        described = family.describe(filled.having(tie_word_embeddings=tied))
        described = _map_modules(described, lambda module: replace(module, tied_by_outer=module.tied_to is not None))
    return renamed(described, names or (("", prefix),))


def renamed(described: Description, names: tuple[tuple[str, str], ...]) -> Description:
    """A description under other names: the first pair whose start a name has replaces it."""

    def name(own: str) -> str:
        for start, becomes in names:
            if own.startswith(start):
                return becomes + own[len(start) :]
        return own

    return _map_modules(described, lambda module: _renamed(module, name))


def _map_modules(described: Description, change: Callable[[Module], Module]) -> Description:
    sections = tuple(
        replace(section, modules=tuple(change(module) for module in section.modules)) for section in described.sections
    )
    return replace(described, sections=sections)


def _renamed(module: Module, name: Callable[[str], str]) -> Module:
    return replace(
        module,
        name=name(module.name),
        sources=tuple(name(source) for source in module.sources),
        tied_to=None if module.tied_to is None else name(module.tied_to),
    )
