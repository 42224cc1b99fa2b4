"""``explain serve``: a site on this machine that follows every change of its sources."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from explain.errors import ExplainError, InputError
from explain.site.build import build_site
from explain.site.progress import Progress

HOST = "127.0.0.1"
SCRIPT = b'<script src="/-/live.js"></script>\n</body>'
BEAT = 15.0
"""So many seconds after the last word a browser is told that the server still lives."""


class Live:
    """The state of a served site: how often it was built, and what is wrong with it."""

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build
        self._news = threading.Condition()
        self.version = 0
        self.problems: tuple[str, ...] = ()
        self.closed = False

    def rebuild(self) -> None:
        """Build, and tell every browser that waits if anything came out otherwise."""
        try:
            report = self._build()
            problems, changed = tuple(map(str, report.problems)), bool(report.changed or report.removed)
        except ExplainError as error:
            problems, changed = (str(error),), False
        if problems != self.problems:
            for problem in problems:
                print(problem, file=sys.stderr)
        with self._news:
            self.version += changed or problems != self.problems
            self.problems = problems
            self._news.notify_all()

    def wait(self, version: int) -> tuple[int, tuple[str, ...]]:
        """The state after ``version``, or the same one after a while."""
        with self._news:
            self._news.wait_for(lambda: self.version != version or self.closed, BEAT)
            return self.version, self.problems

    def close(self) -> None:
        """Let go of everybody who waits."""
        with self._news:
            self.closed = True
            self._news.notify_all()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the site, its pages with the script that listens, and what that script hears."""

    def __init__(self, *arguments: Any, live: Live, **options: Any) -> None:
        self.live = live
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        """Answer, to this machine's browsers only: other names in Host would be somebody else's page that asks."""
        if self.headers.get("Host", "").rpartition(":")[0] not in (HOST, "localhost"):
            self.send_error(403)
        elif self.path == "/-/events":
            self._events()
        elif self.path == "/-/live.js":
            self._send(200, "text/javascript", (files("explain.templates") / "site" / "live.js").read_bytes())
        else:
            self._file()

    def _file(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path = path / "index.html"
        code = 200 if path.is_file() else 404
        path = path if code == 200 else Path(str(self.directory)) / "404.html"
        try:
            data = path.read_bytes()
        except OSError:
            self.send_error(404)
            return
        if path.suffix == ".html":
            data = data.replace(b"</body>", SCRIPT, 1)
        self._send(code, self.guess_type(str(path)), data)

    def _send(self, code: int, kind: str, data: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def _events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        version = -1
        try:
            while not self.live.closed:
                version, problems = self.live.wait(version)
                self.wfile.write(f"data: {json.dumps({'version': version, 'problems': problems})}\n\n".encode())
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            return  # the page was closed

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the terminal is for what is wrong with the site."""


class Server(http.server.ThreadingHTTPServer):
    """Serves a built folder. ``port`` 0 takes any that is free."""

    daemon_threads = True

    def __init__(self, out: Path, live: Live, port: int) -> None:
        try:
            super().__init__((HOST, port), partial(Handler, live=live, directory=str(out)))
        except OSError as error:
            raise InputError(f"port {port} is not free: {error.strerror}", hint="Give another one with --port.") from None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/"


def serve(src: Path, out: Path, *, port: int, jobs: int, cache: Path | None, stop: threading.Event | None = None) -> None:
    """Build, serve, and build again whatever changes, until ``stop`` or Ctrl-C.

    Raises InputError if watchfiles is not installed, and for a folder that is no site.
    """
    try:
        import watchfiles
    except ImportError:
        from explain.site.command import missing

        raise missing("serve", "watchfiles") from None
    if not src.is_dir():
        raise InputError(f"{src} is no folder", hint="Give the folder that holds the pages.")
    live = Live(partial(build_site, src, out, jobs=jobs, cache=cache, base_url="", progress=Progress()))
    with Server(out, live, port) as server:
        live.rebuild()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"{src} at {server.url} (Ctrl-C ends it)", flush=True)
        built = out.resolve()

        def counts(change: object, path: str) -> bool:
            found = Path(path)
            inside = found.relative_to(src.resolve()).parts if found.is_relative_to(src.resolve()) else found.parts
            return not found.is_relative_to(built) and not any(part[0] in "._" for part in inside)

        try:
            for _ in watchfiles.watch(src.resolve(), watch_filter=counts, stop_event=stop, debounce=200):
                live.rebuild()
        finally:
            live.close()
            server.shutdown()
