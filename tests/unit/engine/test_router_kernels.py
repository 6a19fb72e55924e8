"""Which routers are kept in float32; whole models are held against vLLM's own count in the conformance suite."""

import pytest

from model_cases import GPUS, V32, engine_config, facts_from
from modelserving.engine.router_kernels import router_dtype
from modelserving.models.facts import Module, Split
from modelserving.sizing.weights import rank_weights

ROUTER = Module("mixer.gate", Split.REPLICATED, 2688, (128,), float32_product=True)


@pytest.mark.parametrize(
    ("gpu", "expected"), [("H100-80", None), ("B200", None), ("L40S", "float32"), ("A100-80", "float32"), (None, None)]
)
def test_a_router_is_kept_in_float32_where_no_kernel_computes_in_it(gpu: str | None, expected: str | None) -> None:
    assert router_dtype(ROUTER, GPUS[gpu] if gpu is not None else None) == expected
    assert router_dtype(Module("gate", Split.REPLICATED, 64, (8,)), GPUS["A100-80"]) is None


def test_nemotron_is_larger_on_ampere_by_its_routers() -> None:
    facts = facts_from(
        {
            "architectures": ["NemotronHForCausalLM"],
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 1024,
            "max_position_embeddings": 512,
            "torch_dtype": "bfloat16",
            "hybrid_override_pattern": "M*EE",
            "mamba_num_heads": 8,
            "mamba_head_dim": 32,
            "n_routed_experts": 8,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 128,
        }
    )
    config = engine_config(facts)
    hopper, ampere = (rank_weights(facts, config, V32, 0, GPUS[gpu]).on_gpu.value for gpu in ("H100-80", "A100-80"))
    assert ampere - hopper == 2 * 8 * 256 * 2
