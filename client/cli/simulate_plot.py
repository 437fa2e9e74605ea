"""`--plot FILE.svg`: cost and quality over requests, as a picture that other documents can hold."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apprentice.course import WINDOW, Course
from client.cli.output import Failed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Plot = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE.svg", help="A chart of cost and quality over requests.")
]

SPENT, FULL, AGREEMENT, LOCAL, PHASE = "#0072B2", "#999999", "#009E73", "#E69F00", "#555555"
"""Told apart by the colour-blind too (Okabe and Ito 2008)."""
STYLE: Any = {
    "svg.fonttype": "none",  # real text: it can be searched, and read by a machine
    "svg.hashsalt": "apprentice",  # the same run gives the same bytes
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


class Drawing:
    """A file to draw into. Whether it can be drawn is known before anything is simulated."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def to(cls, file: Path | None) -> "Drawing | None":
        """Raises `Failed` (2) without matplotlib, and for a file that is no SVG or has no folder."""
        if file is None:
            return None
        if file.suffix.lower() != ".svg":
            raise Failed(f"--plot {file}: the chart is an SVG; name the file so, such as {file.stem or 'chart'}.svg")
        if not file.absolute().parent.is_dir():
            raise Failed(f"--plot: cannot write {file}: there is no such folder")
        try:
            import matplotlib  # noqa: F401  # half a second that only a chart should cost
        except ImportError:
            raise Failed("--plot needs matplotlib: `pip install 'apprentice[plot]'`") from None
        return cls(file)

    def draw(self, course: Course, title: str) -> None:
        """Raises `Failed` (2) if the file cannot be written."""
        import matplotlib
        from matplotlib.figure import Figure  # without pyplot: no window, no state of the process

        draft = self._file.with_name(f".{self._file.name}.partial")
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=(8, 6), layout="constrained")
            cost, quality = figure.subplots(2, 1, sharex=True)
            figure.suptitle(title, fontsize=10)
            _cost(cost, course)
            _quality(quality, course)
            for axes in (cost, quality):
                _phases(axes, course, named=axes is cost)
            try:
                figure.savefig(draft, format="svg", metadata={"Date": None, "Creator": "apprentice simulate"})
                draft.replace(self._file)
            except OSError as error:
                raise Failed(f"--plot: cannot write {self._file}: {error.strerror}") from None
            finally:
                draft.unlink(missing_ok=True)


def _cost(axes: "Axes", course: Course) -> None:
    requests = [point.request for point in course.points]
    axes.plot(requests, [point.all_remote for point in course.points], color=FULL, ls="--", label="all remote")
    axes.plot(requests, [point.spend for point in course.points], color=SPENT, label="spent")
    axes.set_ylabel(f"cost so far ({course.currency})")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")


def _quality(axes: "Axes", course: Course) -> None:
    served = [point for point in course.points if point.agreement is not None]
    requests = [point.request for point in served]
    lows, highs = [point.low or 0.0 for point in served], [point.high or 0.0 for point in served]
    axes.fill_between(requests, lows, highs, color=AGREEMENT, alpha=0.2, lw=0, label="95% interval")
    axes.plot(
        requests, [point.agreement or 0.0 for point in served], color=AGREEMENT, label="agreement of what is served"
    )
    everywhere = [point.request for point in course.points]
    axes.plot(everywhere, [point.local_share for point in course.points], color=LOCAL, label="local share")
    axes.set_ylabel(f"of the last {WINDOW} requests")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("requests")
    axes.legend(loc="lower right")


def _phases(axes: "Axes", course: Course, *, named: bool) -> None:
    for change in course.changes:
        axes.axvline(change.request, color=PHASE, lw=0.8, ls=":")
        if named:
            words = f"phase {int(change.phase)} {change.phase.name.lower()}"
            where: Any = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "rotation": 90}
            axes.annotate(words, (change.request, 0.02), (2, 0), color=PHASE, fontsize=7, va="bottom", **where)
