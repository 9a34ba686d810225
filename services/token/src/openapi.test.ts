import { readFileSync } from "node:fs";
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
});
