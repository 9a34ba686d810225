import { readFileSync } from "node:fs";
import { printRevokeMessage, printTunnelMessage, type RefusalCode, refusals } from "@keyhole/core";
import { describe, expect, it } from "vitest";
import { createAppForTests } from "./app-for-tests.ts";
import { renderOpenApi } from "./openapi.ts";
import { publicCodes } from "./openapi-schemas.ts";

describe("the OpenAPI document", () => {
  it("is the committed services/token/openapi.json (npm run tables writes it)", () => {
    expect(readFileSync(new URL("../openapi.json", import.meta.url), "utf8") === renderOpenApi()).toBe(true);
  });

  it("is served as it is rendered, with this deployment's product name", async () => {
    const served = await (await createAppForTests().app.request("/openapi.json")).text();
    expect(served).toBe(renderOpenApi({ productName: "Vana Personal Server" }));
    expect(renderOpenApi({ productName: "Other Box" })).toContain("tunnel access for your Other Box.");
  });

  it("is OpenAPI 3.1 with every public code, an example of each refusal, and no reference that leads nowhere", () => {
    const text = renderOpenApi();
    const document = JSON.parse(text);
    expect(document.openapi).toBe("3.1.0");
    expect(document.components.schemas.Problem.properties.code.enum).toEqual(publicCodes);
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) expect(document.components.schemas).toHaveProperty(name!);
    const examples = document.paths["/v1/tunnel/token"].post.responses["400"].content["application/problem+json"].examples;
    expect(examples.PROOF_ALREADY_USED.value).toMatchObject({ status: 400, error: "INVALID_TIMESTAMP", code: "PROOF_ALREADY_USED" });
  });

  it("holds both texts to sign as they are checked, and how either kind of wallet signs them", () => {
    const { description } = JSON.parse(renderOpenApi()).info;
    const text = description.replaceAll(/^ {4}/gm, "");
    for (const print of [printTunnelMessage, printRevokeMessage]) {
      const message = print({ walletAddress: "<walletAddress>", timestamp: 1 }, "Vana Personal Server");
      expect(text).toContain(message.replace("Timestamp: 1", "Timestamp: <timestamp>"));
    }
    expect(text).toContain('Ed25519 over SHA-256("Stellar Signed Message:\\n" + text)');
    expect(text).toContain('Keccak-256("\\x19Ethereum Signed Message:\\n" +');
  });

  it("lists every refusal that frpc prints, and no other", () => {
    const listed = JSON.parse(renderOpenApi())["x-frpc-refusals"] as { code: RefusalCode; sentence: string; remedy: string }[];
    const spoken = Object.entries(refusals).filter(([, { voices }]) => (voices as readonly string[]).includes("hook"));
    expect(listed).toEqual(spoken.map(([code, { sentence, remedy }]) => ({ code, sentence, remedy })));
  });

  it("names the members of a problem, and no example has another", () => {
    const document = JSON.parse(renderOpenApi());
    const members = Object.keys(document.components.schemas.Problem.properties);
    expect(members).toEqual(expect.arrayContaining(["expectedMessage", "parameter", "reason", "field", "expected", "seconds", "limit"]));
    const problems = answersOf(document).flatMap(({ answer }) =>
      Object.values((answer.content["application/problem+json"]?.examples ?? {}) as Record<string, { value: object }>),
    );
    expect(problems.length).toBeGreaterThan(refusalsOfTokens);
    for (const { value } of problems) expect(members).toEqual(expect.arrayContaining(Object.keys(value)));
  });

  it("declares the headers that an answer has", () => {
    const document = JSON.parse(renderOpenApi());
    const always: Record<string, string[]> = { 401: ["WWW-Authenticate"], 405: ["Allow"], 429: ["Retry-After"], 503: ["Retry-After"] };
    for (const { path, status, answer } of answersOf(document)) {
      const isLimited = /token|revoke/.test(path) && ["200", "202", "400", "429", "503"].includes(status);
      const expected = [...(always[status] ?? []), ...(isLimited ? ["RateLimit", "RateLimit-Policy"] : [])];
      expect([path, status, Object.keys(answer.headers ?? {})]).toEqual([path, status, expect.arrayContaining(expected)]);
      if ("application/toml" in answer.content) expect(answer.headers).toHaveProperty("Content-Disposition");
    }
  });

  it("has a name for every member of a real refusal", async () => {
    const world = createAppForTests();
    const { properties } = JSON.parse(renderOpenApi()).components.schemas.Problem;
    const order = await world.sign();
    const wrong = { ...world.stellar.sign(), timestamp: world.nowSeconds() - 2 };
    const upper = { ...order, walletAddress: `0x${world.address.slice(2).toUpperCase()}` };
    for (const answer of [
      await world.post(wrong),
      await world.post(upper),
      await world.post({ ...order, signature: "0x00" }),
      await world.post({ ...order, walletAddress: "0x00" }),
      await world.post({ ...order, timestamp: 1 }),
      await world.post({ ...order, more: 1 }),
      await world.post(order, {}, "?prot=80"),
      await world.post(`{}${" ".repeat(4096)}`),
      await world.postJwt(world.stellar.signJwt({ exp: world.nowSeconds() + 3601 })),
      await world.postJwt(world.stellar.signJwt({ iat: 1, exp: 2 })),
      await world.postJwt(world.stellar.signJwt({ iat: "x" })),
    ]) {
      expect(answer.headers.has("ratelimit")).toBe(true);
      expect(answer.headers.has("www-authenticate")).toBe(answer.status === 401);
      expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys((await answer.json()) as object)));
    }
  });
});

/** As many as a token request alone may meet, roughly: fewer examples would mean that the search finds none. */
const refusalsOfTokens = 40;

type Answer = { readonly headers?: object; readonly content: Record<string, { examples?: object }> };

function answersOf(document: { paths: Record<string, Record<string, { responses: Record<string, Answer> }>> }) {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.values(methods).flatMap(({ responses }) => Object.entries(responses).map(([status, answer]) => ({ path, status, answer }))),
  );
}
