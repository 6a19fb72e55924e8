"""Decoders that vLLM has no class of its own for: transformers' class with vLLM's layers in it.

Source: vLLM 0.32 model_executor/models/registry.py (_TRANSFORMERS_SUPPORTED_MODELS), models/transformers/: query, key and
value become one layer, gate and up another; the rotary embedding stays transformers', which keeps frequencies and no
cache. Defaults: the config class of each in transformers.
"""

from collections.abc import Callable
from dataclasses import replace

from modelserving.models.facts import Experts
from modelserving.models.families import gemma2, llama
from modelserving.models.families.decoder import MOST_EXPERTS, read_shape
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.fields import Fields

_LLAMA = replace(llama.DECODER, rope="frequencies")
_ARCEE = replace(
    _LLAMA,
    mlp="plain",
    defaults={
        "hidden_size": 2560,
        "intermediate_size": 18432,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 4096,
    },
)
_CWM = DenseDecoder(
    defaults={
        "hidden_size": 6144,
        "intermediate_size": 21504,
        "num_hidden_layers": 64,
        "num_attention_heads": 48,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "head_dim": 128,
        "sliding_window": 8192,
    },
    rope="frequencies",
    sliding_pattern=4,
)
_GLM = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 13696,
        "num_hidden_layers": 40,
        "num_attention_heads": 32,
        "num_key_value_heads": 2,
        "vocab_size": 151552,
        "max_position_embeddings": 131072,
        "head_dim": 128,
    },
    qkv_bias="attention_bias",
    rope="frequencies",
    default_partial=0.5,
    mlp="joined",
)
_NEOX = DenseDecoder(
    defaults={
        "hidden_size": 6144,
        "intermediate_size": 24576,
        "num_hidden_layers": 44,
        "num_attention_heads": 64,
        "vocab_size": 50432,
        "max_position_embeddings": 2048,
    },
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
    norm_bias=True,
    mlp="plain",
    qkv_parts=("qkv_proj",),
    rope="frequencies",
    default_partial=0.25,
)
_JAIS2 = DenseDecoder(
    defaults={
        "hidden_size": 3328,
        "intermediate_size": 26624,
        "num_hidden_layers": 32,
        "num_attention_heads": 26,
        "num_key_value_heads": 26,
        "vocab_size": 150272,
        "max_position_embeddings": 8192,
        "head_dim": 128,
    },
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
    norm_bias=True,
    mlp="plain",
    rope="frequencies",
)
_OLMO = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 50304,
        "max_position_embeddings": 2048,
    },
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    rope="frequencies",
    norms=(),
    final_norm=False,
)
_OLMO2 = replace(
    _OLMO, norms=("post_attention_layernorm", "post_feedforward_layernorm"), final_norm=True, qk_norm="all"
)
_OLMO3 = replace(_OLMO2, defaults={**_OLMO.defaults, "sliding_window": 4096}, sliding_pattern=4, rope="by_kind")
_PHI = DenseDecoder(
    defaults={
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "vocab_size": 51200,
        "max_position_embeddings": 2048,
    },
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
    norms=("input_layernorm",),
    norm_bias=True,
    mlp="plain",
    rope="frequencies",
    default_partial=0.5,
)
_SEED = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 27648,
        "num_hidden_layers": 64,
        "num_attention_heads": 80,
        "num_key_value_heads": 8,
        "vocab_size": 155136,
        "max_position_embeddings": 524288,
        "head_dim": 128,
    },
    qkv_bias="attention_bias",
    output_bias="attention_out_bias",
    mlp_bias="mlp_bias",
    rope="frequencies",
)
_SMOL3 = replace(
    _LLAMA,
    defaults={
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "vocab_size": 128256,
        "max_position_embeddings": 32768,
    },
    sliding_window_switch="use_sliding_window",
    tied=True,
)
_STARCODER2 = DenseDecoder(
    defaults={
        "hidden_size": 3072,
        "intermediate_size": 12288,
        "num_hidden_layers": 30,
        "num_attention_heads": 24,
        "num_key_value_heads": 2,
        "vocab_size": 49152,
        "max_position_embeddings": 4096,
    },
    qkv_bias="use_bias",
    output_bias="use_bias",
    mlp_bias="use_bias",
    norm_bias=True,
    mlp="plain",
    tied=True,
    rope="frequencies",
)
_HUNYUAN = replace(_LLAMA, qk_norm="head", mlp_bias=False)
_MELLUM = DenseDecoder(
    defaults={
        "hidden_size": 2304,
        "intermediate_size": 7168,
        "num_hidden_layers": 28,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "vocab_size": 98304,
        "max_position_embeddings": 131072,
        "head_dim": 128,
        "sliding_window": 1024,
    },
    qkv_bias="attention_bias",
    qk_norm="head",
    sliding_pattern=1,
    rope="by_kind",
)
_HELIUM = DenseDecoder(
    defaults={
        "hidden_size": 2560,
        "intermediate_size": 7040,
        "num_hidden_layers": 24,
        "num_attention_heads": 20,
        "num_key_value_heads": 20,
        "head_dim": 128,
        "vocab_size": 48000,
        "max_position_embeddings": 4096,
    },
    qkv_bias="attention_bias",
    mlp_bias="mlp_bias",
    rope="frequencies",
)
_MINISTRAL = DenseDecoder(
    defaults={"num_key_value_heads": 8, "vocab_size": 32000, "max_position_embeddings": 131072, "sliding_window": 4096},
    rope="frequencies",
)
_VAULT_GEMMA = DenseDecoder(
    defaults={
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 256000,
        "max_position_embeddings": 8192,
        "sliding_window": 4096,
    },
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    sliding_pattern=2,
    norms=("input_layernorm", "pre_feedforward_layernorm"),
    tied=True,
    rope="frequencies",
)
_FLEX_OLMO = replace(
    _OLMO2,
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 100352,
        "max_position_embeddings": 4096,
    },
)
_FLEX_MIXTURE = Mixture(
    intermediate_size="intermediate_size", default_experts=7, default_top_k=5, default_intermediate=11008
)
_MELLUM_MIXTURE = Mixture(default_experts=64, default_top_k=8, default_intermediate=896)
_HUNYUAN_MIXTURE = Mixture(shared="shared_mlp", router_quantizable=True)


