// The package types its root only; the native entry has the same shape. The root import is never used: where the native
// module does not load it falls back, silently, to a JavaScript implementation with a history of advisories.
declare module "secp256k1/bindings.js" {
  import secp256k1 = require("secp256k1");
  export default secp256k1;
}
