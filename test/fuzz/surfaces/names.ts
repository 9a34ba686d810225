/** What names somebody: the Host header, a wallet's address, a label, an address of the network; and JSON itself. */

import { isIP } from "node:net";
import {
  canonicalAddress,
  decodeStellarSecret,
  deriveAddressPrefix,
  deriveLabel,
  encodeStellarSecret,
  parseHost,
  parseIdentity,
  parseLabel,
  parseStrictJson,
  printIdentity,
} from "@keyhole/core";
import { StrKey } from "@stellar/stellar-sdk";
import { isAddress } from "viem";
import type { Prng } from "../../chaos/prng.ts";
import { mutateJson, mutateText, oddValue, printOddJson, randomBytesOf, randomText } from "../mutate.ts";
import { hasDuplicate, isLabel, stellarKeyOf } from "../strict-forms.ts";
import { broken, decodeInput, encodeInput, judged, type Outcome, type Surface } from "../surface.ts";
import type { FuzzWorld } from "../world.ts";
import { judgeRefusal } from "./credentials.ts";

/** The parsers under test. */
export type NameParsers = {
  readonly parseHost: typeof parseHost;
  readonly parseIdentity: typeof parseIdentity;
  readonly parseStrictJson: typeof parseStrictJson;
};

const ours: NameParsers = { parseHost, parseIdentity, parseStrictJson };

