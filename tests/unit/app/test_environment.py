"""Settings from variables: read, or refused by the variable's name."""

import pytest

from modelserving.app.environment import own_identity, read_kubeconfig, read_settings
from modelserving.errors import SettingsError
from modelserving.settings import Settings

SHAPE = "{name: spot, gpuProduct: NVIDIA-L40S, gpus: 4, cpu: 48, memory: 180Gi}"


def test_lists_and_maps_are_written_as_yaml_or_json() -> None:
    found = read_settings(
        {"MODELSERVING_NODE_SHAPES": f"[{SHAPE}]", "MODELSERVING_GPU_PRICES": '{"NVIDIA-L40S": 1.1}', "PATH": "/bin"}
    )
    assert [(shape.name, shape.cpu, shape.max_nodes) for shape in found.node_shapes] == [("spot", "48", None)]
    assert found.gpu_prices == {"NVIDIA-L40S": 1.1}


def test_variables_become_settings_and_others_are_left_alone() -> None:
    found = read_settings({"MODELSERVING_WORKERS": "3", "MODELSERVING_HUB_ENABLED": "false", "PATH": "/bin"})
    assert (found.workers, found.hub_enabled, found.engine_image) == (3, False, Settings().engine_image)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MODELSERVING_WORKERS", "0", "MODELSERVING_WORKERS"),
        ("MODELSERVING_WORKERS", "three", "got 'three'"),
        ("MODELSERVING_LOG_LEVEL", "LOUD", "MODELSERVING_LOG_LEVEL"),
        ("MODELSERVING_WORKRES", "3", "there is no such setting"),
        ("MODELSERVING_NODE_SHAPES", "[{", "MODELSERVING_NODE_SHAPES: .*no valid YAML or JSON"),
        ("MODELSERVING_NODE_SHAPES", "[{name: a}]", r"MODELSERVING_NODE_SHAPES\[0\].gpuProduct: Field required"),
        ("MODELSERVING_NODE_SHAPES", f"[{SHAPE}, {SHAPE}]", "spot is given more than once"),
        ("MODELSERVING_NODE_SHAPES", f"[{SHAPE[:-1]}, gpuz: 1}}]", r"MODELSERVING_NODE_SHAPES\[0\].gpuz: Extra inputs"),
        ("MODELSERVING_NODE_SHAPES", f"[{SHAPE[:-1]}, gpuMemory: 0}}]", "write an amount above 0"),
        ("MODELSERVING_GPU_PRICES", "{NVIDIA-L40S: 0}", "MODELSERVING_GPU_PRICES.NVIDIA-L40S: .*greater than 0"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(variable: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read_settings({variable: value})


def test_the_kubeconfig_is_the_named_one_or_the_pods_account_or_the_users() -> None:
    assert read_kubeconfig({"KUBECONFIG": "/x", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == "/x"
    assert read_kubeconfig({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == ""
    assert read_kubeconfig({}).endswith("/.kube/config")


def test_a_replica_is_named_as_told_or_by_its_host() -> None:
    assert own_identity(Settings(identity="me")) == "me"
    assert own_identity(Settings())
