"""kuji.admin.v1.SimulationService: messages to domain calls and back."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from kuji.admin.v1 import simulations_pb2

from services.admin.simulation import requests, responses
from services.admin.simulation.simulations import Simulations
from services.common.context import RequestContext
from services.common.errors import UnavailableError


class SimulationServicer:
    """What an activity would give; see simulations.proto for effects and errors."""

    def __init__(self, simulations: Simulations) -> None:
        self._simulations = simulations

    async def SimulateActivity(
        self, request: simulations_pb2.SimulateActivityRequest, _ctx: RequestContext
    ) -> AsyncIterator[simulations_pb2.SimulateActivityResponse]:
        """Progress, then the result."""
        expected = requests.expectation(request)
        has_begun = False
        try:
            async with aclosing(self._simulations.play(request.activity_id, expected)) as events:
                async for event in events:
                    has_begun = True
                    yield responses.event(event)
        except UnavailableError as error:
            if has_begun:  # over HTTP, it is too late for a status
                yield responses.failure(error)
            raise
