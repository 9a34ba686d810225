import { Fault, refusalCodes } from "@keyhole/core";
import { describe, expect, it } from "vitest";
import { createAppForTests } from "./app-for-tests.ts";
import { endpoints } from "./endpoints.ts";
import { healthSchema, infoSchema, jwksSchema, problemSchema } from "./openapi-schemas.ts";
import type { CanaryReport } from "./token-app-deps.ts";

const paths = endpoints.map(({ route }) => route.path.replace("{walletAddress}", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"));
const posted = ["/v1/tunnel/token", "/v1/tunnel/revoke"];
const allMethods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "PROPFIND"];

describe("every answer of the token service", () => {
  it("is open to every origin, not cached, not sniffed and named by a request id, whatever its status", async () => {
    const { app } = createAppForTests();
    for (const path of [...paths, "/nothing", "/v1/tunnel/status/nobody"]) {
      for (const method of [...allMethods, "OPTIONS"]) {
        const answer = await app.request(path, { method });
        expect(answer.headers.get("access-control-allow-origin"), `${method} ${path}`).toBe("*");
        expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
        const mayBeKept = path === "/.well-known/jwks.json" && answer.ok && method !== "OPTIONS";
        expect(answer.headers.get("cache-control")).toBe(mayBeKept ? "public, max-age=60" : "no-store");
        expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
        expect(answer.headers.get("x-request-id")).toMatch(/^request-/);
        for (const name of ["X-Request-Id", "Retry-After", "RateLimit"]) {
          expect(answer.headers.get("access-control-expose-headers")).toContain(name);
        }
      }
    }
  });

  it("13: is a problem document with a code of the catalogue when it is a refusal", async () => {
    const { app } = createAppForTests();
    for (const path of [...paths, "/nothing", "/v1/tunnel/status/nobody", "/v1/tunnel/status/", "/v1/tunnel/status/a/b", "//healthz"]) {
      for (const method of allMethods.filter((name) => name !== "HEAD")) {
        const answer = await app.request(path, { method });
        if (answer.ok) continue;
        expect(answer.headers.get("content-type")).toBe("application/problem+json");
        const problem = problemSchema.parse(await answer.json());
        expect(problem.status).toBe(answer.status);
        expect(problem.requestId).toBe(answer.headers.get("x-request-id"));
        expect(refusalCodes).toContain(problem.code);
      }
    }
  });

  it("takes the request id that the edge set, and nothing that does not look like one", async () => {
    const { app } = createAppForTests();
    const idFor = async (id: string) => (await app.request("/healthz", { headers: { "x-request-id": id } })).headers.get("x-request-id");
    expect(await idFor("01890b5e-aaaa-7bbb")).toBe("01890b5e-aaaa-7bbb");
    for (const id of ["short", "x".repeat(65), "has space in it", 'quote"quote"', "under_score_id"])
      expect(await idFor(id)).toMatch(/^request-/);
  });
});

describe("what is remembered of refusals", () => {
  it("is each one's code, and whose it was only where that was proved", async () => {
    const world = createAppForTests();
    await world.app.request("/nothing");
    await world.post({ ...(await world.sign()), signature: `0x${"11".repeat(64)}1b` });
    const proof = await world.sign();
    await world.post(proof);
    await world.post(proof);
    await world.app.request("/healthz");
    expect(world.refused.map(({ label }) => label)).toEqual([undefined, undefined, world.label]);
    expect(world.refused.map(({ code }) => code)).toEqual(["NOT_FOUND", expect.stringMatching(/^SIGN/), "PROOF_ALREADY_USED"]);
  });
});

describe("methods and paths", () => {
  it("a preflight is answered with what the public API takes, known path or not", async () => {
    const { app } = createAppForTests();
    for (const path of ["/v1/tunnel/token", "/nothing"]) {
      const answer = await app.request(path, {
        method: "OPTIONS",
        headers: { origin: "https://app.example", "access-control-request-method": "POST" },
      });
      expect(answer.status).toBe(204);
      expect(await answer.text()).toBe("");
      expect(answer.headers.get("access-control-allow-methods")).toBe("GET, HEAD, POST, OPTIONS");
      expect(answer.headers.get("access-control-allow-headers")).toBe("content-type, accept, authorization, idempotency-key");
      expect(Number(answer.headers.get("access-control-max-age"))).toBeGreaterThan(0);
    }
  });

  it("a wrong method on a known path is 405 and names the right ones", async () => {
    const { app } = createAppForTests();
    for (const path of posted) {
      const answer = await app.request(path);
      expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
    }
    for (const path of paths.filter((path) => !posted.includes(path))) {
      const answer = await app.request(path, { method: "DELETE" });
      expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
    }
  });

  it("HEAD answers as GET does, without a body", async () => {
    const { app } = createAppForTests();
    for (const path of paths.filter((path) => !posted.includes(path))) {
      const [head, get] = [await app.request(path, { method: "HEAD" }), await app.request(path)];
      expect([head.status, head.headers.get("content-type")]).toEqual([get.status, get.headers.get("content-type")]);
      expect(await head.text()).toBe("");
    }
  });

  it("no other spelling of a path reaches a route", async () => {
    const world = createAppForTests();
    const body = JSON.stringify(await world.sign());
    for (const path of [
      "/V1/tunnel/token",
      "//v1/tunnel/token",
      "/v1/tunnel%2ftoken",
      "/v1/tunnel/%74oken",
      "/v1/tunnel/token/",
      "/v1//tunnel/token",
    ]) {
      const answer = await world.app.request(path, { method: "POST", headers: { "content-type": "application/json" }, body });
      expect([path, answer.status]).toEqual([path, 404]);
    }
    expect(world.store.orders).toEqual([]);
  });
});

describe("when something breaks", () => {
  it("9: the caller gets a code and a request id; the log gets the cause, without anything that looks like a secret", async () => {
    const secret = `0x${"ab".repeat(65)}`;
    const world = createAppForTests({
      mint: async () => {
        throw new TypeError(`cannot sign ${secret}`);
      },
    });
    const answer = await world.post(await world.sign());
    expect(answer.status).toBe(500);
    const text = await answer.text();
    expect(problemSchema.parse(JSON.parse(text)).code).toBe("INTERNAL_ERROR");
    expect(text).not.toMatch(/cannot sign|app\.ts|at /);
    const line = world.lines.find(({ level }) => level === "error");
    expect(line?.fields).toMatchObject({
      code: "INTERNAL_ERROR",
      requestId: answer.headers.get("x-request-id"),
      cause: { name: "TypeError" },
    });
    expect(JSON.stringify(world.lines)).not.toContain(secret.slice(0, 40));
  });

  it("a store that cannot answer is 503 with Retry-After", async () => {
    const world = createAppForTests();
    const broken = createAppForTests({
      store: { ...world.store, orderToken: () => Promise.reject(new Fault("STORE_UNAVAILABLE", "disk full")) },
    });
    const answer = await broken.post(await broken.sign());
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("5");
    expect(await answer.json()).toMatchObject({ code: "STORE_UNAVAILABLE", error: "INTERNAL_ERROR" });
  });
});

describe("the pages of the service", () => {
  it("the index points to the document; ca.pem is the CA; healthz asks nobody", async () => {
    const { app } = createAppForTests({ readiness: () => Promise.reject(new Error("down")) });
    expect(await (await app.request("/")).text()).toContain("/openapi.json");
    const ca = await app.request("/v1/tunnel/ca.pem");
    expect(ca.headers.get("content-type")).toBe("application/x-pem-file");
    expect(await ca.text()).toMatch(/^-----BEGIN CERTIFICATE-----\n/);
    expect((await app.request("/healthz")).status).toBe(200);
  });

  it("readyz and health tell when a part is not ready, and ask it once a second at most", async () => {
    let asked = 0;
    let isReady = true;
    const world = createAppForTests({
      readiness: async () => {
        asked += 1;
        return { store: { ok: true }, frps: isReady ? { ok: true } : { ok: false, detail: "starting" } };
      },
    });
    expect(await (await world.app.request("/readyz")).json()).toEqual({ ready: true, checks: { store: { ok: true }, frps: { ok: true } } });
    expect(await (await world.app.request("/health")).json()).toEqual({
      status: "healthy",
      service: "keyhole",
      version: "0.1.0",
      server_address: expect.stringMatching(/^G[A-Z2-7]{55}$/),
    });
    expect(asked).toBe(1);
    isReady = false;
    world.now = new Date(world.now.getTime() + 1001);
    const notReady = await world.app.request("/readyz");
    expect([notReady.status, notReady.headers.get("retry-after")]).toEqual([503, "2"]);
    expect(await notReady.json()).toMatchObject({ code: "NOT_READY", checks: { frps: { ok: false, detail: "starting" } } });
    expect(await (await world.app.request("/health")).json()).toMatchObject({ status: "degraded" });
  });

  it("the health is degraded while the canary fails, and says in which stage; a canary that cannot be asked says nothing", async () => {
    const lastOkAt = new Date("2026-02-04T11:00:00.900Z");
    const read = async (readCanary: () => Promise<CanaryReport | undefined>): Promise<unknown> => {
      const answer = await createAppForTests({ readCanary }).app.request("/health");
      expect(answer.status).toBe(200);
      const health: unknown = await answer.json();
      expect(healthSchema.safeParse(health).success).toBe(true);
      return health;
    };
    const printed = { lastOkAt: "2026-02-04T11:00:00Z", ms: 4 };
    expect(await read(async () => ({ ok: true, stage: undefined, lastOkAt, ms: 4.2 }))).toMatchObject({
      status: "healthy",
      canary: { ok: true, ...printed },
    });
    expect(await read(async () => ({ ok: false, stage: "answer", lastOkAt, ms: 4.2 }))).toMatchObject({
      status: "degraded",
      canary: { ok: false, stage: "answer", ...printed },
    });
    expect(await read(() => Promise.reject(new Error("socket closed")))).not.toHaveProperty("canary");
  });

  it("readiness that cannot be told is not ready", async () => {
    const { app } = createAppForTests({ readiness: () => Promise.reject(new Error("down")) });
    expect((await app.request("/readyz")).status).toBe(503);
    expect((await app.request("/health")).status).toBe(200);
  });

  it("info is who a Stellar JWT is signed for, and invents no websocket; the JWK set is what it was given", async () => {
    const { app } = createAppForTests();
    const info = infoSchema.parse(await (await app.request("/info")).json());
    expect(info).toEqual({ server_address: expect.stringMatching(/^G[A-Z2-7]{55}$/), websocket_url: null, services: [], version: "0.1.0" });
    const jwks = jwksSchema.parse(await (await app.request("/.well-known/jwks.json")).json());
    expect(jwks.keys).toHaveLength(1);
  });

  it("stats counts answers by code, and has no more names than the catalogue; preflights are not counted", async () => {
    const world = createAppForTests();
    await world.app.request("/healthz");
    await world.app.request("/healthz", { method: "OPTIONS" });
    for (const path of ["/nothing", "/more/nothing"]) await world.app.request(path);
    await world.post(await world.sign());
    await world.post("[]");
    expect(world.app.stats()).toEqual({ answers: { OK: 2, NOT_FOUND: 2, BODY_NOT_OBJECT: 1 } });
  });
});
