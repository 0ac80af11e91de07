"""Why a template cannot be applied."""

from ops.errors import OperatorError


class TemplateError(OperatorError):
    """A template that cannot be read, or not be applied; the message says where."""
