"""Less work for the compiler than numba gives it: a function is optimised once, and only an entry becomes a program.

Numba makes a program of each function that it compiles: linked with all that it calls, optimised three times over,
turned into machine code and given an address. Of a loop's fifty small functions nobody asks for the address. They are
parts of the entry that calls them, and become machine code there. A part is optimised all the same: where only the
entry is, the loop is slower.
"""

from __future__ import annotations

import gc
from functools import cache, partial
from typing import Any

from numba._dynfunc import make_function
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.environment import lookup_environment

from recsim_env.link import Jit

# Numba says nothing of their types.
Library: Any = JITCodeLibrary
Pipeline: Any = CompilerBase
Passes: Any = DefaultPassBuilder
lookup: Any = lookup_environment


class EntryLibrary(Library):  # type: ignore[misc]
    """The machine code of a function that Python calls, with its parts."""

    def _optimize_final_module(self) -> None:
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)

    def _finalize_final_module(self) -> None:
        """Also where each part finds its Python objects (as `print` asks for), which numba says by their addresses."""
        super()._finalize_final_module()
        for variable in self._final_module.global_variables:
            environment = lookup(variable.name)
            if environment is not None:
                self._codegen.set_env(variable.name, environment)


class PartLibrary(EntryLibrary):
    """The code of a part, before it is machine code."""

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


def executable(context: Any, library: Any, descriptor: Any, environment: Any) -> Any:
    """What stands for a function in numba's tables: of a part something that is not to be called.

    What is compiled by the way is called, as a block that goes back to Python (`numba.objmode`).
    """
    if not isinstance(library, PartLibrary):
        return context.get_executable(library, descriptor, environment)
    library._ensure_finalized()
    return make_function(descriptor.lookup_module(), descriptor.qualname, "", 0, environment, (library,))


class EntryCompiler(Pipeline):  # type: ignore[misc]
    """Numba's compiler with another library."""

    library: Any = EntryLibrary

    def compile_extra(self, function: Any) -> Any:
        """Compile, undisturbed by the garbage collector, which would look at all that numba holds again and again."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            return super().compile_extra(function)
        finally:
            if collecting:
                gc.enable()

    def define_pipelines(self) -> list[Any]:
        state = self.state
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return [Passes.define_nopython_pipeline(state)]


class PartCompiler(EntryCompiler):
    """Numba's compiler, but for where it ends."""

    library = PartLibrary

    def define_pipelines(self) -> list[Any]:
        context = self.state.targetctx
        self.state.targetctx = context.subtarget(get_executable=partial(executable, context))
        return super().define_pipelines()


# For `jit` and `overload`. What Python would call a part through costs time too.
WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
PART = {"pipeline_class": PartCompiler, "forceinline": True, **WRAPPERS}


@cache
def parts(jit: Jit) -> Jit:
    """The compiler `jit`, of parts."""
    return partial(jit, **PART)


def entries(jit: Jit) -> Jit:
    """The compiler `jit`, of what Python calls."""
    return partial(jit, pipeline_class=EntryCompiler)
