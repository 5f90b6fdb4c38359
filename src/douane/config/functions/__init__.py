"""Tools as the function calling of model providers takes them."""
