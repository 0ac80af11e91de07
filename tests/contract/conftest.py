"""The edge before scripted services, started once."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.edge_rig import Rig, running_rig


@pytest.fixture(scope="session")
async def _edge_rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with running_rig(tmp_path_factory.mktemp("edge")) as rig:
        yield rig


@pytest.fixture
def rig(_edge_rig: Rig) -> Rig:
    """A real Envoy before services that answer what the test says; see edge_rig.py."""
    _edge_rig.script.forget()
    return _edge_rig
