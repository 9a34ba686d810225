/** frp's login key (frp's pkg/util/util.go, GetAuthKey): what `privilege_key` of a Login is when frpc has `auth.token`. */
import { createHash } from "node:crypto";

/** md5 of the token followed by the timestamp in decimal digits, in hexadecimal. md5 is frp's choice; nothing of ours rests on it. */
export function deriveLoginKey(token: string, timestamp: number): string {
  return createHash("md5").update(`${token}${timestamp}`).digest("hex");
}
