"""A local stand-in for the Hugging Face Hub that holds one repository: what a download
and a small upload use of its interface."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import re
from pathlib import Path
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubHandler(http.server.BaseHTTPRequestHandler):
    """Answers for a repository on its branch ``main``; any other is not found.

    Args:
        repository: owner and name.
        folder: its files.
    """

    protocol_version = "HTTP/1.1"
    breaks_after: int | None = None  # bytes of a file after which the server hangs up, once

    def __init__(self, *arguments, repository: str, folder: Path):
        self.repository, self.folder = repository, folder
        super().__init__(*arguments)

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body: bool = True):
        path = unquote(self.path.partition("?")[0]).removeprefix("/")
        about, file = f"api/models/{self.repository}/", f"{self.repository}/resolve/"
        answers = {
            f"{about}refs": self.references,
            f"{about}revision/main": lambda: {"id": self.repository, "sha": COMMIT, "siblings": []},
            f"{about}tree/{COMMIT}": self.tree,
        }
        revision, _, name = path.removeprefix(file).partition("/")
        if path.startswith(file) and revision in ("main", COMMIT) and (self.folder / name).is_file():
            self.answer((self.folder / name).read_bytes(), body, {"X-Repo-Commit": COMMIT})
        elif path in answers:
            self.answer(json.dumps(answers[path]()).encode(), body, {"Content-Type": "application/json"})
        else:
            self.answer(b"", body, {"X-Error-Code": "RepoNotFound"}, status=404)

    def do_POST(self):
        """Make the repository, and take files that are sent in a commit, as the client does for small ones."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path.partition("?")[0].removeprefix("/api/")
        if path == "repos/create":
            reply: dict = {"url": f"http://{self.headers['Host']}/{self.repository}", "id": self.repository}
        elif path == "validate-yaml":
            reply = {"errors": [], "warnings": []}
        elif path == f"models/{self.repository}/preupload/main":
            files = json.loads(content)["files"]
            reply = {
                "files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            }
        else:
            for line in map(json.loads, content.splitlines()):
                if line["key"] == "file":
                    (self.folder / line["value"]["path"]).write_bytes(base64.b64decode(line["value"]["content"]))
            reply = {
                "commitUrl": f"http://{self.headers['Host']}/{self.repository}/commit/{COMMIT}",
                "commitOid": COMMIT,
            }
        self.answer(json.dumps(reply).encode(), True, {"Content-Type": "application/json"})

    def references(self) -> dict:
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}
        return {"branches": [main], "converts": [], "tags": []}

    def tree(self) -> list[dict]:
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return [
            {"type": "file", "path": path.relative_to(self.folder).as_posix(), "size": size, "oid": str(number)}
            for number, (path, size) in enumerate((path, path.stat().st_size) for path in files)
        ]

    def answer(self, content: bytes, body: bool, headers: dict[str, str], status: int = 200):
        tag, start = f'"{hashlib.sha1(content).hexdigest()}"', 0
        if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start, status = int(wanted[1]), 206
            headers = {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self.send_response(status)
        for name, value in {**headers, "ETag": tag, "Content-Length": str(len(content) - start)}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            stop, type(self).breaks_after = self.breaks_after, None
            self.wfile.write(content[start:stop])
            self.close_connection |= stop is not None

    def log_message(self, *arguments):
        pass
