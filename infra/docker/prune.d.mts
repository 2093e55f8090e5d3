/** A package of npm's lock file, as far as it matters here. */
interface Locked {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

/** Paths of the named packages and of all that they need. @throws Error when a named package is not installed */
export function needed(packages: Record<string, Locked>, names: readonly string[]): Set<string>;
