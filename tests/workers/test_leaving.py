import subprocess
import sys

PROGRAM = """
import atexit
from workers.leaving import leave
atexit.register(print, "handlers ran")
print("done")
leave({code})
"""
SHORT_LIVED = """
import asyncio
from temporalio.client import Client
from workers.leaving import leave
async def run():
    try:
        await Client.connect("127.0.0.1:1")
    except RuntimeError:
        return 3
leave(asyncio.run(run()))
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_output_is_flushed_handlers_run_and_the_code_is_kept() -> None:
    result = run(PROGRAM.format(code=2))
    assert (result.returncode, result.stdout) == (2, "done\nhandlers ran\n")


def test_a_reader_that_went_away_is_no_success() -> None:
    command = [sys.executable, "-c", PROGRAM.format(code=0)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout
    child.stdout.close()
    assert child.wait() == 1


def test_a_process_that_ends_right_after_its_last_call_keeps_its_exit_code() -> None:
    assert [run(SHORT_LIVED).returncode for _ in range(10)] == [3] * 10
