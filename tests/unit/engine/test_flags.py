"""The user's arguments are held against argparse itself, loaded with the packaged flag list.

vLLM's own parser is argparse plus the spelling rules restated in `_as_vllm_reads`; it is not installed here.
"""

import argparse
import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.engine.flag_list import flag_list
from modelserving.engine.flags import (
    FLAG_MALFORMED,
    FLAG_OWNED,
    FLAG_UNKNOWN,
    arguments,
    check_extra_args,
)
from modelserving.engine.owned_flags import OWNED
from modelserving.units import GIB
from render_cases import COMMIT, MODEL, engine_config

VERSION = "0.32.0"

PASSES: dict[str, list[str]] = {
    "no arguments": [],
    "a switch": ["--enforce-eager"],
    "a switch turned off": ["--no-enable-prefix-caching"],
    "value after =": ["--seed=7"],
    "value as the next item": ["--seed", "7"],
    "a negative number is a value": ["--seed", "-1"],
    "a decimal below zero after =": ["--watermark=-0.5"],
    "underscores for dashes": ["--tool_call_parser", "hermes"],
    "an abbreviation that is unique": ["--tool-call-p", "hermes"],
    "JSON": ["--override-generation-config", '{"temperature": 0.2}'],
    "one key of JSON": ["--compilation-config.mode", "3"],
    "one key of JSON by a short name": ["-cc.mode=3"],
    "several values": ["--allowed-media-domains", "a.example", "b.example"],
    "optimization level without a space": ["-O3"],
    "optimization level with =": ["-O=3"],
    "optimization level with a space": ["-O", "3"],
    "a value with spaces": ["--chat-template", "{{ a b }}"],
    "a choice": ["--performance-mode", "throughput"],
    "the same flag twice": ["--middleware=a", "--middleware=b"],
}

REFUSED: dict[str, tuple[list[str], str, str]] = {
    "in full": (["--tensor-parallel-size=3"], FLAG_OWNED, "use spec.gpu.tensorParallelSize"),
    "value apart": (["--tensor-parallel-size", "3"], FLAG_OWNED, "use spec.gpu.tensorParallelSize"),
    "underscores": (["--tensor_parallel_size=3"], FLAG_OWNED, "use spec.gpu.tensorParallelSize"),
    "abbreviated": (["--tensor-p=3"], FLAG_OWNED, "--tensor-p (--tensor-parallel-size) cannot be set here"),
    "by its short name": (["-tp", "3"], FLAG_OWNED, "-tp (--tensor-parallel-size)"),
    "one letter, value glued on": (["-n2"], FLAG_OWNED, "--nnodes"),
    "one letter with =": (["-q=awq"], FLAG_OWNED, "spec.precision"),
    "negated": (["--no-enable-chunked-prefill"], FLAG_OWNED, "memory"),
    "another name of it": (["--device-memory-utilization=0.5"], FLAG_OWNED, "spec.gpu.memoryUtilization"),
    "one key of its JSON": (["--hf-overrides.num_layers=3"], FLAG_OWNED, "--hf-overrides"),
    "one key of its JSON, abbreviated": (["--speculative-c.model=x"], FLAG_OWNED, "--speculative-config"),
    "after others that pass": (["--seed=1", "-dp=2"], FLAG_OWNED, "spec.engine.extraArgs[1]"),
    "a secret": (["--api-key", "abc"], FLAG_OWNED, "VLLM_API_KEY"),
    "a file of flags": (["--config", "x.yaml"], FLAG_OWNED, "--config"),
    "another port": (["--port=9000"], FLAG_OWNED, "port 8000"),
    "help": (["-h"], FLAG_OWNED, "--help"),
    "a typing error": (["--enabel-log-requests"], FLAG_UNKNOWN, "did you mean --enable-log-requests?"),
    "a flag of older versions": (["--swap-space=4"], FLAG_UNKNOWN, "vLLM 0.32.0 has no flag --swap-space"),
    "an abbreviation of several": (["--max-lo=1"], FLAG_UNKNOWN, "--max-log-len or"),
    "a positional": (["Qwen/Qwen2-7B"], FLAG_MALFORMED, "the model is spec.model"),
    "a very long positional": (["x" * 300], FLAG_MALFORMED, "…"),
    "the end of flags": (["--"], FLAG_MALFORMED, "'--' is no flag"),
    "a dash": (["-"], FLAG_MALFORMED, "'-' is no flag"),
    "flag and value in one item": (["--seed 3"], FLAG_MALFORMED, "as two items"),
    "no value": (["--seed"], FLAG_MALFORMED, "needs a value"),
    "a flag for a value": (["--seed", "--enforce-eager"], FLAG_MALFORMED, "needs a value"),
    "a value for a switch": (["--enforce-eager=true"], FLAG_MALFORMED, "takes no value"),
    "two values for one": (["--seed", "1", "2"], FLAG_MALFORMED, "'2' belongs to nothing"),
    "a wrong choice": (["--performance-mode=fast"], FLAG_MALFORMED, "and not 'fast'"),
    "a key of a switch": (["--enforce-eager.x=1"], FLAG_MALFORMED, "key after the dot"),
    "a key without a value": (["--compilation-config.mode"], FLAG_MALFORMED, "key after the dot"),
    "a decimal below zero as the next item": (["--watermark", "-0.5"], FLAG_MALFORMED, "needs a value"),
    "optimization level left out": (["-O"], FLAG_UNKNOWN, "no flag -O"),
}


