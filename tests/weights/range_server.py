"""A local server of one file, with the faults that real ones have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from local_server import answering


@dataclass
class Served:
    """What the server answers with.

    ``breaks_after``: bytes behind which it hangs up once; ``status``: an error in place of the content.
    """

    content: bytes
    knows_ranges: bool = True
    breaks_after: int | None = None
    status: int | None = None
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range of each request


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            served.asked.append((self.path, wanted))
            if served.status is not None:
                self.send_error(served.status)
                return
            match = re.fullmatch(r"bytes=(\d+)-", wanted or "") if served.knows_ranges else None
            start, whole = int(match[1]) if match else 0, len(served.content)
            if match and start >= whole:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{whole}")
                self.end_headers()
                return
            self.send_response(206 if match else 200)
            if match:
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            self.send_header("Content-Length", str(whole - start))
            self.end_headers()
            stop, served.breaks_after = served.breaks_after, None
            self.wfile.write(served.content[start:stop])

        def log_message(self, *arguments) -> None:
            pass

    with answering(Handler) as address:
        served.url = f"{address}/files"
        yield served