# Names that transformers gives the layers of older architectures.
_NEOX_NAMES = (
    ("gpt_neox.", "model."),
    ("model.embed_in", "model.embed_tokens"),
    ("model.final_layer_norm", "model.norm"),
    ("embed_out", "lm_head"),
    (".attention.query_key_value", ".self_attn.qkv_proj"),
    (".attention.dense", ".self_attn.o_proj"),
    (".dense_h_to_4h", ".up_proj"),
    (".dense_4h_to_h", ".down_proj"),
)
_PHI_NAMES = (
    (".self_attn.dense", ".self_attn.o_proj"),
    (".mlp.fc1", ".mlp.up_proj"),
    (".mlp.fc2", ".mlp.down_proj"),
    ("model.final_layernorm", "model.norm"),
)
_STARCODER2_NAMES = ((".mlp.c_fc", ".mlp.up_proj"), (".mlp.c_proj", ".mlp.down_proj"))
_HUNYUAN_NAMES = ((".query_layernorm", ".q_norm"), (".key_layernorm", ".k_norm"), (".gate.wg", ".gate"))


def _neox(config: Fields) -> Description:
    return describe_dense(config.renamed({"partial_rotary_factor": "rotary_pct"}), _NEOX)


def _hunyuan_moe(config: Fields) -> Description:
    """Every layer has experts; their sizes are stated once or layer by layer (HunYuanMoEV1Config)."""
    named = config.renamed({"num_experts_per_tok": "moe_topk"})
    shape = read_shape(config, _HUNYUAN.defaults)
    everything = tuple(range(shape.num_layers))
    count = config.whole("num_experts", 1, high=MOST_EXPERTS)
    top_k = max(named.wholes("num_experts_per_tok", 1, low=1, high=count))
    found = Experts(count, top_k, shape.intermediate_size, everything)
    follow = mixture_modules(_HUNYUAN_MIXTURE, found, shape.hidden_size, "model.layers.*", shape.intermediate_size)
    return describe_dense(config, _HUNYUAN, feed_forward=lambda index, root: follow, experts=found)


def _mixture(decoder: DenseDecoder, mixture: Mixture) -> Callable[[Fields], Description]:
    def describe(config: Fields) -> Description:
        shape = read_shape(config, decoder.defaults)
        found = read_experts(config, mixture, tuple(range(shape.num_layers)))
        modules = mixture_modules(mixture, found, shape.hidden_size, "model.layers.*")
        return describe_dense(config, decoder, feed_forward=lambda index, root: modules, experts=found)

    return describe


def _dense(name: str, architecture: str, decoder: DenseDecoder, renames: tuple[tuple[str, str], ...] = ()) -> Family:
    return Family(name, (architecture,), lambda config: describe_dense(config, decoder), renames=renames)


def _vault_gemma(config: Fields) -> Description:
    return describe_dense(config, _VAULT_GEMMA, buffers=(gemma2.NORMALIZER,))


FAMILIES = (
    Family("vaultgemma", ("VaultGemmaForCausalLM",), _vault_gemma),
    _dense("helium", "HeliumForCausalLM", _HELIUM),
    _dense("ministral", "MinistralForCausalLM", _MINISTRAL),
    _dense("arcee", "ArceeForCausalLM", _ARCEE),
    _dense("cwm", "CwmForCausalLM", _CWM),
    _dense("glm", "GlmForCausalLM", _GLM),
    Family("gpt_neox", ("GPTNeoXForCausalLM",), _neox, renames=_NEOX_NAMES),
    _dense("hunyuan_dense", "HunYuanDenseV1ForCausalLM", _HUNYUAN, _HUNYUAN_NAMES),
    Family("hunyuan_moe", ("HunYuanMoEV1ForCausalLM",), _hunyuan_moe, renames=_HUNYUAN_NAMES),
    _dense("jais2", "Jais2ForCausalLM", _JAIS2),
    Family("mellum", ("MellumForCausalLM",), _mixture(_MELLUM, _MELLUM_MIXTURE)),
    _dense("olmo", "OlmoForCausalLM", _OLMO),
    _dense("olmo2", "Olmo2ForCausalLM", _OLMO2),
    _dense("olmo3", "Olmo3ForCausalLM", _OLMO3),
    Family("flex_olmo", ("FlexOlmoForCausalLM",), _mixture(_FLEX_OLMO, _FLEX_MIXTURE)),
    _dense("phi", "PhiForCausalLM", _PHI, _PHI_NAMES),
    _dense("seed_oss", "SeedOssForCausalLM", _SEED),
    _dense("smollm3", "SmolLM3ForCausalLM", _SMOL3),
    _dense("starcoder2", "Starcoder2ForCausalLM", _STARCODER2, _STARCODER2_NAMES),
)
