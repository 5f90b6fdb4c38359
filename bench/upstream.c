// A very fast MCP server to put behind what is measured: whatever time a call takes, it is not spent here.
//
//   upstream PORT TOOLS
//   upstream - TOOLS
//
// Speaks Streamable HTTP on 127.0.0.1, or on its standard streams, in both eras: 2026-07-28 (each request on its own) and
// the initialize handshake, without sessions. The tool `echo` returns its argument `text`; TOOLS - 1 more are only listed.
// One thread, epoll, keep-alive and pipelining. It trusts its input to be JSON.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_REQUEST (4u << 20)
#define READ_AT_LEAST (64u << 10)
#define SPAN(text) ((struct span){text, sizeof(text) - 1})

struct span {
  const char *at;
  size_t size;
};

struct connection {
  int fd;
  size_t filled, room;
  char *bytes;
};

static char *tools;
static size_t tools_size;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

// --- reading JSON: one level at a time, values as spans of the input ---

static const char *after_string(const char *p, const char *end) {
  for (p++; p < end; p++) {
    p = memchr(p, '"', end - p);
    if (!p) return end;
    const char *q = p;
    while (q[-1] == '\\') q--;
    if ((p - q) % 2 == 0) return p + 1;
  }
  return end;
}

static const char *after_value(const char *p, const char *end) {
  if (p < end && *p == '"') return after_string(p, end);
  for (int depth = 0; p < end;) {
    if (*p == '"') {
      p = after_string(p, end);
      continue;
    }
    if (*p == '{' || *p == '[') depth++;
    if (depth == 0 && (*p == ',' || *p == '}' || *p == ']')) return p;
    if ((*p == '}' || *p == ']') && --depth == 0) return p + 1;
    p++;
  }
  return end;
}

static const char *past_blank(const char *p, const char *end) {
  while (p < end && strchr(" \t\r\n,:", *p)) p++;
  return p;
}

// The value of a member, or an empty span.
static struct span member(struct span object, const char *name) {
  const char *p = object.at, *end = object.at + object.size;
  size_t size = strlen(name);
  if (!object.size || *p != '{') return (struct span){0};
  for (p = past_blank(p + 1, end); p < end && *p == '"'; p = past_blank(p, end)) {
    const char *key = p + 1;
    p = past_blank(after_string(p, end), end);
    const char *value = p;
    p = after_value(p, end);
    if ((size_t)(end - key) > size && !memcmp(key, name, size) && key[size] == '"')
      return (struct span){value, p - value};
  }
  return (struct span){0};
}

static bool is(struct span value, const char *text) {
  size_t size = strlen(text);
  return value.size == size + 2 && !memcmp(value.at + 1, text, size);
}

// --- writing ---

static bool on_streams;

static void send_all(int fd, const char *bytes, size_t size) {
  while (size) {
    ssize_t sent = on_streams ? write(fd, bytes, size) : send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000);
      continue;
    }
    if (sent <= 0) return;  // The reader has gone; the next read will tell.
    bytes += sent;
    size -= sent;
  }
}

static char answer[2 * MAX_REQUEST];

// The head goes before the body once its size is known, so the body starts here.
#define HEAD_ROOM 256
static size_t body_size;

static void put(struct span part) {
  if (HEAD_ROOM + body_size + part.size > sizeof answer) return;
  memcpy(answer + HEAD_ROOM + body_size, part.at, part.size);
  body_size += part.size;
}

static void put_text(const char *text) { put((struct span){text, strlen(text)}); }

static void finish(int fd, const char *status) {
  if (on_streams) {
    if (!body_size) return;
    put_text("\n");
    send_all(fd, answer + HEAD_ROOM, body_size);
    return;
  }
  char head[HEAD_ROOM];
  int size = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                      status, body_size);
  char *start = answer + HEAD_ROOM - size;
  memcpy(start, head, size);
  send_all(fd, start, size + body_size);
}

// --- what MCP asks for ---

#define INFO "\"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"upstream\",\"version\":\"1\"}}"
#define COMPLETE ",\"resultType\":\"complete\"," INFO
#define CACHED ",\"ttlMs\":60000,\"cacheScope\":\"private\""

static void respond(int fd, struct span request) {
  struct span method = member(request, "method"), id = member(request, "id"), params = member(request, "params");
  struct span meta = member(params, "_meta");
  bool modern = member(meta, "io.modelcontextprotocol/protocolVersion").size > 0;
  const char *status = "200 OK";
  body_size = 0;
  if (!id.size) {
    finish(fd, "202 Accepted");
    return;
  }
  put_text("{\"jsonrpc\":\"2.0\",\"id\":");
  put(id);
  if (is(method, "tools/call")) {
    struct span text = member(member(params, "arguments"), "text");
    put_text(",\"result\":{\"content\":[{\"type\":\"text\",\"text\":");
    put(text.size && *text.at == '"' ? text : SPAN("\"\""));
    put_text("}],\"isError\":false");
    put_text(modern ? COMPLETE "}}" : "}}");
  } else if (is(method, "tools/list")) {
    put_text(",\"result\":{\"tools\":");
    put((struct span){tools, tools_size});
    put_text(modern ? CACHED COMPLETE "}}" : "}}");
  } else if (is(method, "server/discover")) {
    put_text(",\"result\":{\"supportedVersions\":[\"2026-07-28\",\"2025-11-25\"],\"capabilities\":{\"tools\":{}}");
    put_text(CACHED COMPLETE "}}");
  } else if (is(method, "initialize")) {
    struct span version = member(params, "protocolVersion");
    put_text(",\"result\":{\"protocolVersion\":");
    put(version.size ? version : SPAN("\"2025-11-25\""));
    put_text(",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"upstream\",\"version\":\"1\"}}}");
  } else if (is(method, "ping")) {
    put_text(",\"result\":{}}");
  } else {
    put_text(",\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}");
    if (modern) status = "404 Not Found";
  }
  finish(fd, status);
}

