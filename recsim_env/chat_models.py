"""Chat models of LangChain by name."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from recsim_env.errors import InvalidParameter, RecSimError
from recsim_env.trust import check_import


def find_chat_model(name: str, timeout: float, retries: int) -> Any:
    """A chat model: `module:Class`, made without arguments, or what `init_chat_model` knows, as openai:gpt-4o-mini.

    Args:
        timeout, retries: of a call, in seconds; what an own class does not take is its own affair.

    Raises:
        InvalidParameter: there is none of that name, or what is there is no chat model.
        RecSimError: LangChain is not installed, or the provider's package, or the key is missing.
    """
    module, _, kind = name.partition(":")
    try:
        from langchain.chat_models import init_chat_model
        from langchain_core.language_models import BaseChatModel
    except ImportError:
        raise RecSimError("chat models need langchain: pip install 'recsim-env[llm]'") from None
    own = own_class(module, kind)
    if own is not None:
        if not (isinstance(own, type) and issubclass(own, BaseChatModel)):
            raise InvalidParameter(f"{name} is no chat model; name a class of LangChain's BaseChatModel")
        return own()
    try:
        return init_chat_model(name, timeout=timeout, max_retries=retries)
    except ImportError as error:
        raise RecSimError(f"the chat model {name!r} needs a package of its provider: {error}") from None
    except Exception as error:  # each provider has errors of its own, for a missing key among them
        if "infer model provider" in str(error):
            raise InvalidParameter(
                f"no chat model {name!r}: LangChain knows no such provider, and there is no class of that name; name "
                f"PROVIDER:MODEL, as openai:gpt-4o-mini, or MODULE:CLASS"
            ) from None
        raise InvalidParameter(f"no chat model {name!r}: {str(error).strip().splitlines()[0]}") from None


def importable(module: str) -> bool:
    """Whether there is such a module, or a package that may hold it; imports nothing."""
    try:
        return find_spec(module.split(".")[0]) is not None
    except ValueError:
        return False


def own_class(module: str, kind: str) -> Any:
    """A class of a module that is installed here; None where there is none of that name.

    Raises:
        UntrustedCode: see `recsim_env.trust`.
    """
    if not kind.isidentifier() or not importable(module):
        return None
    if module not in sys.modules:
        check_import(f"{module}:{kind}")
    try:
        return getattr(import_module(module), kind, None)
    except ImportError:
        return None
