"""From a file to a running gateway. `build` alone knows every room; nobody imports this one but the command line."""
