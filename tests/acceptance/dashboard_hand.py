"""Somebody who uses the dashboard: by keyboard alone, or without JavaScript on a telephone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import browser_place as place
from dashboard_site import Site
from fleet import Fleet

#: Presses of Tab by which whatever a page has is reached.
_FAR = 400
#: How many things are passed on the way; a guess, which spares to ask after each whether it is reached.
_BETWEEN = """(target) => {
    const within = document.querySelector("dialog[open]") ?? document;
    const stops = [...within.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter(
        (each) => each.tabIndex >= 0 && !each.disabled && each.checkVisibility()
            && !(each.type === "radio" && !each.checked && each !== target));
    return stops.indexOf(target) - stops.indexOf(document.activeElement) - 1;
}"""
#: What a question is made of.
_PARTS = "(each) => [...each.querySelectorAll('*')].map((part) => `${part.localName} ${part.className}`).join()"


class Hand(NamedTuple):
    """Somebody who is signed in and presses what pages offer.

    :param name: tells apart what one and another make.
    :param keys: whether by keyboard alone, of a browser with JavaScript; or else by pointing, of one without.
    """

    site: Site
    page: Any
    name: str
    keys: bool

    @property
    def fleet(self) -> Fleet:
        """Where what is pressed is done."""
        return self.site.fleet

    def open(self, path: str) -> None:
        """Go to a page by its address."""
        self.page.goto(self.site.here + path)

    def follow(self, link: str) -> None:
        """Go on by a link."""
        self._push(self.page.get_by_role("link", name=link, exact=True).first)

    def press(self, button: str, answers: dict[str, str] | None = None, of: str = "main") -> None:
        """Press a button, and answer the question that is asked.

        :param answers: what is filled in, by label; None where nothing is asked.
        :param of: where the button stands.
        """
        self._push(self.page.locator(of).get_by_role("button", name=button, exact=True).first)
        if answers is None:
            return
        question = self.page.locator("#question")
        question.wait_for()
        self._look_at(question)
        for label, value in answers.items():
            self.write(label, value, "#question")
        self._push(question.locator("form button").first)

    def write(self, label: str, value: str, of: str = "main") -> None:
        """Fill something in, in place of what is there."""
        place = self.page.locator(of)
        # A label may be part of another, and may have more behind it.
        exact = place.get_by_label(label, exact=True)
        entry = (exact if exact.count() else place.get_by_label(label)).first
        # A time is put together by the browser's own parts, whose order is the language's.
        if not self.keys or self._is(entry, "[type=datetime-local]"):
            entry.select_option(value) if self._is(entry, "select") else entry.fill(value)
            return
        self.reach(entry)
        if not self._is(entry, "select"):
            self.page.keyboard.press("Control+a")
            self.page.keyboard.press("Delete")
        self.page.keyboard.type(value)

    def tick(self, label: str, of: str = "main") -> None:
        """Choose a box, or one of several."""
        box = self.page.locator(of).get_by_label(label, exact=True).first
        if not self.keys:
            box.check()
        elif self._is(box, "[type=radio]"):
            self.reach(self.page.locator(f"[name={box.get_attribute('name')}]:checked"))
            for _ in range(10):
                if box.is_checked():
                    return
                self.page.keyboard.press("ArrowDown")
            raise AssertionError(f"no arrow leads to {label}")
        else:
            self.reach(box)
            self.page.keyboard.press("Space")

    def unfold(self, summary: str, of: str = "main") -> None:
        """Open what is folded."""
        self._push(self.page.locator(of).locator("summary", has_text=summary).first)

    def told(self, text: str) -> None:
        """Wait until a page says that something was done."""
        toast = self.page.locator(".toast, main .problem[role=alert]").first
        toast.wait_for()
        assert text in toast.inner_text(), f"{self.page.url}: {toast.inner_text()!r} instead of {text!r}"

    def sees(self, where: str, text: str) -> None:
        """Wait until a part of a page says something."""
        self.page.locator(where).get_by_text(text).first.wait_for()

    def reach(self, target: Any) -> None:
        """Go to something by the key that leads from one thing to the next, past what all pages begin with."""
        target.wait_for()
        keys = self.page.keyboard
        if self.page.evaluate("document.activeElement === document.body"):
            keys.press("Tab")
            keys.press("Enter")
        for _ in range(max(0, target.evaluate(_BETWEEN))):
            keys.press("Tab")
        for _ in range(_FAR):
            if target.evaluate("each => each === document.activeElement"):
                return
            keys.press("Tab")
        raise AssertionError(f"{self.page.url}: no key leads to {target}")

    def _look_at(self, question: Any) -> None:
        """Note what is wrong with a question of which none like it was looked at yet, in both themes."""
        made = f"{self.name} {question.evaluate(_PARTS)}"
        if made in self.site.watched.asked:
            return
        self.site.watched.asked.add(made)
        with self._read() as page:
            page.evaluate(place.axe_script())
            for scheme in ("dark", "light"):
                page.emulate_media(color_scheme=scheme)
                found = place.axe_findings(page, "#question" if self.keys else "html")
                self.site.watched.found += [f"{self.page.url}, {scheme}, asks: {each}" for each in found]

    @contextmanager
    def _read(self) -> Iterator[Any]:
        """Give the page where scripts run, as the rules of accessibility are one: itself, or one with its content."""
        if self.keys:
            yield self.page
            return
        context = self.site.browser.new_context(viewport=self.page.viewport_size)
        page = context.new_page()
        page.goto(f"{self.site.here}/sign-in")
        page.set_content(self.page.content())
        yield page
        context.close()

    def _push(self, target: Any) -> None:
        if self.keys:
            self.reach(target)
            self.page.keyboard.press("Enter")
        else:
            target.click()

    @staticmethod
    def _is(target: Any, selector: str) -> bool:
        return bool(target.evaluate("(each, selector) => each.matches(selector)", selector))
