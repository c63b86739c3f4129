"""Executed notebooks as HTML that is whole without a network."""

from __future__ import annotations

import json
import re
from typing import Any

_REMOTE_SCRIPT = re.compile(r'<script[^>]*\ssrc="https?://[^"]*"[^>]*>\s*</script>', re.IGNORECASE)
_REMOTE_STYLE = re.compile(r'<link[^>]*\shref="https?://[^"]*"[^>]*>', re.IGNORECASE)
_MODULE = re.compile(r'<script type="module">.*?</script>', re.IGNORECASE | re.DOTALL)
_MATHJAX = re.compile(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL)


def to_html(notebook: dict[str, Any], title: str) -> str:
    """One HTML page with styles and pictures inside. Scripts of other hosts (math, diagrams) are left out."""
    import nbformat
    from nbconvert import HTMLExporter

    node = nbformat.reads(json.dumps(notebook), as_version=4)  # joins the lines of each cell
    exporter = HTMLExporter(embed_images=True)
    body, _ = exporter.from_notebook_node(node, resources={"metadata": {"name": title}})
    return without_remote(body)


def without_remote(page: str) -> str:
    """The page without the scripts and styles that other hosts would serve."""
    page = _MATHJAX.sub("", page)
    page = _REMOTE_SCRIPT.sub("", page)
    page = _REMOTE_STYLE.sub("", page)
    return _MODULE.sub(lambda found: "" if "https://" in found.group() else found.group(), page)
