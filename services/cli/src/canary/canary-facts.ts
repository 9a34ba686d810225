/** What `keyhole status` says of the canary, beside the supervisor that it flies with. */
import type { CanaryReport, CanaryStage } from "@keyhole/token";
import type { PartFacts } from "../sockets/part-status.ts";

const problems: Readonly<Record<CanaryStage, string>> = {
  token: "the canary gets no token through the edge: nobody may. Is the token service running? Its log says why.",
  login:
    "the canary's frpc is not let in, or its tunnel does not come up: new clients may not be either. Look at the plugin's log, and at frps.",
  edge: "the edge does not answer the canary: visitors and clients may not reach it. Is the edge running?",
  answer: "the canary's page is not answered through its tunnel: visitors may not reach their apps. Look at frps, and at the edge's log.",
};

/** Adds the canary's finding to a part's facts; nothing before there is one. */
export function withCanaryFacts(facts: PartFacts, report: CanaryReport | undefined, now: Date): PartFacts {
  if (report === undefined) return facts;
  const { ok, stage, lastOkAt, ms } = report;
  const age =
    lastOkAt === undefined
      ? "never answered"
      : `last answered ${Math.max(0, Math.round((now.getTime() - lastOkAt.getTime()) / 1000))} s ago`;
  return {
    ...facts,
    // It is one of the sessions and tunnels that the plugin counts: whoever reads the figures must see it.
    summary: `${facts.summary}; the canary ${ok ? "is answered" : `fails (${stage})`}`,
    facts: { ...facts.facts, canary: ok ? `answered in ${(ms ?? 0).toFixed(1)} ms` : `fails (${stage}), ${age}` },
    problems: stage === undefined ? facts.problems : [...facts.problems, problems[stage]],
  };
}
