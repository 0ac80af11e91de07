"""What is for development alone: refused elsewhere, unless an operator insists."""

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from ops.connections import OpsSettings, postgres_address, read_endpoints
from ops.errors import OperatorError

SWITCH = "--outside-development"


def check_development(settings: OpsSettings, insisted: bool, what: str) -> bool:
    """
    Whether this is a place for development.

    It is where KUJI_ENVIRONMENT says so, or, while that is not set, where the database is on this
    machine and the edge, if it is known, listens to this machine alone.

    Raises:
        OperatorError: It is not, and the operator does not insist.
    """
    reason = _why_not(settings)
    if reason and not insisted:
        raise OperatorError(f"{what} are for development, and {reason}: insist with {SWITCH}")
    return not reason


def _why_not(settings: OpsSettings) -> str:
    environment = os.environ.get("KUJI_ENVIRONMENT", "")
    if environment:
        told = f"KUJI_ENVIRONMENT is {environment}"
        return "" if environment == "development" else told
    if not _is_here(urlsplit(postgres_address(settings)).hostname or "localhost"):
        return "the database is on another machine"
    if not settings.postgres_dsn:
        edge = read_endpoints(settings.home).edge
        if not (_is_here(urlsplit(edge).hostname or "") and _listens_here_alone()):
            return "the edge listens to other machines"
    return ""


def _listens_here_alone() -> bool:
    return _is_here(os.environ.get("KUJI_EDGE_HOST") or "localhost")


def _is_here(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
