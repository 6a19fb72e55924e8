"""LongCat-Flash: two blocks of latent attention and MLP a layer, experts beside them, some of which do nothing.

Source: vLLM 0.32 model_executor/models/longcat_flash.py, longcat_flash_ngram.py.
"""

from dataclasses import replace

from modelserving.models.facts import AttentionGroup, Module, Section, Split, Stage
from modelserving.models.families.decoder import MOST_EXPERTS, Decoder, put_together
from modelserving.models.families.deepseek import latent_attention, latent_group, read_latent_shape, read_mla
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import gated_mlp, norm, rope_cache
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_NAMES = {
    "num_hidden_layers": "num_layers",
    "intermediate_size": "ffn_hidden_size",
    "moe_intermediate_size": "expert_ffn_hidden_size",
    "num_experts_per_tok": "moe_topk",
}
_MIXTURE = Mixture(
    num_experts="n_routed_experts",
    gate="router.classifier",
    correction_bias="router.e_score_correction_bias",
    router_dtype="float32",
)
_BLOCKS = 2
_ROOT = "model.layers.*"
_POSITIONS = 131072
_MOST_SPLITS, _LARGEST_RATIO = 64, 4096


def _describe(config: Fields, more: tuple[Section, ...] = ()) -> Description:
    named = config.renamed(_NAMES)
    shape, mla = read_latent_shape(named), read_mla(named)
    rope = read_rope(named, _POSITIONS)
    everything = tuple(range(shape.num_layers))
    found = read_experts(named, _MIXTURE, everything)
    idle = config.whole("zero_expert_num", 0, low=0, high=MOST_EXPERTS)
    routed = mixture_modules(_MIXTURE, found, shape.hidden_size, _ROOT)
    # The router chooses among the experts that do nothing, too.
    routed = tuple(
        replace(module, out_features=(found.num_experts + idle,)) if "router" in module.name else module
        for module in routed
    )
    blocks: tuple[Module, ...] = ()
    for block in range(_BLOCKS):
        blocks += (
            *latent_attention(mla, shape, f"{_ROOT}.self_attn.{block}", False),
            *gated_mlp(f"{_ROOT}.mlps.{block}", shape.hidden_size, shape.intermediate_size),
            norm(f"{_ROOT}.input_layernorm.{block}", shape.hidden_size),
            norm(f"{_ROOT}.post_attention_layernorm.{block}", shape.hidden_size),
        )
    modules = (*blocks, *routed)
    groups: tuple[AttentionGroup, ...] = tuple(latent_group(mla, shape, everything) for _ in range(_BLOCKS))
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=lambda index: modules,
            attention=groups,
            tied=config.flag("tie_word_embeddings"),
            buffers=(rope_cache(rope.cache_rows, mla.latent.qk_rope_head_dim), *more),
            experts=found,
            latent_attention=mla.latent,
        )
    )


def _ngram(config: Fields) -> Description:
    """Embeddings of the last few tokens together, beside those of each: tables of hashes (longcat_flash_ngram.py)."""
    if config.raw("ngram_vocab_size_ratio") is None:
        return _describe(config)
    shape = read_latent_shape(config.renamed(_NAMES))
    splits, last = (
        config.whole("emb_split_num", high=_MOST_SPLITS),
        config.whole("emb_neighbor_num", low=2, high=_MOST_SPLITS),
    )
    tables, hashed = splits * (last - 1), config.whole("ngram_vocab_size_ratio", high=_LARGEST_RATIO) * shape.vocab_size
    width = shape.hidden_size // tables
    if not width:
        raise config.fail("emb_split_num", f"small enough for {shape.hidden_size} columns")
    name = "model.ngram_embeddings"
    rows = tuple(hashed + 2 * table + 1 for table in range(tables))
    weights = (
        Module(f"{name}.oe_embedder", Split.VOCAB, width, (sum(rows),)),
        Module(f"{name}.oe_projection", Split.REPLICATED, width * shape.hidden_size, (tables,)),
    )
    counted = (
        ("ne_weights", (last - 1) * splits * last),
        ("ne_mods", (last - 1) * splits),
        ("exclusive_sizes", tables + 1),
    )
    numbers = tuple(
        Module(f"{name}.{part}", Split.REPLICATED, 1, (count,), fixed_dtype="int32") for part, count in counted
    )
    return _describe(config, (Section(Stage.FIRST, weights), Section(Stage.FIRST, numbers, buffers=True)))


_UNUSED = ("model.mtp.",)
FAMILY = Family("longcat_flash", ("LongcatFlashForCausalLM",), _describe, unused=_UNUSED)
NGRAM = Family("longcat_flash_ngram", ("LongcatFlashNgramForCausalLM",), _ngram, unused=_UNUSED)