@pytest.mark.parametrize("extra", PASSES.values(), ids=PASSES)
def test_what_passes(extra: list[str]) -> None:
    assert check_extra_args(extra, VERSION) is None
    assert _argparse_takes(extra)


@pytest.mark.parametrize(("extra", "reason", "part"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(extra: list[str], reason: str, part: str) -> None:
    problem = check_extra_args(extra, VERSION)
    assert problem is not None
    assert problem.reason == reason
    assert part in problem.message


@pytest.mark.parametrize("version", ["0.19.1", "0.40.0"])
def test_where_the_flags_are_not_known_a_new_one_passes_and_an_owned_one_does_not(version: str) -> None:
    assert check_extra_args(["--swap-space", "4", "--no-such-flag"], version) is None
    for extra in (["--swap-space", "4", "-tp", "2"], ["--tensor-par=2"], ["--data-parallel-s=2"]):
        problem = check_extra_args(extra, version)
        assert problem is not None
        assert problem.reason == FLAG_OWNED


def test_a_patch_release_has_the_flags_of_its_minor_release() -> None:
    assert check_extra_args(["--no-such-flag"], "v0.32.7") is not None


def test_every_owned_flag_is_a_flag_of_vllm() -> None:
    known = flag_list()
    assert {name for name in OWNED if name not in known.spellings} == set()
    assert {name for name in OWNED if known.spellings[name].name != name} == set()


@pytest.mark.parametrize("spelling", sorted(flag_list().spellings))
def test_no_spelling_of_an_owned_flag_passes(spelling: str) -> None:
    owned = flag_list().spellings[spelling].name in OWNED
    for extra in ([spelling], [f"{spelling}=1"], [spelling, "1"], [spelling.replace("-", "_").replace("_", "-", 2)]):
        problem = check_extra_args(extra, VERSION)
        assert (problem is not None and problem.reason == FLAG_OWNED) == owned


WORDS = st.one_of(
    st.sampled_from(sorted(flag_list().spellings)),
    st.sampled_from(sorted(flag_list().spellings)).map(lambda name: name + "=1"),
    st.sampled_from(sorted(flag_list().spellings)).map(lambda name: name[: max(2, len(name) - 3)]),
    st.sampled_from(sorted(flag_list().spellings)).map(lambda name: name + ".a=1"),
    st.sampled_from(sorted(flag_list().spellings)).map(lambda name: name[:2] + name[2:].replace("-", "_")),
    st.sampled_from(["1", "-1", "a b", "{}", "-", "-x", "-x=1", "--x y", "-O2", "-tp2", "-n2", "auto", "-.5"]),
    st.text(min_size=1, max_size=6),
)


@given(st.lists(WORDS, max_size=5))
def test_what_passes_is_taken_by_argparse_and_sets_nothing_owned(extra: list[str]) -> None:
    if check_extra_args(extra, VERSION) is None:
        assert _argparse_takes(extra)


@given(st.lists(WORDS, max_size=5), st.sampled_from(["0.32.0", "0.19.1"]))
def test_the_check_is_total_and_names_the_item(extra: list[str], version: str) -> None:
    problem = check_extra_args(extra, version)
    if problem is not None:
        match = re.match(r"spec\.engine\.extraArgs\[(\d+)\]: ", problem.message)
        assert match is not None
        assert int(match[1]) < len(extra)


def _argparse_takes(extra: Sequence[str]) -> bool:
    """Whether argparse parses it, nothing owned being set."""
    try:
        parsed = _parser().parse_args(_as_vllm_reads(extra))
    except argparse.ArgumentError:
        return False
    given_names = {name for name, value in vars(parsed).items() if value is not None}
    return not given_names & OWNED.keys()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise argparse.ArgumentError(None, message)


@cache
def _parser() -> argparse.ArgumentParser:
    parser = _Parser(add_help=False)
    spellings: dict[str, list[str]] = {}
    for spelling, flag in flag_list().spellings.items():
        spellings.setdefault(flag.name, []).append(spelling)
    for name, names in spellings.items():
        flag = flag_list().spellings[name]
        if flag.values == "0":
            parser.add_argument(*names, dest=name, action="store_true", default=None)
        else:
            nargs = None if flag.values == "1" else flag.values
            parser.add_argument(*names, dest=name, nargs=nargs, choices=flag.choices or None)
    return parser


def _as_vllm_reads(extra: Sequence[str]) -> list[str]:
    """vLLM 0.32, utils/argparse_utils.py, FlexibleArgumentParser.parse_args: spellings, then keys of JSON."""
    words: list[str] = []
    for position, word in enumerate(extra):
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            base, dot, key = name.partition(".")
            words.append(base.replace("_", "-") + dot + key + equals + value)
        elif word.startswith("-O") and word != "-O":
            words += ["--optimization-level", word[3:] if word[2] == "=" else word[2:]]
        elif word == "-O" and extra[position + 1 : position + 2] in (["0"], ["1"], ["2"], ["3"]):
            words.append("--optimization-level")
        else:
            words.append(word)
    plain: list[str] = []
    nested: dict[str, str] = {}
    position = 0
    while position < len(words):
        name, equals, _ = words[position].partition("=")
        if words[position].startswith("-") and "." in name:
            nested[name.split(".")[0]] = json.dumps({"key": "value"})
            position += 1 if equals else 2
        else:
            plain.append(words[position])
            position += 1
    return plain + [item for pair in nested.items() for item in pair]


def _arguments(*extra: str, version: str = VERSION, **changes: object) -> tuple[str, ...]:
    return arguments(
        model="owner/model-AWQ",
        revision=COMMIT,
        served_model_name=MODEL,
        config=engine_config(**changes),
        engine_version=version,
        extra_args=extra,
    )


def test_every_size_is_explicit() -> None:
    assert _arguments() == (
        "owner/model-AWQ",
        f"--served-model-name={MODEL}",
        f"--revision={COMMIT}",
        f"--tokenizer-revision={COMMIT}",
        "--tensor-parallel-size=4",
        "--pipeline-parallel-size=1",
        "--max-model-len=32768",
        "--max-num-seqs=1024",
        "--max-num-batched-tokens=8192",
        "--gpu-memory-utilization=0.92",
        "--dtype=bfloat16",
        "--host=0.0.0.0",
        "--port=8000",
        "--shutdown-timeout=60",
    )


RENDERED: dict[str, tuple[dict[str, Any], str]] = {
    "quantization on the fly": ({"quantization": "fp8_per_tensor"}, "--quantization=fp8_per_tensor"),
    "KV cache": ({"kv_cache_dtype": "fp8"}, "--kv-cache-dtype=fp8"),
    "whole GiB in host memory": ({"cpu_offload_bytes": 16 * GIB}, "--cpu-offload-gb=16.0"),
    "part of a GiB in host memory": ({"cpu_offload_bytes": GIB // 4 + 1}, "--cpu-offload-gb=0.2500000009313226"),
    "block size": ({"block_size": 32}, "--block-size=32"),
    "images": ({"limit_mm_per_prompt": (("video", 0), ("image", 2))}, '--limit-mm-per-prompt={"image":2,"video":0}'),
    "experts": ({"enable_expert_parallel": True}, "--enable-expert-parallel"),
    "no graphs": ({"enforce_eager": True}, "--enforce-eager"),
}


@pytest.mark.parametrize(("changes", "flag"), RENDERED.values(), ids=RENDERED)
def test_what_the_plan_decides_further_is_rendered(changes: dict[str, Any], flag: str) -> None:
    rendered = _arguments(**changes)
    assert flag in rendered
    assert flag not in _arguments()


@pytest.mark.parametrize("changes", [{}, *(changes for changes, _ in RENDERED.values())])
def test_what_is_rendered_is_taken_by_argparse(changes: dict[str, Any]) -> None:
    parsed = _parser().parse_args(_as_vllm_reads(_arguments("--seed=1", **changes)[1:]))
    assert vars(parsed)["--tensor-parallel-size"] == "4"
    assert vars(parsed)["--seed"] == "1"


def test_offload_survives_the_way_to_vllm_and_back() -> None:
    num_bytes = 3 * GIB + 12_345
    flag = next(word for word in _arguments(cpu_offload_bytes=num_bytes) if word.startswith("--cpu-offload-gb="))
    assert int(float(flag.partition("=")[2]) * GIB) == num_bytes


def test_the_users_arguments_come_last_and_replace_what_is_only_a_default() -> None:
    rendered = _arguments("--served_model_name=chat", "--tokenizer", "owner/tokenizer", "--seed=1")
    assert rendered[-4:] == ("--served_model_name=chat", "--tokenizer", "owner/tokenizer", "--seed=1")
    assert not any(word.startswith(("--served-model-name", "--tokenizer-revision")) for word in rendered)


@pytest.mark.parametrize(
    ("version", "drains"), [("0.17.1", False), ("0.18.0", True), ("v0.32", True), ("1", True), ("nightly", True)]
)
def test_requests_are_let_end_where_the_version_can(version: str, drains: bool) -> None:
    assert ("--shutdown-timeout=60" in _arguments(version=version)) is drains
