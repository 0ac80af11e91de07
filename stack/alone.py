"""The stores of a stack without its services: while their data is replaced."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stack.credentials import Passwords
from stack.foreground import prepare_stores
from stack.home import STORES_SECRET, Home
from stack.parts import Addresses, choose_addresses, store_parts
from stack.ports import free_port
from stack.settings import StackSettings
from stack.supervisor import Report, Supervisor


@asynccontextmanager
async def stores_alone(settings: StackSettings, report: Report) -> AsyncIterator[Addresses]:
    """
    The stores that are the stack's to run, with database and roles; stopped on leaving.

    Raises:
        StackError: A stack runs there, or a store does not start.
    """
    home = Home(settings.home)
    with home.locked():
        # Nobody listens on the edge's own port meanwhile, nor needs it to be free.
        elsewhere = {"edge_host": "127.0.0.1", "edge_port": free_port()}
        passwords = Passwords(home.secrets()[STORES_SECRET])
        addresses = choose_addresses(settings.model_copy(update=elsewhere), home, passwords)
        supervisor = Supervisor(report, lambda _: None)
        try:
            await supervisor.start(store_parts(settings, home, addresses, passwords))
            await prepare_stores(settings, home, addresses, passwords)
            yield addresses
        finally:
            supervisor.stop()
