import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseMedia } from "./media-choice.ts";

describe("chooseMedia", () => {
  it.each([
    [undefined, "json"],
    ["", "json"],
    ["*/*", "json"],
    ["application/*", "json"],
    ["application/json", "json"],
    ["text/html,application/xhtml+xml,*/*;q=0.8", "json"],
    ["text/html", "json"],
    ["application/toml", "toml"],
    ["Application/TOML", "toml"],
    ["application/toml; charset=utf-8", "toml"],
    ["application/toml, */*", "toml"],
    ["application/toml, application/json", "json"],
    ["application/json, application/toml", "json"],
    ["application/json;q=0.5, application/toml", "toml"],
    ["application/toml;q=0.5, application/json", "json"],
    ["application/toml;q=0", "json"],
    ["application/toml;q=0, */*;q=0.1", "json"],
    ["application/json;q=0, */*", "toml"],
    ["application/toml;q=2", "json"],
    ["application/toml;q=", "json"],
    [",;,=,;q", "json"],
  ])("%j is answered in %s", (accept, media) => {
    expect(chooseMedia(accept)).toBe(media);
  });

  it("never throws", () => {
    fc.assert(fc.property(fc.string(), (accept) => ["json", "toml"].includes(chooseMedia(accept))));
  });
});
