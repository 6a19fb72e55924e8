"""Nemotron-H cut down block by block: each layer states its kind, and what differs from the rest of config.json.

Source: vLLM 0.32 model_executor/models/nemotron_h.py (`get_nemotron_h_config_for_layer`, which the checkpoint's own config
class has: a block's fields stand before the model's), transformers_utils/model_arch_config_convertor.py.
"""

from dataclasses import replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, Module, Section, Stage
from modelserving.models.families.decoder import MOST_LAYERS, Decoder, layers_where, put_together
from modelserving.models.families.family import Description, Family
from modelserving.models.families.nemotron_h import (
    ATTENTION,
    KINDS,
    LAYER,
    MAMBA,
    PREFIXES,
    RENAMES,
    UNUSED,
    Sizes,
    layer_modules,
    read_sizes,
)
from modelserving.models.families.recurrent import conv_view, mamba2_group, mamba2_modules
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope


def _describe(config: Fields) -> Description:
    blocks = _blocks(config)
    pattern = "".join(kind for kind, _ in blocks)
    sizes = tuple(read_sizes(block, kind) for kind, block in blocks)
    # Mamba layers read the model's own fields.
    usual = read_sizes(config, MAMBA)
    shape = replace(usual.shape, num_layers=len(blocks))
    mamba = layers_where(len(blocks), lambda index: pattern[index] == MAMBA)
    layers = tuple(layer_modules(each, kind) for each, (kind, _) in zip(sizes, blocks, strict=True))
    view = conv_view(mamba2_modules(usual.mamba, f"{LAYER}.mixer")[0])

    def layer(index: int) -> tuple[Module, ...]:
        return layers[index]

    groups = ((mamba2_group(usual.mamba, mamba),) if mamba else ()) + _attention(blocks, sizes)
    return put_together(
        Decoder(
            shape=shape,
            rope=read_rope(config, 4096),
            layer=layer,
            attention=groups,
            tied=config.flag("tie_word_embeddings"),
            buffers=(Section(Stage.LAYERS, (view,), layers=mamba, buffers=True),) if mamba else (),
            final_norm="norm_f",
            experts=_experts(sizes),
        )
    )


def _blocks(config: Fields) -> tuple[tuple[str, Fields], ...]:
    """(kind, the config as the layer sees it) of every layer."""
    listed = config.raw("block_configs")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_LAYERS:
        raise config.fail("block_configs", f"a list of up to {MOST_LAYERS} objects")
    parts = Fields({str(index): block for index, block in enumerate(listed)}, "block_configs")
    found = []
    for index in range(len(listed)):
        block = parts.required_part(str(index))
        kind = KINDS.get(block.text("block_type"))
        if kind is None:
            raise block.fail("block_type", f"one of {', '.join(KINDS)}")
        own = {name: block.raw(name) for name in block.names() if block.raw(name) is not None}
        found.append((kind, config if kind == MAMBA else config.replaced(own)))
    return tuple(found)


def _attention(blocks: tuple[tuple[str, Fields], ...], sizes: tuple[Sizes, ...]) -> tuple[AttentionGroup, ...]:
    """Layers whose heads and windows are alike go together."""
    alike: dict[tuple[int, int, int, int | None], list[int]] = {}
    for index, (kind, block) in enumerate(blocks):
        if kind == ATTENTION:
            shape, window = sizes[index].shape, block.optional_whole("sliding_window", low=0) or None
            alike.setdefault((shape.num_heads, shape.num_kv_heads, shape.head_size, window), []).append(index)
    return tuple(
        AttentionGroup(
            AttentionKind.FULL if window is None else AttentionKind.SLIDING_WINDOW,
            tuple(layers),
            heads,
            shared,
            size,
            size,
            window,
        )
        for (heads, shared, size, window), layers in alike.items()
    )


def _experts(sizes: tuple[Sizes, ...]) -> Experts | None:
    """The largest of all layers' experts: what is computed for them is as large as for those."""
    found = [(index, each.found) for index, each in enumerate(sizes) if each.found is not None]
    if not found:
        return None
    return Experts(
        num_experts=max(experts.num_experts for _, experts in found),
        top_k=max(experts.top_k for _, experts in found),
        intermediate_size=max(experts.intermediate_size for _, experts in found),
        layers=tuple(index for index, _ in found),
    )


FAMILY = Family("nemotron_h_puzzle", ("NemotronHPuzzleForCausalLM",), _describe, PREFIXES, RENAMES, UNUSED)
