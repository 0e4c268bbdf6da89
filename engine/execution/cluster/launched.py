"""The child that `engine.execution.launch` starts: a Ray of its own, whose workers do what the driver hands out."""

import logging
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection

from engine.errors import NearfieldError
from engine.execution.cluster.loop import workers_of
from engine.execution.launch import Reply, WorkOrder
from engine.execution.task import Failure
from engine.store.receipts import Receipt
from engine.sweep import Task

_IDLE_SECONDS = 0.02


def main(pipe: int, life: int) -> None:
    """pipe: to talk with the driver. life: a pipe that ends when the driver does, however."""
    threading.Thread(target=_end_with, args=(life,), daemon=True).start()
    driver = Connection(pipe)
    logging.getLogger("engine").addHandler(_ToDriver(driver))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # the driver's word to take leave of a cluster
    order, n_tasks = driver.recv()
    try:
        _work(order, RemotePlan(driver, n_tasks))
    except NearfieldError as error:
        driver.send(("end", error))
    except Exception as error:
        driver.send(("end", RuntimeError(f"{type(error).__name__}: {error}")))
    else:
        driver.send(("end", None))
    signal.pause()  # the driver ends this process, with all that Ray has started


def _end_with(life: int) -> None:
    os.read(life, 1)
    os.killpg(0, signal.SIGKILL)  # Ray's daemons, whose workers follow


class _ToDriver(logging.Handler):
    """What is logged for the user here, where nobody sees it, is logged by the driver."""

    def __init__(self, driver: Connection) -> None:
        super().__init__(logging.WARNING)
        self._driver = driver

    def emit(self, record: logging.LogRecord) -> None:
        self._driver.send(("say", record.getMessage()))


class RemotePlan:
    """The driver's plan, as the loop of workers uses one."""

    def __init__(self, driver: Connection, n_tasks_left: int) -> None:
        self._driver, self.n_tasks_left = driver, n_tasks_left
        self._finished, self._deadline = False, float("inf")

    @property
    def is_finished(self) -> bool:
        return self._finished or self.seconds_left <= 0

    @property
    def seconds_left(self) -> float:
        return self._deadline - time.monotonic()

    def take(self) -> Task | None:
        self._driver.send(("take", None))
        reply: Reply = self._driver.recv()
        self._deadline, self._finished = time.monotonic() + reply.seconds_left, reply.is_finished
        task: Task | None = reply.task
        return task

    def add(self, result: Receipt | Failure) -> None:
        self._driver.send(("result", result))


def _work(order: WorkOrder, plan: RemotePlan) -> None:
    """Until the driver has nothing left; where all is handed out, more may be wanted once results are in."""
    with workers_of(order, plan) as loop:
        if not order.is_alone:
            loop.wait_for_one()
        while not plan.is_finished:
            for _ in loop.results():
                pass
            time.sleep(_IDLE_SECONDS)
