"""Which roles an access admits: by this go the servers, the edge, and what describes them."""

from kuji.common.v1 import access_pb2

from services.common.context import STAFF, Role

_A = access_pb2.Access
EVERYONE = frozenset(Role)
ROLES_OF_ACCESS: dict[int, frozenset[Role]] = {
    _A.ACCESS_PUBLIC: EVERYONE,
    _A.ACCESS_USER: EVERYONE,
    _A.ACCESS_VIEWER: frozenset(STAFF),
    _A.ACCESS_OPERATOR: frozenset({Role.OPERATOR, Role.ADMIN}),
    _A.ACCESS_ADMIN: frozenset({Role.ADMIN}),
    _A.ACCESS_SERVICE: frozenset({Role.SERVICE}),
    _A.ACCESS_SERVICE_OR_ADMIN: frozenset({Role.SERVICE, Role.ADMIN}),
}
