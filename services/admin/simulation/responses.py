"""Domain values as messages."""

from kuji.admin.v1 import simulations_pb2

from services.admin.models import Prize
from services.admin.simulation.job import Step
from services.admin.simulation.simulations import SimulationOutcome, cost_of
from services.admin.simulation.summary import PrizeSummary, Quantiles
from services.common.errors import KujiError
from services.common.orders import money


def event(value: Step | SimulationOutcome) -> simulations_pb2.SimulateActivityResponse:
    """One step of a simulation."""
    if isinstance(value, SimulationOutcome):
        return simulations_pb2.SimulateActivityResponse(result=_result(value))
    progress = simulations_pb2.SimulationProgress(runs_played=value.played, runs=value.runs)
    return simulations_pb2.SimulateActivityResponse(progress=progress)


def failure(error: KujiError) -> simulations_pb2.SimulateActivityResponse:
    """Why nothing comes out of a simulation that has begun."""
    told = simulations_pb2.SimulationFailure(reason=error.reason_name, message=error.message)
    return simulations_pb2.SimulateActivityResponse(failure=told)


def _result(value: SimulationOutcome) -> simulations_pb2.SimulationResult:
    return simulations_pb2.SimulationResult(
        runs=value.runs,
        draws=value.curve.draws,
        duration_seconds=value.curve.seconds,
        prizes=[_prize(*prize) for prize in value.prizes],
        cost=money(value.cost),
    )


def _prize(prize: Prize, summary: PrizeSummary) -> simulations_pb2.SimulatedPrize:
    return simulations_pb2.SimulatedPrize(
        prize_id=prize.prize_id,
        name=prize.terms.name,
        units=prize.remaining_count,
        stock_out_seconds=_quantiles(summary.stock_out_s),
        left=_quantiles(summary.left),
        chance_left=summary.chance_left,
        cost=money(cost_of(prize, summary)),
        findings=summary.findings,
    )


def _quantiles(value: Quantiles) -> simulations_pb2.Quantiles:
    return simulations_pb2.Quantiles(p5=value.p5, p50=value.p50, p95=value.p95)
