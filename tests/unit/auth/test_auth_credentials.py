"""What usernames, passwords and email addresses may look like."""

import pytest

from services.auth.credentials import check_email, check_password, check_username, is_username
from services.common.errors import InvalidArgumentError


@pytest.mark.parametrize("username", ["abc", "a" * 32, "A.b_c-9", "..."])
def test_username_is_accepted_when_within_its_rule(username: str) -> None:
    """3 to 32 letters, digits, "_", "-" and "." make a username."""
    check_username(username)


@pytest.mark.parametrize(
    "username",
    ["", "ab", "a" * 33, "a b", "abc\n", "abc\x00", "ünder", "甲乙丙", "abc\ud800", "a'; --"],
)
def test_username_is_refused_when_outside_its_rule(username: str) -> None:
    """Anything else is refused by name of the field, unprintable characters included."""
    with pytest.raises(InvalidArgumentError) as caught:
        check_username(username)
    assert caught.value.metadata == {"field": "username"}
    assert not is_username(username)


@pytest.mark.parametrize("password", ["12345678", "x" * 128, "密码密码密码密码"])
def test_password_is_accepted_when_8_to_128_characters(password: str) -> None:
    """Length alone makes a password fit, whatever its characters."""
    check_password(password)


@pytest.mark.parametrize("password", ["", "1234567", "x" * 129])
def test_password_is_refused_when_too_short_or_too_long(password: str) -> None:
    """7 and 129 characters are outside."""
    with pytest.raises(InvalidArgumentError) as caught:
        check_password(password)
    assert caught.value.metadata == {"field": "password"}


@pytest.mark.parametrize("email", ["", "a@b.c", "ann+kuji@例え.jp", "a@" + "b" * 250 + ".c"])
def test_email_is_accepted_when_absent_or_sane(email: str) -> None:
    """No address, or anything of the form a@b.c up to 254 characters."""
    check_email(email)


@pytest.mark.parametrize(
    "email",
    ["a", "a@b", "@b.c", "a@b@c.d", "a b@c.d", "a@b.c\x00", "a@b.\ud800", "a@" + "b" * 251 + ".c"],
)
def test_email_is_refused_when_malformed(email: str) -> None:
    """Not of that form, unprintable, or 255 characters long."""
    with pytest.raises(InvalidArgumentError) as caught:
        check_email(email)
    assert caught.value.metadata == {"field": "email"}
