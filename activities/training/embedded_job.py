"""The training process: `python -m activities.training.embedded_job ORDER_FILE LOCK_DESCRIPTOR`.

It holds the inherited lock until it dies, so it never closes it. It ends with the version's folder in place, or with
an error file.
"""

import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from activities.local.familiarity import write_profile
from activities.training import rehearsal
from activities.training.dataset_file import DatasetError, Row, rows
from activities.training.job_folder import Failure, JobFolder, Order
from apprentice.evaluators import build
from apprentice.messages import TrainingStatus
from apprentice.settings import TaskSettings

NICENESS = 5
"""About a third of a normal share where all cores are busy: serving comes first, but training still gets done."""
QUICK_EVALUATORS = {"exact_match", "structured_match"}
LONGEST_ERROR = 300


def read_dataset(file: Path) -> list[Row]:
    """Raises DatasetError with the line number."""
    found = list(rows(file))
    if not found:
        raise DatasetError(f"dataset {file.name} has no rows")
    return found


def scores(settings: TaskSettings) -> Callable[[dict[str, Any], dict[str, Any]], float] | None:
    """How well two outputs agree: the task's evaluator.

    None (every field equal) for evaluators that run a model or a user's code: they are slow and never say just 1.
    """
    if settings.evaluator not in QUICK_EVALUATORS:
        return None
    return build(settings)


def train(order: Order, folder: JobFolder) -> None:
    """Train and put the version in place."""
    # scikit-learn takes a second to import: only after the data set has been found good.
    rows = read_dataset(Path(order.dataset))
    from activities.local.embedded.student import Student

    settings = TaskSettings.model_validate(order.settings)
    inputs, outputs = [row.input for row in rows], [row.output for row in rows]
    sentences = settings.local.base_model
    student = Student.fit(inputs, outputs, settings.output_schema, order.version, scores(settings), sentences)
    shutil.rmtree(folder.draft, ignore_errors=True)
    student.save(folder.draft)
    fair = [(score, sure) for row, score, sure in student.rehearsal if rows[row].fair]
    rehearsal.write(folder.draft, fair)
    write_profile(folder.draft, zip(inputs, outputs, strict=True))
    os.rename(folder.draft, folder.result)


def main(order_file: Path, lock: int) -> int:
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode("ascii"), 0)
    os.nice(NICENESS)
    order = Order.model_validate_json(order_file.read_bytes())
    path = order_file.parent
    folder = JobFolder(path, path.with_name(f"v{order.version:04d}"))
    try:
        train(order, folder)
    except Exception as error:
        traceback.print_exc()
        # A library's message may quote the data, so only our own are passed on.
        from activities.local.embedded.sentences import NoSentenceModel

        ours = isinstance(error, DatasetError | NoSentenceModel)
        said = str(error) if ours else f"{type(error).__name__}; see {folder.log_file}"
        folder.fail(Failure(status=TrainingStatus.FAILED, error=said[:LONGEST_ERROR]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
