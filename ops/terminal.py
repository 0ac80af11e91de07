"""What the commands write to: results on stdout, progress and complaints on stderr."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import TimeElapsedColumn as Elapsed
from rich.text import Text

from stack.report import spell_out_what_cannot_be_shown

spell_out_what_cannot_be_shown()
out = Console(highlight=False)
err = Console(highlight=False, stderr=True)


def progress() -> Progress:
    """Bars for work of known size, on stderr; a task's *note* is shown at its end."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<12}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        Elapsed(),
        TextColumn("{task.fields[note]}"),
        console=err,
    )


def rate_progress() -> Progress:
    """Bars for many of one thing, on stderr: how many a second, and the time that is left."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<12}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=err,
    )


class _Rate(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        """For example "48 000/s"."""
        speed = task.finished_speed or task.speed or 0.0
        return Text(f"{speed:,.0f}/s".replace(",", " "))


def complain(sentence: str) -> None:
    """Say why a command did not do its work."""
    err.print(f"kuji: {sentence}", style="red", markup=False, soft_wrap=True)


def counted(number: int, thing: str) -> str:
    """For example "1 pool", "2 pools"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
