"""Activation peak of the profile run: what vLLM sets aside for one batch, besides weights.

    V1 runner   max(sampler, forward),  sampler = (12 + e) R V + 2.5 e T H
    V2 runner   max(sampler, forward) + persistent,  sampler = e R V + e T H,  persistent = (4 + 1/8) R V
    forward   = e T (3 I / tp + 4 H), on stages before the last + 2 e T H
              + one byte a quantized activation, + context of latent attention while it is expanded
    experts     + e T top_k (max(I / tp, H) + max(2 I / tp, H)), kept beside either
    engines     experts see the tokens of all dp engines: dp T in the line above, + 2 e dp T H for them and their answers
    multimodal  + e T H for the encoder's output; the tower's own pass where that is more

T max_num_batched_tokens, R min(max_num_seqs, T), V padded vocabulary, H hidden, I intermediate size, e bytes of the model's
dtype. Logits are gathered, so they do not shrink with tp, and exist on the last stage only.

Source: vLLM v1/sample/sampler.py and ops/topk_topp_sampler.py (logits, float32 copy, probabilities, noise: 2 + 4 + 4 + 4
bytes), v1/worker/gpu/sample/ (persistent buffers), v1/worker/gpu_model_runner.py `profile_run`,
fused_moe/experts/triton_moe.py `workspace_shapes`, fused_moe/prepare_finalize/naive_dp_ep.py,
layers/attention/mla_attention.py. The factors 2.5, 38.24 and 1.3 are
fitted: 34 starts of vLLM 0.17 to 0.19 on H100, median error 2.0 %, worst 6.3 %; 5 of 0.11 to 0.16, 0.3 %.
"""

from modelserving.engine.config import EngineConfig
from modelserving.engine.shares import local_heads, padded_vocabulary, towers_whole
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import ModelFacts, VisionTower
from modelserving.sizing.budget import Term
from modelserving.sizing.kv_blocks import DEFAULT_BLOCK_SIZE
from modelserving.sizing.layouts import DTYPE_BYTES
from modelserving.sizing.runner import runs_second
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
# Latent attention expands the context of 8 requests, or 4 blocks a sequence, at most 64 Ki tokens at a time
# (MLACommonMetadataBuilder.determine_chunked_prefill_workspace_size).
_EXPANDED_REQUESTS = 8
_EXPANDED_BLOCKS = 4
_EXPANDED_TOKENS = 64 * 1024
# Worst error of the formulas on starts with logged peaks: dense models, mixtures of experts, multimodal models.
_BAND = 0.10
_EXPERTS_BAND = 0.15
_MULTIMODAL_BAND = 0.25
# Data parallel: no start of it was logged, and what is gathered depends on the backend that a cluster's network gives.
_ENGINES_BAND = 0.40
# Tokens of all engines, gathered for the experts, and the experts' answers.
_GATHERED_TENSORS = 2
# A tower's own pass, which no start with all its sizes was logged for; Qwen2.5-VL, whose largest image is more than a batch,
# logged up to four times the formula (6.9 GiB, 32B on A100).
_TOWER_SHARES = (0.6, 1.6)
_LARGE_ITEM_SHARES = (0.5, 4.0)
# V2 runner: the sum of its peak and its graphs lay within 0.1 GiB of the estimate in the one start that logged both.
_SECOND_RUNNER_MARGIN = int(0.15 * GIB)


def activation_peak(facts: ModelFacts, config: EngineConfig, version: EngineVersion, is_last_stage: bool) -> Term:
    """Activation peak on the ranks of a pipeline stage."""
    element = DTYPE_BYTES[config.dtype]
    hidden = config.max_num_batched_tokens * facts.hidden_size * element
    forward = _forward(facts, config, element)
    second = runs_second(facts, version)
    persistent = 0
    peak = forward + _HANDED_ON * hidden
    if is_last_stage:
        logits = _profiled_sequences(facts, config, version) * padded_vocabulary(facts.vocab_size)
        peak = max(_sampler(logits, version, hidden, element, second), forward)
        persistent = int(_PERSISTENT_BYTES * logits) if second else 0
    kept = persistent + _expert_workspaces(facts, config, element)
    band = _band(facts, config)
    if facts.vision is not None and keeps_towers(facts, config.limit_mm_per_prompt):
        tower = _tower(facts, facts.vision, config, element)
        if tower > peak + hidden:
            is_large = facts.vision.max_tokens_per_item > config.max_num_batched_tokens
            low, high = (int(tower * share) for share in (_LARGE_ITEM_SHARES if is_large else _TOWER_SHARES))
            return Term(tower + kept, low + kept, high + kept, "profile run: pass of the vision tower")
        peak += hidden
        band = max(band, _MULTIMODAL_BAND)
    value = peak + kept
    margin = max(int(value * band), _SECOND_RUNNER_MARGIN if second else 0)
    source = "profile run, V2 runner: forward pass or logits" if second else "profile run: forward pass or sampler"
    return Term(value, max(0, value - margin), value + margin, source)


