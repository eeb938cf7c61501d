"""One script out of several modules, and the policy that lets a page run that script alone.

There is no build step: a module is plain JavaScript that a browser could load as it is. Joined, the
modules share one scope, so a name may be declared at the top of one of them only; the browser
refuses the script otherwise.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

FOLDER = Path(__file__).parent
"""Where template, style and modules lie."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z_]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)


def script(folder: Path = FOLDER, main: str = "main") -> str:
    """The modules that ``main`` needs and itself, each after those that it imports.

    Raises:
        ValueError: a module imports or exports in a way that joining does not know.
    """
    joined: dict[str, str] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"{name}.js: imports itself by way of {' and '.join(above)}")
        if name in joined:
            return
        text = (folder / f"{name}.js").read_text(encoding="utf-8")
        for needed in _IMPORT.findall(text):
            add(needed, (*above, name))
        text = _EXPORT.sub("", _IMPORT.sub("", text))
        left = re.search(r"^(?:import|export)\b.*", text, re.MULTILINE)
        if left:
            raise ValueError(f"{name}.js: got {left.group()!r}, expected a plain import or export")
        joined[name] = text.strip()

    add(main, ())
    return "".join(f"// {name}.js\n{text}\n\n" for name, text in joined.items())


def sha256_source(text: str) -> str:
    """An inline script or style as a content security policy names it."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def policy(script_text: str, style_text: str) -> str:
    """The page's content security policy: this script, this style, an icon, and nothing else.

    Trusted types keep the script from writing HTML: whatever comes from data is text.
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
