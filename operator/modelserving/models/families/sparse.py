"""Decoders with grouped-query attention and experts in all or some layers, put together from both."""

from collections.abc import Callable

from modelserving.models.facts import Experts
from modelserving.models.families.decoder import read_shape
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description
from modelserving.models.families.layers import gated_mlp
from modelserving.models.families.mixture import Mixture, either, mixture_modules, read_experts
from modelserving.models.fields import Fields


def every_layer(num_layers: int) -> tuple[int, ...]:
    """All layers."""
    return tuple(range(num_layers))


def no_shared(found: Experts) -> int:
    """Size of shared experts where there are none."""
    return 0


def describe_sparse(
    config: Fields,
    decoder: DenseDecoder,
    mixture: Mixture,
    layers: Callable[[int], tuple[int, ...]] = every_layer,
    shared: Callable[[Experts], int] = no_shared,
    prefix: str = "",
) -> Description:
    """Describe a decoder with experts.

    Args:
        config: the language model's part of config.json.
        decoder: what is particular to the family.
        mixture: names and defaults of the experts.
        layers: number of layers -> those with experts.
        shared: experts -> intermediate size of the shared ones together.
        prefix: what vLLM puts before the names of this language model's modules.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    shape = read_shape(config, decoder.defaults, decoder.head_dim_key)
    found = read_experts(config, mixture, layers(shape.num_layers))
    size = shared(found)
    follow = either(
        found.layers,
        lambda root: mixture_modules(mixture, found, shape.hidden_size, root, size),
        lambda root: gated_mlp(f"{root}.{mixture.block}", shape.hidden_size, shape.intermediate_size),
    )
    return describe_dense(config, decoder, prefix, follow, found if found.layers else None)
