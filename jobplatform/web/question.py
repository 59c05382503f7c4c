"""A question before something is done: how much it is about, and what else has to be known; without JavaScript, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response

from jobplatform.web.page import page

#: Above it the number has to be typed.
TYPED_ABOVE = 100


class Blank(NamedTuple):
    """Something to fill in.

    :param kind: of the input, as HTML has it; ``area`` for many lines.
    """

    name: str
    label: str
    kind: str = "text"
    required: bool = False
    hint: str = ""
    value: str = ""
    choices: Sequence[str] = ()


class Question(NamedTuple):
    """What is asked.

    :param action: the path to which the answer is sent.
    :param verb: on the button.
    :param fields: names and values that are sent along.
    :param jobs: how many it is about, or other things; above 100 the number has to be typed.
    :param harm: whether something ends by it that is not begun again by itself.
    :param back: the path to which to go instead.
    """

    title: str
    words: str
    action: str
    verb: str
    fields: Sequence[tuple[str, str]]
    jobs: int
    back: str
    harm: bool = False
    blanks: Sequence[Blank] = ()
    problem: str | None = None

    @property
    def typed(self) -> bool:
        """Whether the number has to be typed."""
        return self.jobs > TYPED_ABOVE


def ask(request: Request, question: Question) -> Response:
    """Show a question on a page of its own, which a browser may show in a dialog as well."""
    return page(request, "question.html", status=422 if question.problem else 200, question=question)


def is_sure(asked: str, typed: str) -> bool:
    """Tell whether an answer says yes to as many as were asked about.

    :param asked: how many these were, as the question sent it along; nothing when nothing was asked yet.
    """
    if not asked.isdecimal():
        return False
    given = typed.replace(",", "").replace(" ", "")
    return int(asked) <= TYPED_ABOVE or given == asked


def unsure(asked: str) -> str | None:
    """Say what is wrong with an answer that was given and does not say yes."""
    return f"number: it is not the one that was asked for; type {int(asked):,}" if asked.isdecimal() else None
