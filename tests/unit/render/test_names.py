import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.api.names import is_label_name
from modelserving.cluster.pods import OWNER_LABEL, pod_requests
from modelserving.render.names import (
    labels,
    owner_label,
    selector,
    selector_text,
    workload_name,
)

# What the API server takes for names of Services: apimachinery, IsDNS1035Label.
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
# What it takes for values of labels: apimachinery, IsValidLabelValue.
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")

# The last digits of long names are those of `printf NAME | sha256sum`.
NAMES = {
    "plain": ("llava", "llava"),
    "dots": ("qwen2.72b.v1", "qwen2-72b-v1"),
    "a digit first": ("7b", "m-7b"),
    "exactly as long as may be": ("a" * 63, "a" * 63),
    "too long": ("a" * 64, "a" * 54 + "-ffe054fe"),
    "a prefix makes it too long": ("1" * 62, "m-" + "1" * 52 + "-4d15cac6"),
}


@pytest.mark.parametrize(("name", "workload"), NAMES.values(), ids=NAMES)
def test_names_of_workloads(name: str, workload: str) -> None:
    assert workload_name(name) == workload


OBJECT_NAMES = st.from_regex(
    r"[a-z0-9]([-a-z0-9]{0,80}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,80}[a-z0-9])?){0,2}", fullmatch=True
)


@given(OBJECT_NAMES)
def test_every_name_gives_names_that_the_api_server_takes(name: str) -> None:
    workload = workload_name(name)
    assert DNS_1035.fullmatch(workload)
    assert len(workload) <= 63
    for value in (*labels(name).values(), *selector(name).values()):
        assert LABEL_VALUE.fullmatch(value)
        assert len(value) <= 63
    assert selector(name).items() <= labels(name).items()


@given(OBJECT_NAMES, OBJECT_NAMES)
def test_long_names_that_differ_stay_apart(first: str, second: str) -> None:
    long = "a" * 60
    if first != second:
        assert owner_label(long + first) != owner_label(long + second)
        if "." not in first + second:
            assert workload_name(long + first) != workload_name(long + second)


@pytest.mark.parametrize("name", ["", "Llava", "a_b", "-a", "a-", "a.b", "a" * 64, "a\n"])
def test_what_is_no_label_name(name: str) -> None:
    assert not is_label_name(name)


def test_what_is_a_label_name() -> None:
    assert is_label_name("a-1")
    assert is_label_name("1" * 63)


def test_the_selector_as_text() -> None:
    assert selector_text("llava") == "app.kubernetes.io/component=engine,modelserving.dev/name=llava"


def test_pods_are_known_by_the_label_that_is_rendered() -> None:
    pod = {"metadata": {"namespace": "ml", "name": "x", "labels": labels("llava")}, "spec": {"nodeName": "n"}}
    read = pod_requests(pod)
    assert read is not None
    assert read.owner == "ml/llava"
    assert OWNER_LABEL in labels("llava")
