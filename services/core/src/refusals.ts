/**
 * The catalogue of every "no" that Keyhole says. One object, complete by its type: a code without status, sentence and
 * remedy does not compile. The manual's table is generated from it (`npm run tables`).
 *
 * `error` is the code that the public API promised first (`INVALID_SIGNATURE`, `INVALID_TIMESTAMP`, `RATE_LIMITED`,
 * `INTERNAL_ERROR`); where the promise is silent it is the fine code itself. Sentences are ASCII and short: the hook's
 * reason (`CODE: sentence Remedy`) must fit 200 characters, and frpc prints it as it is.
 */

/** Who says it: the token service, the hook (frpc prints it), the edge, or the admin API (operators alone hear it). */
export type RefusalVoice = "token" | "hook" | "edge" | "admin";

/** One row of the catalogue. */
export type RefusalEntry = {
  /** HTTP status at the token service or the edge; the hook always answers 200. */
  readonly status: number;
  /** The code promised by the public API, where it promised one. */
  readonly error?: "INVALID_SIGNATURE" | "INVALID_TIMESTAMP" | "RATE_LIMITED" | "INTERNAL_ERROR";
  /** What is wrong, as one sentence with its full stop. */
  readonly sentence: string;
  /** The next step of whoever reads it, as one sentence with its full stop. */
  readonly remedy: string;
  readonly voices: readonly RefusalVoice[];
  /** Seconds for `Retry-After`, where coming back helps. */
  readonly retryAfterSeconds?: number;
};

