/** What each flaw of a chain means, and what to do about it, in words for whoever has to. */
import type { FlawName } from "./verify-chain.ts";

/** For each flaw: what was found, and the next step. */
export const flawWords: Readonly<Record<FlawName, { readonly means: string; readonly remedy: string }>> = {
  altered: {
    means: "the event is not the one that was signed for: its words, its time, whose it is or its place were changed.",
    remedy: "Keep the file as it is for whoever looks into it, and compare with a backup what the event said.",
  },
  missing: {
    means: "events are missing from here on: somebody deleted them, or an older file is in place.",
    remedy: "Keep the file as it is for whoever looks into it, and read the missing ones in a backup.",
  },
  "out-of-order": {
    means: "the event stands where another one was.",
    remedy: "Keep the file as it is for whoever looks into it, and compare with a backup.",
  },
  "not-signed-for": {
    means: "the event came behind the signed end: Keyhole did not write it.",
    remedy: "Believe nothing that it says; look for who can write the file.",
  },
  unsigned: {
    means: "nobody signed what the chain had come to here.",
    remedy: "Let the part that writes this file run once with its keys; if it did, somebody else wrote the end of the chain.",
  },
  "unknown-key": {
    means: "it is signed with a key that is not among the writer's.",
    remedy: "Put keys/audit-*-public back from a backup: public halves are kept for ever. If it was never there, somebody else signed.",
  },
  "bad-signature": {
    means: "the signature is not of what the chain says it had come to here.",
    remedy: "Somebody changed where the chain begins or ends: keep the file as it is, and compare with a backup.",
  },
  "no-checkpoint": {
    means: "there are events, and no signed end.",
    remedy: "Somebody deleted it: keep the file as it is, and compare with a backup.",
  },
  "rolled-back": {
    means: "the other chain has seen this one come further than it goes: an older file was put in its place, without a restore.",
    remedy: "Find out who did, and what happened since; keyhole restore puts a backup in place so that nothing revoked comes back.",
  },
  replaced: {
    means: "the other chain has seen another event here: an older file was put in place, and went on from there.",
    remedy: "Find out who did, and what happened since; keyhole restore puts a backup in place so that nothing revoked comes back.",
  },
  "key-ended": {
    means: "it is signed with a key that had been retired by then.",
    remedy: "Somebody who has the retired key signed it: keep the file as it is, and compare with a backup.",
  },
  "signed-over": {
    means: "when the part that writes this file opened it, the end before this event was not signed by its keys, though they were there.",
    remedy: "Believe nothing before it that a backup or a kept end does not say too; look for who can write the file.",
  },
  unreadable: {
    means: "the file cannot be read.",
    remedy: "The log of the part that writes it says why; put a backup in its place if it is damaged.",
  },
};
