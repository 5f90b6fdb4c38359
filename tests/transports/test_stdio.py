"""The process's own side, tried from outside: a small program on a link over its standard streams."""

import asyncio
import os
import pty
import socket
import subprocess
import sys
import tty
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, os, subprocess, sys, uvloop
from douane.transports.link import LinkClosed
from douane.transports.stdio import connect_stdio

async def main():
    link = await connect_stdio(max_frame_bytes=100_000, max_unread_bytes=200_000)
    ended = asyncio.Event()
    def on_frame(frame):
        print("stray print")
        os.write(1, b"stray write\\n")
        subprocess.run(["echo", "stray child"])
        try:
            for _ in range(int(sys.argv[2])):
                link.send(frame)
        except LinkClosed:
            pass
    def on_close(why):
        print("ended:", why, file=sys.stderr)
        ended.set()
    link.start(on_frame, on_close)
    await ended.wait()
    await link.aclose()
    await link.aclose()
    assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]

runner = uvloop if sys.argv[1] == "uvloop" else asyncio
runner.run(asyncio.sleep(0))  # libuv opens a pipe of its own once and for all
fds = set(os.listdir("/proc/self/fd"))
runner.run(main())
assert set(os.listdir("/proc/self/fd")) == fds, os.listdir("/proc/self/fd")
print("the stream is ours again")
"""
FRAMES = b'{"a":1}\n{"b":2}\r\n\n'
ANSWERS = b'{"a":1}\n{"b":2}\nthe stream is ours again\n'
STRAY = b"stray print\nstray write\nstray child\n"

loops = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def program(loop: str, times: int = 1) -> list[str]:
    return [sys.executable, "-W", "error", "-c", PROGRAM, loop, str(times)]


@loops
def test_over_pipes_what_is_owed_is_answered_after_the_end_and_strays_go_to_stderr(loop: str) -> None:
    done = subprocess.run(program(loop), input=FRAMES, capture_output=True, timeout=10)
    assert done.stdout == ANSWERS
    assert done.stderr == STRAY * 2 + b"ended: the client closed its end\n"


@loops
def test_files_serve_as_streams(loop: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(FRAMES)
    with (tmp_path / "in").open("rb") as frames_in, (tmp_path / "out").open("wb") as frames_out:
        done = subprocess.run(program(loop), stdin=frames_in, stdout=frames_out, stderr=subprocess.PIPE, timeout=10)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == ANSWERS


@loops
def test_an_empty_device_is_an_end(loop: str) -> None:
    done = subprocess.run(program(loop), stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
    assert (done.stdout, done.returncode) == (b"the stream is ours again\n", 0), done.stderr


@loops
def test_one_socket_serves_as_both_streams_and_is_left_as_it_was(loop: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        running = subprocess.Popen(
            program(loop), stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL
        )
        ours.sendall(FRAMES)
        ours.shutdown(socket.SHUT_WR)
        assert running.wait(10) == 0
        assert os.get_blocking(theirs.fileno())
        theirs.close()
        assert b"".join(iter(lambda: ours.recv(65_536), b"")) == ANSWERS


@loops
def test_a_terminal_serves_as_both_streams(loop: str) -> None:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with subprocess.Popen(program(loop), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL) as running:
        os.write(ours, FRAMES)
        heard = b""
        while heard.count(b"\n") < 2:
            heard += os.read(ours, 100)
        os.close(theirs)
        os.close(ours)
        assert heard == b'{"a":1}\n{"b":2}\n'
        running.wait(10)


@loops
def test_a_client_that_does_not_read_is_given_up(loop: str) -> None:
    frame = b"x" * 50_000 + b"\n"
    with subprocess.Popen(
        program(loop, 10), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        assert running.stderr is not None
        running.stdin.write(frame)
        running.stdin.flush()
        while (said := running.stderr.readline()).startswith(b"stray"):
            pass
        assert said == b"ended: the client does not read\n"
        running.kill()


@loops
def test_a_line_over_the_limit_ends_the_link(loop: str) -> None:
    done = subprocess.run(program(loop), input=b"x" * 100_001, capture_output=True, timeout=10)
    assert b"longer than the limit" in done.stderr


@loops
async def test_a_client_that_stops_listening_ends_the_link(loop: str) -> None:
    running = await asyncio.create_subprocess_exec(
        *program(loop), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdin is not None
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdin.write(b"{}\n")
    assert await running.stdout.readline() == b"{}\n"
    running.stdout._transport.close()  # pyright: ignore[reportAttributeAccessIssue]
    # The pipe itself is closed in the next turn of the loop; an echo before that would be heard.
    await asyncio.sleep(0)
    running.stdin.write(b"{}\n")
    said = await asyncio.wait_for(running.stderr.read(), 10)
    assert b"ended: the client does not listen any more" in said
    running.stdin.close()
    await asyncio.wait_for(running.wait(), 10)
