"""Mixtures of experts on Llama's attention, each with names, norms and switches of its own.

Source: vLLM 0.32 model_executor/models/afmoe.py, deepseek_v2.py (DeepseekForCausalLM), ernie45_moe.py, exaone_moe.py,
hy_v3.py, olmoe.py, phimoe.py; for Solar Open and dots.llm1 the transformers backend. Defaults: the config class of each in transformers.
"""

from collections.abc import Callable
from dataclasses import replace

from modelserving.models.facts import Experts
from modelserving.models.families.decoder import MOST_EXPERTS, layers_where
from modelserving.models.families.dense import DenseDecoder
from modelserving.models.families.family import Description, Family
from modelserving.models.families.mixture import Mixture, layers_from
from modelserving.models.families.sparse import describe_sparse
from modelserving.models.fields import Fields

_OLMOE = DenseDecoder(
    defaults={
        "hidden_size": 2048,
        "intermediate_size": 2048,
        "num_hidden_layers": 16,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "vocab_size": 50304,
        "max_position_embeddings": 4096,
    },
    qk_norm="all",
)
_OLMOE_MIXTURE = Mixture(
    intermediate_size="intermediate_size", default_experts=64, default_top_k=8, default_intermediate=2048
)
_PHIMOE = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 6400,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32064,
        "max_position_embeddings": 131072,
    },
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    norm_bias=True,
    head_bias=True,
)
_PHIMOE_MIXTURE = Mixture(
    num_experts="num_local_experts",
    intermediate_size="intermediate_size",
    default_experts=16,
    default_top_k=2,
    default_intermediate=6400,
    block="block_sparse_moe",
    parts=("w1", "w3", "w2"),
)
_ERNIE = DenseDecoder(
    defaults={
        "hidden_size": 2560,
        "intermediate_size": 12288,
        "num_hidden_layers": 28,
        "num_attention_heads": 20,
        "num_key_value_heads": 4,
        "vocab_size": 103424,
        "max_position_embeddings": 131072,
    },
    qkv_bias="use_bias",
    tied=True,
)
_ERNIE_MIXTURE = Mixture(
    num_experts="moe_num_experts",
    top_k="moe_k",
    default_experts=64,
    default_top_k=6,
    default_intermediate=1536,
    shared="shared_experts",
    correction_bias="gate.e_score_correction_bias",
    router_dtype="float32",
)
_DEEPSEEK = DenseDecoder(defaults={"max_position_embeddings": 4096}, head_dim_key=False)
_DEEPSEEK_MIXTURE = Mixture(num_experts="n_routed_experts", shared="shared_experts")
_EXAONE = DenseDecoder(
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
)
_EXAONE_MIXTURE = Mixture(
    default_experts=64,
    default_top_k=8,
    default_intermediate=1024,
    shared="shared_experts",
    correction_bias="e_score_correction_bias",
)
_AFMOE = DenseDecoder(
    defaults={
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "head_dim": 128,
        "vocab_size": 200192,
        "max_position_embeddings": 16384,
        "sliding_window": 1024,
    },
    qk_norm="head",
    output_gate="gate_proj",
    norms=("input_layernorm", "post_attention_layernorm", "pre_mlp_layernorm", "post_mlp_layernorm"),
)
_AFMOE_MIXTURE = Mixture(
    default_experts=64,
    default_top_k=6,
    default_intermediate=1408,
    gate="router.gate",
    shared="shared_experts",
    correction_bias="expert_bias",
    router_dtype="float32",
)
_HUNYUAN = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 13312,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 120832,
        "max_position_embeddings": 131072,
    },
    qk_norm="head",
)
_HUNYUAN_MIXTURE = Mixture(
    intermediate_size="expert_hidden_dim",
    default_experts=192,
    default_top_k=8,
    default_intermediate=1536,
    gate="router.gate",
    shared="shared_mlp",
    correction_bias="expert_bias",
    router_dtype="float32",
)
_SOLAR_OPEN = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 10240,
        "num_hidden_layers": 48,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 196608,
        "max_position_embeddings": 131072,
    },
    rope="frequencies",
)
_DOTS1 = DenseDecoder(
    defaults={
        "hidden_size": 4608,
        "intermediate_size": 10944,
        "num_hidden_layers": 62,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 152064,
        "max_position_embeddings": 2048,
        "sliding_window": 4096,
    },
    qkv_bias="attention_bias",
    qk_norm="head",
    rope="frequencies",
    sliding_window_switch="use_sliding_window",
)
_SOLAR_OPEN_MIXTURE = Mixture(
    num_experts="n_routed_experts",
    default_experts=128,
    default_top_k=8,
    default_intermediate=1280,
    shared="shared_experts",
    correction_bias="gate.e_score_correction_bias",
)


