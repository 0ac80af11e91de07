"""What the manifests say, tried on the real programs: Envoy's preStop, and the stores of dev."""

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import yaml
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from ops.cluster_secrets import secret_list
from services.common.grants import SERVICES
from stack import databases, servers
from stack.ports import free_port
from stack.processes import Child, Probe, Program, stop
from stack.wheels import envoy_binary, postgres_binary, redis_server
from tests.support.command import run_kuji
from tests.support.folders import throwaway_folder
from tests.support.manifests import FOLDER, Object, pod_of, rendered, workloads

_SUPERUSER = "made for this test"


@pytest.fixture(scope="module")
def secrets() -> Mapping[str, Mapping[str, str]]:
    """What `kuji secrets` gives, by name."""
    return {one["metadata"]["name"]: one["stringData"] for one in secret_list("kuji")["items"]}


def _container(name: str) -> Object:
    (found,) = pod_of(workloads(rendered("dev"))[name])["containers"]
    return dict(found)


@contextmanager
def _running(program: Program, probe: Probe) -> Iterator[None]:
    child = Child(program)
    try:
        asyncio.Runner(loop_factory=asyncio.new_event_loop).run(child.wait_until_ready(probe))
        yield
    finally:
        stop([child], timeout_s=10)


def _moved(url: str, port: int) -> str:
    """*url*, of the server that a test runs on *port* of this machine."""
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{port}"))


def test_valkey_of_dev_lets_each_user_do_its_own(
    secrets: Mapping[str, Mapping[str, str]],
) -> None:
    """Started by the manifest's own arguments, it knows the users of the Secrets."""
    port = free_port()
    with throwaway_folder("kuji-k8s-") as folder:
        (folder / "users.acl").write_text(secrets["kuji-valkey"]["users.acl"])
        places = {"/data": str(folder), "/etc/valkey/users.acl": str(folder / "users.acl")}
        arguments = [places.get(text, text) for text in _container("valkey")["args"]]
        command = [redis_server(), "--port", str(port), *arguments]
        operator = _moved(secrets["kuji-operator"]["KUJI_REDIS_URL"], port)

        async def answers() -> bool:
            return await servers.valkey_answers(operator)

        async def look() -> None:
            history = _moved(secrets["kuji-history"]["KUJI_REDIS_URL"], port)
            async with Redis.from_url(history) as as_history, Redis.from_url(operator) as owner:
                assert "always" == (await owner.config_get("appendfsync"))["appendfsync"]
                assert await as_history.get("kuji:none") is None
                with pytest.raises(NoPermissionError):
                    await as_history.set("kuji:none", "1")

        with _running(Program("valkey", command, folder / "log"), answers):
            asyncio.Runner(loop_factory=asyncio.new_event_loop).run(look())


def test_postgres_of_dev_becomes_a_database_of_ours(
    secrets: Mapping[str, Mapping[str, str]],
) -> None:
    """The first start's SQL, then the Job, twice: each service comes in by its DSN, as a user."""
    port = free_port()
    with throwaway_folder("kuji-k8s-") as folder:
        data = folder / "data"
        program = servers.postgres(data, port, folder / "log")

        async def is_up() -> bool:
            return await databases.is_up(data, port)

        async def made() -> None:
            await databases.open_to_superuser(data, port, _SUPERUSER)
            await asyncio.to_thread(_first_start, port, secrets["kuji-postgres"])
            owner = _moved(secrets["kuji-operator"]["KUJI_POSTGRES_DSN"], port)
            for _ in range(2):
                done = await run_kuji("migrate", KUJI_POSTGRES_DSN=owner)
                assert (0, "") == (done.code, done.err), done
            for service in SERVICES:
                dsn = _moved(secrets[f"kuji-{service}"]["KUJI_POSTGRES_DSN"], port)
                connection = await asyncpg.connect(dsn, timeout=10)
                assert not await connection.fetchval(
                    "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
                )
                assert await connection.fetchval("SELECT has_schema_privilege('public', 'usage')")
                await connection.close()

        with _running(program, is_up):
            asyncio.Runner(loop_factory=asyncio.new_event_loop).run(made())


def _first_start(port: int, passwords: Mapping[str, str]) -> None:
    """As the image of Postgres does it: every .sql file that the manifest mounts, by psql."""
    names = {one["name"] for one in _container("postgres")["env"]}
    environment = {name: value for name, value in passwords.items() if name in names}
    login = f"postgresql://postgres:{_SUPERUSER}@127.0.0.1:{port}/postgres".replace(" ", "%20")
    roles = (FOLDER / "overlays" / "dev" / "roles.sql").read_text("utf-8")
    subprocess.run(
        [postgres_binary("psql"), "-v", "ON_ERROR_STOP=1", "--no-psqlrc", login],
        check=True,
        input=roles.encode(),
        env={"PATH": os.environ["PATH"], **environment},
        timeout=60,
    )


def test_edge_is_asked_to_drain_before_it_ends() -> None:
    """preStop's command finds Envoy's administration, by what its image has, and is obeyed."""
    (_, _, command) = _container("envoy")["lifecycle"]["preStop"]["exec"]["command"]
    assert "sleep 20" in command
    with throwaway_folder("kuji-k8s-") as folder:
        configuration: dict[str, Any] = {
            "admin": {"address": {"pipe": {"path": str(folder / "admin.sock")}}}
        }
        (folder / "envoy.yaml").write_text(yaml.safe_dump(configuration))
        envoy = [envoy_binary(), "-c", str(folder / "envoy.yaml"), "--disable-hot-restart"]
        program = Program("envoy", [*envoy, "--use-dynamic-base-id"], folder / "log")
        tried = command.replace("/tmp/admin.sock", str(folder / "admin.sock"))

        async def is_up() -> bool:
            return (folder / "admin.sock").exists()

        with _running(program, is_up):
            done = subprocess.run(
                ["sh", "-c", tried.replace("sleep 20", "true")],
                check=True,
                capture_output=True,
                text=True,
                timeout=30,
            )
    assert "200 OK" in done.stdout, done
