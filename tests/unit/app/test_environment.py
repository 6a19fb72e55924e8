"""Settings from variables: read, or refused by the variable's name."""

import pytest

from modelserving.app.environment import own_identity, read_kubeconfig, read_settings
from modelserving.errors import SettingsError
from modelserving.settings import Settings


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
