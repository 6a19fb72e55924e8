"""Cohere 2 with experts: one norm a layer, attention and experts side by side (vLLM 0.32: model_executor/models/cohere2_moe.py)."""

from dataclasses import replace

from modelserving.models.families.cohere import COHERE2_DECODER, window_and_newest
from modelserving.models.families.decoder import LARGEST_WIDTH, MOST_EXPERTS, layers_where, read_shape
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
_DENSE = "dense"


def _describe(config: Fields) -> Description:
    shape = read_shape(config, _DECODER.defaults)
    found = read_experts(config, _MIXTURE, _sparse(config, shape.num_layers))
    shared = config.whole("num_shared_experts", 0, low=0, high=MOST_EXPERTS) * shape.intermediate_size
    inner = config.whole("prefix_dense_intermediate_size", shape.intermediate_size, high=LARGEST_WIDTH)
    follow = either(
        found.layers,
        lambda root: mixture_modules(_MIXTURE, found, shape.hidden_size, root, shared),
        lambda root: gated_mlp(f"{root}.mlp", shape.hidden_size, inner),
    )
    longest = config.optional_whole("model_max_length")
    # The rope's cache goes as far, where it is stated.
    long = config if longest is None else config.replaced({"max_position_embeddings": longest})
    kinds = long.replaced({"layer_types": _kinds(config, shape.num_layers)})
    return window_and_newest(describe_dense(kinds, _DECODER, feed_forward=follow, experts=found))


def _sparse(config: Fields, num_layers: int) -> tuple[int, ...]:
    """Layers with experts: those not called dense, or those behind the first so many."""
    kinds = config.texts("mlp_layer_types")
    if kinds and len(kinds) < num_layers:
        raise config.fail("mlp_layer_types", f"a list of {num_layers} texts")
    first = config.whole("first_k_dense_replace", 0, low=0, high=num_layers)
    return layers_where(num_layers, lambda index: kinds[index] != _DENSE if kinds else index >= first)


def _kinds(config: Fields, num_layers: int) -> list[str]:
    """Kinds of attention: the dense layers before the others have a pattern of their own."""
    if kinds := config.texts("layer_types"):
        return list(kinds)
    first = config.whole("first_k_dense_replace", 0, low=0, high=num_layers)
    patterns = (
        (first, config.whole("prefix_dense_sliding_window_pattern", 1)),
        (num_layers - first, config.whole("sliding_window_pattern", _DECODER.sliding_pattern)),
    )
    return [
        "sliding_attention" if (index + 1) % pattern else "full_attention"
        for count, pattern in patterns
        for index in range(count)
    ]


FAMILY = Family("cohere2_moe", ("Cohere2MoeForCausalLM",), _describe)