/** A surface a parser. */
export function createNameSurfaces(world: FuzzWorld, parsers: NameParsers = ours): readonly Surface[] {
  const { domain } = world;
  const drawAround = (prng: Prng, good: string): Uint8Array =>
    encodeInput(
      prng.pick<() => unknown>([
        () => good,
        () => mutateText(good, prng),
        () => mutateText(good, prng),
        () => mutateText(good, prng),
        () => randomText(prng),
        () => oddValue(prng),
      ])(),
    );
  const surface = (
    name: string,
    share: number,
    mustSee: readonly string[],
    make: (prng: Prng) => Uint8Array,
    run: (input: unknown) => Outcome,
  ): Surface => ({
    name,
    share,
    lanes: 1,
    mustSee,
    make,
    run: (input) => run(decodeInput(input)),
  });
  return [
    surface(
      "host",
      10,
      ["tunnel", "service", "control", "unknown", "foreign", "malformed"],
      (prng) => {
        const label = prng.pick(world.wallets).label;
        const host = prng.pick([
          `${label}.${domain}`,
          `${label}.${domain}:7080`,
          domain,
          `api.${domain}`,
          `control.${domain}`,
          `x.${label}.${domain}`,
          `${label}.example.org`,
          "127.0.0.1",
          "[::1]:80",
        ]);
        return drawAround(prng, host);
      },
      (header) => {
        const host = parsers.parseHost(header, { domain, controlHost: `control.${domain}` });
        if (host.kind !== "tunnel") return { code: host.kind };
        return judged("tunnel", doubtHost(header, host.label, domain));
      },
    ),
    surface(
      "identity",
      8,
      ["admitted", "WALLET_CHECKSUM", "WALLET_FORMAT"],
      (prng) => {
        const wallet = prng.pick(world.wallets);
        return drawAround(prng, prng.pick([wallet.address, wallet.address, wallet.label, wallet.address.toUpperCase()]));
      },
      (text) => {
        const verdict = parsers.parseIdentity(text);
        if (!verdict.granted) return judgeRefusal(verdict.refusal);
        const [label, printed] = [deriveLabel(verdict.value), printIdentity(verdict.value)];
        if (parseLabel(label) !== label) return broken("admitted", "answer", "the label of an identity is none");
        return judged("admitted", doubtIdentity(text, label, printed));
      },
    ),
    surface(
      "strict-json",
      6,
      ["value", "duplicate", "not-json"],
      (prng) => {
        const value = prng.pick<() => unknown>([
          () => ({ a: 1, b: { a: [{ c: "x", d: 2 }] } }),
          () => ({ walletAddress: "0x", timestamp: 1, signature: "0x" }),
          () => oddValue(prng),
        ])();
        const text = printOddJson(prng.chance(0.5) ? value : mutateJson(value, prng), prng);
        return encodeInput(prng.chance(0.3) ? mutateText(text, prng) : text);
      },
      (text) => {
        const source = typeof text === "string" ? text : (JSON.stringify(text) ?? "");
        const read = parsers.parseStrictJson(source);
        let value: unknown;
        let isJson = true;
        try {
          value = JSON.parse(source);
        } catch {
          isJson = false;
        }
        const expected = !isJson ? "not-json" : hasDuplicate(source) ? "duplicate" : "value";
        if (read.kind !== expected) return judged(read.kind, `it is ${expected}`);
        return judged(
          read.kind,
          read.kind === "value" && JSON.stringify(read.value) !== JSON.stringify(value) ? "it is another value" : undefined,
        );
      },
    ),
    surface(
      "stellar-secret",
      2,
      ["secret", "none"],
      (prng) => drawAround(prng, StrKey.encodeEd25519SecretSeed(randomBytesOf(prng, 32))),
      (input) => {
        const text = typeof input === "string" ? input : "";
        const seed = decodeStellarSecret(text);
        if (seed === undefined)
          return StrKey.isValidEd25519SecretSeed(text) ? broken("none", "refusal", "a good secret was refused") : { code: "none" };
        if (!StrKey.isValidEd25519SecretSeed(text)) return judged("secret", "stellar-sdk does not know it");
        const isSame = encodeStellarSecret(seed) === text && StrKey.encodeEd25519SecretSeed(Buffer.from(seed)) === text;
        return judged("secret", isSame ? undefined : "it is another seed");
      },
    ),
    surface(
      "address",
      3,
      ["address", "none"],
      (prng) =>
        drawAround(
          prng,
          prng.pick([
            "203.0.113.9",
            "::ffff:203.0.113.9",
            "2001:db8:1:2:3:4:5:6",
            "2001:DB8::1",
            "fe80::1%eth0",
            "::",
            "[::1]",
            "127.0.0.1:80",
          ]),
        ),
      (input) => {
        const text = typeof input === "string" ? input : (JSON.stringify(input) ?? "");
        const canonical = canonicalAddress(text);
        const prefix = deriveAddressPrefix(text);
        if (typeof prefix !== "string") return broken("address", "answer", "a prefix is no text");
        if (canonical === undefined || isIP(canonical) === 0) return { code: "none" };
        return judged("address", canonicalAddress(canonical) !== canonical ? "what is canonical changes when it is read again" : undefined);
      },
    ),
  ];
}

function doubtHost(header: unknown, label: string, domain: string): string | undefined {
  if (typeof header !== "string" || !/^[\x21-\x7e]+$/.test(header)) return "a Host header is printable ASCII";
  if (!isLabel(label)) return `${label} is no label`;
  const [name = "", port, ...more] = header.split(":");
  if (more.length > 0 || (port !== undefined && !/^[0-9]{1,5}$/.test(port))) return "there is more than a port behind it";
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) === `${label}.${domain}` ? undefined : "it is another name";
}

function doubtIdentity(text: unknown, label: string, printed: string): string | undefined {
  if (typeof text !== "string") return "it is no text";
  if (!isLabel(label) || printed.toLowerCase() !== label) return `${label} is not the label of ${printed}`;
  if (label.startsWith("g"))
    return stellarKeyOf(text) !== undefined && printed === text ? undefined : "stellar-sdk does not know the account, or its key is weak";
  if (!/^0x[0-9a-fA-F]{40}$/.test(text) || text.toLowerCase() !== label) return "it is another address";
  if (BigInt(text) <= 0x11n) return "nobody holds the key of this address";
  return text === label || isAddress(text, { strict: true }) ? undefined : "viem says that its checksum is wrong";
}
