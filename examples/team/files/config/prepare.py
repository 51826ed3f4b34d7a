"""Make the directories that the team's tools expect, and the page that they begin with."""

from pathlib import Path

import jinja2

config = Path("/.config/team")
site = Path("/site")
site.mkdir(exist_ok=True)
template = jinja2.Template((config / "templates" / "page.html").read_text())
(site / "index.html").write_text(template.render(title=(config / "title.txt").read_text().strip()))
print("prepared /site")