static void make_tools(int count) {
  FILE *out = open_memstream(&tools, &tools_size);
  fputs("[{\"name\":\"echo\",\"description\":\"Return the text\",\"inputSchema\":{\"type\":\"object\",\"properties\":"
        "{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"]}}",
        out);
  for (int i = 1; i < count; i++)
    fprintf(out,
            ",{\"name\":\"record_%d\",\"description\":\"Looks record type %d up in the system behind this server, and "
            "returns what it holds.\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\","
            "\"description\":\"Which one\"},\"limit\":{\"type\":\"integer\",\"minimum\":1},\"fields\":{\"type\":"
            "\"array\",\"items\":{\"type\":\"string\"}}},\"required\":[\"key\"]}}",
            i, i);
  fputc(']', out);
  fclose(out);
}

// --- HTTP ---

static char joined[MAX_REQUEST];

// The size of a chunked body with its framing, 0 while it is incomplete, -1 if it cannot be one. `body` is what it says.
static ssize_t unchunked(const char *bytes, size_t size, struct span *body) {
  const char *p = bytes, *end = bytes + size;
  size_t filled = 0;
  for (;;) {
    const char *line_end = memmem(p, end - p, "\r\n", 2);
    if (!line_end) return 0;
    size_t chunk = strtoul(p, NULL, 16);
    if (chunk > sizeof joined - filled) return -1;
    p = line_end + 2;
    if ((size_t)(end - p) < chunk + 2) return 0;
    memcpy(joined + filled, p, chunk);
    filled += chunk;
    p += chunk + 2;
    if (chunk == 0) break;
  }
  *body = (struct span){joined, filled};
  return p - bytes;
}

// The size of the first request in the bytes, 0 while it is incomplete, -1 if it cannot be one.
static ssize_t whole(const char *bytes, size_t size, struct span *body) {
  const char *end = memmem(bytes, size, "\r\n\r\n", 4);
  if (!end) return size > MAX_REQUEST ? -1 : 0;
  size_t length = 0, head = end + 4 - bytes;
  bool chunked = false;
  for (const char *line = bytes; line < end;) {
    const char *next = memmem(line, end + 2 - line, "\r\n", 2);
    if (!strncasecmp(line, "content-length:", 15)) length = strtoul(line + 15, NULL, 10);
    if (!strncasecmp(line, "transfer-encoding:", 18)) chunked = true;
    line = next + 2;
  }
  if (chunked) {
    ssize_t framed = unchunked(bytes + head, size - head, body);
    return framed > 0 ? (ssize_t)head + framed : framed;
  }
  if (length > MAX_REQUEST) return -1;
  *body = (struct span){bytes + head, length};
  return size < head + length ? 0 : (ssize_t)(head + length);
}

static bool read_some(struct connection *c) {
  if (c->room - c->filled < READ_AT_LEAST) {
    c->room *= 2;
    c->bytes = realloc(c->bytes, c->room);
    if (!c->bytes) fail("realloc");
  }
  ssize_t got = recv(c->fd, c->bytes + c->filled, c->room - c->filled, 0);
  if (got < 0) return errno == EAGAIN;
  c->filled += got;
  return got > 0;
}

// False: the connection is of no more use.
static bool serve(struct connection *c) {
  if (!read_some(c)) return false;
  size_t done = 0;
  while (done < c->filled) {
    struct span body;
    const char *request = c->bytes + done;
    ssize_t size = whole(request, c->filled - done, &body);
    if (size < 0) return false;
    if (size == 0) break;
    if (!strncmp(request, "POST ", 5)) {
      respond(c->fd, body);
    } else {
      body_size = 0;
      finish(c->fd, "405 Method Not Allowed");
    }
    done += size;
  }
  memmove(c->bytes, c->bytes + done, c->filled - done);
  c->filled -= done;
  return true;
}

static void take(int listener, int epoll) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct connection *c = malloc(sizeof *c);
    if (!c) fail("malloc");
    *c = (struct connection){.fd = fd, .room = 2 * READ_AT_LEAST, .bytes = malloc(2 * READ_AT_LEAST)};
    if (!c->bytes) fail("malloc");
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
  }
}

// --- standard streams ---

// A line is a message. Lines that were read together are answered one by one, as they would be if they came apart.
static void serve_streams(void) {
  size_t filled = 0;
  static char bytes[2 * MAX_REQUEST];
  for (ssize_t got; (got = read(STDIN_FILENO, bytes + filled, sizeof bytes - filled)) > 0;) {
    char *line = bytes, *end;
    filled += got;
    while ((end = memchr(line, '\n', bytes + filled - line))) {
      respond(STDOUT_FILENO, (struct span){line, end - line});
      line = end + 1;
    }
    filled -= line - bytes;
    memmove(bytes, line, filled);
  }
}

int main(int count, char **words) {
  if (count != 3) {
    fprintf(stderr, "usage: upstream PORT|- TOOLS\n");
    return 2;
  }
  make_tools(atoi(words[2]));
  if (!strcmp(words[1], "-")) {
    on_streams = true;
    serve_streams();
    return 0;
  }
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 1024)) fail("listen");
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
  for (;;) {
    struct epoll_event events[256];
    int ready = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; i++) {
      struct connection *c = events[i].data.ptr;
      if (!c) {
        take(listener, epoll);
      } else if (!serve(c)) {
        close(c->fd);
        free(c->bytes);
        free(c);
      }
    }
  }
}
