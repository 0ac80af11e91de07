"""A queue that serves its lanes in turn, so that whoever fills a lane waits there alone."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """
    Items in lanes within lanes, such as kind, address, account; each path has the same length.

    Of the lanes beside each other each is served in turn, at every level; within the innermost
    the items come in order. A lane is there as long as something waits in it.
    """

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, FairQueue[T]] = OrderedDict()
        self._items: deque[T] = deque()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def put(self, path: Sequence[str], item: T) -> None:
        """Let *item* wait, last of the lane *path*."""
        self._waiting += 1
        if not path:
            self._items.append(item)
            return
        if path[0] not in self._lanes:
            self._lanes[path[0]] = FairQueue()
        self._lanes[path[0]].put(path[1:], item)

    def pop(self) -> T:
        """Take the next item; IndexError where none waits."""
        if not self._lanes:
            item = self._items.popleft()
        else:
            name = next(iter(self._lanes))
            item = self._lanes[name].pop()
            self._lanes.move_to_end(name)
            self._close_if_empty(name)
        self._waiting -= 1
        return item

    def pop_newest(self, path: Sequence[str]) -> T:
        """Take an item from the end of the lane *path*, or of one below it; KeyError without."""
        if path:
            name, rest = path[0], path[1:]
        elif self._lanes:
            name, rest = next(reversed(self._lanes)), ()
        else:
            self._waiting -= 1
            return self._items.pop()
        item = self._lanes[name].pop_newest(rest)
        self._close_if_empty(name)
        self._waiting -= 1
        return item

    def discard(self, path: Sequence[str], item: T) -> bool:
        """Let *item* wait no longer in the lane *path*; whether it did. O(items of that lane)."""
        if path:
            found = path[0] in self._lanes and self._lanes[path[0]].discard(path[1:], item)
            if found:
                self._close_if_empty(path[0])
        elif found := item in self._items:
            self._items.remove(item)
        self._waiting -= found
        return found

    def waiting(self, path: Sequence[str]) -> int:
        """How many items wait in the lane *path* and below."""
        if not path:
            return self._waiting
        return self._lanes[path[0]].waiting(path[1:]) if path[0] in self._lanes else 0

    def longest(self, path: Sequence[str]) -> str:
        """Which lane right below *path* most items wait in. O(lanes there)."""
        if path:
            return self._lanes[path[0]].longest(path[1:])
        return max(self._lanes, key=lambda name: len(self._lanes[name]))

    def _close_if_empty(self, name: str) -> None:
        if not self._lanes[name]:
            del self._lanes[name]
