"""One child at a time, well and badly behaved: reliability cases F14, F15, F16, F18 and F20 at the line."""

import asyncio
import logging
import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest
from census import MARK, descriptors, marked, nothing_left, until
from ear import BOUND_S, Ear

from douane.transports.child import ChildLink, Command, SpawnFailed, env_for, spawn
from douane.transports.link import LinkClosed

HOSTILE = str(Path(__file__).parents[1] / "hostile" / "server.py")
MIB = 1024 * 1024


def hostile(mark: str, *modes: str) -> Command:
    return Command((sys.executable, "-I", "-S", HOSTILE, *modes), env_for(extra={MARK: mark}))


async def test_a_child_answers_and_leaves_with_its_input() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark))
        ear = Ear(link)
        assert (await ear.ask("initialize"))["result"]["serverInfo"]["name"] == "hostile"
        assert (await ear.call("echo", text="hello"))["result"]["content"][0]["text"] == "hello"
        assert link.pid is not None
        assert link.pid != os.getpid()
        await link.aclose()
        assert (link.returncode, ear.ends) == (0, ["closed on this side"])
        with pytest.raises(LinkClosed):
            link.send(b"{}")


async def test_the_environment_is_what_was_said_and_nothing_else() -> None:
    said: list[str] = []
    code = "import os,sys; [print(n, file=sys.stderr) for n in os.environb]"
    link = await spawn(
        Command((sys.executable, "-I", "-S", "-c", code), {"ONLY": "this", "LC_ALL": "C.UTF-8"}),
        on_stderr=said.append,
    )
    await Ear(link).end()
    await link.aclose()
    assert sorted(said) == ["b'LC_ALL'", "b'ONLY'"]


def test_a_credential_is_not_inherited_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("HOME", "/home/alice")
    assert "GITHUB_TOKEN" not in env_for()
    assert env_for(("GITHUB_TOKEN", "MISSING"), {"A": "1"}) == {"GITHUB_TOKEN": "secret", "A": "1"}


async def test_signals_the_gateway_ignores_are_not_ignored_by_the_child() -> None:
    code = "import signal,sys; print(signal.getsignal(signal.SIGHUP) == 0, file=sys.stderr)"
    was = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        link = await spawn(Command((sys.executable, "-I", "-S", "-c", code), env_for()))
    finally:
        signal.signal(signal.SIGHUP, was)
    await Ear(link).end()
    await link.aclose()
    assert link.stderr_tail() == "True\n"


@pytest.mark.parametrize(
    ("program", "says"),
    [("no-such-server", "no such command"), ("/etc/passwd", "not executable"), ("text", "first line")],
)
async def test_a_command_that_cannot_run_is_named(program: str, says: str, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"\x00 not a program")
    text.chmod(0o755)
    program = str(text) if program == "text" else program
    async with nothing_left() as mark:
        with pytest.raises(SpawnFailed, match=says) as failure:
            await spawn(Command((program,), env_for(extra={MARK: mark})))
    assert program in str(failure.value)


async def test_a_working_directory_that_is_not_there_is_named() -> None:
    async with nothing_left():
        with pytest.raises(SpawnFailed, match="working directory '/not/there'"):
            await spawn(Command(("cat",), env_for(), "/not/there"))


async def test_a_death_in_mid_call_is_told_at_once_with_status_and_last_words() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark))
        ear = Ear(link)
        await ear.ask("ping")
        link.send(b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"die","arguments":{}}}')
        why = await ear.end()
        assert "exited with status 7" in why
        assert "dies in the middle of a call" in why
        assert link.returncode == 7
        await link.aclose()


async def test_that_a_child_was_killed_is_told() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark))
        ear = Ear(link)
        await ear.ask("ping")
        assert link.pid is not None
        os.kill(link.pid, signal.SIGKILL)
        assert "killed by SIGKILL" in await ear.end()
        await link.aclose()


async def test_a_child_that_dies_at_its_start_says_why_in_safe_letters() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark, "dies-at-start"))
        assert await until(lambda: link.returncode is not None, 5)
        ear = Ear(link)
        assert "exited with status 3; it last said: cannot find \\x1b[31mthe database" in await ear.end()
        await link.aclose()


async def test_frames_written_before_the_death_are_heard_before_it() -> None:
    async with nothing_left() as mark:
        code = "import os; os.write(1, b'{\"a\":1}\\n[2]\\n'); os._exit(5)"
        link = await spawn(Command((sys.executable, "-I", "-S", "-c", code), env_for(extra={MARK: mark})))
        assert await until(lambda: link.returncode is not None, 5)
        order: list[bytes | str] = []
        link.start(order.append, order.append)
        assert await until(lambda: len(order) >= 3, 5)
        assert order[:2] == [b'{"a":1}', b"[2]"]
        assert "status 5" in str(order[2])
        await link.aclose()


async def test_a_child_deaf_to_sigterm_and_to_the_end_of_its_input_is_killed() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark, "deaf", "ignores-eof"), eof_grace_s=0.1, term_grace_s=0.1)
        await Ear(link).ask("ping")
        start_s = time.monotonic()
        async with asyncio.timeout(BOUND_S):
            await link.aclose()
        assert link.returncode == -signal.SIGKILL
        assert time.monotonic() - start_s >= 0.2


async def test_a_child_that_ignores_the_end_of_its_input_gets_sigterm() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark, "ignores-eof"), eof_grace_s=0.1)
        await Ear(link).ask("ping")
        await link.aclose()
        assert link.returncode == -signal.SIGTERM


