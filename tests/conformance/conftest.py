"""The referee is vLLM itself: its tests are collected only where vLLM's wheels are installed (`pip install .[vllm]`)."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("vllm") and find_spec("torch") else ["test_referee.py"]
