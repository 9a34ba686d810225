// Builds stock frps and frpc where no release archive can be fetched. Nothing here is code of ours: one
// requirement, and the one replacement that frp's own go.mod makes.
module keyhole.invalid/frp-binaries

go 1.25.0

require github.com/fatedier/frp v0.71.0

replace github.com/hashicorp/yamux => github.com/fatedier/yamux v0.0.0-20250825093530-d0154be01cd6
