"""What usernames, passwords and email addresses may look like: what auth.proto says of them."""

from kuji.auth.v1 import auth_pb2

from services.common.bounds import check_value
from services.common.contract import stated_bounds
from services.common.errors import InvalidArgumentError

_REGISTER = auth_pb2.RegisterRequest.DESCRIPTOR


USERNAME = stated_bounds(_REGISTER, "username")
PASSWORD = stated_bounds(_REGISTER, "password")
SERVICE_SECRET = stated_bounds(auth_pb2.IssueServiceTokenRequest.DESCRIPTOR, "secret")


def is_username(text: str) -> bool:
    """Whether a user could be called *text*."""
    try:
        check_username(text)
    except InvalidArgumentError:
        return False
    return True


def check_username(username: str) -> None:
    """Raise InvalidArgumentError for what nobody can be called."""
    check_value(_REGISTER.fields_by_name["username"], username)


def check_email(email: str) -> None:
    """Raise InvalidArgumentError for an address that is neither empty nor printable as a@b.c."""
    if not email:
        return
    check_value(_REGISTER.fields_by_name["email"], email)
    if not email.isprintable():
        raise InvalidArgumentError("email", "email consists of printable characters.")


def check_password(password: str) -> None:
    """Raise InvalidArgumentError for what cannot be anybody's new password."""
    check_value(_REGISTER.fields_by_name["password"], password)


def check_password_length(password: str) -> None:
    """
    Raise InvalidArgumentError for a password that is longer than any.

    To be called before anything else is done with it: composing its characters, for one, takes
    time that grows with the square of the length. In UTF-8 it then has at most four times as
    many bytes.
    """
    if len(password) > PASSWORD.max_length:
        raise InvalidArgumentError(
            "password", f"password has at most {PASSWORD.max_length} characters."
        )
