"""Dense relatives of Llama and Qwen that differ by names and switches only.

Source: vLLM 0.32 model_executor/models/phi3.py, granite.py, mimo.py, registry.py.
"""

from dataclasses import replace

from modelserving.models.families import llama, mistral, qwen2, qwen3
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.fields import Fields

# Defaults: transformers Phi3Config, GraniteConfig.
_PHI3 = DenseDecoder(
    defaults={"max_position_embeddings": 4096, "vocab_size": 32064},
    head_dim_key=False,
    qkv_parts=("qkv_proj",),
    mlp="joined",
)
_GRANITE = replace(llama.DECODER, tied=False)


PHI3 = Family("phi3", ("Phi3ForCausalLM",), lambda config: describe_dense(config, _PHI3))
GRANITE = Family("granite", ("GraniteForCausalLM",), lambda config: describe_dense(config, _GRANITE))
MIMO = Family(
    "mimo",
    ("MiMoForCausalLM",),
    lambda config: describe_dense(config, replace(qwen2.DECODER, head_dim_key=True)),
    unused=("model.mtp_layers.",),
)
# Embedding models made from decoders: vLLM builds the same class and leaves out the head.
_EMBEDDERS = {
    "LlamaModel": llama.DECODER,
    "MistralModel": mistral.DECODER,
    "Qwen2Model": qwen2.DECODER,
    "Qwen3Model": qwen3.DECODER,
}


def headless(config: Fields, decoder: DenseDecoder) -> Description:
    """Describe a decoder that makes embeddings: it has no head, and only its pooler follows."""
    described = describe_dense(config, decoder)
    kept = tuple(
        replace(section, modules=tuple(module for module in section.modules if not module.name.endswith("lm_head")))
        for section in described.sections
    )
    return replace(described, sections=kept, tie_word_embeddings=False)


def _embedding_family(architecture: str, decoder: DenseDecoder) -> Family:
    name = f"{architecture.removesuffix('Model').lower()}_embedding"
    return Family(name, (architecture,), lambda config: headless(config, decoder), (("", "model."),))


EMBEDDERS = tuple(_embedding_family(architecture, decoder) for architecture, decoder in _EMBEDDERS.items())
