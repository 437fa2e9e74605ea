"""A run in a few lines of a terminal: cost beside all-remote, agreement, local share, phase."""

from collections.abc import Iterable

from rich.text import Text

from apprentice.course import Course
from client.cli.charts import Values
from client.cli.figures import share
from client.cli.report_view import MARGIN, WIDEST, curve, scaled


def course_lines(course: Course, *, width: int, encoding: str) -> Iterable[Text]:
    """Nothing for a run of fewer than two points. `width` is the terminal's, `encoding` the stream's."""
    points = course.points
    if len(points) < 2:
        return
    room = max(10, min(width, WIDEST) - MARGIN)
    yield from scaled("agreement", [point.agreement for point in points], room, encoding)
    last = points[-1]
    full = last.all_remote or 1.0
    spent: Values = [point.spend / full for point in points]
    asked: Values = [point.all_remote / full for point in points]
    yield curve("spent so far", spent, f"{share(last.spend, last.all_remote):.0%}", room, encoding)
    yield curve("all remote", asked, "100%", room, encoding)
    local: Values = [point.local_share for point in points]
    yield curve("local share", local, f"{last.local_share:.0%}", room, encoding)
    changes, phases = list(course.changes), []
    for point in points:
        while len(changes) > 1 and changes[1].request <= point.request:
            changes.pop(0)
        phases.append(int(changes[0].phase) / 3)
    yield curve("phase", phases, str(int(changes[0].phase)), room, encoding)
    yield Text(f"{'':{MARGIN}}request {points[0].request:,} to {last.request:,}", style="dim")
