"""How many estimates a minute one core makes, and what memory that takes: the function behind `modelserving estimate --cases`."""

import json
import os
import random
import time
from pathlib import Path

from bench.figures import Figure
from localcluster import usage
from modelserving.cli.estimate_batch import answers
from modelserving.cli.estimate_facts import FactsShelf
from modelserving.hub.catalogue import bundled, lookup
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata

MIB = 2**20
CASES = 10_000
GPUS = ("NVIDIA-H100-80GB-HBM3", "NVIDIA-A100-SXM4-80GB", "NVIDIA-H200", "NVIDIA-B200", "NVIDIA-L40S")
VERSIONS = ("0.19.0", "0.28.0", "0.32.0")
RANKS = (1, 2, 4, 8)
AIM_PER_MINUTE = 10_000
# What memory may grow by between the first half, in which every model was seen, and the last.
AIM_GROWTH_MIB = 8


def estimates(count: int = CASES) -> list[Figure]:
    """Answer cases of all models of the catalogue in no order: other models, GPUs, versions and ranks every time.

    The time is this process' own on a processor, so other load on the machine does not count; more models are asked about than
    facts are kept, so many are read anew.
    """
    chance = random.Random(0)
    models = sorted(bundled())
    shelf = FactsShelf(Path(), _from_catalogue)
    lines = [_case(models, chance) for _ in range(count)]
    begun = time.process_time()
    refused = _answered(lines[: count // 2], shelf)
    between = _resident()
    refused += _answered(lines[count // 2 :], shelf)
    took, grown = time.process_time() - begun, _resident() - between
    rate = count / took * 60
    note = f"{count:,} cases of {len(models)} models, {refused:,} of them refused with a reason"
    return [
        Figure("estimates a minute, one core", "no figure", round(rate), AIM_PER_MINUTE, "", note, more_is_better=True),
        Figure("memory gained over the second half of them", "no figure", round(grown / MIB, 1), AIM_GROWTH_MIB, "MiB"),
    ]


def _case(models: list[str], chance: random.Random) -> str:
    return json.dumps(
        {
            "model": chance.choice(models),
            "gpu": chance.choice(GPUS),
            "vllm_version": chance.choice(VERSIONS),
            "tensor_parallel_size": chance.choice(RANKS),
        }
    )


def _answered(lines: list[str], shelf: FactsShelf) -> int:
    return sum(json.loads(line)["refused"] is not None for line in answers(lines, shelf))


def _from_catalogue(ref: CheckpointRef) -> ModelMetadata | MetadataFailure:
    found = lookup(ref)
    assert found is not None, ref.model
    return found


def _resident() -> int:
    return usage(os.getpid()).resident
