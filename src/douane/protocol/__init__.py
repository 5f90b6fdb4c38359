"""What MCP means: calls and outcomes, and how each revision writes them. Pure."""
