/**
 * What Node's parser refused, in our words. Undefined where words would reach nobody: a connection that was reset.
 */
import type { RefusalCode } from "@keyhole/core";

export function codeOfParseError(error: { readonly code?: string; readonly rawPacket?: Buffer }): RefusalCode | undefined {
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") return "REQUEST_TIMEOUT";
  if (error.code === "HPE_HEADER_OVERFLOW") return "HEADERS_TOO_LARGE";
  // TRACK is no method to Node's parser, and a method that is not allowed to us.
  if (error.code === "HPE_INVALID_METHOD" && error.rawPacket?.subarray(0, 6).toString("latin1") === "TRACK ") return "METHOD_NOT_ALLOWED";
  return error.code?.startsWith("HPE_") === true ? "REQUEST_MALFORMED" : undefined;
}
