"""A page as a browser would take it apart."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Headings, pictures and addresses of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.images: list[str] = []
        self.addresses: list[str] = []
        self._heading = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._heading = tag in ("h1", "h2")
        if self._heading:
            self.headings.append("")
        found = dict(attrs)
        if tag == "img":
            self.images.append(found.get("src") or "")
        if tag in ("script", "iframe", "object", "embed"):
            self.addresses.append(tag)
        self.addresses += [found[key] or "" for key in ("src", "href", "srcset") if key in found]

    def handle_endtag(self, tag: str) -> None:
        self._heading = False

    def handle_data(self, data: str) -> None:
        if self._heading:
            self.headings[-1] += data


def check_self_contained(html: str) -> None:
    page = Page(html)
    assert all(source.startswith("data:image/png;base64,") for source in page.images)
    assert [a for a in page.addresses if not a.startswith(("data:", "#"))] == []
    assert "@import" not in html
    assert [u for u in re.findall(r"url\(([^)]*)\)", html) if not u.startswith("#")] == []
    assert "://" not in html
