"""The command line of each program of a cluster. Everything listens on 127.0.0.1."""

import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"
POD_RANGE = "10.244.0.0/16"
"""Addresses that kwok writes into pods. Nothing answers there and nothing may ever be sent there."""

NODE_LEASE_SECONDS = 40
"""As the kubelet's default; without leases the controller manager would mark the nodes NotReady."""

CLIENT_RATE = ("--kube-api-qps=500", "--kube-api-burst=1000")
"""The defaults (20 and 50 a second) would make tests and measurements wait for the controllers' own throttle."""

FIRST_PORT, LAST_PORT = 10_000, 32_767
"""Below the range from which Linux takes the local ports of outgoing connections, so none of those can take ours."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one cluster."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int
    scheduler: int
    kwok: int


def free_port(taken: frozenset[int] = frozenset()) -> int:
    """Return a port on 127.0.0.1 that nobody listens on."""
    while True:
        port = random.randint(FIRST_PORT, LAST_PORT)
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port


def free_ports() -> Ports:
    """Return six different ports that nobody listens on."""
    ports: frozenset[int] = frozenset()
    while len(ports) < 6:
        ports |= {free_port(ports)}
    return Ports(*ports)


def etcd(directory: Path, ports: Ports) -> list[str]:
    """Return the flags of etcd. Its data need not survive a power cut: no fsync."""
    client, peer = f"http://{LOOPBACK}:{ports.etcd}", f"http://{LOOPBACK}:{ports.etcd_peer}"
    return [
        f"--data-dir={directory / 'etcd'}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def kube_apiserver(
    pki: Path, ports: Ports, audit_policy: Path | None, audit_log: Path, extra: Sequence[str]
) -> list[str]:
    """Return the flags of kube-apiserver: RBAC and the default admission plugins, aggregation, an audit log if asked for."""
    audit = [
        f"--audit-policy-file={audit_policy}",
        f"--audit-log-path={audit_log}",
        "--audit-log-maxsize=4096",  # MiB; a rotated log would lose events for whoever counts them
    ]
    return [
        f"--etcd-servers=http://{LOOPBACK}:{ports.etcd}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={ports.apiserver}",
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
        *(audit if audit_policy else []),
        *extra,
    ]


def kube_controller_manager(directory: Path, pki: Path, ports: Ports) -> list[str]:
    """Return the flags of kube-controller-manager, all of its default controllers on."""
    return [
        *_component(pki, "controller-manager", ports.controller_manager, directory / "controller-manager"),
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        f"--flex-volume-plugin-dir={directory / 'flex-volumes'}",  # by default it makes /usr/libexec/kubernetes
    ]


def kube_scheduler(directory: Path, pki: Path, ports: Ports) -> list[str]:
    """Return the flags of kube-scheduler."""
    return _component(pki, "scheduler", ports.scheduler, directory / "scheduler")


def _component(pki: Path, name: str, port: int, certificates: Path) -> list[str]:
    kubeconfig = pki / f"{name}.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--cert-dir={certificates}",
        "--leader-elect=false",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        f"--client-ca-file={pki}/ca.crt",
        *CLIENT_RATE,
    ]


def kwok(pki: Path, ports: Ports, configuration: Sequence[Path]) -> list[str]:
    """Return the flags of kwok, which plays the kubelet of every node."""
    return [
        f"--kubeconfig={pki}/kwok.kubeconfig",
        "--manage-all-nodes=true",
        f"--node-ip={LOOPBACK}",
        f"--node-port={ports.kwok}",
        f"--server-address={LOOPBACK}:{ports.kwok}",
        f"--tls-cert-file={pki}/kubelet.crt",
        f"--tls-private-key-file={pki}/kubelet.key",
        f"--node-lease-duration-seconds={NODE_LEASE_SECONDS}",
        f"--cidr={POD_RANGE}",
        *(f"--config={file}" for file in configuration),
    ]
