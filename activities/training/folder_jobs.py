"""Jobs on this machine, told from their folders alone: any worker here adopts what another one started."""

from activities.local.model import version_dir
from activities.training.job_folder import JobFolder
from activities.training.runner import TrainingLost
from apprentice.messages import TrainingJob, TrainingStatus
from apprentice.settings import TaskSettings


def folder_of(settings: TaskSettings, version: int) -> JobFolder:
    """The job folder beside the version's own."""
    result = version_dir(settings, version).absolute()
    return JobFolder(result.with_name(f".{result.name}.job"), result)


def job(
    runner: str, task: str, version: int, status: TrainingStatus, *, model: str | None = None, error: str | None = None
) -> TrainingJob:
    """The job of a version, as its runner sees it."""
    name = f"{runner}/{task}/v{version:04d}"
    return TrainingJob(id=name, task=task, version=version, status=status, model=model, error=error)


def finished(runner: str, task: str, version: int, folder: JobFolder) -> TrainingJob | None:
    """The job, if it has ended with a version or an error."""
    if folder.complete:
        return job(runner, task, version, TrainingStatus.SUCCEEDED, model=str(folder.result))
    if failure := folder.failure:
        return job(runner, task, version, failure.status, error=failure.error)
    return None


def poll(runner: str, task: str, version: int, settings: TaskSettings) -> TrainingJob:
    """The job as it is now. Raises TrainingLost."""
    folder = folder_of(settings, version)
    with folder.unlocked() as dead:
        if not dead:
            return job(runner, task, version, TrainingStatus.RUNNING)
        ended = finished(runner, task, version, folder)
    if ended is None:
        raise TrainingLost(f"{task}: the training of version {version} died; start it again")
    return ended
