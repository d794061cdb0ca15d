# SPDX-License-Identifier: Apache-2.0
"""mutmut, with functions that it leaves out, and with fewer tests for each mutant.

    python tools/mutation.py run [--max-children N] [MUTANT ...]
    python tools/mutation.py show MUTANT

mutmut changes no function that has a decorator, but for static and class methods. A
third of what access/ and targets/ decide is said by properties. So these, and what
else only wraps a function, are changed here too: the decorator stays on the function
that chooses a mutant, and is taken off the mutants.

Sentences are left as they are: that a cause or a cure is in capitals, or has an X at
its ends, changes what no test should hold.
"""

import functools
import gc
import math
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import libcst as cst
from mutmut.__main__ import cli
from mutmut.mutation import file_mutation
from mutmut.runners.harness import BadTestExecutionCommandsException, PytestRunner
from mutmut.state import state

#: What gives nothing but the function's own answer, at once, later or once.
_WRAPPERS = {"cached_property", "contextmanager", "lru_cache", "property"}

#: A test that takes less is always run, if it is one of the mutant's own package.
_CHEAP = 0.5
#: Seconds for all other tests of a mutant. Of some functions they are all that a driver
#: does: some minutes.
_LIMIT = float(os.environ.get("TAIKUN_MUTATION_SECONDS", "30"))


#: What people read: several words, or the last one of a sentence. Whether they are in
#: capitals decides nothing.
_PROSE = re.compile(r"[\w'.,:;)] [\w'(]|^\"[\w.]+\.\"$")

#: Seconds of a processor that they may take beside twice what they took. Some mutants
#: never end: a plan that does not see what it has done.
_PATIENCE = 10
#: The status of mutmut's for what is neither killed nor alive.
_SUSPICIOUS = 35


def stages(
    mutant: str | None, tests: Iterable[str], seconds: Mapping[str, float]
) -> list[dict[str, float]]:
    """Divide the tests that call a function into those to run first, and then.

    Most mutants end with the first, which need no database.

    Args:
        mutant: its name; None to see that all is well without one.
        tests: their names, as pytest has them.
        seconds: that each took.

    Returns:
        the seconds of each test, in the order to run them in.
    """
    own = f"tests/unit/{mutant.split('.')[1]}/" if mutant else "none"

    def place(timed: tuple[str, float]) -> tuple[bool, float]:
        return not timed[0].startswith(own), timed[1]

    # By the name of its function: pytest does not find every name of a case again.
    whole: dict[str, float] = {}
    for test in tests:
        name = test.partition("[")[0]
        whole[name] = whole.get(name, 0) + seconds.get(test, 0)
    first: dict[str, float] = {}
    then: dict[str, float] = {}
    left = _LIMIT
    for test, taken in sorted(whole.items(), key=place):
        if test.startswith(own) and taken < _CHEAP:
            first[test] = taken
        elif taken <= left:
            then[test] = taken
            left -= taken
    return [stage for stage in (first, then) if stage]


def _end_after(seconds: float) -> None:
    """End the process when it has taken this much time of a processor, and some."""
    soon = math.ceil(time.process_time() + 2 * seconds + _PATIENCE)
    resource.setrlimit(
        resource.RLIMIT_CPU, (soon, resource.getrlimit(resource.RLIMIT_CPU)[1])
    )


def _only_wraps(function: cst.FunctionDef) -> bool:
    return len(function.decorators) == 1 and _name(function.decorators[0]) in _WRAPPERS


def _name(decorator: cst.Decorator) -> str:
    node = decorator.decorator
    if isinstance(node, cst.Call):
        node = node.func
    if isinstance(node, cst.Attribute):
        node = node.attr
    return node.value if isinstance(node, cst.Name) else ""


def _bare(function: cst.FunctionDef) -> cst.FunctionDef:
    return function.with_changes(decorators=())


def _skip(original: Callable[[Any, cst.CSTNode], bool]) -> Any:
    @functools.wraps(original)
    def skip(self: Any, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.SimpleString) and _PROSE.search(node.value):
            return True
        if isinstance(node, cst.FunctionDef) and _only_wraps(node):
            node = _bare(node)
        return original(self, node)

    return skip


def _arrange(original: Callable[..., Any]) -> Any:
    @functools.wraps(original)
    def arrange(function: cst.FunctionDef, mutants: Iterable[Any], **named: Any) -> Any:
        before, functions, after, names = original(function, mutants, **named)
        if _only_wraps(function):
            chooser, *copies = functions
            functions = [chooser, *map(_bare, copies)]
        return before, functions, after, names

    return arrange


def _run_tests(original: Callable[..., int]) -> Any:
    @functools.wraps(original)
    def run_tests(self: Any, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        status = 0
        seconds = state().duration_by_test
        for stage in stages(mutant_name, tests or seconds, seconds):
            if mutant_name:
                _end_after(sum(stage.values()))
            try:
                status = original(self, mutant_name=mutant_name, tests=list(stage))
            except BadTestExecutionCommandsException:
                status = _SUSPICIOUS  # it would count as killed
            if status:
                break
        return status

    return run_tests


def _warm_up(original: Callable[[Any], None]) -> Any:
    @functools.wraps(original)
    def warm_up(self: Any) -> None:
        original(self)
        # What has been imported stays one copy, for all mutants, and is not looked at.
        gc.collect()
        gc.freeze()

    return warm_up


def main() -> None:
    """Run mutmut's own command."""
    runner: Any = PytestRunner
    runner.warm_up = _warm_up(runner.warm_up)
    runner.run_tests = _run_tests(runner.run_tests)
    visitor: Any = file_mutation.MutationVisitor
    visitor._skip_node_and_children = _skip(visitor._skip_node_and_children)
    module: Any = file_mutation
    module.function_trampoline_arrangement = _arrange(
        module.function_trampoline_arrangement
    )
    # Looking for plugins takes as long as most tests of a mutant do.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    cli(args=sys.argv[1:], prog_name="tools/mutation.py")


if __name__ == "__main__":
    main()
