/** What every operator's command begins with, and how it ends when the plugin gives no answer. */
import { userInfo } from "node:os";
import { type Refusal, refusals } from "@keyhole/core";
import { type AdminAnswer, askAdmin } from "../admin/admin-client.ts";
import { loadConfig } from "../config/load-config.ts";
import type { Config } from "../config/settings.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { SocketFault } from "../sockets/socket-fault.ts";
import { socketPath } from "../sockets/socket-path.ts";
import { openStateDirectory, requireStateDirectory, type StateDirectory } from "../state/state-directory.ts";

/** What may be said to any of them. */
export type OperatorOptions = { readonly config?: string; readonly json?: boolean };

/** What a command is run with. */
export type OperatorContext = {
  readonly config: Config;
  /** ` --config FILE` as it was given: for what is to be typed next. */
  readonly flags: string;
  readonly isJson: boolean;
  /** Whom the events name. */
  readonly orderer: string;
  print(text: string): void;
  complain(text: string): void;
  /** Asks the plugin; `silent`, `away`, `forbidden` or `refused` when it gives no answer. */
  ask(method: "GET" | "POST" | "DELETE", target: string, body?: object): Promise<AdminAnswer | SocketFault>;
};

/** Opens it. Asking throws a fault when there is no state directory: that is a wrong `stateDir`. */
export function openOperatorContext(options: OperatorOptions): OperatorContext {
  process.umask(0o007);
  const config = loadConfig({ file: options.config, cwd: process.env["INIT_CWD"] ?? process.cwd(), env: process.env });
  const orderer = nameOrderer(process.env["SUDO_USER"]);
  return {
    config,
    flags: options.config === undefined ? "" : ` --config ${options.config}`,
    isJson: options.json === true,
    orderer,
    print: (text) => void process.stdout.write(text),
    complain: (text) => void process.stderr.write(`keyhole: ${text}\n`),
    async ask(method, target, body) {
      requireStateDirectory(config.stateDir);
      // Who looks at a terminal for longer than that wants to know why.
      const patience = setTimeout(() => {
        if (process.stderr.isTTY === true) process.stderr.write("keyhole: waiting for the plugin…\n");
      }, 1000);
      try {
        return await askAdmin(socketPath(config.stateDir, "plugin"), { method, target, orderer, ...(body === undefined ? {} : { body }) });
      } catch (fault) {
        if (fault instanceof SocketFault) return fault;
        throw fault;
      } finally {
        clearTimeout(patience);
      }
    },
  };
}

/** Opens the one that is there. Throws as `requireStateDirectory`. */
export function openExistingState(stateDir: string): StateDirectory {
  requireStateDirectory(stateDir);
  return openStateDirectory(stateDir, "shared");
}

/** The name of the machine's user, and who became that one by sudo. */
function nameOrderer(sudoUser: string | undefined): string {
  let name = `uid ${process.getuid?.() ?? "?"}`;
  try {
    name = userInfo().username;
  } catch {
    // A user without an entry has its number.
  }
  const full = sudoUser === undefined || sudoUser === "" || sudoUser === name ? name : `${sudoUser} as ${name}`;
  return full.replace(/[^\x20-\x7e]/g, "?").slice(0, 64);
}

/** What a command says of a refusal, with how it ends. Facts such as the right checksum are told. */
export function complainRefusal(context: Pick<OperatorContext, "complain">, { code, facts }: Refusal, exit: ExitCode): ExitCode {
  const { sentence, remedy } = refusals[code];
  const expected = facts["expected"];
  // Of the API's sentences some name its fields, where a person has typed an argument.
  const words = sentence.replace(/^walletAddress\b/, "The address");
  context.complain(`${code}: ${words} ${expected === undefined ? remedy : `Did you mean ${expected}?`}`);
  return exit;
}

/** What a command says of an answer that is no success. */
export function complainProblem(context: OperatorContext, { status, body }: AdminAnswer): ExitCode {
  if (body["code"] === "NOT_FOUND") {
    context.complain("PART_UNREACHABLE: the plugin that runs does not know this order: it is of another version. Restart it.");
    return exitCodes.failed;
  }
  context.complain(`${body["code"] ?? status}: ${body["detail"] ?? "The plugin refused."} ${body["remedy"] ?? ""}`.trimEnd());
  if (status === 404) return exitCodes.notFound;
  return status === 401 || status === 403 ? exitCodes.notPermitted : exitCodes.failed;
}

/** What to do when the plugin is not running. */
export const describeStart = ({ flags }: OperatorContext): string =>
  `Start it: keyhole plugin${flags} (or everything in one process: keyhole up${flags})`;

/** What a command says when the plugin gave no answer though it may run. */
export function complainSilence(context: OperatorContext, fault: SocketFault): ExitCode {
  if (fault.kind === "forbidden") {
    context.complain("PART_UNREACHABLE: you may not ask the plugin. Run this as its user, or as one of its group.");
    return exitCodes.notPermitted;
  }
  context.complain(
    `PART_UNREACHABLE: ${fault.message}. Look at its log (keyhole status${context.flags}), and repeat this: that is harmless.`,
  );
  return exitCodes.failed;
}
