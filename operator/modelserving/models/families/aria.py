"""Aria: a SigLIP of any resolution, learned queries over its patches and Llama with experts (vLLM 0.32: models/aria.py)."""

from dataclasses import replace

from modelserving.models.facts import Experts, Module, Section, Split
from modelserving.models.families import idefics
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, row
from modelserving.models.families.llama import DECODER
from modelserving.models.families.mixture import Mixture
from modelserving.models.families.nested import renamed
from modelserving.models.families.sparse import describe_sparse, every_layer
from modelserving.models.families.towers import Vit, join, part, plain, read_vit, table, tower, vector
from modelserving.models.fields import Fields

# transformers AriaTextConfig.
_DECODER = replace(
    DECODER,
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
    },
)
_MIXTURE = Mixture(
    num_experts="moe_num_experts",
    top_k="moe_topk",
    intermediate_size="intermediate_size",
    default_experts=8,
    default_top_k=2,
    default_intermediate=4096,
    gate="router_weight",
    shared="shared_experts",
)
# Queries by number of patches (transformers AriaConfig).
_QUERIES = 256
_MOST_SIZES = 256
_NAMES = (("lm_head", "lm_head"), ("model.", "language_model."))


def _describe(config: Fields) -> Description:
    text = _text(config.part("text_config") or Fields({}, "text_config"))
    vit = read_vit(config.part("vision_config") or Fields({}, "vision_config"), idefics.DEFAULTS)
    queries = _queries(config)
    parts = (*idefics.vit_sections(vit, "vision_tower", post_norm=False), _projector(vit, text.hidden_size, queries))
    # aria.py, AriaForConditionalGeneration: no SupportsPP.
    return replace(join(text, parts, tower(vit, queries)), supports_pipeline=False)


def _text(config: Fields) -> Description:
    def shared(found: Experts) -> int:
        return found.intermediate_size * config.whole("moe_num_shared_experts", 2, low=0, high=4096)

    return renamed(describe_sparse(config, _DECODER, _MIXTURE, every_layer, shared), _NAMES)


def _queries(config: Fields) -> int:
    """Most queries of any number of patches."""
    counts = config.part("projector_patch_to_query_dict")
    if counts is None:
        return _QUERIES
    return max((counts.whole(key, high=2**16) for key in counts.names()[:_MOST_SIZES]), default=_QUERIES)


def _projector(vit: Vit, out: int, queries: int) -> Section:
    """Cross-attention of torch's own, then an MLP that is cut."""
    name, width = "multi_modal_projector", vit.hidden_size
    crossed = f"{name}.cross_attn"
    return part(
        table(f"{name}.query", queries, width),
        *(plain(f"{crossed}.{key}_proj", width, width, False) for key in "qkv"),
        Module(f"{crossed}.multihead_attn.in_proj_weight", Split.REPLICATED, width, (3 * width,)),
        vector(f"{crossed}.multihead_attn.in_proj_bias", 3 * width),
        plain(f"{crossed}.multihead_attn.out_proj", width, width),
        plain(f"{crossed}.linear", width, width),
        norm(f"{crossed}.layer_norm", width, True),
        norm(f"{crossed}.layer_norm_kv", width, True),
        norm(f"{name}.layer_norm", width, True),
        column(f"{name}.feed_forward.linear_in", width, out, quantizable=False),
        row(f"{name}.feed_forward.linear_out", out, out, quantizable=False),
    )


FAMILY: Family = Family(
    "aria",
    ("AriaForConditionalGeneration",),
    _describe,
    # aria.py, hf_to_vllm_mapper.
    (
        ("model.language_model.", "language_model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("language_model.model.", "language_model."),
        ("language_model.lm_head", "lm_head"),
    ),
    (
        (".router.weight", ".router_weight"),
        (".experts.fc1.weight", ".experts.gate_up_proj"),
        (".experts.fc2.weight", ".experts.down_proj"),
    ),
    ("vision_tower.post_layernorm.",),
)
