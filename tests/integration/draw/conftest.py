"""What most tests of the draw service draw from; a file that needs another has its own."""

from tests.support.draw_service import plain_world

__all__ = ["plain_world"]
