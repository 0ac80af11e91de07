"""The table of who may call what: every RPC of the protos × every kind of caller."""

from google.protobuf.descriptor import MethodDescriptor
from kuji.common.v1.access_pb2 import Access

from services.common.contract import access_of

NOBODY, EXPIRED = "nobody", "expired"
STAFF = ("viewer", "operator", "admin")
# Roles of a token that is good; those that nobody has; no token; one that was good for an admin.
ROLES = ("user", *STAFF, "service")
STRANGERS = ("adminservice", "", "superadmin")
CALLERS = (NOBODY, EXPIRED, *ROLES, *STRANGERS)
ADMITTED: dict[int, set[str]] = {
    Access.ACCESS_PUBLIC: {*CALLERS},
    Access.ACCESS_USER: {*ROLES},
    Access.ACCESS_VIEWER: {*STAFF},
    Access.ACCESS_OPERATOR: {"operator", "admin"},
    Access.ACCESS_ADMIN: {"admin"},
    Access.ACCESS_SERVICE: {"service"},
    Access.ACCESS_SERVICE_OR_ADMIN: {"service", "admin"},
}
OK = "OK"


def verdict(method: MethodDescriptor, caller: str) -> str:
    """What *caller* gets of *method*: OK, or the reason of the refusal."""
    if caller in ADMITTED[access_of(method)]:
        return OK
    return "PERMISSION_DENIED" if caller in ROLES else "UNAUTHENTICATED"


def row(method: MethodDescriptor) -> dict[str, str]:
    """The table's row of *method*."""
    return {caller: verdict(method, caller) for caller in CALLERS}