const catalogue = {
  // What was asked of the token service
  BODY_TOO_LARGE: {
    status: 413,
    error: "INVALID_SIGNATURE",
    sentence: "The request body is larger than allowed.",
    remedy: "Send only the fields that /openapi.json names.",
    voices: ["token", "admin"],
  },
  CONTENT_TYPE_UNSUPPORTED: {
    status: 415,
    error: "INVALID_SIGNATURE",
    sentence: "The request body is not declared as JSON.",
    remedy: "Send Content-Type: application/json.",
    voices: ["token", "admin"],
  },
  CONTENT_ENCODING_UNSUPPORTED: {
    status: 415,
    error: "INVALID_SIGNATURE",
    sentence: "The request body is packed.",
    remedy: "Send it as it is, without Content-Encoding.",
    voices: ["token", "admin"],
  },
  BODY_INVALID_JSON: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The request body is not valid JSON.",
    remedy: "Send one JSON object in UTF-8.",
    voices: ["token", "admin"],
  },
  BODY_NOT_OBJECT: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The request body is JSON, but not an object.",
    remedy: "Send the object that /openapi.json describes.",
    voices: ["token", "admin"],
  },
  BODY_DUPLICATE_KEY: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The request body names a field twice.",
    remedy: "Name each field once.",
    voices: ["token", "admin"],
  },
  UNKNOWN_FIELD: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The request body has a field that this endpoint does not know.",
    remedy: "Send only the fields that /openapi.json names.",
    voices: ["token", "admin"],
  },
  BODY_TIMEOUT: {
    status: 408,
    error: "INVALID_SIGNATURE",
    sentence: "The request body did not arrive in time.",
    remedy: "Send the whole body at once.",
    voices: ["token"],
  },
  WALLET_REQUIRED: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "walletAddress is missing or not a string.",
    remedy: "Send the address of the wallet that signed, as text.",
    voices: ["token", "admin"],
  },
  WALLET_FORMAT: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The wallet address is not one we know the form of.",
    remedy: "Use 0x and 40 hexadecimal digits, or a Stellar account in upper case, G and 55 characters.",
    voices: ["token", "admin"],
  },
  WALLET_CHECKSUM: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The wallet address has a wrong checksum, so a character is likely mistyped.",
    remedy: "Copy the address again; an EVM address may also be written all in lower case.",
    voices: ["token", "admin"],
  },
  WALLET_KIND_UNSUPPORTED: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "This kind of address cannot sign, so it cannot hold a tunnel.",
    remedy: "Use an EVM wallet (0x and 40 hexadecimal digits) or a Stellar account (G and 55 characters).",
    voices: ["token", "admin"],
  },
  WALLET_RESERVED: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "Nobody holds the key of this address: it is the zero address or a precompile.",
    remedy: "Use the address of your own wallet.",
    voices: ["token", "admin"],
  },
  WALLET_WEAK_KEY: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "Anybody can sign for this account: its key is a point of small order, or not a canonical one.",
    remedy: "Use the account of a wallet that makes its own key.",
    voices: ["token", "admin"],
  },
  TIMESTAMP_REQUIRED: {
    status: 400,
    error: "INVALID_TIMESTAMP",
    sentence: "timestamp is missing.",
    remedy: "Send the Unix time in seconds that the wallet signed.",
    voices: ["token"],
  },
  TIMESTAMP_TYPE: {
    status: 400,
    error: "INVALID_TIMESTAMP",
    sentence: "timestamp is not a whole number of seconds since 1970.",
    remedy: "Send Unix seconds as a JSON number, not milliseconds and not text.",
    voices: ["token"],
  },
  TIMESTAMP_STALE: {
    status: 400,
    error: "INVALID_TIMESTAMP",
    sentence: "timestamp is too old.",
    remedy: "Set the clock right, or use serverTime, and sign again.",
    voices: ["token"],
  },
  TIMESTAMP_IN_FUTURE: {
    status: 400,
    error: "INVALID_TIMESTAMP",
    sentence: "timestamp is too far in the future.",
    remedy: "Set the clock right, or use serverTime, and sign again.",
    voices: ["token"],
  },
  SIGNATURE_REQUIRED: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "signature is missing or not a string.",
    remedy: "Send the wallet's signature of the message, as text.",
    voices: ["token"],
  },
  SIGNATURE_FORMAT: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The signature does not have the form of one.",
    remedy: "EVM: 0x and 130 hexadecimal digits, v being 27 or 28. Stellar: 64 bytes in base64 or hexadecimal.",
    voices: ["token"],
  },
  SIGNATURE_LENGTH: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The signature has a wrong number of bytes.",
    remedy: "Send r, s and v of an EVM signature (65 bytes, not compact), or the 64 bytes of a Stellar one.",
    voices: ["token"],
  },
  SIGNATURE_NON_CANONICAL: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The signature's s is in the upper half of the curve order.",
    remedy: "Use a wallet that signs with low s (EIP-2).",
    voices: ["token", "hook"],
  },
  SIGNATURE_INVALID: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The signature is not one of this key over this text.",
    remedy: "Sign exactly the documented text; a Stellar wallet signs it as SEP-53 says.",
    voices: ["token", "hook"],
  },
  SIGNATURE_KIND_UNSUPPORTED: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "Signatures of contract wallets (ERC-6492) are not accepted here.",
    remedy: "Sign with the key of an EVM account or a Stellar account.",
    voices: ["token"],
  },
  SIGNER_MISMATCH: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The signature is of another wallet, or over another text.",
    remedy: "Sign exactly the documented text with the wallet that is named in it.",
    voices: ["token", "hook"],
  },
  PROOF_TWICE: {
    status: 400,
    error: "INVALID_SIGNATURE",
    sentence: "The request carries two proofs.",
    remedy: "Send either a signed body or Authorization: Bearer, not both.",
    voices: ["token"],
  },
  PROOF_ALREADY_USED: {
    status: 400,
    error: "INVALID_TIMESTAMP",
    sentence: "This proof has already been used.",
    remedy: "Sign again with a new timestamp.",
    voices: ["token"],
  },
  TOKENS_TOO_FAST: {
    status: 429,
    error: "RATE_LIMITED",
    sentence: "This wallet asks for tokens faster than one a second.",
    remedy: "Wait as long as Retry-After says, then sign again.",
    voices: ["token"],
    retryAfterSeconds: 2,
  },
  RATE_LIMITED: {
    status: 429,
    error: "RATE_LIMITED",
    sentence: "Too many requests came from this address or for this wallet.",
    remedy: "Wait, as long as Retry-After says where there is one, and try again.",
    voices: ["token", "hook", "admin"],
    retryAfterSeconds: 60,
  },
  BUSY: {
    status: 503,
    error: "INTERNAL_ERROR",
    sentence: "The service has as much to do as it can.",
    remedy: "Try again in a second; frpc does so by itself.",
    voices: ["token", "hook"],
    retryAfterSeconds: 1,
  },
  IDEMPOTENCY_KEY_MALFORMED: {
    status: 400,
    sentence: "Idempotency-Key is not 1 to 255 printable ASCII characters.",
    remedy: "Send a fresh UUID with each new request, and the same one with its repeats.",
    voices: ["token"],
  },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    sentence: "This Idempotency-Key came with another request less than a minute ago.",
    remedy: "Send a fresh key with each new request.",
    voices: ["token"],
  },
  TOKEN_TYPE_UNKNOWN: {
    status: 400,
    sentence: "tokenType is neither hmac nor jwt.",
    remedy: 'Leave it out, or send "hmac" or "jwt".',
    voices: ["token"],
  },
  QUERY_MALFORMED: {
    status: 400,
    sentence: "A query parameter is unknown, stands twice or has a value that is not allowed.",
    remedy: "See /openapi.json for what each parameter takes.",
    voices: ["token", "admin"],
  },
  NOT_FOUND: {
    status: 404,
    sentence: "There is nothing at this path.",
    remedy: "See /openapi.json for what there is.",
    voices: ["token", "admin"],
  },
  NOT_READY: {
    status: 503,
    error: "INTERNAL_ERROR",
    sentence: "The service is not ready yet.",
    remedy: "Come back when Retry-After says.",
    voices: ["token"],
    retryAfterSeconds: 2,
  },
  STORE_UNAVAILABLE: {
    status: 503,
    error: "INTERNAL_ERROR",
    sentence: "Our records cannot be read or written at the moment.",
    remedy: "Try again in a few seconds; nothing was lost.",
    voices: ["token", "hook", "admin"],
    retryAfterSeconds: 5,
  },
  INTERNAL_ERROR: {
    status: 500,
    error: "INTERNAL_ERROR",
    sentence: "We failed; the fault is ours.",
    remedy: "Try again, and report the request id if it stays.",
    voices: ["token", "hook", "edge", "admin"],
  },

  // What is wrong with a Stellar JWT, at the token service or at Login
  JWT_MALFORMED: {
    status: 401,
    error: "INVALID_SIGNATURE",
    sentence: "The JWT is not a strict compact JWS with the claims iss, sub, aud, iat and exp.",
    remedy: "Send what the signer made, unchanged: three parts in base64url.",
    voices: ["token", "hook"],
  },
  JWT_ALGORITHM: {
    status: 401,
    error: "INVALID_SIGNATURE",
    sentence: "The JWT is not signed with EdDSA.",
    remedy: 'Sign with the Ed25519 key of the account: "alg":"EdDSA".',
    voices: ["token", "hook"],
  },
  JWT_ISSUER: {
    status: 401,
    error: "INVALID_SIGNATURE",
    sentence: "The JWT was made by another kind of issuer.",
    remedy: 'Set iss to "hvym_tunnler", as HVYM clients do.',
    voices: ["token", "hook"],
  },
  JWT_AUDIENCE: {
    status: 401,
    error: "INVALID_SIGNATURE",
    sentence: "The JWT was made for another server.",
    remedy: "Use server_address of GET /info as aud.",
    voices: ["token", "hook"],
  },
  JWT_KEY_MISMATCH: {
    status: 401,
    error: "INVALID_SIGNATURE",
    sentence: "kid and sub of the JWT name different keys.",
    remedy: "Leave kid out, or set it to sub.",
    voices: ["token", "hook"],
  },
  JWT_LIFE_TOO_LONG: {
    status: 401,
    error: "INVALID_SIGNATURE",
    sentence: "The JWT is good for longer than an hour.",
    remedy: "Sign one whose exp is at most 3600 s after iat.",
    voices: ["token", "hook"],
  },
  JWT_EXPIRED: {
    status: 401,
    error: "INVALID_TIMESTAMP",
    sentence: "Token expired.",
    remedy: "Sign a new JWT.",
    voices: ["token", "hook"],
  },
  JWT_NOT_YET_VALID: {
    status: 401,
    error: "INVALID_TIMESTAMP",
    sentence: "The JWT was issued in the future.",
    remedy: "Set the clock right, and sign again.",
    voices: ["token", "hook"],
  },

  // What the hook says to frpc at Login
  LOGIN_MALFORMED: {
    status: 400,
    sentence: "The login has a field of a wrong type or size.",
    remedy: "Use stock frpc with a configuration from the token service.",
    voices: ["hook"],
  },
  CREDENTIAL_MISSING: {
    status: 401,
    sentence: "No tunnel token came with the login.",
    remedy: "Set metadatas.token in frpc.toml, or what your kind of client sends instead.",
    voices: ["hook"],
  },
  CREDENTIAL_TWICE: {
    status: 400,
    sentence: "More than one credential came with the login.",
    remedy: "Keep one in frpc.toml and delete the others.",
    voices: ["hook"],
  },
  CREDENTIAL_MISPLACED: {
    status: 400,
    sentence: "The credential is in the place of another kind.",
    remedy: "A tunnel token goes into metadatas.token, a Stellar JWT into metadatas.jwt, a claim into metadatas.auth_claim.",
    voices: ["hook"],
  },
  CLIENT_TOO_OLD: {
    status: 400,
    sentence: "This frpc is too old, or does not say its version.",
    remedy: "Use frpc 0.58.0 or newer.",
    voices: ["hook"],
  },
  POOL_COUNT: {
    status: 400,
    sentence: "transport.poolCount is negative.",
    remedy: "Delete it from frpc.toml.",
    voices: ["hook"],
  },
  CREDENTIAL_IN_AUTH_TOKEN: {
    status: 401,
    sentence: "auth.token is set, and frp cannot carry a tunnel token there.",
    remedy: "Delete auth.token and put the token in metadatas.token.",
    voices: ["hook"],
  },
  TOKEN_MALFORMED: {
    status: 401,
    sentence: "metadatas.token does not have the form of a tunnel token.",
    remedy: "Copy the whole token, frp_ included, or ask for a new one.",
    voices: ["hook"],
  },
  TOKEN_SIGNATURE: {
    status: 401,
    sentence: "The tunnel token was not issued here, or was altered.",
    remedy: "Ask this service for a new one.",
    voices: ["hook"],
  },
  TOKEN_FILE_MALFORMED: {
    status: 401,
    sentence: "The token file does not hold a whole tunnel JWT.",
    remedy: "Ask for a token with tokenType jwt, and replace the file by a rename.",
    voices: ["hook"],
  },
  TOKEN_KEY_UNKNOWN: {
    status: 401,
    sentence: "The key that signed the tunnel token is not, or no longer, one of ours.",
    remedy: "Sign again and ask for a new one.",
    voices: ["hook"],
  },
  TOKEN_NOT_YET_VALID: {
    status: 401,
    sentence: "The tunnel token was issued in the future.",
    remedy: "Ask for a new one; the server's clock was set back.",
    voices: ["hook"],
  },
  TOKEN_EXPIRED: { status: 401, sentence: "Token expired.", remedy: "Sign again and ask for a new one.", voices: ["hook"] },
  TOKEN_REVOKED: {
    status: 401,
    sentence: "The tunnel token has been revoked.",
    remedy: "Sign again and ask for a new one.",
    voices: ["token", "hook"],
  },
  CLAIM_MALFORMED: {
    status: 400,
    sentence: "Missing claim or signature, or one that does not have the form of it.",
    remedy: "Send metadatas.wallet, owner, run_id, auth_claim and auth_sig as the personal server does.",
    voices: ["hook"],
  },
  CLAIM_AUDIENCE: {
    status: 401,
    sentence: "The claim was signed for another service.",
    remedy: "Sign one for this service's aud.",
    voices: ["hook"],
  },
  CLAIM_INCONSISTENT: {
    status: 401,
    sentence: "The claim says something else than the login it came with.",
    remedy: "Sign a claim with the metadatas as sent.",
    voices: ["hook"],
  },
  CLAIM_EXPIRED: { status: 401, sentence: "Token expired.", remedy: "Sign a new claim and restart frpc.", voices: ["hook"] },
  CLOCK_SKEW: {
    status: 401,
    sentence: "Token issued in the future.",
    remedy: "Set this computer's clock right, and sign a new claim.",
    voices: ["hook"],
  },
  CLAIM_LIFE_TOO_LONG: {
    status: 401,
    sentence: "The claim is good for longer than ten minutes.",
    remedy: "Sign one whose exp is 300 s after iat.",
    voices: ["hook"],
  },
  CREDENTIAL_OUTDATED: {
    status: 409,
    sentence: "A newer credential of this wallet has been here.",
    remedy: "Stop this frpc: a newer one has taken its place.",
    voices: ["hook"],
  },
  SERVER_NOT_REGISTERED: {
    status: 403,
    sentence: "Signer is not a registered server.",
    remedy: "Register the server with its owner's wallet first.",
    voices: ["hook"],
  },
  SERVER_REVOKED: {
    status: 403,
    sentence: "The owner has revoked this server.",
    remedy: "Register it again with its owner's wallet.",
    voices: ["hook"],
  },
  GATEWAY_PENDING: {
    status: 503,
    sentence: "The registry of servers is still being asked.",
    remedy: "Wait; frpc tries again by itself.",
    voices: ["hook"],
    retryAfterSeconds: 1,
  },
  GATEWAY_UNAVAILABLE: {
    status: 503,
    sentence: "The registry of servers cannot be asked, and this claim needs its word.",
    remedy: "Wait; frpc tries again by itself.",
    voices: ["hook"],
    retryAfterSeconds: 5,
  },
  USER_MISMATCH: {
    status: 403,
    sentence: "user in frpc.toml is not the label that the token is for.",
    remedy: "Set user to the subdomain of the token answer, or delete it.",
    voices: ["hook"],
  },
  NEWER_CREDENTIAL_IN_USE: {
    status: 409,
    sentence: "A client with a newer token serves this address.",
    remedy: "Sign again to take over.",
    voices: ["hook"],
  },
  REPLACED_BY_NEWER_CLIENT: {
    status: 409,
    sentence: "A newer client of the same wallet serves this address.",
    remedy: "Stop this client, or restart it to take over.",
    voices: ["hook"],
  },
  CLIENT_GONE: {
    status: 409,
    sentence: "This client has left before its login could be decided.",
    remedy: "Wait; frpc logs in again by itself.",
    voices: ["hook"],
  },
  EDGE_SILENT: {
    status: 503,
    sentence: "The front door of this service does not answer.",
    remedy: "Wait; frpc tries again by itself.",
    voices: ["hook"],
    retryAfterSeconds: 1,
  },
  STARTING_UP: {
    status: 503,
    sentence: "The service has just started and does not know yet who is connected.",
    remedy: "Wait; frpc tries again by itself.",
    voices: ["hook"],
    retryAfterSeconds: 1,
  },
  HANDOVER_PENDING: {
    status: 503,
    sentence: "The former client of this address is still being disconnected.",
    remedy: "Wait; frpc tries again by itself.",
    voices: ["hook"],
    retryAfterSeconds: 1,
  },

  // What the hook says to whoever is not frps
  HOOK_UNAUTHORIZED: {
    status: 401,
    sentence: "This is frps's hook, and the caller did not prove to be frps.",
    remedy: "Only the frps that Keyhole started may call it.",
    voices: ["hook"],
  },
  OP_UNEXPECTED: {
    status: 400,
    sentence: "This is not an operation that frps was told to ask about.",
    remedy: "Let Keyhole render frps.toml: Login, NewProxy and CloseProxy are hooked.",
    voices: ["hook"],
  },

  OP_MISMATCH: {
    status: 400,
    sentence: "The operation in the query is not the one in the body.",
    remedy: "Only the frps that Keyhole started may call this.",
    voices: ["hook"],
  },

  // What the hook says to frpc at NewProxy
  PROXY_MALFORMED: {
    status: 400,
    sentence: "The proxy has a field of a wrong type or size.",
    remedy: "Use stock frpc with a configuration from the token service.",
    voices: ["hook"],
  },
  PROXY_TYPE: { status: 403, sentence: "Only proxies of type http are served.", remedy: 'Set type = "http".', voices: ["hook"] },
  PROXY_NAME: {
    status: 403,
    sentence: "The proxy name could take one that another wallet needs.",
    remedy: "Set user to the subdomain of the token answer; then any name will do.",
    voices: ["hook"],
  },
  PROXY_NAME_SHARED: {
    status: 403,
    sentence: "Every wallet would use this proxy name.",
    remedy: 'Set name = "personal-server-<wallet in lower case>", or user to the subdomain of the token answer.',
    voices: ["hook"],
  },
  CUSTOM_DOMAIN_FORBIDDEN: {
    status: 403,
    sentence: "customDomains are not served: a wallet's address is its host.",
    remedy: "Delete customDomains and set subdomain.",
    voices: ["hook"],
  },
  LOCATIONS_FORBIDDEN: {
    status: 403,
    sentence: "locations are not served: an address belongs to one app as a whole.",
    remedy: "Delete locations.",
    voices: ["hook"],
  },
  GROUP_FORBIDDEN: {
    status: 403,
    sentence: "loadBalancer groups are not served.",
    remedy: "Delete loadBalancer.",
    voices: ["hook"],
  },
  HOST_REWRITE_FORBIDDEN: {
    status: 403,
    sentence: "hostHeaderRewrite is not served.",
    remedy: "Delete it; the app sees the host that visitors use.",
    voices: ["hook"],
  },
  RESPONSE_HEADERS_FORBIDDEN: {
    status: 403,
    sentence: "responseHeaders are not served.",
    remedy: "Delete them, and set the headers in the app.",
    voices: ["hook"],
  },
  TRANSPORT_OPTION: {
    status: 403,
    sentence: "transport.useEncryption and useCompression are not served.",
    remedy: "Delete both: the connection is encrypted already.",
    voices: ["hook"],
  },
  ANNOTATIONS_FORBIDDEN: {
    status: 403,
    sentence: "annotations are not served.",
    remedy: "Delete them from the proxy.",
    voices: ["hook"],
  },
  PROXY_FIELD: {
    status: 403,
    sentence: "The proxy sets an option that is not served here.",
    remedy: "Delete it from frpc.toml.",
    voices: ["hook"],
  },
  PROXY_LIMIT: {
    status: 403,
    sentence: "This client already has as many proxies as one address can use.",
    remedy: "Keep one proxy.",
    voices: ["hook"],
  },
  SUBDOMAIN_NOT_OWNED: {
    status: 403,
    sentence: "subdomain is not the label that the token is for.",
    remedy: "Set subdomain to the subdomain of the token answer.",
    voices: ["hook"],
  },
  SESSION_UNKNOWN: {
    status: 409,
    sentence: "This client has no session here.",
    remedy: "Wait; frpc logs in again by itself.",
    voices: ["hook"],
  },
  SESSION_ENDED: {
    status: 409,
    sentence: "The session of this client has ended.",
    remedy: "Wait; frpc logs in again by itself.",
    voices: ["hook"],
  },

  // What a visitor is told by the edge
  TUNNEL_OFFLINE: {
    status: 503,
    sentence: "The app behind this address is not connected.",
    remedy: "Come back when its owner has started it.",
    voices: ["edge"],
    retryAfterSeconds: 15,
  },
  HANDOVER_IN_PROGRESS: {
    status: 503,
    sentence: "The app behind this address is just reconnecting.",
    remedy: "Send the request again.",
    voices: ["edge"],
    retryAfterSeconds: 1,
  },
  APP_TIMEOUT: {
    status: 504,
    sentence: "The app behind this address did not answer in time.",
    remedy: "Try again later, or ask its owner.",
    voices: ["edge"],
    retryAfterSeconds: 15,
  },
  APP_UNREACHABLE: {
    status: 502,
    sentence: "The tunnel is up, but the app behind it does not answer.",
    remedy: "Its owner should start the app on the local port that frpc forwards to.",
    voices: ["edge"],
    retryAfterSeconds: 5,
  },
  ADDRESS_BLOCKED: {
    status: 403,
    sentence: "This address is blocked by the operator.",
    remedy: "Ask the operator of this service.",
    voices: ["edge", "hook", "token"],
  },
  NETWORK_BLOCKED: {
    status: 403,
    sentence: "The network that this comes from is blocked by the operator.",
    remedy: "Ask the operator of this service.",
    voices: ["edge", "hook"],
  },
  UNKNOWN_HOST: {
    status: 404,
    sentence: "This name is not a wallet's address.",
    remedy: "Use the whole address in lower case, right below the domain.",
    voices: ["edge"],
  },
  HOST_NOT_SERVED: {
    status: 421,
    sentence: "This server does not serve that domain.",
    remedy: "Check the Host header and the DNS entry.",
    voices: ["edge", "admin"],
  },
  HOST_INVALID: {
    status: 400,
    sentence: "The Host header is missing, given twice or not a host name.",
    remedy: "Send exactly one Host header with a host name.",
    voices: ["edge"],
  },
  REQUEST_MALFORMED: {
    status: 400,
    sentence: "The request is not well-formed HTTP.",
    remedy: "Send the request in origin form with valid headers.",
    voices: ["edge", "token", "admin"],
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    sentence: "The request headers are larger than allowed.",
    remedy: "Send fewer or shorter headers or cookies.",
    voices: ["edge", "token", "admin"],
  },
  EXPECTATION_FAILED: {
    status: 417,
    sentence: "The Expect header asks for something that cannot be met.",
    remedy: "Send Expect: 100-continue or none.",
    voices: ["edge"],
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    sentence: "This method is not allowed here.",
    remedy: "Use a method that the Allow header names.",
    voices: ["edge", "token", "admin"],
  },
  REQUEST_TIMEOUT: {
    status: 408,
    sentence: "The request did not arrive in time.",
    remedy: "Send the whole header block at once.",
    voices: ["edge", "token", "admin"],
  },
  SERVICE_UNAVAILABLE: {
    status: 503,
    error: "INTERNAL_ERROR",
    sentence: "The token service does not answer.",
    remedy: "Try again in a few seconds; live tunnels are not affected.",
    voices: ["edge"],
    retryAfterSeconds: 5,
  },
  // What an operator is told by the admin API
  ADMIN_UNAUTHORIZED: {
    status: 401,
    sentence: "The key of the admin port is missing or wrong.",
    remedy: "Send Authorization: Bearer with the text of the file that admin.keyFile names.",
    voices: ["admin"],
  },
  ADMIN_FROM_BROWSER: {
    status: 403,
    sentence: "A browser sent this, and no web page may order anything here.",
    remedy: "Call the admin port from a program: without Origin and Sec-Fetch-Site.",
    voices: ["admin"],
  },
  SESSION_NOT_FOUND: {
    status: 404,
    sentence: "No such session lives now.",
    remedy: "See which do: keyhole sessions list.",
    voices: ["admin"],
  },
  BLOCK_NOT_FOUND: {
    status: 404,
    sentence: "No such block is in force.",
    remedy: "See which are: keyhole blocks.",
    voices: ["admin"],
  },
  SUBJECT_MALFORMED: {
    status: 400,
    sentence: "This is neither a wallet's address nor a network that may be blocked.",
    remedy: "Send an address, or a network of /8 or narrower (IPv6: /16).",
    voices: ["admin"],
  },
  FIELD_MALFORMED: {
    status: 400,
    sentence: "A field has a value that is not allowed.",
    remedy: "See /openapi.json for what each field takes.",
    voices: ["admin"],
  },
  ORDERER_MALFORMED: {
    status: 400,
    sentence: "Keyhole-Operator is not 1 to 64 printable ASCII characters.",
    remedy: "Send the name of who orders it, or leave it out.",
    voices: ["admin"],
  },
} as const satisfies Record<string, RefusalEntry>;

