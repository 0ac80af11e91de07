"""How a call ended, in the words of ghz."""

import grpc

OK = ("OK", "")
_LOCAL = {
    # What gRPC's core says where the client itself ended the call -> what Go's client says.
    (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"): "context deadline exceeded",
    (grpc.StatusCode.CANCELLED, "Locally cancelled by application!"): "context canceled",
}
_NAMES = {
    code: "".join(word.capitalize() for word in code.name.split("_")) for code in grpc.StatusCode
} | {grpc.StatusCode.OK: "OK", grpc.StatusCode.CANCELLED: "Canceled"}

Outcome = tuple[str, str]  # status, and error or ""


def outcome_of(code: grpc.StatusCode, details: str | None) -> Outcome:
    """For example ("NotFound", "rpc error: code = NotFound desc = no such thing")."""
    if code is grpc.StatusCode.OK:
        return OK
    said = _LOCAL.get((code, details or ""), details or "")
    return _NAMES[code], f"rpc error: code = {_NAMES[code]} desc = {said}"


# A call that its own stream option ended, and one that the end of the run cut off.
ENDED_BY_CLIENT = outcome_of(grpc.StatusCode.CANCELLED, "context canceled")
CUT_OFF = outcome_of(grpc.StatusCode.UNAVAILABLE, "transport is closing")