async def test_a_stopped_child_is_closed_too() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark), eof_grace_s=0.1, term_grace_s=2)
        await Ear(link).ask("ping")
        os.kill(link.pid or 0, signal.SIGSTOP)
        await link.aclose()
        assert link.returncode == -signal.SIGTERM


async def test_closing_goes_on_when_its_caller_is_cancelled() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark, "deaf", "ignores-eof"), eof_grace_s=0.1, term_grace_s=0.1)
        await Ear(link).ask("ping")
        closing = asyncio.create_task(link.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await link.aclose()
        assert link.returncode == -signal.SIGKILL


async def test_a_cancelled_spawn_leaves_nothing() -> None:
    async with nothing_left() as mark:
        spawning = asyncio.create_task(spawn(hostile(mark)))
        await asyncio.sleep(0)
        spawning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await spawning


async def test_a_flood_on_stderr_blocks_nobody_and_is_kept_in_a_ring() -> None:
    async with nothing_left() as mark:
        lines: list[str] = []
        link = await spawn(hostile(mark, "stderr-flood"), on_stderr=lines.append, stderr_ring_bytes=1000)
        ear = Ear(link)
        for number in range(1, 4):
            assert (await ear.call("echo", number, text="x"))["id"] == number
        await link.aclose()
        assert 900 <= len(link.stderr_tail()) <= 1000
        assert sum(map(len, lines)) > 3 * 250_000


async def test_noise_on_stdout_is_counted_and_not_delivered(caplog: pytest.LogCaptureFixture) -> None:
    async with nothing_left() as mark:
        caplog.set_level(logging.WARNING)
        link = await spawn(hostile(mark, "garbage"))
        ear = Ear(link)
        assert (await ear.ask("ping"))["result"] == {}
        assert (await ear.call("garbage", 2))["id"] == 2
        assert link.noise == 5
        assert len(caplog.records) == 1
        assert "hostile server v1" in caplog.text
        await link.aclose()


async def test_a_line_without_end_closes_the_line_and_costs_no_more_than_the_cap() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark), max_frame_bytes=4 * MIB)
        ear = Ear(link)
        await ear.ask("ping")
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        link.send(b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"giant"}}')
        assert "longer than the limit" in await ear.end()
        await link.aclose()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 8 * 1024 + 4096


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 3 * MIB])
async def test_big_answers_come_whole(size: int) -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark))
        answer = await Ear(link).call("big", bytes=size)
        assert len(answer["result"]["content"][0]["text"]) == size
        await link.aclose()


async def test_ten_thousand_notifications_come_in_order_before_the_answer() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark))
        ear = Ear(link)
        first = await ear.call("flood", count=10_000)
        assert first["params"]["progress"] == 0
        for number in range(1, 10_000):
            assert b'"progress":%d}' % number in await ear.frame()
        assert b'"id":1' in await ear.frame()
        await link.aclose()


async def test_a_child_that_does_not_read_loses_the_line_at_the_bound() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark, "never-reads"), eof_grace_s=0.1)
        ear = Ear(link)
        frame = b'{"x":"' + b"y" * 100_000 + b'"}'
        with pytest.raises(LinkClosed, match="does not read"):  # noqa: PT012
            for _ in range(20):
                link.send(frame)
        assert "does not read" in await ear.end()
        await link.aclose()
        assert len(ear.ends) == 1


async def test_a_slow_reader_gets_every_byte_in_order() -> None:
    async with nothing_left() as mark:
        link = await spawn(Command(("cat",), env_for(extra={MARK: mark})))
        ear = Ear(link)
        sent = [b'{"n":%d,"x":"%s"}' % (number, b"z" * 9_000) for number in range(100)]
        for frame in sent:
            link.send(frame)
        assert [await ear.frame() for _ in sent] == sent
        await link.aclose()
        assert link.returncode == 0


async def test_what_waits_is_written_before_the_input_ends() -> None:
    async with nothing_left() as mark:
        link = await spawn(Command(("wc", "-c"), env_for(extra={MARK: mark})))
        ear = Ear(link)
        for _ in range(9):
            link.send(b"x" * 99_999)
        await link.aclose()
        assert link.returncode == 0
        assert len(ear.ends) == 1


async def test_a_child_that_closes_its_stdout_and_lives_on_is_ended() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark, "closes-stdout"), eof_grace_s=0.1)
        assert "closed its standard output" in await Ear(link).end()
        await link.aclose()


async def test_a_frame_with_a_newline_is_refused_and_the_line_lives() -> None:
    async with nothing_left() as mark:
        link = await spawn(hostile(mark))
        ear = Ear(link)
        with pytest.raises(ValueError, match="newline"):
            link.send(b'{"a":1}\n{"b":2}')
        assert (await ear.ask("ping"))["result"] == {}
        await link.aclose()


async def test_thirty_children_one_after_the_other_leave_nothing() -> None:
    async with nothing_left() as mark:
        for _ in range(30):
            link = await spawn(Command(("cat",), env_for(extra={MARK: mark})))
            ear = Ear(link)
            link.send(b"{}")
            assert await ear.frame() == b"{}"
            await link.aclose()


async def test_many_children_at_once_are_closed_at_once() -> None:
    async with nothing_left() as mark:
        command = Command(("cat",), env_for(extra={MARK: mark}))
        links: list[ChildLink] = await asyncio.gather(*(spawn(command) for _ in range(20)))
        before = len(descriptors())
        await asyncio.gather(*(link.aclose() for link in links))
        assert before - len(descriptors()) == 5 * 20
        assert marked(mark) == []
