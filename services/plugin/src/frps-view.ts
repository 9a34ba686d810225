/** What frps's dashboard shows, as far as sessions need it. */

/** What frps says is there, at one moment. */
export type FrpsView = {
  readonly clients: readonly {
    readonly runId: string;
    readonly user: string;
    readonly isOnline: boolean;
  }[];
  /** `clientId` is the run id of the session that registered it. */
  readonly proxies: readonly { readonly name: string; readonly clientId: string; readonly isOnline: boolean }[];
};

/** Reads the dashboard; `gone` when nothing listens there, so that every session is over; throws when it is unclear. */
export type ReadFrps = () => Promise<FrpsView | "gone">;
