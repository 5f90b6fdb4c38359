"""The weather as an HTTP endpoint of this machine: it answers what it is told to, and knows what it was asked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit


class WeatherApi:
    def __init__(self, url: str) -> None:
        self.url = url
        self.temperature = 21.5
        self.asked: list[dict[str, str]] = []


@contextmanager
def weather_api() -> Iterator[WeatherApi]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    api = WeatherApi(f"http://127.0.0.1:{server.server_port}")

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = dict(parse_qsl(urlsplit(self.path).query))
            api.asked.append(asked)
            body = json.dumps({"city": asked["city"], "temperature": api.temperature, "sky": "clear"}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server.RequestHandlerClass = Answers
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