def _band(facts: ModelFacts, config: EngineConfig) -> float:
    if facts.experts is None:
        return _BAND
    return _EXPERTS_BAND if config.data_parallel_size == 1 else _ENGINES_BAND


def _profiled_sequences(facts: ModelFacts, config: EngineConfig, version: EngineVersion) -> int:
    """Sequences of the profile run's batch; the first engine fills it with images, each in a sequence of its own."""
    sequences = min(config.max_num_seqs, config.max_num_batched_tokens)
    if version.first_engine and facts.vision is not None:
        return max(1, min(sequences, config.max_num_batched_tokens // max(1, facts.vision.max_tokens_per_item)))
    return sequences


def _forward(facts: ModelFacts, config: EngineConfig, element: int) -> int:
    tokens, ranks = config.max_num_batched_tokens, config.tensor_parallel_size
    inner = 0 if _is_all_experts(facts) else facts.intermediate_size // ranks
    forward = tokens * element * (_MLP_TENSORS * inner + _HIDDEN_TENSORS * facts.hidden_size)
    stored = facts.stored_quantization
    if stored is not None and stored.dynamic_activations is not None:
        forward += tokens * max(inner, facts.hidden_size)
    return forward + _expanded_context(facts, config, element)


def _is_all_experts(facts: ModelFacts) -> bool:
    return facts.experts is not None and len(facts.experts.layers) == facts.num_layers


def _expanded_context(facts: ModelFacts, config: EngineConfig, element: int) -> int:
    latent = facts.latent_attention
    if latent is None:
        return 0
    block = config.block_size or DEFAULT_BLOCK_SIZE
    wanted = max(_EXPANDED_REQUESTS * config.max_model_len, _EXPANDED_BLOCKS * config.max_num_seqs * block)
    heads = local_heads(facts.num_attention_heads, config.tensor_parallel_size)
    return min(wanted, _EXPANDED_TOKENS) * heads * (latent.qk_nope_head_dim + latent.v_head_dim) * element


def _expert_workspaces(facts: ModelFacts, config: EngineConfig, element: int) -> int:
    experts = facts.experts
    if experts is None:
        return 0
    ranks = 1 if config.enable_expert_parallel else config.expert_ranks
    inner, hidden = experts.intermediate_size // ranks, facts.hidden_size
    width = max(inner, hidden) + max(2 * inner, hidden)
    tokens = config.max_num_batched_tokens * config.data_parallel_size
    gathered = _GATHERED_TENSORS * hidden if config.data_parallel_size > 1 else 0
    return element * tokens * (experts.top_k * width + gathered)


def _sampler(logits: int, version: EngineVersion, hidden: int, element: int, second: bool) -> int:
    if second:
        return (_WARM_UP_BYTES if version.warms_sampler else element) * logits + hidden
    if version.fused_sampler:
        return (_SAMPLER_COPIES_BYTES + element) * logits + int(_SAMPLER_HIDDEN_STATES * hidden)
    return int(_SORT_BYTES * logits + _SORT_HIDDEN_STATES * hidden)


def _tower(facts: ModelFacts, vision: VisionTower, config: EngineConfig, element: int) -> int:
    """Peak of the encoder's pass over as many items as the batch has room for, projected to the language model's width.

    Source: vLLM 0.32 multimodal/encoder_budget.py: the budget is a batch, or the largest item if that is more.
    """
    budget = max(config.max_num_batched_tokens, vision.max_tokens_per_item)
    patches = ceil_div(budget, max(1, vision.tokens_per_image)) * vision.patches_per_image
    shared = not towers_whole(facts, config.mm_encoder_tp_mode) and vision.num_heads % config.tensor_parallel_size == 0
    ranks = config.tensor_parallel_size if shared else 1
    layer = vision.intermediate_size // ranks + _HIDDEN_TENSORS * vision.hidden_size
    # The projector's two outputs of the language model's width are alive together, beside the tower's.
    projector = vision.hidden_size + 2 * facts.hidden_size
    return patches * max(layer, projector) * element
