import type { Label } from "@keyhole/core";
import { expect, it } from "vitest";
import { adoptedId } from "../adopted-id.ts";
import type { SessionAuthority } from "../session-authority.ts";
import { createSessionRegistry, type Session } from "../session-registry.ts";
import { answerCloseProxy } from "./close-proxy.ts";

it("2: closes a proxy of the session that it came from, by its id or by its ticket, and of nobody else", () => {
  const closed: string[] = [];
  const registry = createSessionRegistry();
  for (const id of ["mine", adoptedId("ticket")]) registry.add({ id, label: "0x" as Label } as Session);
  const authority = { closeTunnel: ({ id }: Session, name: string) => closed.push(`${id} ${name}`) } as unknown as SessionAuthority;
  const close = (session: string | undefined, runId: string) =>
    answerCloseProxy(
      { user: { user: "", metas: session === undefined ? {} : { session }, runId }, proxyName: "app" },
      { registry, authority },
    );
  expect(close("mine", "x")).toEqual({ kind: "keep" });
  close(undefined, "ticket");
  close("another", "x");
  expect(closed).toEqual(["mine app", `${adoptedId("ticket")} app`]);
});
