import { writeSync } from 'node:fs';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** Ends a test run with `12 passed, 0 failed` alone on a line; `, 1 skipped (why)` follows where tests were skipped. */
export default class ClosingLine implements Reporter {
  #atExit = false;
  #line = '';

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const cases = modules.flatMap((module) => [...module.children.allTests()]);
    const states = cases.map((test) => test.result().state);
    // A file that does not load has no tests, and an error outside of tests belongs to none: each counts as one failure.
    const broken = modules.filter((module) => module.errors().length > 0).length + errors.length;
    const passed = states.filter((state) => state === 'passed').length;
    const failed = states.filter((state) => state === 'failed').length + broken;
    const unfinished = states.filter((state) => state === 'pending').length;
    this.#line = `${passed} passed, ${failed + unfinished} failed${skippedPart(cases)}`;
    if (this.#atExit) return;
    // Vitest goes on printing after this; on exit the line is sure to be the last one.
    this.#atExit = true;
    process.once('exit', () => writeSync(1, `${this.#line}\n`));
  }
}

function skippedPart(cases: readonly TestCase[]): string {
  const results = cases.map((test) => test.result()).filter((result) => result.state === 'skipped');
  if (results.length === 0) return '';
  const reasons = [...new Set(results.map((result) => result.note ?? 'no reason given'))];
  return `, ${results.length} skipped (${reasons.join('; ')})`;
}
