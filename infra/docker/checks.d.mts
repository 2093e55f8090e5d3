/** Role of a container -> the program that it runs, from Refit's root. */
export const ROLES: Readonly<Record<'control' | 'cpu' | 'gpu' | 'all' | 'gateway', string>>;

/** The task queues that a role serves; none for the gateway. */
export function queuesOf(role: string): string[];

/** Everything that would keep a role from working, in the order in which to mend it. */
export function problemsOf(
  role: string,
  env: NodeJS.ProcessEnv,
): Promise<{ code: string; message: string; cure: string }[]>;
