"""More of what a server can do: templates, completion, progress, state, results by hand. `python library.py`."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import msgspec

from douane.sdk import Context, Image, Message, Result, Server, Text, ToolError


@asynccontextmanager
async def database(server: Server) -> AsyncGenerator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript("CREATE TABLE books (title TEXT, year INT); INSERT INTO books VALUES ('Emma', 1815)")
    yield connection
    connection.close()


server = Server("library", "1.0", instructions="Search before you add.", lifespan=database)


@dataclass
class Book:
    title: str
    year: Annotated[int, msgspec.Meta(ge=1450, description="Of its first edition")]


@server.tool(reads=True)
def find_books(context: Context, word: str, limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10) -> list[Book]:
    """Find books by a word of their title.

    Args:
        word: Any part of the title.
        limit: How many at most.
    """
    query = "SELECT title, year FROM books WHERE title LIKE ? LIMIT ?"
    return [Book(*row) for row in context.state.execute(query, (f"%{word}%", limit))]


@server.tool(destroys=False)
def add_book(context: Context, book: Book) -> str:
    """Add a book."""
    if context.state.execute("SELECT 1 FROM books WHERE title = ?", (book.title,)).fetchone():
        raise ToolError(f"{book.title} is there already.")
    context.state.execute("INSERT INTO books VALUES (?, ?)", (book.title, book.year))
    return f"{book.title} was added."


@server.tool(reads=True)
async def take_stock(context: Context, shelves: int = 3) -> int:
    """Count all books, shelf by shelf."""
    for shelf in range(shelves):
        await asyncio.sleep(0.05)
        context.progress(shelf + 1, shelves, f"shelf {shelf + 1}")
    context.info("stock was taken")
    return context.state.execute("SELECT count(*) FROM books").fetchone()[0]


@server.tool(reads=True)
def cover(title: str) -> list[Text | Image]:
    """The cover of a book."""
    return [Text(f"The cover of {title}"), Image(b"\x89PNG\r\n", "image/png")]


@server.tool(reads=True)
def borrow(title: str) -> Result:
    """Borrow a book."""
    return Result([f"{title} is out on loan."], structured={"back_in_days": 3}, is_error=True)


@server.resource("library://books/{title}", mime="text/plain")
def book_page(context: Context, title: str) -> str:
    """What is known of a book."""
    row = context.state.execute("SELECT year FROM books WHERE title = ?", (title,)).fetchone()
    if row is None:
        raise ToolError(f"There is no book {title!r}.")
    return f"{title}, {row[0]}"


@server.completion("library://books/{title}", "title")
def complete_title(context: Context, typed: str) -> list[str]:
    return [title for (title,) in context.state.execute("SELECT title FROM books WHERE title LIKE ?", (f"{typed}%",))]


@server.prompt()
def review(title: str, words: int = 100) -> list[Message]:
    """A review of a book."""
    return [Message(f"Write {words} words about {title}."), Message("It is a truth", role="assistant")]


if __name__ == "__main__":
    server.run()
