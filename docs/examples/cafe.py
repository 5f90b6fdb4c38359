"""A café that asks: the guest, the guest's model, and the guest's workplace."""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

from douane.sdk import Ask, CannotAsk, Context, Elicit, Server, choices

server = Server("cafe", "1.0")


@dataclass
class Order:
    name: Annotated[str, "What shall we call?"]
    size: Annotated[str, choices({"s": "Small", "l": "Large"})] = "s"
    milk: Literal["none", "cow", "oat"] = "none"
    sugar: int = 0


@server.tool()
async def order(context: Context, drink: str) -> str:
    """Order a drink. The guest is asked how."""
    answer = await context.elicit(f"How would you like your {drink}?", Order, key="how")
    if answer.content is None:
        return "Nothing was ordered."
    how = answer.content
    return f"{how.name}: {how.size} {drink}, milk {how.milk}, sugar {how.sugar}"


@server.tool()
def order_water(context: Context) -> str:
    """Order water."""
    answer = context.wait(context.elicit("For whom?", Order))
    return f"water for {answer.content.name}" if answer.content else "no water"


@server.tool()
async def pay(context: Context) -> str:
    """Pay the bill."""
    if await context.elicit_url("Pay your bill", "https://cafe.example/pay/4711") != "accept":
        return "Then later."
    return "Thank you, the page knows the rest."


@server.tool()
async def poem(context: Context) -> str:
    """A poem for where the guest works, by the guest's own model."""
    try:
        roots = await context.roots()
    except CannotAsk:
        return "Roses are red."
    said = await context.sample(f"Two lines about {roots[0].uri}", max_tokens=60)
    return said.text


CERTAIN = Elicit("Close the café for today?", {"type": "object", "properties": {"sure": {"type": "boolean"}}})


@server.tool(destroys=True)
async def close(context: Context) -> str | Ask:
    """Close for today, if the guest agrees."""
    answer = context.answer("certain", CERTAIN)
    if answer is None:
        return Ask({"certain": CERTAIN}, state="asked by the door")
    agreed = answer.content is not None and answer.content.get("sure")
    return f"closed ({context.request_state})" if agreed else "still open"


if __name__ == "__main__":
    server.run(*sys.argv[1:2], port=int(sys.argv[2]) if len(sys.argv) > 2 else 8000)
