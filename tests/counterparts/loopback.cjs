// Loaded before a server that listens on every address and has no option not to: it listens on 127.0.0.1 instead.
const { Server } = require("node:net");

const { listen } = Server.prototype;

Server.prototype.listen = function (port, ...rest) {
  const bare = typeof port === "number" || typeof port === "string";
  return bare && typeof rest[0] !== "string" ? listen.call(this, port, "127.0.0.1", ...rest) : listen.call(this, port, ...rest);
};
