"""A headless Chromium that is told what to do through its DevTools protocol, with real clicks and keys."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import websocket

OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--remote-debugging-port=0", "--remote-allow-origins=*", "--disable-dev-shm-usage"),
]
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), " ": (32, " ")}


class Browser:
    """One page. ``errors`` holds what its console said of errors and of a policy that was violated."""

    def __init__(self) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if program is None:
            pytest.skip("needs chromium: make service-tools")
        self.errors: list[str] = []
        self._folder = Path(tempfile.mkdtemp(prefix="recsys_lab_chromium_"))
        self._number = 0
        command = [program, *OPTIONS, f"--user-data-dir={self._folder}", "about:blank"]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        try:
            self._socket = websocket.create_connection(self._address(), timeout=30, suppress_origin=True)
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.send(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the browser and remove its folder."""
        with suppress(Exception):
            self.send("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def send(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol; its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._number:
                assert "error" not in message, (method, message)
                return message["result"]
            self._note(message)

    def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        """Show ``url`` in a window of this size, as a phone below 500 pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        found = self.send("Runtime.evaluate", expression=expression, **options)
        assert "exceptionDetails" not in found, (expression, found)
        return found["result"].get("value")

    def wait(self, expression: str, seconds: float = 30.0) -> Any:
        """Wait until an expression is true and no error; its value."""
        until = time.monotonic() + seconds
        while not (value := self.ask(f"(() => {{ try {{ return {expression} }} catch {{ return false }} }})()")):
            shown = self.ask("document.body ? document.body.innerText.slice(0, 600) : ''")
            assert time.monotonic() < until, f"not within {seconds:.0f} s: {expression}; the page says: {shown}"
            time.sleep(0.05)
        return value

    def click(self, selector: str) -> None:
        """Press the mouse on the middle of the first element that matches."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"{found} !== null")
        self.ask(f"{found}.scrollIntoView({{block: 'center'}})")
        x, y = self.ask(
            f"(() => {{const b = {found}.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]}})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a select element."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.ask(f"{found}.value = {json.dumps(value)}; {found}.dispatchEvent(new Event('change', {{bubbles: true}}))")

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        code, text = KEYS[key]
        known = {"key": key, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **known)
        self.send("Input.dispatchKeyEvent", type="keyUp", **known)

    def type(self, text: str) -> None:
        """Write where the focus is."""
        self.send("Input.insertText", text=text)

    def picture(self, file: Path) -> None:
        """Save what is shown."""
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def _address(self) -> str:
        """Of the page's socket, once the browser has written its port."""
        port = self._until(lambda: (self._folder / "DevToolsActivePort").read_text().split()[0])

        def page() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
                return next(str(one["webSocketDebuggerUrl"]) for one in json.load(answer) if one["type"] == "page")

        return self._until(page)

    def _until(self, found: Callable[[], str], seconds: float = 60.0) -> str:
        until = time.monotonic() + seconds
        while True:
            with suppress(OSError, IndexError, StopIteration):
                return found()
            assert time.monotonic() < until, "Chromium did not start"
            assert self._process.poll() is None, "Chromium ended"
            time.sleep(0.1)

    def _note(self, message: Any) -> None:
        given = message.get("params", {})
        if message["method"] == "Runtime.exceptionThrown":
            self.errors.append(given["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif message["method"] == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.errors.append(f"{given['entry']['text']} ({given['entry'].get('url', '')})")
        elif message["method"] == "Runtime.consoleAPICalled" and given["type"] in ("error", "assert"):
            self.errors.append(str(given["args"]))
