"""Which files vLLM loads."""

import pytest

from modelserving.hub.files import is_one_series, listed_in_index, weight_candidates


def test_candidates_are_safetensors_at_the_top_in_order() -> None:
    names = [
        "model-00002-of-00002.safetensors",
        "model-00001-of-00002.safetensors",
        "original/model.safetensors",
        "consolidated.safetensors",
        "consolidated-00001-of-00003.safetensors",
        "adapter_model.safetensors",
        "pytorch_model.bin",
        "consolidated.00.pth",
        "model.safetensors.index.json",
    ]
    assert weight_candidates(names) == ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


SERIES = {
    "no file": ((), True),
    "one file": (("model.safetensors",), True),
    "all shards": (("m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"), True),
    "a shard is missing": (("m-00001-of-00003.safetensors", "m-00002-of-00003.safetensors"), False),
    "two series": (("m-00001-of-00002.safetensors", "n-00001-of-00002.safetensors"), False),
    "shards and the whole": (("m-00001-of-00001.safetensors", "model.safetensors"), False),
}


@pytest.mark.parametrize("sentence", SERIES)
def test_one_series_needs_no_index(sentence: str) -> None:
    names, one = SERIES[sentence]
    assert is_one_series(names) is one


def test_the_index_takes_away_what_it_does_not_name() -> None:
    assert listed_in_index(("a.safetensors", "b.safetensors"), ["b.safetensors", "c.safetensors"]) == ("b.safetensors",)
