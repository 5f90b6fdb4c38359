"""A schema written by hand, and an argument that proxies see. `python contacts.py`."""

from typing import Annotated, Any

from douane.sdk import Header, Schema, Server

server = Server("contacts")

CONTACT = Schema(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "phone": {"type": "string"}, "email": {"type": "string"}},
        "required": ["name"],
        "anyOf": [{"required": ["phone"]}, {"required": ["email"]}],
        "additionalProperties": False,
    }
)


@server.tool(arguments=CONTACT)
def keep(contact: dict[str, Any]) -> str:
    """Keep a contact: a name, and a phone or an e-mail."""
    return f"{contact['name']} is kept."


@server.tool(reads=True)
def count(region: Annotated[str, Header("Region"), "For example eu"]) -> int:
    """Count the contacts of a region."""
    return {"eu": 3, "us": 5}.get(region, 0)


if __name__ == "__main__":
    server.run()
