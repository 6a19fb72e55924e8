"""The command line of `vllm serve`: what the plan renders, and what a user may add.

A user's arguments are read as vLLM's parser reads them (vLLM 0.32, utils/argparse_utils.py, FlexibleArgumentParser, on top of
Python's argparse): `--a_b` is `--a-b`, `--flag=value` and `--flag value` are the same, a unique prefix stands for the flag,
`--json-flag.key value` sets one key, `-O2` is the optimization level. So no spelling of a flag slips past the check.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelserving.engine.config import EngineConfig
from modelserving.engine.flag_list import Flag, FlagList, flag_list
from modelserving.engine.owned_flags import OWNED
from modelserving.units import GIB

FLAG_OWNED = "FlagOwnedByOperator"
FLAG_UNKNOWN = "FlagUnknown"
FLAG_MALFORMED = "FlagMalformed"

HOST = "0.0.0.0"
PORT = 8000
# Seconds that requests under way may take to end after SIGTERM; vLLM's own default, 0, cuts them off.
SHUTDOWN_TIMEOUT_SECONDS = 60
# First version with --shutdown-timeout: PR #34730, in the release notes of 0.18.0.
_SHUTDOWN_TIMEOUT_SINCE = (0, 18)
# argparse takes these for values although they begin with a dash; with a dot, vLLM takes them for a key of JSON before that.
_NEGATIVE_NUMBER = re.compile(r"-\d+")
# Aliases of a dash and one letter take their value without a space: `-n2`.
_SHORT = 2
_OPTIMIZATION = "--optimization-level"
# What `-O` takes as its next item.
_LEVELS = ("0", "1", "2", "3")


@dataclass(frozen=True, slots=True)
class FlagProblem:
    """Why an argument of the user's is refused.

    Attributes:
        reason: FlagOwnedByOperator, FlagUnknown or FlagMalformed.
        message: which argument, what is wrong, what to do instead.
    """

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class _Argument:
    """One flag as written: where it stands, its spelling, and its values."""

    position: int
    spelled: str
    values: tuple[str, ...]
    attached: bool
    dotted: bool


def arguments(
    *,
    model: str,
    revision: str,
    served_model_name: str,
    config: EngineConfig,
    engine_version: str,
    extra_args: Sequence[str] = (),
) -> tuple[str, ...]:
    """Write the arguments after `vllm serve`: the model, every size that the plan decided, then the user's own.

    Args:
        model: Hub id or path.
        revision: commit to pin; the tokenizer is pinned to it too unless the user names another tokenizer.
        served_model_name: name under which clients ask for the model, unless the user gives one.
        config: the plan's sizes.
        engine_version: which vLLM reads the arguments.
        extra_args: the user's, checked by `check_extra_args`.
    """
    theirs = _names(extra_args)
    written = [model]
    if "--served-model-name" not in theirs:
        written.append(f"--served-model-name={served_model_name}")
    written.append(f"--revision={revision}")
    if not theirs & {"--tokenizer", "--tokenizer-revision"}:
        written.append(f"--tokenizer-revision={revision}")
    written += _sizes(config)
    written += [f"--host={HOST}", f"--port={PORT}"]
    if drains(engine_version):
        written.append(f"--shutdown-timeout={SHUTDOWN_TIMEOUT_SECONDS}")
    return (*written, *extra_args)


def drains(engine_version: str) -> bool:
    """Whether a vLLM version lets requests under way end after SIGTERM."""
    major, minor, *_ = (*engine_version.removeprefix("v").split("."), "0")
    return not (major.isdecimal() and minor.isdecimal()) or (int(major), int(minor)) >= _SHUTDOWN_TIMEOUT_SINCE


def _sizes(config: EngineConfig) -> Iterator[str]:
    yield f"--tensor-parallel-size={config.tensor_parallel_size}"
    yield f"--pipeline-parallel-size={config.pipeline_parallel_size}"
    if config.data_parallel_size > 1:
        yield f"--data-parallel-size={config.data_parallel_size}"
    yield f"--max-model-len={config.max_model_len}"
    yield f"--max-num-seqs={config.max_num_seqs}"
    yield f"--max-num-batched-tokens={config.max_num_batched_tokens}"
    yield f"--gpu-memory-utilization={config.gpu_memory_utilization!r}"
    yield f"--dtype={config.dtype}"
    if config.quantization is not None:
        yield f"--quantization={config.quantization}"
    if config.kv_cache_dtype != "auto":
        yield f"--kv-cache-dtype={config.kv_cache_dtype}"
    if config.cpu_offload_bytes:
        # vLLM multiplies by 2^30 again (config/offload.py): dividing by a power of two loses nothing.
        yield f"--cpu-offload-gb={config.cpu_offload_bytes / GIB!r}"
    if config.block_size is not None:
        yield f"--block-size={config.block_size}"
    if config.limit_mm_per_prompt:
        yield f"--limit-mm-per-prompt={json.dumps(dict(sorted(config.limit_mm_per_prompt)), separators=(',', ':'))}"
    if config.enable_expert_parallel:
        yield "--enable-expert-parallel"
    if config.enforce_eager:
        yield "--enforce-eager"


def check_extra_args(extra_args: Sequence[str], version: str) -> FlagProblem | None:
    """Find the first argument that the operator owns or that vLLM would not take.

    Whether a flag exists is known for the versions that the packaged list covers; for others a flag that is not on the list passes.
    """
    known = flag_list()
    for argument in _read(extra_args, known):
        where = f"spec.engine.extraArgs[{argument.position}]"
        problem = _check(argument, known, complete=known.covers(version))
        if problem is not None:
            return FlagProblem(problem.reason, f"{where}: {problem.message}")
    return None


def _check(argument: _Argument, known: FlagList, complete: bool) -> FlagProblem | None:
    spelled = argument.spelled
    if not spelled.startswith("-") or spelled in ("-", "--") or " " in spelled:
        return FlagProblem(FLAG_MALFORMED, _no_flag(spelled))
    found = known.find(spelled)
    flags = {known.spellings[name].name: known.spellings[name] for name in found}
    owned = next((name for name in flags if name in OWNED), None)
    if owned is not None and (len(flags) == 1 or not complete):
        return FlagProblem(FLAG_OWNED, f"{_shown(spelled, owned)} cannot be set here: {OWNED[owned]}.")
    if len(found) > 1 and complete:
        return FlagProblem(FLAG_UNKNOWN, f"{spelled} could be {' or '.join(found[:4])}; write the flag in full.")
    if not flags:
        return _unknown(spelled, known) if complete else None
    return _check_values(argument, next(iter(flags.values()))) if complete else None


def _check_values(argument: _Argument, flag: Flag) -> FlagProblem | None:
    spelled, count = argument.spelled, len(argument.values)
    if argument.dotted:
        takes_json = flag.values == "1" and not flag.choices
        wrong = (
            "" if takes_json and count == 1 else "takes one value for the key after the dot, if it takes JSON at all"
        )
    elif flag.values == "0":
        wrong = "takes no value; to switch it off write --no-… if vLLM has that" if count else ""
    elif count == 0 and flag.values != "?":
        wrong = "needs a value: write it as the next item, or after ="
    elif count > 1 and flag.values != "+":
        wrong = f"takes one value, so {argument.values[1]!r} belongs to nothing"
    else:
        odd = [value for value in argument.values if flag.choices and value not in flag.choices]
        wrong = f"takes {', '.join(flag.choices)}, and not {odd[0]!r}" if odd else ""
    return FlagProblem(FLAG_MALFORMED, f"{_shown(spelled, flag.name)} {wrong}.") if wrong else None


def _unknown(spelled: str, known: FlagList) -> FlagProblem:
    nearest = known.nearest(spelled)
    hint = f"; did you mean {nearest}?" if nearest else "; `vllm serve --help=all` lists them."
    return FlagProblem(FLAG_UNKNOWN, f"vLLM {known.version} has no flag {spelled}{hint}")


def _no_flag(text: str) -> str:
    shown = text if len(text) <= 80 else text[:79] + "…"
    if text.startswith("-") and " " in text:
        return f"{shown!r} is one item with a space in it: write the flag and its value as two items, or with =."
    return f"{shown!r} is no flag; the model is spec.model, and a value stands right after its flag."


def _shown(spelled: str, name: str) -> str:
    return spelled if spelled == name else f"{spelled} ({name})"


def _names(extra_args: Sequence[str]) -> set[str]:
    known = flag_list()
    return {
        known.spellings[name].name for argument in _read(extra_args, known) for name in known.find(argument.spelled)
    }


def _read(extra_args: Sequence[str], known: FlagList) -> Iterator[_Argument]:
    position = 0
    while position < len(extra_args):
        argument = _read_one(extra_args, position, known)
        yield argument
        position += 1 if argument.attached else 1 + len(argument.values)


def _read_one(extra_args: Sequence[str], position: int, known: FlagList) -> _Argument:
    token = extra_args[position]
    if not _is_option(token):
        return _Argument(position, token, (), attached=True, dotted=False)
    spelled, equals, value = token.partition("=")
    following = extra_args[position + 1] if position + 1 < len(extra_args) else ""
    if token == "-O" and following in _LEVELS:
        return _Argument(position, _OPTIMIZATION, (following,), attached=False, dotted=False)
    if spelled.startswith("-O") and token != "-O":
        return _Argument(position, _OPTIMIZATION, (value if equals else spelled[2:],), attached=True, dotted=False)
    spelled, dot, _ = spelled.partition(".")
    if spelled.startswith("--"):
        spelled = spelled.replace("_", "-")
    if equals:
        return _Argument(position, spelled, (value,), attached=True, dotted=bool(dot))
    short = spelled[:_SHORT]
    if not spelled.startswith("--") and spelled not in known.spellings and short in known.spellings:
        return _Argument(position, short, (spelled[2:],), attached=True, dotted=False)
    if dot:
        return _Argument(position, spelled, tuple(extra_args[position + 1 : position + 2]), attached=False, dotted=True)
    return _Argument(position, spelled, tuple(_following(extra_args, position + 1)), attached=False, dotted=False)


def _following(extra_args: Sequence[str], position: int) -> Iterator[str]:
    for token in extra_args[position:]:
        if _is_option(token):
            return
        yield token


def _is_option(token: str) -> bool:
    name = token.partition("=")[0]
    if not token.startswith("-") or token == "-":
        return False
    return "." in name or (" " not in name and not _NEGATIVE_NUMBER.fullmatch(token))
