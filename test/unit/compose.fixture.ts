/** Reads the deployment's files as the tools that they are for do: Compose's variables, Dockerfiles, .dockerignore. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const textOf = (name: string) => readFileSync(path.join(ROOT, name), 'utf8');

export interface Service {
  image: string;
  build?: { context: string; dockerfile: string; target: string };
  user?: string;
  restart?: string;
  entrypoint?: string[];
  command?: string[];
  environment?: Record<string, string>;
  volumes?: (string | { type: string; source: string; target: string; read_only?: boolean })[];
  ports?: string[];
  profiles?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test?: string[]; disable?: boolean };
  security_opt?: string[];
  cap_drop?: string[];
  deploy?: { resources?: { limits?: { cpus?: string; memory?: string } } };
}

export interface ComposeFile {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
  networks: Record<string, unknown>;
}

/** `NAME=value` lines; the rest is comment. */
export function readEnvironment(text: string): Record<string, string> {
  const lines = text.split('\n').map((line) => /^([A-Z_]+)=(.*)$/.exec(line));
  return Object.fromEntries(lines.flatMap((match) => (match ? [[match[1] ?? '', match[2] ?? '']] : [])));
}

/** The variables that a compose file asks for: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`. */
export const variablesIn = (text: string) => [...text.matchAll(/(?<!\$)\$\{([A-Z_]+)/g)].map((match) => match[1] ?? '');

/** Compose's interpolation. @throws Error with the message of `${NAME:?message}` when that is not set */
export function interpolate(text: string, env: Record<string, string>): string {
  return text.replaceAll(
    /\$\$|\$\{([A-Z_]+)(?:(:?[-?])([^}]*))?\}/g,
    (whole, name: string, kind?: string, rest = '') => {
      if (whole === '$$') return '$';
      const value = env[name];
      const absent = kind?.startsWith(':') ? !value : value === undefined;
      if (!absent) return value ?? '';
      if (kind?.endsWith('?')) throw new Error(`${name}: ${rest}`);
      return rest;
    },
  );
}

/** docker-compose.yml, its variables filled in and its anchors merged. */
export function composeFile(env: Record<string, string>): ComposeFile {
  return parse(interpolate(textOf('docker-compose.yml'), env), { merge: true }) as ComposeFile;
}

export interface Stage {
  name: string;
  from: string;
  /** Instruction and arguments, in order. */
  lines: [instruction: string, text: string][];
}

/** The stages of a Dockerfile; comments dropped, continued lines joined. */
export function stagesOf(text: string): Stage[] {
  const logical = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const args: Record<string, string> = {};
  const stages: Stage[] = [];
  for (const line of logical) {
    const [, instruction = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    if (instruction === 'ARG' && stages.length === 0) args[rest.split('=')[0] ?? ''] = rest.split('=')[1] ?? '';
    else if (instruction === 'FROM') {
      const [image = '', , name = ''] = rest.split(/\s+/);
      stages.push({ name, from: interpolate(image, args), lines: [] });
    } else stages.at(-1)?.lines.push([instruction, rest]);
  }
  return stages;
}

/** Sources of the COPY lines that take from the build's context, not from another stage. */
export function copiedFromContext({ lines }: Stage): string[] {
  const copies = lines.filter(([instruction, text]) => instruction === 'COPY' && !text.includes('--from='));
  return copies.flatMap(([, text]) =>
    text
      .split(/\s+/)
      .filter((word) => !word.startsWith('--'))
      .slice(0, -1),
  );
}

/** Whether .dockerignore keeps a path out of the build's context: the last line that matches it, or a folder above, decides. */
export function isIgnored(file: string, ignore: string): boolean {
  const parents = file.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/'));
  let ignored = false;
  for (const line of ignore.split('\n').filter((text) => text !== '' && !text.startsWith('#'))) {
    const negated = line.startsWith('!');
    if (parents.some((parent) => patternOf(negated ? line.slice(1) : line).test(parent))) ignored = !negated;
  }
  return ignored;
}

/** `*` stays within a folder, `**` + `/` spans any number of them; both match names that begin with a dot. */
function patternOf(glob: string): RegExp {
  const escaped = glob.replaceAll(/[.+^$()|{}[\]\\]/g, '\\$&');
  const source = escaped.replaceAll(/\*\*\/|\*/g, (stars) => (stars === '*' ? '[^/]*' : '(?:.*/)?'));
  return new RegExp(`^${source}$`);
}
