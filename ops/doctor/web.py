"""Questions over HTTP or HTTPS to who may be dead, frozen, or without a good certificate."""

import asyncio
import ssl
import time
from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

ANSWER_S = 3.0


class WebAnswer(NamedTuple):
    """What was answered; the clock of who answered, and when it was asked."""

    text: str
    date: str | None
    before: float
    after: float


class NoPageError(Exception):
    """Nothing came, or no page; the message says why."""


async def fetch(url: str) -> WebAnswer:
    """
    The page at *url*, an address of the house.

    Raises:
        NoPageError: Not within seconds.
    """
    try:
        async with asyncio.timeout(2 * ANSWER_S):
            return await asyncio.to_thread(_fetch, url)
    except HTTPError as error:
        raise NoPageError(f"status {error.code}") from error
    except URLError as error:
        raise NoPageError(_reason(error.reason)) from error
    except (OSError, ValueError, HTTPException) as error:
        raise NoPageError(_reason(error)) from error


def _fetch(url: str) -> WebAnswer:
    before = time.time()
    # Certificates have a check of their own.
    with urlopen(url, timeout=ANSWER_S, context=any_certificate()) as page:  # noqa: S310
        return WebAnswer(page.read().decode(), page.headers["Date"], before, time.time())


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    return str(error) or type(error).__name__


def any_certificate() -> ssl.SSLContext:
    """For who asks whether somebody answers, not who it is."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
