/**
 * Cuts a URL into path and query, as they were written. No decoding: `/v1/tunnel/%74oken` is another path than
 * `/v1/tunnel/token`, so that a limit on a path upstream cannot be gone around. No `new URL` either: it throws for hosts
 * such as `1.2.3.4.5`, which the adapter lets pass.
 */
export function cutTarget(url: string): { readonly path: string; readonly query: string } {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const target = (start < 0 ? "/" : url.slice(start)).split("#", 1)[0] ?? "/";
  const mark = target.indexOf("?");
  return mark < 0 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}
