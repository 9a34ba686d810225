import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseHost } from "./index.ts";

const names = { domain: "tunnel.localhost", controlHost: "control.tunnel.localhost" };
const label = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";

describe("parseHost", () => {
  it.each([
    [`${label}.tunnel.localhost`, "tunnel"],
    [`${label.toUpperCase()}.TUNNEL.localhost:443`, "tunnel"],
    ["gbrpyhil2ci3fnq4bxlfmndlfjunpu2hy3zmfshonuceoasw7qc7ox2h.tunnel.localhost", "tunnel"],
    ["tunnel.localhost:7080", "service"],
    ["api.tunnel.localhost", "service"],
    ["control.tunnel.localhost", "control"],
    ["www.tunnel.localhost", "unknown"],
    [`a.${label}.tunnel.localhost`, "unknown"],
    [`${label.slice(0, -1)}.tunnel.localhost`, "unknown"],
    [`${label}.tunnel.localhost.`, "unknown"],
    ["tunnel.localhost.", "unknown"],
    [`${label}.tunnel.localhost...`, "malformed"],
    [`${label}.evil.example`, "foreign"],
    [`${label}.tunnel.localhost.evil.example`, "foreign"],
    ["xtunnel.localhost", "foreign"],
    ["127.0.0.1:7080", "foreign"],
    ["[::1]:7080", "foreign"],
    ["", "malformed"],
    [":", "malformed"],
    ["a b", "malformed"],
    [`victim@${label}.tunnel.localhost`, "malformed"],
    [`${label}.tunnel.localhost:80:80`, "malformed"],
    [`${label}.tunnel.localhost:`, "malformed"],
    [`${label}.tunnel.localhost:44x`, "malformed"],
    ["evil.example/victim", "malformed"],
    ["tünnel.localhost", "malformed"],
    // The Kelvin sign, whose lower case is a k.
    ["gbrpyhil2ci3fnq4bxlfmndlfjunpu2hy3zmfshonuceoasw7qc7ox2h.tunnel.localhost".replace("h.", "\u212a."), "malformed"],
    ["\u212a.tunnel.localhost", "malformed"],
    [`${"a".repeat(5000)}`, "malformed"],
    [`${label}.tunnel.localhost\u0000`, "malformed"],
    [undefined, "malformed"],
  ])("1: %j is %s", (header, kind) => {
    expect(parseHost(header, names).kind).toBe(kind);
  });

  it("1: no string but a whole label right below the domain is a tunnel", () => {
    const near = fc.tuple(
      fc.constantFrom("", "a.", ".", "x", " "),
      fc.constantFrom(label, "0x12", `${label}0`),
      fc.constantFrom(".tunnel.localhost", ".tunnel.localhost.", "tunnel.localhost", ".localhost"),
      fc.constantFrom("", ":1", ":", ".", "/"),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          near.map((parts) => parts.join("")),
        ),
        (header) => {
          const host = parseHost(header, names);
          if (host.kind === "tunnel") expect(header.toLowerCase().replace(/:\d+$/, "")).toBe(`${host.label}.tunnel.localhost`);
        },
      ),
    );
  });
});
