"""Command with experts: dense layers first, attention and experts side by side (vLLM 0.32: model_executor/models/cohere2_moe.py)."""

from dataclasses import replace

from modelserving.models.facts import Module
from modelserving.models.families.cohere import COHERE2_DECODER, one_more
from modelserving.models.families.decoder import LARGEST_WIDTH, layers_where, read_shape
from modelserving.models.families.dense import describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import gated_mlp
from modelserving.models.families.mixture import Mixture, either, mixture_modules, read_experts
from modelserving.models.fields import Fields

# Defaults: transformers Cohere2MoeConfig.
_DECODER = replace(
    COHERE2_DECODER, defaults={**COHERE2_DECODER.defaults, "head_dim": 128}, qkv_bias=False, output_bias=False
)
_MIXTURE = Mixture(
    intermediate_size="intermediate_size",
    default_experts=8,
    default_top_k=2,
    default_intermediate=22528,
    shared="shared_experts",
)
_MOST_SHARED = 64
_PATTERN, _PREFIX_PATTERN = 4, 1
_WINDOW = 4096
_FULL, _SLIDING = "full_attention", "sliding_attention"


def _describe(config: Fields) -> Description:
    shape = read_shape(config, _DECODER.defaults)
    dense_layers = config.whole("first_k_dense_replace", 0, low=0, high=shape.num_layers)
    sparse = _sparse_layers(config, shape.num_layers, dense_layers)
    found = read_experts(config, _MIXTURE, sparse)
    shared = config.whole("num_shared_experts", 0, low=0, high=_MOST_SHARED) * shape.intermediate_size
    inner = shape.intermediate_size
    if config.raw("prefix_dense_intermediate_size") is not None:
        inner = config.whole("prefix_dense_intermediate_size", high=LARGEST_WIDTH)

    def experts(root: str) -> tuple[Module, ...]:
        return mixture_modules(_MIXTURE, found, shape.hidden_size, root, shared)

    def dense(root: str) -> tuple[Module, ...]:
        return gated_mlp(f"{root}.mlp", shape.hidden_size, inner)

    kinds = config.texts("layer_types") or _kinds(config, shape.num_layers, dense_layers)
    if len(kinds) < shape.num_layers:
        raise config.fail("layer_types", f"a list of {shape.num_layers} texts")
    long = config.replaced(
        {
            "layer_types": list(kinds),
            "sliding_window": config.whole("sliding_window", _WINDOW)
            if _SLIDING in kinds[: shape.num_layers]
            else None,
            "max_position_embeddings": config.raw("model_max_length") or config.raw("max_position_embeddings") or 8192,
        }
    )
    return one_more(describe_dense(long, _DECODER, feed_forward=either(sparse, experts, dense), experts=found))


def _sparse_layers(config: Fields, num_layers: int, dense_layers: int) -> tuple[int, ...]:
    kinds = config.texts("mlp_layer_types")
    if not kinds:
        return tuple(range(dense_layers, num_layers))
    if len(kinds) < num_layers:
        raise config.fail("mlp_layer_types", f"a list of {num_layers} texts")
    return layers_where(num_layers, lambda index: kinds[index] != "dense")


def _kinds(config: Fields, num_layers: int, dense_layers: int) -> tuple[str, ...]:
    """Windows by a pattern of the first layers' own, then by another that counts anew."""
    first = config.whole("prefix_dense_sliding_window_pattern", _PREFIX_PATTERN, high=1024)
    later = config.whole("sliding_window_pattern", _PATTERN, high=1024)
    slides = [(index + 1) % first != 0 for index in range(dense_layers)]
    slides += [(index + 1) % later != 0 for index in range(num_layers - dense_layers)]
    return tuple(_SLIDING if is_window else _FULL for is_window in slides)


FAMILY = Family("cohere2_moe", ("Cohere2MoeForCausalLM",), _describe)
