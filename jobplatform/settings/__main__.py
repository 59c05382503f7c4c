"""Print the documentation page: ``python -m jobplatform.settings > docs/settings.md``."""

from __future__ import annotations

from jobplatform.settings.page import page

if __name__ == "__main__":
    print(page(), end="")
