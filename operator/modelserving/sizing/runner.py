"""Which of vLLM's two model runners a model runs on.

Source: vLLM config/vllm.py `use_v2_model_runner`: dense models since 0.25, all since 0.30.
"""

from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import ModelFacts

# From this version on every model runs on the second runner.
_ALL_SINCE = (0, 30, 0)


def runs_second(facts: ModelFacts, version: EngineVersion) -> bool:
    """Whether a model runs on model runner V2 of a version."""
    if not version.second_runner:
        return False
    is_dense = facts.experts is None and facts.latent_attention is None and not facts.is_hybrid
    return is_dense or version.number >= _ALL_SINCE
