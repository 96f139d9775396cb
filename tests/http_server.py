"""A web server of a file, on a local port, that misbehaves as it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeSite:
    """What the local server serves, how it misbehaves, and the Range of every request."""

    content: bytes = b""
    etag: str | None = '"one"'
    status: int | None = None
    content_type: str = "application/octet-stream"
    knows_ranges: bool = True
    claimed_length: int | None = None
    chunked: bool = False
    breaks_after: int | None = None
    stalls: threading.Event | None = None
    moved_to: str | None = None
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""


def handler_for(site: FakeSite) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            site.ranges.append(self.headers["Range"])
            self.close_connection = True
            start = int((self.headers["Range"] or "bytes=0-")[6:-1]) if site.knows_ranges else 0
            size = len(site.content)
            if site.moved_to is not None:
                self.send_response(302)
                self.send_header("Location", site.moved_to)
                body = b""
            elif site.status is not None:
                self.send_response(site.status)
                body = b"no"
            elif start >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                body = b""
            else:
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
                body = site.content[start:]
            if site.etag is not None:
                self.send_header("ETag", site.etag)
            self.send_header("Content-Type", site.content_type)
            if site.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                length = len(body) if site.claimed_length is None else site.claimed_length
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.send_body(body)

        def send_body(self, body: bytes) -> None:
            first = len(body) if site.breaks_after is None else site.breaks_after
            self.send_piece(body[:first])
            if site.stalls is not None:
                site.stalls.wait(20)
            if site.breaks_after is None and site.chunked:
                self.wfile.write(b"0\r\n\r\n")

        def send_piece(self, piece: bytes) -> None:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if site.chunked else piece)
            self.wfile.flush()

    return Handler


@contextmanager
def serve(site: FakeSite) -> Iterator[None]:
    """Serve a site until the block ends, and fill in its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(site))
    site.url = f"http://127.0.0.1:{server.server_port}/model%3D1.pth?download=1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        if site.stalls is not None:
            site.stalls.set()
        server.shutdown()
        server.server_close()
        thread.join()
