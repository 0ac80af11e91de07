"""The public lists, ready as messages and shared by all who ask within a moment."""

from kuji.history.v1 import history_pb2 as pb

from services.history.fresh_cache import FreshCache
from services.history.lottery.catalogue import CatalogueStore
from services.history.lottery.messages import (
    activities_message,
    catalogue_message,
    rules_message,
    winners_message,
)
from services.history.lottery.rules import RulesQuery, RulesStore
from services.history.lottery.winners import WinnersQuery, WinnerStore
from services.history.settings import HistorySettings


class PublicPages:
    """
    Pages at most settings.page_age_s old; what they raise is what the stores raise.

    The messages are shared: nobody may change them.
    """

    def __init__(
        self,
        winners: WinnerStore,
        catalogue: CatalogueStore,
        rules: RulesStore,
        settings: HistorySettings,
    ) -> None:
        age_s, kept = settings.page_age_s, settings.cached_pages
        self._winner_store = winners
        self._catalogue_store = catalogue
        self._rules_store = rules
        self._winners = FreshCache("winners", self._load_winners, age_s, kept)
        self._activities = FreshCache("activities", self._load_activities, age_s, 1)
        self._catalogues = FreshCache("prizes", self._load_catalogue, age_s, kept)
        self._rules = FreshCache("rules", self._load_rules, age_s, kept)

    async def winners(self, query: WinnersQuery) -> pb.ListWinnersResponse:
        """A page of winners."""
        return await self._winners.get(query)

    async def activities(self) -> pb.ListActivitiesResponse:
        """The newest activities."""
        return await self._activities.get(())

    async def catalogue(self, activity_id: int) -> pb.ListPrizesResponse:
        """An activity and its prizes; 0: the one that is ongoing."""
        return await self._catalogues.get(activity_id)

    async def rules(self, query: RulesQuery) -> pb.GetRulesResponse:
        """A page of an activity's rules."""
        return await self._rules.get(query)

    def forget_winners(self) -> None:
        """There are new winners: serve no page from before."""
        self._winners.invalidate()

    async def aclose(self) -> None:
        """Stop what is being loaded."""
        for cache in (self._winners, self._activities, self._catalogues, self._rules):
            await cache.aclose()

    async def _load_winners(self, query: WinnersQuery) -> pb.ListWinnersResponse:
        return winners_message(query.page, await self._winner_store.winners(query))

    async def _load_activities(self, _: tuple[()]) -> pb.ListActivitiesResponse:
        return activities_message(await self._catalogue_store.activities())

    async def _load_catalogue(self, activity_id: int) -> pb.ListPrizesResponse:
        return catalogue_message(await self._catalogue_store.catalogue(activity_id))

    async def _load_rules(self, query: RulesQuery) -> pb.GetRulesResponse:
        return rules_message(query.page, await self._rules_store.rules(query))
