"""``report.html`` in a real browser: damaged, cut, or with somebody else's script."""

import base64
import re
import socket

import pytest
from browser import browser, open_page, results

pytestmark = pytest.mark.slow


def damaged(results, tmp_path, change):
    text = (results / "report.html").read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    path = tmp_path / "report.html"
    path.write_text(changed, encoding="utf-8")
    return path


def _block(name):
    return re.compile(rf'(<script type="application/gzip;base64" id="{name}">)([^<]*)(</script>)')


def _in_block(name, change):
    return lambda text: _block(name).sub(lambda m: m[1] + change(m[2]) + m[3], text)


def _replaced(name, other):
    """A change that puts another block's contents in the place of a block's."""
    return lambda text: _in_block(name, lambda _: _block(other).search(text)[2])(text)


def _flip(text):
    """One bit of the middle byte."""
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 4
    return base64.b64encode(data).decode()


DAMAGES = {
    "a bit of the images": (_in_block("images", _flip), "“images”"),
    "a bit of the weights": (_in_block("weights-mlp", _flip), "“weights-mlp”"),
    "a bit of the answers": (_in_block("answers-lenet5", _flip), "“answers-lenet5”"),
    "a block cut short": (
        _in_block("answers-mlp", lambda t: t[: len(t) // 8 * 4]),
        "“answers-mlp”",
    ),
    "an empty block": (_in_block("labels", lambda _: ""), "“labels” is too short"),
    "not base64": (_in_block("labels", lambda t: "*" + t[1:]), "“labels” is not base64"),
    "a block missing": (lambda t: _block("indices").sub("", t), "“indices” is missing"),
    "a number of the manifest": (
        lambda t: t.replace('"n_test":1000', '"n_test":1001'),
        "its list of contents",
    ),
    "another model's answers": (
        _replaced("answers-mlp", "answers-lenet5"),
        "“answers-mlp” is not as it was written",
    ),
    "another block": (_replaced("labels", "answers-mlp"), "“labels” is not as it was written"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_page_says_so(open_page, results, tmp_path, damage):
    change, message = DAMAGES[damage]
    page = open_page(damaged(results, tmp_path, change), state="failed")
    text = page.inner_text("#problem")
    assert text.startswith("This page is damaged: ")
    assert message in text
    assert page.locator("#problem").is_visible()
    assert page.locator("#bench").is_hidden()
    assert page.locator("#loading").is_hidden()
    assert page.locator(".results").is_visible()


def test_a_page_cut_in_two_or_with_another_script_says_so(browser, results, tmp_path):
    changes = [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('<script type="module">', '<script type="module">alert(1);'),
    ]
    for change in changes:
        page = browser.new_page()
        page.on("dialog", lambda dialog: pytest.fail("another's script ran"))
        page.goto(damaged(results, tmp_path, change).as_uri())
        page.wait_for_timeout(300)
        assert page.locator("#loading").is_visible()
        assert page.inner_text("#loading").startswith("The explorer has not started")
        page.close()


def test_the_page_may_request_nothing(browser, results):
    """What the policy forbids to any script in the page."""
    server = socket.create_server(("127.0.0.1", 0))
    server.setblocking(False)
    page = browser.new_page()
    page.goto((results / "report.html").as_uri())
    page.wait_for_selector("html[data-state=ready]")
    refused = page.evaluate(
        """async (port) => {
          const refused = [];
          const signal = AbortSignal.timeout(2000); // whoever is called does not answer
          await fetch(`http://127.0.0.1:${port}/`, { signal }).catch(() => refused.push("fetch"));
          await new Promise((done) => {
            setTimeout(done, 2000);
            const image = new Image();
            image.onerror = () => { refused.push("image"); done(); };
            image.src = `http://127.0.0.1:${port}/a.png`;
          });
          try { document.body.innerHTML = "<p>"; } catch { refused.push("innerHTML"); }
          const script = document.createElement("script");
          try { script.textContent = "document.title = 'ran'"; } catch { refused.push("script"); }
          return refused;
        }""",
        server.getsockname()[1],
    )
    assert refused == ["fetch", "image", "innerHTML", "script"]
    page.close()
    with server, pytest.raises(BlockingIOError):  # nobody has called
        server.accept()
