"""What would help a model that fits nowhere: what each thing the user may give up would achieve, ready to paste."""

from dataclasses import replace

from modelserving.api.choices import Fallback
from modelserving.planning.evaluation import Evaluated
from modelserving.planning.ladder import Rung
from modelserving.planning.layouts import Tier
from modelserving.planning.plan import Remedy
from modelserving.planning.search import Search
from modelserving.units import GIB

# Tried together where nothing helps alone, in this order: precision before length, length before speed.
_TOGETHER = (
    Fallback.FP8,
    Fallback.FP8_KV_CACHE,
    Fallback.SHORTER_CONTEXT,
    Fallback.CPU_OFFLOAD,
    Fallback.SMALLER_BATCHES,
    Fallback.EAGER,
)


def remedies(search: Search) -> tuple[Remedy, ...]:
    """Try on one node every fallback that the user does not allow, alone; and together where none helps alone."""
    allowed = search.request.fallbacks
    search = replace(search, tiers=(Tier.ONE_NODE,))
    alone = [search.on(Rung((fallback,))) for fallback in Fallback if fallback not in allowed]
    if any(found.passed for found in alone):
        return tuple(_remedy(found.passed[0]) for found in alone if found.passed)
    together = replace(search, request=replace(search.request, fallbacks=_TOGETHER)).with_fallbacks()
    return (_remedy(together.passed[0]),) if together.passed else ()


def _remedy(chosen: Evaluated) -> Remedy:
    given_up = ", ".join(chosen.candidate.rung.given_up)
    return Remedy(f"fallbacks: [{given_up}]", f"{chosen.candidate.label}{achieved(chosen)}")


def achieved(chosen: Evaluated) -> str:
    """Say how much is given up, as the end of a sentence; empty where that is all in the name."""
    config, degrees = chosen.config, chosen.degrees
    parts = [f" with contextLength {config.max_model_len:,}"] if degrees.context else []
    if degrees.offload:
        parts.append(f" with {config.cpu_offload_bytes / GIB:.0f} GiB of each GPU's weights in host memory")
    if degrees.batches:
        parts.append(f" with batches of {config.max_num_batched_tokens:,} tokens and {config.max_num_seqs} requests")
    return ",".join(parts)