def _shared(config: Fields, key: str, default: int) -> Callable[[Experts], int]:
    """Shared experts of the size of routed ones, as many as a key says."""
    count = config.whole(key, default, low=0, high=MOST_EXPERTS)
    return lambda found: count * found.intermediate_size


def _ernie(config: Fields) -> Description:
    first = config.whole("moe_layer_start_index", 0, low=0)
    step = config.whole("moe_layer_interval", 1)
    last = config.raw("moe_layer_end_index")

    def layers(count: int) -> tuple[int, ...]:
        # -1 stands for the last (transformers' config class).
        end = count - 1 if last in (None, -1) else config.whole("moe_layer_end_index", low=0)
        return layers_where(count, lambda index: (index + 1) % step == 0 and first <= index <= end)

    return describe_sparse(config, _ERNIE, _ERNIE_MIXTURE, layers, _shared(config, "moe_num_shared_experts", 0))


def _deepseek(config: Fields) -> Description:
    return describe_sparse(
        config,
        _DEEPSEEK,
        _DEEPSEEK_MIXTURE,
        lambda count: layers_from(config, count, "first_k_dense_replace"),
        _shared(config, "n_shared_experts", 0),
    )


def _exaone(config: Fields) -> Description:
    def layers(count: int) -> tuple[int, ...]:
        marks = config.raw("is_moe_layer")
        if isinstance(marks, list) and len(marks) >= count:
            return layers_where(count, lambda index: marks[index] is True or marks[index] == 1)
        return layers_where(count, lambda index: index >= config.whole("first_k_dense_replace", 1, low=0))

    return describe_sparse(config, _EXAONE, _EXAONE_MIXTURE, layers, _shared(config, "num_shared_experts", 0))


def _afmoe(config: Fields) -> Description:
    dense = config.whole("num_dense_layers", 1, low=0)
    pattern = config.whole("global_attn_every_n_layers", 4)
    return describe_sparse(
        config,
        replace(_AFMOE, sliding_pattern=pattern),
        _AFMOE_MIXTURE,
        lambda count: layers_where(count, lambda index: index >= dense),
        _shared(config, "num_shared_experts", 0),
    )


def _hunyuan(config: Fields) -> Description:
    dense = config.whole("first_k_dense_replace", low=0)
    named = config.renamed({"expert_hidden_dim": "moe_intermediate_size"})
    return describe_sparse(
        named,
        replace(_HUNYUAN, qk_norm="head" if config.flag("qk_norm", True) else ""),
        _HUNYUAN_MIXTURE,
        lambda count: layers_where(count, lambda index: index >= dense),
        _shared(config, "num_shared_experts", 1),
    )


def _solar_open(config: Fields) -> Description:
    return describe_sparse(
        config,
        _SOLAR_OPEN,
        _SOLAR_OPEN_MIXTURE,
        lambda count: layers_from(config, count, "first_k_dense_replace"),
        _shared(config, "n_shared_experts", 1),
    )


def _dots1(config: Fields) -> Description:
    return describe_sparse(
        config,
        _DOTS1,
        _SOLAR_OPEN_MIXTURE,
        lambda count: layers_from(config, count, "first_k_dense_replace"),
        _shared(config, "n_shared_experts", 0),
    )


FAMILIES = (
    Family("olmoe", ("OlmoeForCausalLM",), lambda config: describe_sparse(config, _OLMOE, _OLMOE_MIXTURE)),
    Family("phimoe", ("PhiMoEForCausalLM",), lambda config: describe_sparse(config, _PHIMOE, _PHIMOE_MIXTURE)),
    Family(
        "ernie45_moe",
        ("Ernie4_5_MoeForCausalLM",),
        _ernie,
        renames=((".moe_statics.e_score_correction_bias", ".gate.e_score_correction_bias"),),
        unused=("model.mtp_",),
    ),
    Family("deepseek_moe", ("DeepseekForCausalLM",), _deepseek),
    Family("exaone_moe", ("ExaoneMoeForCausalLM", "ExaoneMoEForCausalLM"), _exaone, unused=("mtp.",)),
    Family("afmoe", ("AfmoeForCausalLM",), _afmoe),
    Family("hunyuan_v3", ("HYV3ForCausalLM",), _hunyuan),
    Family("dots1", ("Dots1ForCausalLM",), _dots1),
    Family("solar_open", ("SolarOpenForCausalLM",), _solar_open),
)
