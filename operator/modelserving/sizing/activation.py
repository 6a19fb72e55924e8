"""Activation peak of the profile run: what vLLM sets aside for one batch, besides weights.

    V1 runner   max(sampler, forward),  sampler = (12 + e) R V + 2.5 e T H
    V2 runner   max(sampler, forward) + persistent,  sampler = e R V,  persistent = (4 + 1/8) R V
    forward   = e T (3 I / tp + 4 H), on stages before the last + 2 e T H
    multimodal: + e T H for the encoder's output; the tower's own pass where that is more

T max_num_batched_tokens, R min(max_num_seqs, T), V padded vocabulary, H hidden, I intermediate size, e bytes of the model's
dtype. Logits are gathered, so they do not shrink with tp, and exist on the last stage only.

Source: vLLM v1/sample/sampler.py and ops/topk_topp_sampler.py (logits, float32 copy, probabilities, noise: 2 + 4 + 4 + 4
bytes), v1/worker/gpu/sample/penalties.py (persistent buffers), v1/worker/gpu_model_runner.py `profile_run`. The factors
2.5, 38.24 and 1.3 are fitted: 29 starts of vLLM 0.19 on H100, mean error 2.7 %, worst 9.9 %; 11 of 0.16 and older, 0.3 %.
"""

from modelserving.engine.config import EngineConfig
from modelserving.engine.shares import padded_vocabulary
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import ModelFacts, VisionTower
from modelserving.sizing.budget import Term
from modelserving.sizing.layouts import DTYPE_BYTES
from modelserving.sizing.sharding import keeps_towers
from modelserving.units import GIB, ceil_div

# float32 logits, probabilities and noise beside the logits in the model's dtype.
_SAMPLER_COPIES_BYTES = 12
_SAMPLER_HIDDEN_STATES = 2.5
# Before 0.17 sampling sorted all logits: values, 64-bit indices and sums, 9.56 times 4 bytes.
_SORT_BYTES = 38.24
_SORT_HIDDEN_STATES = 1.3
# V2 runner: int32 penalty counts, one bit a token of the prompt mask.
_PERSISTENT_BYTES = 4 + 1 / 8
# V2 runner since 0.33: a warm-up that samples with penalties, 2.75 times 4 bytes.
_WARM_UP_BYTES = 11
# Gated MLP (gate, up and their product) and hidden states, residual and their copies that live at once.
_MLP_TENSORS = 3
_HIDDEN_TENSORS = 4
# Tensors of hidden width that a stage hands to the next: hidden states and residual.
_HANDED_ON = 2
# Worst error of the V1 formulas on starts with logged peaks.
_BAND = 0.10
# Multimodal models were the worst of those, and the items of the profile run are not known exactly.
_MULTIMODAL_BAND = 0.25
# The one start of the V2 runner with a logged peak (Llama-3.1-8B, A100, 0.31) was 1.09 GiB above the formula.
_SECOND_RUNNER_MARGIN = 1.1 * GIB
_SECOND_RUNNER_LOW = 0.5


def activation_peak(facts: ModelFacts, config: EngineConfig, version: EngineVersion, is_last_stage: bool) -> Term:
    """Activation peak on the ranks of a pipeline stage."""
    tokens, element = config.max_num_batched_tokens, DTYPE_BYTES[config.dtype]
    hidden = tokens * facts.hidden_size * element
    mlp = tokens * facts.intermediate_size // config.tensor_parallel_size * element
    forward = _MLP_TENSORS * mlp + _HIDDEN_TENSORS * hidden
    persistent = 0
    peak = forward + _HANDED_ON * hidden
    if is_last_stage:
        sampler, persistent = _sampler(facts, config, version, hidden, element)
        peak = max(sampler, forward)
    band = _BAND
    if facts.vision is not None and keeps_towers(facts, config.limit_mm_per_prompt):
        peak = max(peak + hidden, _tower(facts, facts.vision, config, element))
        band = _MULTIMODAL_BAND
    value = peak + persistent
    if version.second_runner:
        high = value + max(int(_SECOND_RUNNER_MARGIN), int(value * band))
        return Term(value, int(value * _SECOND_RUNNER_LOW), high, "profile run, V2 runner: forward pass or logits")
    return Term(value, int(value * (1 - band)), int(value * (1 + band)), "profile run: forward pass or sampler")


def _sampler(
    facts: ModelFacts, config: EngineConfig, version: EngineVersion, hidden: int, element: int
) -> tuple[int, int]:
    """(peak of the sampler, persistent buffers)."""
    logits = min(config.max_num_seqs, config.max_num_batched_tokens) * padded_vocabulary(facts.vocab_size)
    if version.second_runner:
        per_logit = _WARM_UP_BYTES if version.warms_sampler else element
        return per_logit * logits + hidden, int(_PERSISTENT_BYTES * logits)
    if version.fused_sampler:
        return (_SAMPLER_COPIES_BYTES + element) * logits + int(_SAMPLER_HIDDEN_STATES * hidden), 0
    return int(_SORT_BYTES * logits + _SORT_HIDDEN_STATES * hidden), 0


def _tower(facts: ModelFacts, vision: VisionTower, config: EngineConfig, element: int) -> int:
    """Peak of the encoder's pass over as many items as the batch has room for, projected to the language model's width.

    Source: vLLM 0.32 multimodal/encoder_budget.py: the budget is a batch, or the largest item if that is more.
    """
    budget = max(config.max_num_batched_tokens, vision.max_tokens_per_item)
    patches = ceil_div(budget, vision.tokens_per_image) * vision.patches_per_image
    ranks = 1 if vision.num_heads % config.tensor_parallel_size else config.tensor_parallel_size
    layer = vision.intermediate_size // ranks + _HIDDEN_TENSORS * vision.hidden_size
    # The projector's two outputs of the language model's width are alive together, beside the tower's.
    projector = vision.hidden_size + 2 * facts.hidden_size
    return patches * max(layer, projector) * element
