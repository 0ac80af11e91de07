"""Requests as domain values, each field checked on the way."""

import math

from google.protobuf.struct_pb2 import ListValue
from kuji.admin.v1 import simulations_pb2

from services.admin.simulation.curve import Stretch
from services.admin.simulation.simulations import YEAR_S, Expectation
from services.common.errors import InvalidArgumentError

_MAX_DRAWS = 1_000_000_000
_RUNS = 1000


def expectation(request: simulations_pb2.SimulateActivityRequest) -> Expectation:
    """How draws are expected to arrive; InvalidArgumentError names the field at fault."""
    if bool(request.draws_per_second) == bool(request.arrivals):
        raise InvalidArgumentError(
            "draws_per_second", "Give either draws_per_second, more than 0, or arrivals."
        )
    return Expectation(
        request.draws_per_second or None,
        [_stretch(f"arrivals[{at}]", pair) for at, pair in enumerate(request.arrivals)],
        request.runs if request.HasField("runs") else _RUNS,
    )


def _stretch(field: str, pair: ListValue) -> Stretch:
    kinds = [value.WhichOneof("kind") for value in pair.values]
    if kinds != ["number_value", "number_value"]:
        raise InvalidArgumentError(field, f"{field} is [seconds, draws].")
    seconds, draws = (value.number_value for value in pair.values)
    if not (math.isfinite(seconds) and 0 < seconds <= YEAR_S):
        raise InvalidArgumentError(field, f"{field} has seconds more than 0, at most a year.")
    if not (0 <= draws <= _MAX_DRAWS and draws.is_integer()):
        raise InvalidArgumentError(
            field, f"{field} has draws that are a whole number, 0 to {_MAX_DRAWS}."
        )
    return Stretch(seconds, int(draws))
