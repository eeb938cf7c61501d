"""One script made of several modules, and the policy that lets the page run only that script.

There is no build step: a module is plain JavaScript that a browser could load as it is. Joined, the
modules share one scope, so only one of them may declare a name at its top; the browser refuses the script
otherwise.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from ...checks.errors import ArgumentError

_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.\.?/(?:[a-z_]+/)?[a-z_]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)


def script(folder: Path) -> str:
    """The module ``main.js`` of a folder and those that it needs, each after the modules that it imports.

    Raises:
        ValueError: a module imports or exports in another way than by name.
    """
    joined: dict[Path, str] = {}

    def add(path: Path, above: tuple[Path, ...]) -> None:
        if path in above:
            ways = " and ".join(of.stem for of in above)
            raise ValueError(f"{path.name}: imports itself by way of {ways}")
        if path in joined:
            return
        text = path.read_text(encoding="utf-8")
        for needed in _IMPORT.findall(text):
            add((path.parent / needed).resolve(), (*above, path))
        text = _EXPORT.sub("", _IMPORT.sub("", text))
        left = re.search(r"^(?:import|export)\b.*", text, re.MULTILINE)
        if left:
            raise ArgumentError(path.name, repr(left.group()), "a plain import or export")
        joined[path] = text.strip()

    add(folder.resolve() / "main.js", ())
    return "".join(f"// {path.name}\n{text}\n\n" for path, text in joined.items())


def sha256_source(text: str) -> str:
    """The hash by which a content security policy allows an inline script or style."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def policy(script_text: str, style_text: str) -> str:
    """The page's content security policy: this script, this style, an icon, and nothing else.

    Trusted types keep the script from writing HTML: data can only become text.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {sha256_source(script_text)}",
            f"style-src {sha256_source(style_text)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )
