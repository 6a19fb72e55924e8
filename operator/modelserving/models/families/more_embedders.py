"""Decoders and encoders with small heads of their own in place of the output head: rewards, rankings, late interaction.

Source: vLLM 0.32 model_executor/models/colbert.py, deepseek_v2.py, gpt2.py, internlm2.py, jamba.py, jina.py, voyage.py.
"""

from collections.abc import Callable
from dataclasses import replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Section, Split, Stage
from modelserving.models.families import bert, classics, encoders, hybrids, lfm2, llama, qwen3, renamed
from modelserving.models.families.decoder import LARGEST_WIDTH
from modelserving.models.families.deepseek import Kind, describe_latent
from modelserving.models.families.family import Description, Family
from modelserving.models.families.pooling import headless, looks_both_ways, num_labels, scoring, with_head
from modelserving.models.fields import Fields

_BARE = tuple((name, f"model.{name}") for name in ("layers.", "embed_tokens.", "norm."))


# JinaForRankingConfig (models/config.py).
_JINA_OUTPUTS = 512
# Keys that may state the width of a late-interaction projection (`get_colbert_dim_from_config`), and the usual one.
_WIDTHS, _COLBERT_WIDTH = ("colbert_dim", "dim", "projection_dim"), 128


def _plain(name: str, inputs: int, outputs: int) -> Module:
    """A linear layer of torch's own: whole on every rank, as precise as the model."""
    return Module(name, Split.REPLICATED, inputs, (outputs,))


def _voyage(config: Fields) -> Description:
    described = looks_both_ways(headless(qwen3.FAMILY.describe(config)))
    head = _plain("linear", described.hidden_size, num_labels(config))
    return replace(with_head(described, head), supports_pipeline=False)


def _jina(config: Fields) -> Description:
    """A decoder of Qwen's, or an encoder that is Llama looking both ways."""
    if config.flag("is_decoder", True):
        return headless(qwen3.FAMILY.describe(config))
    return looks_both_ways(headless(llama.FAMILY.describe(config)))


def _ranking(config: Fields) -> Description:
    described = headless(qwen3.FAMILY.describe(config))
    width = described.hidden_size
    first, second = _plain("projector.0", width, width // 2), _plain("projector.2", width // 2, _JINA_OUTPUTS)
    return replace(with_head(described, first, second), supports_pipeline=False)


def _internlm2(config: Fields) -> Description:
    described = headless(renamed.INTERNLM2.describe(config))
    return with_head(described, scoring("v_head", described.hidden_size, 1, bias=False, split=Split.ROW))


def _gpt2(config: Fields) -> Description:
    described = headless(classics.GPT2.describe(config))
    return with_head(described, scoring("score", described.hidden_size, num_labels(config), bias=False))


def _jamba(config: Fields) -> Description:
    """Its class is the one that generates: the output head stays, beside the score."""
    described = replace(hybrids.JAMBA.describe(config), pooling=True)
    bias = config.flag("score_bias")
    return with_head(described, scoring("score", described.hidden_size, num_labels(config), bias=bias))


def _deepseek(config: Fields) -> Description:
    """Where every token sees every other there is no latent cache, and the projections are the plain ones."""
    causal = config.flag("is_causal", True)
    described = describe_latent(config, kind=Kind(joined=causal))
    latent = described.latent_attention
    if causal or latent is None:
        return described
    sections = tuple(
        replace(section, modules=tuple(replace(module, keeps_copy=False) for module in section.modules))
        for section in described.sections
    )
    heads, size = described.num_attention_heads, latent.qk_nope_head_dim + latent.qk_rope_head_dim
    group = AttentionGroup(
        AttentionKind.ENCODER_ONLY, tuple(range(described.num_layers)), heads, heads, size, latent.v_head_dim
    )
    both_ways = replace(described, sections=sections, attention=(group,), latent_attention=None)
    # It makes embeddings and nothing else, as the files beside it say.
    return headless(both_ways)


def _colbert(config: Fields) -> Description:
    """ColBERT on BERT: its projection is as wide as the checkpoint's, which is made only then (`_load_colbert_weights`)."""
    stated = next((key for key in _WIDTHS if config.raw(key)), None)
    if stated is not None:
        raise config.fail(
            stated, "absent: ColBERTModel of vLLM 0.32 makes the projection before it is a module, and stops"
        )
    described = bert.BERT.describe(config)
    head = scoring("colbert_linear", described.hidden_size, _COLBERT_WIDTH, bias=False)
    return replace(described, sections=(*described.sections, Section(Stage.LAST, (head,))))


def _late(describe: Callable[[Fields], Description]) -> Callable[[Fields], Description]:
    """A vector for each token: a projection, where config.json says how wide; otherwise files beside it do."""

    def describe_late(config: Fields) -> Description:
        described = replace(describe(config), pooling=True)
        size = next((config.whole(key, high=LARGEST_WIDTH) for key in _WIDTHS if config.raw(key)), None)
        if size is None:
            said = "the width of its projection is in files beside config.json, and was not counted"
            return replace(described, assumptions=(*described.assumptions, said))
        head = scoring("colbert_linear", described.hidden_size, size, bias=False)
        return replace(described, sections=(*described.sections, Section(Stage.LAST, (head,))))

    return describe_late


_LFM2 = lfm2.FAMILIES[0]
_MODERN = next(family for family in encoders.FAMILIES if family.name == "modernbert")
FAMILIES: tuple[Family, ...] = (
    Family("voyage", ("VoyageQwen3BidirectionalEmbedModel",), _voyage),
    Family("jina_v5", ("JinaEmbeddingsV5Model",), _jina, _BARE, unused=("lm_head.",)),
    Family("jina_ranking", ("JinaForRanking",), _ranking, unused=("lm_head.",)),
    replace(
        renamed.INTERNLM2,
        name="internlm2_rewards",
        architectures=("InternLM2ForRewardModel",),
        describe=_internlm2,
    ),
    replace(classics.GPT2, name="gpt2_scores", architectures=("GPT2ForSequenceClassification",), describe=_gpt2),
    replace(hybrids.JAMBA, name="jamba_scores", architectures=("JambaForSequenceClassification",), describe=_jamba),
    Family("deepseek_both_ways", ("DeepseekV3BidirectionalModel",), _deepseek, _BARE, head_optional=True),
    replace(
        bert.BERT,
        name="colbert",
        architectures=("HF_ColBERT",),
        describe=_colbert,
        renames=(("linear.", "colbert_linear."),),
    ),
    replace(
        _MODERN,
        name="modern_colbert",
        architectures=("ColBERTModernBertModel",),
        describe=_late(_MODERN.describe),
    ),
    replace(
        _LFM2,
        name="lfm2_colbert",
        architectures=("ColBERTLfm2Model",),
        # Vectors of all tokens come out at once: a prompt is one batch.
        describe=_late(lambda config: replace(headless(_LFM2.describe(config)), whole_prompt=True)),
        prefixes=(*_LFM2.prefixes, *_BARE),
    ),
)
