"""The stores of the manifests, with their arguments and secrets: the servers of the wheels."""

import asyncio
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace

from stack import databases, servers
from stack.processes import Child, Probe, Program, stop
from stack.wheels import postgres_binary
from tests.image.pods import Cluster
from tests.support.manifests import pod_of

_WAYS_IN = """\
local all postgres peer map=stack
host all all 0.0.0.0/0 scram-sha-256
"""


class Stores:
    """
    Valkey and Postgres at *address*, on the ports that everybody knows.

    Args:
        cluster: Whose manifests say how they run.
        address: Of theirs, in the namespace that this thread is in.
    """

    def __init__(self, cluster: Cluster, address: str) -> None:
        self._cluster = cluster
        self._address = address
        self._folder = cluster.folder / "stores"
        self._postgres_folder = self._folder / "postgres"
        self._children = [self._start_valkey()]
        self._children.append(self._start_postgres())

    @property
    def valkey(self) -> Child:
        """The process of Valkey."""
        return self._children[0]

    def stop(self) -> None:
        """End both."""
        stop(self._children, timeout_s=10)

    def _arguments(self, name: str) -> Sequence[str]:
        (container,) = pod_of(self._cluster.find("StatefulSet", name))["containers"]
        found: Sequence[str] = container["args"]
        return found

    def _start_valkey(self) -> Child:
        secret = self._cluster.content("Secret", "kuji-valkey")
        users = self._folder / "users.acl"
        users.parent.mkdir(parents=True)
        users.touch(mode=0o600)
        users.write_text(secret["users.acl"])
        own = {"/data": str(self._folder / "valkey"), "/etc/valkey/users.acl": str(users)}
        program = servers.valkey(self._folder / "valkey", 6379, self._folder / "valkey.log")
        arguments = [own.get(one, one) for one in self._arguments("valkey")]
        command = [program.command[0], "--bind", self._address, "--port", "6379", *arguments]
        url = f"redis://operator:{secret['OPERATOR_PASSWORD']}@{self._address}:6379/0"
        return _ready(replace(program, command=command), lambda: servers.valkey_answers(url))

    def _start_postgres(self) -> Child:
        folder = self._postgres_folder
        ways_in = self._folder / "ways_in"
        ways_in.write_text(_WAYS_IN)
        ways_in.chmod(0o644)
        options = [one for one in self._arguments("postgres") if "=" in one]
        settings = dict(one.split("=", 1) for one in options)
        own = {"listen_addresses": self._address, "hba_file": str(ways_in)}
        program = servers.postgres(folder, 5432, self._folder / "postgres.log", settings | own)
        child = _ready(program, lambda: databases.is_up(folder, 5432))
        self._make_roles()
        return child

    def _make_roles(self) -> None:
        """As the official image does with what is mounted at /docker-entrypoint-initdb.d."""
        (name,) = [
            volume["configMap"]["name"]
            for volume in pod_of(self._cluster.find("StatefulSet", "postgres"))["volumes"]
            if "configMap" in volume
        ]
        server = ["--host", str(self._postgres_folder), "--username", "postgres"]
        environment = os.environ | self._cluster.content("Secret", "kuji-postgres")
        for script in self._cluster.content("ConfigMap", name).values():
            subprocess.run(
                [postgres_binary("psql"), "--quiet", *server, "postgres"],
                check=True,
                input=script,
                text=True,
                env=environment,
                timeout=60,
            )


def _ready(program: Program, probe: Probe) -> Child:
    child = Child(program)
    try:
        asyncio.run(child.wait_until_ready(probe))
    except BaseException:
        stop([child], timeout_s=5)
        raise
    return child
