#!/usr/bin/env node
// What `npx keyhole` runs: the launcher of the checkout, which brings the Node that our TypeScript needs.
import "../../scripts/keyhole.mjs";
