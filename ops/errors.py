"""Failures that an operator is told in one sentence."""


class OperatorError(Exception):
    """Why a command cannot do its work; the message is one clear sentence."""
