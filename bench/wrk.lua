-- Calls for wrk, of the 2026-07-28 revision, each on its own, or of an older one, in sessions that were opened for it:
--
--   wrk -s wrk.lua URL -- tools/call TOOL BYTES REVISION TOKEN [SESSION...]
--   wrk -s wrk.lua URL -- tools/list "" 0 REVISION TOKEN [SESSION...]
--
-- BYTES is how long the argument `text` is, TOKEN may be empty, requests take the sessions in turn. Prints one line of JSON
-- at the end; times are in microseconds.

-- So many requests are made beforehand, each with an id of its own: enough that no two in flight share one.
local VARIANTS = 128

local META = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
  .. '"io.modelcontextprotocol/clientInfo":{"name":"wrk","version":"1"},'
  .. '"io.modelcontextprotocol/clientCapabilities":{}}'
local WORDS = "the quick brown fox jumps over the lazy dog and comes back "

local requests, at = {}, 0

local function params(method, tool, bytes, meta)
  if method ~= "tools/call" then
    return "{" .. meta .. "}"
  end
  local text = string.rep(WORDS, math.ceil(bytes / #WORDS)):sub(1, bytes)
  local comma = meta == "" and "" or ","
  return '{"name":"' .. tool .. '","arguments":{"text":"' .. text .. '"}' .. comma .. meta .. "}"
end

function init(args)
  local method, tool, bytes, revision, token = args[1], args[2], tonumber(args[3]), args[4], args[5]
  local modern, sessions = revision == "2026-07-28", #args - 5
  local headers = {
    ["Content-Type"] = "application/json",
    ["Accept"] = "application/json, text/event-stream",
    ["MCP-Protocol-Version"] = revision,
  }
  if modern then
    headers["Mcp-Method"] = method
    headers["Mcp-Name"] = tool ~= "" and tool or nil
  end
  if token ~= "" then
    headers["Authorization"] = "Bearer " .. token
  end
  local rest = ',"method":"' .. method .. '","params":' .. params(method, tool, bytes, modern and META or "") .. "}"
  for id = 1, VARIANTS do
    headers["Mcp-Session-Id"] = sessions > 0 and args[6 + id % sessions] or nil
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
