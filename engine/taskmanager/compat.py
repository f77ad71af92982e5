"""The names of ScientificPython's TaskManager, for programs that were written against it.

Same argument order, same tuples. What differs: a task goes back to the real front; storing for a task that is not held
(any more) returns False instead of blocking; unregistering twice returns False; `activeProcessInfo` takes a process id,
not a position; `getAnyResult` waits while tasks still run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from .errors import StaleTask


class OriginalNames(ABC):
    """Thin aliases over the PEP 8 names."""

    @abstractmethod
    def register_process(self, watchdog_period: float | None = None, info: Any = None) -> int: ...
    @abstractmethod
    def unregister_process(self, process_id: int) -> bool: ...
    @abstractmethod
    def ping(self, process_id: int) -> None: ...
    @abstractmethod
    def number_of_active_processes(self) -> int: ...
    @abstractmethod
    def active_process_info(self, process_id: int) -> Any: ...
    @abstractmethod
    def number_of_tasks(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]: ...
    @abstractmethod
    def add_task_request(self, tag: str, parameters: Any = None, process_id: int | None = None) -> str: ...
    @abstractmethod
    def get_any_task(self, process_id: int | None = None, timeout: float | None = None) -> tuple[str, str, Any]: ...
    @abstractmethod
    def get_task_with_tag(
        self, tag: str, process_id: int | None = None, timeout: float | None = None
    ) -> tuple[str, Any]: ...
    @abstractmethod
    def store_result(self, task_id: str, result: Any, attempt: int | None = None) -> bool: ...
    @abstractmethod
    def store_exception(
        self, task_id: str, exception: BaseException, traceback: str | None = None, attempt: int | None = None
    ) -> bool: ...
    @abstractmethod
    def return_task(self, task_id: str, attempt: int | None = None) -> bool: ...
    @abstractmethod
    def get_any_result(self, timeout: float | None = None) -> tuple[str, str, Any]: ...
    @abstractmethod
    def get_result_with_tag(self, tag: str, timeout: float | None = None) -> tuple[str, Any]: ...
    @abstractmethod
    def store_data(self, **items: Any) -> None: ...
    @abstractmethod
    def retrieve_data(self, label: str) -> Any: ...
    @abstractmethod
    def delete_data(self, label: str) -> None: ...

    def registerProcess(self, watchdog_period: float | None = None, info: Any = None) -> int:  # noqa: N802
        """`register_process`."""
        return self.register_process(watchdog_period, info)

    def unregisterProcess(self, process_id: int) -> bool:  # noqa: N802
        """`unregister_process`."""
        return self.unregister_process(process_id)

    def numberOfActiveProcesses(self) -> int:  # noqa: N802
        """`number_of_active_processes`."""
        return self.number_of_active_processes()

    def activeProcessInfo(self, pid: int) -> Any:  # noqa: N802
        """`active_process_info`."""
        return self.active_process_info(pid)

    def numberOfTasks(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:  # noqa: N802
        """`number_of_tasks`."""
        return self.number_of_tasks()

    def addTaskRequest(self, tag: str, parameters: Any = None, process_id: int | None = None) -> str:  # noqa: N802
        """`add_task_request`."""
        return self.add_task_request(tag, parameters, process_id)

    def getAnyTask(self, process_id: int | None = None) -> tuple[str, str, Any]:  # noqa: N802
        """`get_any_task`."""
        return self.get_any_task(process_id)

    def getTaskWithTag(self, tag: str, process_id: int | None = None) -> tuple[str, Any]:  # noqa: N802
        """`get_task_with_tag`."""
        return self.get_task_with_tag(tag, process_id)

    def storeResult(self, task_id: str, result: Any) -> bool:  # noqa: N802
        """`store_result`; False instead of StaleTask."""
        try:
            return self.store_result(task_id, result)
        except StaleTask:
            return False

    def storeException(self, task_id: str, exception: BaseException, traceback: str | None = None) -> bool:  # noqa: N802
        """`store_exception`; False instead of StaleTask."""
        try:
            return self.store_exception(task_id, exception, traceback)
        except StaleTask:
            return False

    def returnTask(self, task_id: str) -> bool:  # noqa: N802
        """`return_task`; False instead of StaleTask."""
        try:
            return self.return_task(task_id)
        except StaleTask:
            return False

    def getAnyResult(self) -> tuple[str, str, Any]:  # noqa: N802
        """`get_any_result`."""
        return self.get_any_result()

    def getResultWithTag(self, tag: str) -> tuple[str, Any]:  # noqa: N802
        """`get_result_with_tag`."""
        return self.get_result_with_tag(tag)

    def storeData(self, **kw: Any) -> None:  # noqa: N802
        """`store_data`."""
        self.store_data(**kw)

    def retrieveData(self, label: str) -> Any:  # noqa: N802
        """`retrieve_data`."""
        return self.retrieve_data(label)

    def deleteData(self, label: str) -> None:  # noqa: N802
        """`delete_data`."""
        self.delete_data(label)
