// What Continue makes of configuration files, by its own package: a JSON list of servers, or of errors, one per file.
// Its blocks are YAML; other clients' JSON is judged by the schema it has for that.
import { readFileSync } from "node:fs";
import * as continued from "@continuedev/config-yaml";

const read = (file) => {
  const text = readFileSync(file, "utf8");
  if (file.endsWith(".yaml")) return continued.parseBlock(text).mcpServers;
  return continued.claudeDesktopLikeConfigFileSchema.parse(JSON.parse(text)).mcpServers;
};

const said = process.argv.slice(2).map((file) => {
  try {
    return { servers: read(file) };
  } catch (error) {
    return { error: String(error) };
  }
});
console.log(JSON.stringify(said));
