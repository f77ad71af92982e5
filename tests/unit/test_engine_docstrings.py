"""What is public at clusterdeck.engine explains itself: arguments, units, errors, threads, and whose semantic it is."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

import clusterdeck.engine as engine

#: What a user of the library calls; Engine, EngineClient and the like are for those who write a worker.
_CLASSES = (
    *("Task", "Worker", "DistantWorker", "StreamWorker", "WorkerSimple", "WorkerPopen", "ExecWorker", "WorkerSsh"),
    *("WorkerRsh", "WorkerPdsh", "WorkerParamiko", "EventHandler", "EnginePort", "EngineTimer", "MsgTree"),
    *("MsgTreeElem", "EngineClient", "Engine"),
)
_FUNCTIONS = ("task_self", "task_wait", "task_terminate", "task_cleanup")
#: Arguments that are seconds.
_TIMES = {"timeout", "fire", "fire_delay", "interval", "delay", "due", "when"}
#: An alias of an exception, by the name that is caught.
_REAL_NAMES = {"WorkerBadArgumentError": "ValueError"}


def _methods() -> Iterator[tuple[str, type, Any]]:
    for name in _CLASSES:
        cls = getattr(engine, name)
        for base in cls.__mro__:
            if not base.__module__.startswith("clusterdeck."):
                continue
            for method, value in vars(base).items():
                function = getattr(value, "fget", None) or getattr(value, "__func__", value)
                hidden = inspect.getattr_static(cls, method) is not value
                if inspect.isfunction(function) and not method.startswith("_") and not hidden:
                    yield f"{base.__name__}.{method}", base, function


METHODS = {name: (cls, function) for name, cls, function in _methods()}
CALLABLES = METHODS | {name: (None, getattr(engine, name)) for name in _FUNCTIONS}


def _text(cls: type | None, function: Any) -> str:
    """The docstring; `See Base` is the base's."""
    own = inspect.getdoc(function) or ""
    for match in re.finditer(r"[Ss]ee (\w+)", own):
        for base in () if cls is None else cls.__mro__:
            method = vars(base).get(function.__name__)
            if base.__name__ == match[1] and method is not None:
                own += " " + (inspect.getdoc(getattr(method, "__func__", method)) or "")
    return own


def _arguments(function: Any) -> list[str]:
    passed = inspect.signature(function).parameters.values()
    return [one.name for one in passed if one.name not in ("self", "cls") and one.kind is not one.VAR_KEYWORD]


def _raised(function: Any) -> set[str]:
    """Names of the exceptions that the body itself raises; what unwinds the loop is nobody's to catch."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            names.add(_REAL_NAMES.get(node.exc.func.id, node.exc.func.id))
        if isinstance(node, ast.Assert) and node.msg is not None:
            names.add("AssertionError")
    return names - {"NotImplementedError", "EngineAbortException"}


@pytest.mark.parametrize("name", sorted(CALLABLES))
def test_a_call_explains_its_arguments_units_and_errors(name: str) -> None:
    cls, function = CALLABLES[name]
    text = _text(cls, function)
    arguments = _arguments(function)
    assert text, "no docstring"
    unnamed = [argument for argument in arguments if not re.search(rf"\b{argument}\b", text)]
    # One or two arguments may go by other words, such as "a node's message" for `node`.
    assert unnamed == [] or len(arguments) < 3, f"not explained: {unnamed}"
    if _TIMES & set(arguments):
        assert "second" in text or "As `" in text, "times without their unit"
    assert {error for error in _raised(function) if error not in text} == set(), "errors that are not told"


@pytest.mark.parametrize("name", _CLASSES)
def test_a_class_explains_its_arguments_and_errors(name: str) -> None:
    cls = getattr(engine, name)
    text = " ".join(inspect.getdoc(base) or "" for base in cls.__mro__ if base.__module__.startswith("clusterdeck."))
    arguments = [one for one in _arguments(cls.__init__) if one != "args"]
    assert [one for one in arguments if not re.search(rf"\b{one}\b", text)] == []
    if _TIMES & set(arguments):
        assert "second" in text
    assert {error for error in _raised(cls.__init__) if error not in text} == set() if arguments else True


@pytest.mark.parametrize("name", ["Task", "Worker", "EventHandler", "EnginePort", "EngineTimer", "MsgTree"])
def test_threads_and_the_source_of_the_semantic(name: str) -> None:
    text = inspect.getdoc(getattr(engine, name)) or ""
    assert "thread" in text
    assert "ClusterShell" in text


def test_every_other_public_name_has_a_docstring() -> None:
    ours = {name: getattr(engine, name) for name in dir(engine) if name[0].isupper()}
    classes = {name: one for name, one in ours.items() if inspect.isclass(one) and "clusterdeck" in one.__module__}
    assert len(classes) > 40
    assert [name for name, one in classes.items() if len((inspect.getdoc(one) or "").split()) < 4] == []
