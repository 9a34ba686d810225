/** Where the canary's frpc comes from where all of 127/8 is this machine, as on Linux: limits count this address and nobody else's. */
export const canaryAddress = "127.75.72.1";
