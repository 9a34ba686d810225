/**
 * The hook: its real listener over kept connections, with real logins around it, and bare bytes at its port. The plugin is
 * the real one; its edge and its frps are only recorded.
 */
import { Agent } from "node:http";
import type { Prng } from "../../chaos/prng.ts";
import { judgeHookAnswer } from "../answer-rules.ts";
import { askHttp, readRequest, requestOf, type WireRequest } from "../http-client.ts";
import { mutateBytes, mutateJson, printOddJson } from "../mutate.ts";
import { stillAnswers, talkRaw } from "../raw-bytes.ts";
import { broken, type OpenSurfaces, type Surface } from "../surface.ts";
import type { FuzzWorld } from "../world.ts";
import { drawMessage } from "./frps-messages.ts";
import { type AskHook, createHookJudge } from "./hook-judge.ts";
import { hookAuthorization, startFuzzPlugin } from "./hook-plugin.ts";
import { drawRawRequest } from "./raw-requests.ts";

/** Starts a plugin and gives its two surfaces. */
export async function openHookSurfaces(world: FuzzWorld): Promise<OpenSurfaces> {
  await using stack = new AsyncDisposableStack();
  const { plugin } = stack.use(await startFuzzPlugin(world));
  const agent = stack.adopt(new Agent({ keepAlive: true, maxSockets: lanes, maxFreeSockets: lanes }), (used) => used.destroy());
  const ask: AskHook = (request) => askHttp(plugin.hookPort, request, agent);
  const surfaces = [createHookSurface(world, ask), createHookBytesSurface(world, plugin.hookPort)];
  const opened = stack.move();
  return { surfaces, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

const lanes = 16;

/** `hook`: what frps could send, and what it never would. */
export function createHookSurface(world: FuzzWorld, ask: AskHook): Surface {
  const judge = createHookJudge(world, ask);
  return {
    name: "hook",
    share: 7,
    lanes,
    mustSee: [
      "Login admitted hmac",
      "Login admitted jwt",
      "Login admitted jwt as key",
      "Login admitted stellar-jwt",
      "Login admitted claim",
      "NewProxy admitted",
      "Login CREDENTIAL_TWICE",
      "Login TOKEN_SIGNATURE",
      "NewProxy PROXY_TYPE",
      "401 HOOK_UNAUTHORIZED",
    ],
    make: (prng) => requestOf(drawHookRequest(world, prng)),
    run: (input) => judge(readRequest(input)),
  };
}

function drawHookRequest(world: FuzzWorld, prng: Prng): WireRequest {
  const { op, content } = drawMessage(world, prng);
  const isAltered = prng.chance(0.15);
  const message = { version: "0.1.0", op: prng.chance(0.99) ? op : "Login", content };
  const value = isAltered ? mutateJson(message, prng) : message;
  const text = isAltered && prng.chance(0.4) ? printOddJson(value, prng) : (JSON.stringify(value) ?? "");
  const body = prng.chance(0.04) ? mutateBytes(Buffer.from(text), prng) : Buffer.from(text);
  const isPlain = prng.chance(0.95);
  return {
    method: isPlain ? "POST" : prng.pick(["POST", "GET", "PUT", "HEAD", "OPTIONS"]),
    path: isPlain
      ? `/hook?version=0.1.0&op=${op}`
      : prng.pick([`/hook?op=${op}&op=Ping`, "/hook", `/hook/?op=${op}`, `//hook?op=${op}`, `/HOOK?op=${op}`, "/", `/hook?op=${op}%00`]),
    headers: {
      "content-type": "application/json",
      "x-frp-reqid": prng.chance(0.9) ? "0123456789abcdef" : prng.pick(["", "<script>", "x".repeat(200)]),
      ...(prng.chance(0.97)
        ? { authorization: hookAuthorization }
        : prng.pick<Record<string, string>>([
            {},
            { authorization: "Basic Og==" },
            { authorization: hookAuthorization.slice(0, -1) },
            { authorization: `${hookAuthorization}=` },
          ])),
    },
    body,
  };
}

/** `hook-bytes`: anything at all at the port. */
function createHookBytesSurface(world: FuzzWorld, port: number): Surface {
  let tried = 0;
  return {
    name: "hook-bytes",
    share: 0.5,
    lanes: 8,
    mustSee: [],
    make: (prng) =>
      drawRawRequest(prng, {
        path: "/hook?op=Login&version=0.1.0",
        authorization: hookAuthorization,
        message: () => JSON.stringify({ version: "0.1.0", ...drawMessage(world, prng) }),
      }),
    run: async (input) => {
      tried += 1;
      const outcome = await talkRaw(port, input, (answer) => {
        const { content: _content, ...judgedAs } = judgeHookAnswer(answer);
        return judgedAs;
      });
      if (tried % 50 !== 0 || (await stillAnswers(port))) return outcome;
      return broken("dead", "crash", "the listener does not answer any more");
    },
  };
}
