"""Writes the dashboards: `python -m deploy.observability.dashboards`."""

from deploy.observability.dashboards.files import FOLDER, dashboards

for name, text in dashboards().items():
    (FOLDER / name).write_text(text)