/** A code of the catalogue. */
export type RefusalCode = keyof typeof catalogue;

/** The catalogue, a row a code, in reading order. */
export const refusals: { readonly [Code in RefusalCode]: RefusalEntry } = catalogue;

/** Every code, in the catalogue's order. */
export const refusalCodes = Object.keys(catalogue) as readonly RefusalCode[];

/**
 * An RFC 9457 problem document, as the token service and the edge send it (`application/problem+json`).
 * `requestId` repeats the `X-Request-Id` of the answer.
 */
export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly error: string;
  readonly code: RefusalCode;
  readonly remedy: string;
  readonly requestId: string;
  readonly [fact: string]: unknown;
};

/** Words of each status (RFC 9110 §15 and RFC 6585), the title of a problem. */
const statusTitles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  417: "Expectation Failed",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** Renders a refusal for HTTP. Facts become members of the document; they cannot replace the standard ones. */
export function describeProblem(refusal: { code: RefusalCode; facts?: Readonly<Record<string, unknown>> }, requestId: string): Problem {
  const entry = refusals[refusal.code];
  return {
    ...refusal.facts,
    type: "about:blank",
    title: statusTitles[entry.status] ?? "Error",
    status: entry.status,
    detail: entry.sentence,
    instance: `urn:keyhole:request:${requestId}`,
    error: entry.error ?? refusal.code,
    code: refusal.code,
    remedy: entry.remedy,
    requestId,
  };
}

/**
 * Renders a refusal as the one line that frpc prints: `CODE: sentence Remedy`. Printable ASCII, at most 200 characters,
 * never empty (an empty reason means success to frpc).
 */
export function describeReason(code: RefusalCode, facts: Readonly<Record<string, string | number>> = {}): string {
  const entry = refusals[code];
  const told = Object.entries(facts).map(([name, value]) => `${name}: ${value}`);
  return `${code}: ${entry.sentence} ${entry.remedy}${told.length === 0 ? "" : ` (${told.join(", ")})`}`;
}
