"""Dense relatives of Llama and Qwen that differ by names and switches only.

Source: vLLM 0.32 model_executor/models/phi3.py, granite.py, mimo.py, registry.py.
"""

from dataclasses import replace

from modelserving.models.families import llama, qwen2
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Family

# Defaults: transformers Phi3Config, GraniteConfig.
_PHI3 = DenseDecoder(
    defaults={"max_position_embeddings": 4096, "vocab_size": 32064},
    head_dim_key=False,
    qkv_parts=("qkv_proj",),
    mlp="joined",
)
GRANITE_DECODER = replace(llama.DECODER, tied=False)


PHI3 = Family("phi3", ("Phi3ForCausalLM",), lambda config: describe_dense(config, _PHI3))
GRANITE = Family("granite", ("GraniteForCausalLM",), lambda config: describe_dense(config, GRANITE_DECODER))
MIMO = Family(
    "mimo",
    ("MiMoForCausalLM",),
    lambda config: describe_dense(config, replace(qwen2.DECODER, head_dim_key=True)),
    unused=("model.mtp_layers.",),
)
