// Node itself and the platform: only looked at, never installed.
const OLDEST = [20, 20];

/** @param {{ version?: string, platform?: string, arch?: string, glibc?: string | undefined }} machine for tests */
export function nodePart(machine = thisMachine()) {
  return {
    name: 'node',
    title: 'Node',
    async check() {
      const [major = 0, minor = 0] = machine.version.split('.').map(Number);
      const libc = machine.platform === 'linux' ? ` (${machine.glibc ? `glibc ${machine.glibc}` : 'no glibc'})` : '';
      const detail = `Node ${machine.version} on ${machine.platform} ${machine.arch}${libc}`;
      if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
        return { ok: false, detail: `${detail} is too old`, cure: `Install Node ${OLDEST.join('.')} or newer.` };
      }
      if (machine.platform === 'linux' && !machine.glibc) {
        const cure = 'Use a distribution with glibc, such as Debian: the Temporal SDK has no build for musl (Alpine).';
        return { ok: false, detail: `${detail} cannot run Refit`, cure };
      }
      return { ok: true, detail };
    },
  };
}

function thisMachine() {
  // The report would otherwise look up host names, which takes seconds where there is no network.
  process.report.excludeNetwork = true;
  const { glibcVersionRuntime } = process.platform === 'linux' ? process.report.getReport().header : {};
  return { version: process.versions.node, platform: process.platform, arch: process.arch, glibc: glibcVersionRuntime };
}
