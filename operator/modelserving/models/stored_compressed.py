"""How compressed-tensors says that a checkpoint is quantized.

Source: vLLM 0.32 model_executor/layers/quantization/compressed_tensors/compressed_tensors.py (`from_config`,
`_quantization_scheme_map_from_config`) and its schemes.
"""

from collections.abc import Mapping

from modelserving.models.fields import Fields
from modelserving.models.quantization import Quantization

LARGEST_GROUP = 65536
# (bits, float, strategy) with a layout that sizing knows.
_KNOWN = frozenset(
    {
        (8, True, "tensor"),
        (8, True, "channel"),
        (8, True, "block"),
        (8, False, "tensor"),
        (8, False, "channel"),
        (8, False, "group"),
        (8, True, "group"),
        (4, False, "group"),
        (4, False, "channel"),
        (4, True, "tensor_group"),
        (4, True, "group"),
    }
)
# A group whose targets are module classes is the rest's scheme; names and patterns are overrides.
_CLASSES = ("Linear", "MoE", "Attention", "Embedding")
_DEFAULT_BLOCK = 128


def read_compressed(fields: Fields) -> Quantization:
    """Read `quantization_config`.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    groups = fields.required_part("config_groups")
    content = fields.raw("config_groups")
    names = [str(name) for name in content] if isinstance(content, Mapping) else []
    if not names:
        raise fields.fail("config_groups", "an object with at least one group")
    ignored = fields.texts("ignore")
    kv_cache = "fp8" if fields.raw("kv_cache_scheme") is not None else None
    rest: Quantization | None = None
    overrides: list[tuple[tuple[str, ...], Quantization]] = []
    for name in names:
        group = groups.required_part(name)
        if group.raw("weights") is None:
            continue
        scheme, targets = _scheme(fields, group), group.texts("targets")
        if rest is None and (not targets or any(target in _CLASSES for target in targets)):
            rest = scheme
        else:
            overrides.append((targets, scheme))
    if rest is None and not overrides:
        raise groups.fail(names[0], "a group with weights")
    first = rest or overrides[0][1]
    return Quantization(
        method=first.method,
        bits=first.bits,
        is_float=first.is_float,
        strategy=first.strategy,
        group_size=first.group_size,
        block_shape=first.block_shape,
        zero_point=first.zero_point,
        dynamic_activations=first.dynamic_activations,
        desc_act=first.desc_act,
        ignored=ignored,
        kv_cache_scheme=kv_cache,
        known=first.known and all(scheme.known for _, scheme in overrides),
        overrides=tuple(overrides),
        only_named=rest is None,
    )


def _scheme(fields: Fields, group: Fields) -> Quantization:
    weights = group.required_part("weights")
    activations = group.part("input_activations")
    bits = weights.whole("num_bits", high=32)
    is_float = weights.text("type", "int") == "float"
    size = _group_size(weights)
    strategy = weights.text("strategy") or ("tensor" if size is None else "group")
    block = _block(weights) if strategy == "block" else None
    grouped = strategy in ("group", "tensor_group")
    return Quantization(
        method="compressed-tensors",
        bits=bits,
        is_float=is_float,
        strategy="group" if grouped else strategy,
        group_size=size if grouped else None,
        block_shape=block,
        zero_point=not weights.flag("symmetric", True),
        dynamic_activations=None if activations is None else activations.raw("dynamic") is not False,
        desc_act=weights.raw("actorder") in ("group", "dynamic"),
        known=(bits, is_float, strategy) in _KNOWN and (not grouped or size is not None),
    )


def _group_size(weights: Fields) -> int | None:
    if weights.raw("group_size") in (None, -1):
        return None
    return weights.whole("group_size", high=LARGEST_GROUP)


def _block(weights: Fields) -> tuple[int, int]:
    if weights.raw("block_structure") is None:
        return (_DEFAULT_BLOCK, _DEFAULT_BLOCK)
    sides = weights.wholes("block_structure", _DEFAULT_BLOCK, low=1, high=LARGEST_GROUP)
    if len(sides) != 2:
        raise weights.fail("block_structure", "a list of two whole numbers")
    return sides[0], sides[1]
