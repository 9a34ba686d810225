/** The types of `read-flags.mjs`. */
type Flag = {
  readonly type: "string" | "boolean";
  readonly default?: string | boolean;
  readonly least?: number;
  readonly oneOf?: readonly string[];
};
type ValueOf<F extends Flag> = F extends { least: number } ? number : F extends { type: "boolean" } ? boolean : string;
type Values<Flags extends Record<string, Flag>> = {
  [Name in keyof Flags]: ValueOf<Flags[Name]> | (Flags[Name] extends { default: string | boolean } ? never : undefined);
};

export declare function refuseUsage(name: string, problem: string): never;
export declare function readFlags<const Flags extends Record<string, Flag>>(
  name: string,
  usage: string,
  options: Flags,
  more?: { readonly allowPositionals?: boolean },
): { readonly values: Values<Flags>; readonly positionals: string[] };
