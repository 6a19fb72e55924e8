"""Limits of a layout: the longest context, the least offload, how fast host memory is read."""

from dataclasses import replace

import pytest

from comparison_cases import LLAVA, MIXED, MIXTURE
from modelserving.cluster.capacity import shapes
from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.engine.versions import engine_version
from modelserving.planning.comparison_limits import least_offload, longest_context, pcie_bytes_per_second
from modelserving.planning.comparison_methods import compared_methods
from modelserving.planning.comparison_trial import Layout, Obstacle, Trial
from modelserving.units import GIB
from planning_cases import A100, H100, L40S, T4, facts, request

V32 = engine_version("0.32.0")
SHAPES = {shape.gpu.product: shape for shape in shapes(MIXED, lambda node: "")}


def trial(model: str, product: str, **fields: int) -> Trial:
    asked = request(model, **fields)
    methods = {method.key: method for method in compared_methods(asked, facts(model), {}, V32)}
    return Trial(methods["asStored"], asked, SHAPES[product], V32)


# Models whose layers all keep everything, keep windows besides, keep latent vectors, keep states besides.
@pytest.mark.parametrize(
    ("model", "product", "ranks"),
    [
        ("llama31-8b", L40S, 1),
        ("gemma2-9b", L40S, 1),
        ("gpt-oss-20b", L40S, 1),
        ("deepseek-v2-lite", A100, 1),
        ("nemotron-h-8b", A100, 1),
        (MIXTURE, H100, 1),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 3, 40])
def test_the_longest_context_fits_and_a_block_more_does_not(
    model: str, product: str, ranks: int, concurrency: int
) -> None:
    tried = trial(model, product, context_length=16, concurrency=concurrency)
    layout = tried.cut(ranks)
    assert isinstance(layout, Layout), layout
    longest = longest_context(tried, layout.config, layout.memory)

    def fits(length: int) -> bool:
        return tried.size(replace(layout.config, max_model_len=length)).fits

    assert fits(longest)
    step = layout.memory.kv_cache.block_size
    assert longest == facts(model).max_model_len or not fits(longest // step * step + step)


def test_what_is_asked_stays_where_it_is_the_models_own_limit() -> None:
    tried = trial("llama31-8b", H100)
    layout = tried.cut(1)
    assert isinstance(layout, Layout)
    assert longest_context(tried, layout.config, layout.memory) == 131072


def test_the_least_offload_fits_and_a_gib_less_does_not() -> None:
    tried = trial(LLAVA, H100, context_length=32768, concurrency=4)
    assert isinstance(tried.config, EngineConfig)
    found = least_offload(tried, tried.config)
    assert isinstance(found, Layout)
    less = replace(found.config, cpu_offload_bytes=found.config.cpu_offload_bytes - GIB)
    assert found.memory.fits
    assert not tried.size(less).fits


def test_host_memory_that_does_not_suffice_is_told() -> None:
    tried = trial(LLAVA, H100, context_length=8192)
    small = replace(tried, shape=replace(tried.shape, most=tried.shape.most._replace(memory_bytes=64 * GIB)))
    assert isinstance(small.config, EngineConfig)
    found = least_offload(small, small.config)
    assert isinstance(found, Obstacle)
    assert found.reason == "InsufficientHostMemory"
    assert "the largest such node has 64.0 GiB" in found.message


@pytest.mark.parametrize(
    ("product", "capability", "gigabytes"),
    [
        (T4, (7, 5), 15.75),
        (A100, (8, 0), 31.51),
        (L40S, (8, 9), 31.51),
        (H100, (9, 0), 63.02),
        ("B200", (10, 0), 63.02),
    ],
)
def test_sixteen_lanes_carry_what_their_generation_can(
    product: str, capability: tuple[int, int], gigabytes: float
) -> None:
    gpu = Gpu(product, 80 * GIB, capability)
    assert pcie_bytes_per_second(gpu) / 1e9 == pytest.approx(gigabytes, abs=0.01)
