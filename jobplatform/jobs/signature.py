"""The call signature of a job: what arguments it takes, checked at submit and converted at the worker.

Plain annotations (str, int, float, bool, list, dict, None and unions of them) are checked here. pydantic is
imported only at the first check of a job that has other annotations or a model, so that workers stay small.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from jobplatform.errors import InvalidPayload, JobOptionError
from jobplatform.jobs.argument import Argument, arguments_of, schemas, validated
from jobplatform.journal.storable import segment

if TYPE_CHECKING:
    from pydantic import BaseModel

Arguments = tuple[Sequence[Any], Mapping[str, Any]]

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class Signature:
    """What a job function may be called with; built once, when the job is registered."""

    def __init__(self, parameters: Sequence[Argument], model: type[BaseModel] | None = None) -> None:
        self._parameters = [item for item in parameters if item.kind in (*_POSITIONAL, *_NAMED)]
        self._positional = tuple(item for item in parameters if item.kind in _POSITIONAL)
        self._named = {item.name: item for item in parameters if item.kind in _NAMED}
        kinds = {item.kind: item for item in parameters}
        self._rest = kinds.get(Parameter.VAR_POSITIONAL)
        self._extra = kinds.get(Parameter.VAR_KEYWORD)
        self._places = {item.name: place for place, item in enumerate(self._positional)}
        self._required = [item.name for item in self._parameters if item.default is Parameter.empty]
        by_place = self._places.keys() >= set(self._required)
        self._fewest = len(self._required) if by_place else sys.maxsize
        self._most = len(self._positional)
        self._typed = any(item.accepted is not None for item in parameters)
        self._names = ", ".join(item.name for item in self._parameters) or "no arguments"
        self._model = model

    @classmethod
    def of(cls, function: Callable[..., Any], payload_model: type | None, bind: bool) -> Signature:
        """Read the signature of a job function.

        :param payload_model: a pydantic model that the keyword arguments make up, or None.
        :param bind: whether the first parameter is the task itself.
        :raises JobOptionError: when the function cannot take the task or the model, or the model is none.
        """
        parameters = arguments_of(function)
        if bind and not parameters:
            raise JobOptionError(f"bind: {function!r} takes no task; add a first parameter, such as self")
        if bind and parameters[0].kind in _POSITIONAL:
            del parameters[0]
        signature = cls(parameters, payload_model)
        if payload_model is not None:
            signature._refuse_unfit_model(function, payload_model)
        return signature

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments that the function cannot be called with; values are those that JSON holds.

        :raises InvalidPayload: naming the argument that is unknown, missing, doubled or of a wrong type.
        """
        self.convert(args, kwargs)

    def convert(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
        """Check arguments and give them as the annotated types; with a model, as its one instance.

        :raises InvalidPayload: as ``check`` does.
        """
        if self._model is not None:
            return [_modelled(self._model, args, kwargs)], {}
        if kwargs or not self._fewest <= len(args) <= self._most:
            self._bind(args, kwargs)
        if not self._typed or self._fits(args, kwargs):
            return args, kwargs
        places = [*self._positional, *[self._rest] * (len(args) - self._most)]
        return (
            [
                parameter.converted(f"args[{place}]", value) if parameter else value
                for place, (parameter, value) in enumerate(zip(places, args, strict=False))
            ],
            {
                name: parameter.converted(f"kwargs{segment(name)}", value) if parameter else value
                for name, value in kwargs.items()
                for parameter in (self._named.get(name, self._extra),)
            },
        )

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Give arguments that fit by their names."""
        return {**dict(zip((item.name for item in self._positional), args, strict=False)), **kwargs}

    def place_of(self, name: str) -> int | None:
        """Tell at which position an argument may be given, None if it is given by name alone."""
        return None if self._model is not None else self._places.get(name)

    def takes(self, name: str) -> bool:
        """Tell whether an argument may have a name."""
        if self._model is not None and name in self._model.model_fields:
            return True
        return self._extra is not None or any(item.name == name for item in self._parameters)

    @property
    def positional(self) -> tuple[str, ...]:
        """The names of what may be given by position, in order; none where one model takes all by name."""
        return () if self._model is not None else tuple(item.name for item in self._positional)

    def json_schema(self) -> dict[str, Any]:
        """Describe the parameters, or the model, as one JSON schema object."""
        if self._model is not None:
            return self._model.model_json_schema()
        properties, definitions = schemas(self._parameters)
        ends = {"required": self._required, "additionalProperties": self._extra is not None}
        return {"type": "object", "properties": properties, **ends, **definitions}

    def _refuse_unfit_model(self, function: Callable[..., Any], model: type) -> None:
        if not hasattr(model, "model_validate_json"):
            raise JobOptionError(f"payload_model: {model!r} is no pydantic model; pass a BaseModel class")
        try:
            self._bind((model,), {})
        except InvalidPayload as error:
            problem = f"payload_model: {function!r} cannot take one model; give it one parameter"
            raise JobOptionError(problem) from error

    def _fits(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        if len(args) > self._most:
            return False
        for parameter, value in zip(self._positional, args, strict=False):
            if parameter.accepted is not None and type(value) not in parameter.accepted:
                return False
        for name, value in kwargs.items():
            named = self._named.get(name, self._extra)
            if named is not None and named.accepted is not None and type(value) not in named.accepted:
                return False
        return True

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        given = len(args)
        if given > self._most and self._rest is None:
            problem = f"{given} positional arguments were given and at most {self._most} are taken"
            raise InvalidPayload(f"args[{self._most}]", problem, f"pass {self._names}")
        for name in kwargs:
            if name in self._named:
                if self._places.get(name, given) < given:
                    problem = f"parameter {name!r} is given twice, also as args[{self._places[name]}]"
                    raise InvalidPayload(f"kwargs{segment(name)}", problem, "pass it once")
            elif self._extra is None:
                raise self._unknown(name)
        for name in self._required:
            if self._places.get(name, given) >= given and not (name in kwargs and name in self._named):
                field = f"kwargs.{name}" if name in self._named else f"args[{self._places[name]}]"
                raise InvalidPayload(field, f"parameter {name!r} is missing", f"pass {self._names}")

    def _unknown(self, name: object) -> InvalidPayload:
        field = f"kwargs{segment(name)}"
        if name in self._places:
            return InvalidPayload(field, f"parameter {name!r} is taken by position only", "pass it in args")
        near = difflib.get_close_matches(str(name), self._named, n=1)
        fix = f"did you mean {near[0]!r}?" if near else f"pass {self._names}"
        return InvalidPayload(field, "no such parameter", fix)


def _modelled(model: type[BaseModel], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    fix = f"pass the fields of {model.__name__} by name"
    if args:
        raise InvalidPayload("args[0]", f"a {model.__name__} takes no positional arguments", fix)
    return validated(model.model_validate_json, "kwargs", dict(kwargs), fix)
