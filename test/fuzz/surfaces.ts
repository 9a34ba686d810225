/** Everything that is fuzzed: parsers asked directly, and the doors that are opened for the run. */
import type { OpenSurfaces } from "./surface.ts";
import { createConfigSurfaces } from "./surfaces/configs.ts";
import { createCredentialSurfaces } from "./surfaces/credentials.ts";
import { createEd25519Surface } from "./surfaces/ed25519.ts";
import { openHookSurfaces } from "./surfaces/hook.ts";
import { createMessageSurface } from "./surfaces/messages.ts";
import { createNameSurfaces } from "./surfaces/names.ts";
import { openTokenSurfaces } from "./surfaces/token-endpoint.ts";
import { createFuzzWorld } from "./world.ts";

/** Opens them; `only` is the name of one. */
export async function openSurfaces(seed: number, only: string | undefined): Promise<OpenSurfaces> {
  await using stack = new AsyncDisposableStack();
  const world = createFuzzWorld(seed);
  const isWanted = ({ name }: { readonly name: string }): boolean => only === undefined || name === only;
  const parsers = [
    ...createCredentialSurfaces(world),
    createEd25519Surface(world),
    ...createNameSurfaces(world),
    createMessageSurface(world),
    ...createConfigSurfaces(world),
  ];
  const doors = [
    ...(["hook", "hook-bytes"].some((name) => isWanted({ name })) ? stack.use(await openHookSurfaces(world)).surfaces : []),
    ...(["token", "token-bytes"].some((name) => isWanted({ name })) ? stack.use(await openTokenSurfaces(world)).surfaces : []),
  ];
  const surfaces = [...parsers, ...doors].filter(isWanted);
  const opened = stack.move();
  return { surfaces, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
