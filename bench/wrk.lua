-- Calls of the 2026-07-28 revision, for wrk:
--
--   wrk -s wrk.lua URL -- tools/call TOOL BYTES [TOKEN]
--   wrk -s wrk.lua URL -- tools/list "" 0 [TOKEN]
--
-- BYTES is how long the argument `text` is. Prints one line of JSON at the end; times are in microseconds.

-- So many requests are made beforehand, each with an id of its own: enough that no two in flight share one.
local VARIANTS = 128

local META = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
  .. '"io.modelcontextprotocol/clientInfo":{"name":"wrk","version":"1"},'
  .. '"io.modelcontextprotocol/clientCapabilities":{}}'
local WORDS = "the quick brown fox jumps over the lazy dog and comes back "

local requests, at = {}, 0

local function params(method, tool, bytes)
  if method ~= "tools/call" then
    return "{" .. META .. "}"
  end
  local text = string.rep(WORDS, math.ceil(bytes / #WORDS)):sub(1, bytes)
  return '{"name":"' .. tool .. '","arguments":{"text":"' .. text .. '"},' .. META .. "}"
end

function init(args)
  local method, tool, bytes, token = args[1], args[2], tonumber(args[3]), args[4]
  local headers = {
    ["Content-Type"] = "application/json",
    ["Accept"] = "application/json, text/event-stream",
    ["MCP-Protocol-Version"] = "2026-07-28",
    ["Mcp-Method"] = method,
  }
  if tool ~= "" then
    headers["Mcp-Name"] = tool
  end
  if token then
    headers["Authorization"] = "Bearer " .. token
  end
  local rest = ',"method":"' .. method .. '","params":' .. params(method, tool, bytes) .. "}"
  for id = 1, VARIANTS do
    requests[id] = wrk.format("POST", nil, headers, '{"jsonrpc":"2.0","id":' .. id .. rest)
  end
end

function request()
  at = at % VARIANTS + 1
  return requests[at]
end

function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    '{"calls":%d,"took_us":%d,"p50_us":%d,"p99_us":%d,"bytes":%d,"broken":%d,"refused":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.bytes,
    e.connect + e.read + e.write + e.timeout, e.status
  ))
end
