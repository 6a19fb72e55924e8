"""Dense decoders that differ from Llama by norms, biases and the shape of their MLP.

Source: vLLM 0.32 model_executor/models/apertus.py, ernie45.py, exaone4.py, gemma.py, glm4.py, hyperclovax.py, minicpm.py,
nemotron.py, orion.py, solar.py, stablelm.py. Defaults: the config class of each in transformers.
"""

from dataclasses import replace

from modelserving.models.facts import Module, Section, Split, Stage
from modelserving.models.families import gemma2, llama
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.fields import Fields

_ERNIE = DenseDecoder(
    defaults={
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 18,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "head_dim": 128,
        "vocab_size": 103424,
        "max_position_embeddings": 131072,
    },
    qkv_bias="use_bias",
    mlp_bias="use_bias",
    tied=True,
)
_EXAONE4 = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 16384,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 102400,
        "max_position_embeddings": 2048,
        "sliding_window": 4096,
    },
    qk_norm="head",
    sliding_pattern=4,
    norms=("post_attention_layernorm", "post_feedforward_layernorm"),
)
_GEMMA = DenseDecoder(
    defaults={
        "hidden_size": 3072,
        "intermediate_size": 24576,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "head_dim": 256,
        "vocab_size": 256000,
        "max_position_embeddings": 8192,
    },
    tied=True,
)
_GLM4 = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 13696,
        "num_hidden_layers": 40,
        "num_attention_heads": 32,
        "num_key_value_heads": 2,
        "head_dim": 128,
        "vocab_size": 151552,
        "max_position_embeddings": 131072,
    },
    qkv_bias="attention_bias",
    norms=("input_layernorm", "post_attention_layernorm", "post_self_attn_layernorm", "post_mlp_layernorm"),
    mlp="joined",
    default_partial=0.5,
)
_HYPERCLOVA = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
    },
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    mlp_bias="mlp_bias",
)
_APERTUS = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 131072,
        "max_position_embeddings": 65536,
    },
    mlp_bias="mlp_bias",
    qk_norm="head",
    norms=("attention_layernorm", "feedforward_layernorm"),
    mlp="plain",
)
_NEMOTRON = DenseDecoder(
    defaults={
        "hidden_size": 6144,
        "intermediate_size": 24576,
        "num_hidden_layers": 32,
        "num_attention_heads": 48,
        "vocab_size": 256000,
        "max_position_embeddings": 4096,
    },
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    mlp_bias="mlp_bias",
    norm_bias=True,
    mlp="plain",
    default_partial=0.5,
)
_STABLELM = DenseDecoder(
    defaults={
        "hidden_size": 2560,
        "intermediate_size": 6912,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 50304,
        "max_position_embeddings": 4096,
    },
    qkv_bias="use_qkv_bias",
    norm_bias=True,
    default_partial=0.25,
)
_ORION = DenseDecoder(norm_bias=True)
# Its own config class is remote code, where transformers' default ties embeddings.
_MINICPM = DenseDecoder(tied=True)
_SOLAR = DenseDecoder(qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias")
# Parameters and constants of the activation (layers/activation.py, XIELU).
_XIELU = ("alpha_p", "alpha_n", "beta", "eps")


def _apertus(config: Fields) -> Description:
    described = describe_dense(config, llama.biased(config, _APERTUS))
    layers = tuple(range(described.num_layers))
    values = tuple(Module(f"model.layers.*.mlp.act_fn.{name}", Split.REPLICATED, 1, (1,)) for name in _XIELU)
    return replace(
        described, sections=(*described.sections, Section(Stage.LAYERS, values, layers=layers, buffers=True))
    )


def _hyperclova(config: Fields) -> Description:
    norms = _HYPERCLOVA.norms + (("post_norm1", "post_norm2") if config.flag("use_post_norm", True) else ())
    return describe_dense(config, replace(_HYPERCLOVA, norms=norms))


def _family(name: str, architecture: str, decoder: DenseDecoder) -> Family:
    return Family(name, (architecture,), lambda config: describe_dense(config, decoder))


FAMILIES = (
    Family("apertus", ("ApertusForCausalLM",), _apertus),
    _family("ernie45", "Ernie4_5ForCausalLM", _ERNIE),
    _family("exaone4", "Exaone4ForCausalLM", _EXAONE4),
    Family("gemma", ("GemmaForCausalLM",), lambda config: describe_dense(config, _GEMMA, buffers=(gemma2.NORMALIZER,))),
    _family("glm4", "Glm4ForCausalLM", _GLM4),
    Family("hyperclovax", ("HyperCLOVAXForCausalLM",), _hyperclova),
    _family("minicpm", "MiniCPMForCausalLM", _MINICPM),
    _family("nemotron", "NemotronForCausalLM", _NEMOTRON),
    _family("orion", "OrionForCausalLM", _ORION),
    _family("solar", "SolarForCausalLM", _SOLAR),
    _family("stablelm", "StableLmForCausalLM", _STABLELM),
)
