"""The domain's records as messages of kuji.history.v1."""

from kuji.history.v1 import history_pb2 as pb

from services.common.draw_id import DrawId
from services.common.paging import Page, cut, marks_of
from services.common.timestamps import optional_timestamp_of, timestamp_of
from services.history.lottery.catalogue import Catalogue, ListedActivity, ListedPrize
from services.history.lottery.results import ResultView
from services.history.lottery.rules import Rules, Version
from services.history.lottery.winners import PageRows, UserDraw, Winner

_PPB = 1_000_000_000


def winner_message(winner: Winner) -> pb.Winner:
    """A winner."""
    return pb.Winner(
        draw_id=str(DrawId(winner.pool_id, winner.seq)),
        activity_id=winner.activity_id,
        user_name=winner.user_name,
        prize_id=winner.prize_id,
        prize_name=winner.prize_name,
        won_at=timestamp_of(winner.won_at),
    )


def winners_message(page: Page, found: PageRows[Winner]) -> pb.ListWinnersResponse:
    """A page of winners."""
    return pb.ListWinnersResponse(
        winners=[winner_message(winner) for winner in found.rows],
        **marks_of(page, has_more=found.has_more),
    )


def user_draws_message(page: Page, found: PageRows[UserDraw]) -> pb.ListUserDrawsResponse:
    """A page of a user's draws."""
    return pb.ListUserDrawsResponse(
        records=[_user_draw_message(draw) for draw in found.rows],
        **marks_of(page, has_more=found.has_more),
    )


def _user_draw_message(draw: UserDraw) -> pb.UserDraw:
    return pb.UserDraw(
        draw_id=str(DrawId(draw.pool_id, draw.seq)),
        activity_id=draw.activity_id,
        prize_id=draw.prize_id,
        prize_name=draw.prize_name,
        won=draw.prize_id != 0,
        created_at=timestamp_of(draw.created_at),
    )


def result_message(result: ResultView) -> pb.GetResultResponse:
    """A draw's result."""
    message = pb.Result(
        draw_id=str(result.draw_id),
        activity_id=result.activity_id,
        user_name=result.user_name,
        won=result.prize is not None,
        created_at=timestamp_of(result.drawn_at),
        odds=result.weight / result.total,
        roll_text=result.roll_text,
    )
    if result.prize is not None:
        message.prize.prize_id = result.prize.prize_id
        message.prize.name = result.prize.name
        message.prize.image_url = result.prize.image_url
        message.prize.prize_code = result.prize.prize_code
    return pb.GetResultResponse(result=message)


def activities_message(activities: list[ListedActivity]) -> pb.ListActivitiesResponse:
    """Activities."""
    return pb.ListActivitiesResponse(
        activities=[_activity_message(activity) for activity in activities]
    )


def _activity_message(activity: ListedActivity) -> pb.Activity:
    return pb.Activity(
        activity_id=activity.activity_id,
        name=activity.name,
        description=activity.description,
        start_time=optional_timestamp_of(activity.start_time),
        end_time=timestamp_of(activity.end_time) if activity.end_time else None,
        status=activity.status,
    )


def catalogue_message(catalogue: Catalogue) -> pb.ListPrizesResponse:
    """An activity and its prizes."""
    return pb.ListPrizesResponse(
        activity=_activity_message(catalogue.activity),
        prizes=[_prize_message(prize) for prize in catalogue.prizes],
        seed_commitment=catalogue.seed_commitment,
    )


def _prize_message(prize: ListedPrize) -> pb.Prize:
    return pb.Prize(
        prize_id=prize.prize_id,
        name=prize.name,
        description=prize.description,
        image_url=prize.image_url,
        total_count=prize.total_count,
        remaining_count=prize.remaining_count,
        probability=prize.probability_ppb / _PPB,
        is_enabled=prize.is_enabled,
    )


def rules_message(page: Page, rules: Rules) -> pb.GetRulesResponse:
    """A page of an activity's rules."""
    versions, marks = cut(page, rules.versions)
    return pb.GetRulesResponse(
        versions=[_version_message(version) for version in versions],
        limits=pb.Limits(**rules.limits._asdict()),
        seed_commitment=rules.seed_commitment,
        confirm=rules.confirm,
        **marks,
    )


def _version_message(version: Version) -> pb.RulesVersion:
    return pb.RulesVersion(
        from_time=timestamp_of(version.from_time),
        from_seq=version.from_seq,
        prizes=[
            pb.RuledPrize(
                prize_id=prize.prize_id,
                name=prize.name,
                probability=prize.probability_ppb / _PPB,
                total_count=prize.total_count,
                is_enabled=prize.is_enabled,
            )
            for prize in version.prizes
        ],
    )
