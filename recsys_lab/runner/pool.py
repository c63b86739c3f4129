"""Worker processes: started with their own environment, watched, recorded in MLflow, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from recsys_lab import tracking
from recsys_lab.experiment import Experiment, sweep_id
from recsys_lab.runner.plan import NotebookJob

_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
POLL_S = 0.1
GRACE_S = 5.0  # between asking a worker to stop and stopping it


def cores() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Outcome:
    """How one notebook ended: "finished", "skipped" (it was up to date) or "failed", and why."""

    job: NotebookJob
    status: str
    error: str = ""
    seconds: float = 0.0
    run: tracking.Run | None = None


@dataclass(eq=False)
class _Worker:
    job: NotebookJob
    process: subprocess.Popen[bytes]
    run: tracking.Run
    lock: FileLock
    scratch: Path
    started: float = field(default_factory=time.monotonic)
    n_told: int = 0  # trials already counted in the progress bar

    @property
    def n_done(self) -> int:
        progress = self.scratch / "progress"
        return len(progress.read_text(encoding="utf-8").splitlines()) if progress.is_file() else 0


@dataclass(eq=False)
class Pool:
    """Executes notebooks in ``n_workers`` processes at a time."""

    experiment: Experiment
    file: Path
    n_workers: int
    is_done: Callable[[NotebookJob], bool]
    say: Callable[[str], None] = print

    def run(self, jobs: Sequence[NotebookJob]) -> list[Outcome]:
        """Execute what is not done; a job another process works on is waited for and then found finished.

        On Ctrl-C, or any error of our own, the workers are stopped and their runs closed before it is raised again.
        """
        waiting, working, outcomes = deque(jobs), list[_Worker](), list[Outcome]()
        bar = tqdm(total=sum(job.n_steps for job in jobs) or 1, unit="trial", disable=None, dynamic_ncols=True)
        try:
            with bar:
                while waiting or working:
                    self._start_some(waiting, working, outcomes, bar)
                    for worker in [worker for worker in working if worker.process.poll() is not None]:
                        outcomes.append(self._finish(worker))
                        working.remove(worker)
                        self._tell(outcomes[-1], bar)
                        bar.update(max(worker.job.n_steps - worker.n_told, 0))
                    for worker in working:
                        bar.update(worker.n_done - worker.n_told)
                        worker.n_told = worker.n_done
                    bar.set_postfix_str(", ".join(worker.job.family for worker in working))
                    time.sleep(POLL_S)
        except BaseException:
            self._stop(working)
            raise
        return outcomes

    def _start_some(
        self, waiting: deque[NotebookJob], working: list[_Worker], outcomes: list[Outcome], bar: Any
    ) -> None:
        for _ in range(len(waiting)):
            if len(working) >= self.n_workers:
                return
            job = waiting.popleft()
            lock = tracking.lock(job.lock_name, timeout=0)
            try:
                lock.acquire()
            except Timeout:
                waiting.append(job)  # another process executes it; look again later
                continue
            if self.is_done(job):
                lock.release()
                outcomes.append(Outcome(job, "skipped"))
                bar.update(job.n_steps)
                continue
            try:
                working.append(self._start(job, lock))
            except BaseException:
                lock.release()
                raise

    def _start(self, job: NotebookJob, lock: FileLock) -> _Worker:
        name = f"{job.source.stem} · {self.experiment.name}"
        tags = {
            "kind": tracking.NOTEBOOK,
            "sweep_id": sweep_id(self.experiment),
            "family": job.family,
            "notebook": job.source.name,
            "mlflow.source.name": f"notebooks/{job.source.name}",
            "mlflow.source.type": "NOTEBOOK",
            **tracking.git_tags(),
        }
        run = tracking.start_run(self.experiment.name, name, tags)
        tracking.log(run, params=job.parameters)
        scratch = Path(tempfile.mkdtemp(prefix="recsys_lab_"))
        order = {
            "source": str(job.source),
            "output": str(job.output),
            "parameters": job.parameters,
            "key": job.key,
            "result": str(scratch / "result.json"),
            "cwd": os.getcwd(),
        }
        with (scratch / "messages").open("wb") as messages:
            process = subprocess.Popen(
                [sys.executable, "-m", "recsys_lab.runner.execute", json.dumps(order)],
                env=self._environment(job, run, scratch),
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop the workers in order
            )
        return _Worker(job, process, run, lock, scratch)

    def _environment(self, job: NotebookJob, run: tracking.Run, scratch: Path) -> dict[str, str]:
        threads = str(
            max(1, cores() // self.n_workers)
        )  # set before numpy is imported: two times too many is 6 × slower
        own = self.experiment.path.absolute().parent if self.experiment.path else Path.cwd()
        package = Path(__file__).resolve().parents[2]
        paths = [str(package), os.environ.get("PYTHONPATH", ""), os.getcwd(), str(own)]  # own algorithms are found last
        return {
            **os.environ,
            **dict.fromkeys(_THREADS, threads),
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, whatever the home folder offers
            "JUPYTER_PLATFORM_DIRS": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "MLFLOW_TRACKING_URI": tracking.tracking_uri(),
            "MLFLOW_EXPERIMENT_ID": run.experiment_id,
            "MLFLOW_RUN_ID": run.run_id,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "RECSYS_LAB_HOME": str(tracking.home()),
            "RECSYS_LAB_NOTEBOOK": f"notebooks/{job.source.name}",
            "RECSYS_LAB_PROGRESS": str(scratch / "progress"),
        }

    def _finish(self, worker: _Worker) -> Outcome:
        """Attach the notebook to its run and close the run; a worker that died without a word counts as failed."""
        job, run, error = worker.job, worker.run, ""
        try:
            result = json.loads((worker.scratch / "result.json").read_text(encoding="utf-8"))
            error = result["error"]
        except (OSError, ValueError, KeyError):
            tail = (worker.scratch / "messages").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            code = worker.process.returncode
            error = f"the process ended with code {code} before the notebook did. {' '.join(tail)}".strip()
        try:
            for file in (job.output, job.output.with_suffix(".html"), self.file):
                if file.is_file():
                    tracking.log_file(run, file, "notebook")
            page = f"notebook/{job.output.with_suffix('.html').name}"
            note = f"**{self.experiment.question}**\n\nThe executed notebook is the artifact `{page}`."
            tags = {"mlflow.note.content": note} | ({"error": error} if error else {})
            tracking.log(run, tags=tags)
            tracking.finish(run, "FAILED" if error else "FINISHED")
        finally:
            worker.lock.release()
            _remove(worker.scratch)
        seconds = time.monotonic() - worker.started
        return Outcome(job, "failed" if error else "finished", error, seconds, run)

    def _tell(self, outcome: Outcome, bar: Any) -> None:
        with bar.external_write_mode():
            tail = f": {outcome.error}" if outcome.error else f" in {outcome.seconds:.0f} s"
            self.say(f"  {outcome.status} {outcome.job.title}{tail}")

    def _stop(self, working: Sequence[_Worker]) -> None:
        for worker in working:
            _signal(worker.process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        for worker in working:
            try:
                worker.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(worker.process, signal.SIGKILL)
                worker.process.wait()
            tracking.finish(worker.run, "KILLED")
            worker.lock.release()
            _remove(worker.scratch)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _remove(scratch: Path) -> None:
    for file in scratch.iterdir():
        file.unlink(missing_ok=True)
    scratch.rmdir()
