/** The part of the evaluation page that tells of transforms and selection. */
import { expect, test } from 'vitest';
import { renderReport } from '../../core/evaluation/report-page.ts';
import { reportInput } from './report.fixture.ts';

const input = reportInput();
const text = (source: string) => source.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ');

test('a page without transforms and selection does not speak of them', () => {
  expect(renderReport(input)).not.toMatch(/<h2>(Transforms|Feature selection)/);
});

test('the page shows what was fitted, what was dropped and why', () => {
  const page = renderReport({
    ...input,
    transforms: {
      inputs: [],
      columns: [{ name: 'x', kind: 'number', view: 'v' }],
      stages: [
        { op: 'impute', items: [{ column: 'engine', to: 'engine', fill: '<none>' }] },
        { op: 'affine', items: [{ column: 'x', to: 'x_scaled', shift: 2.5, scale: 4 }] },
        { op: 'product', items: [{ left: 'a', right: 'b', to: 'a_x_b' }] },
      ],
    },
    selection: {
      kept: ['x'],
      dropped: [
        { column: 'y', by: 'correlation', value: 0.991, with: 'x' },
        { column: 'z', by: 'elimination', value: 0.02 },
      ],
      rounds: [
        { columns: 2, logLoss: 0.4321, dropped: ['z'] },
        { columns: 1, logLoss: 0.4322, dropped: [] },
      ],
      inputs: ['x'],
      unused: ['y', 'z'],
    },
  });
  expect(page).not.toContain('<none>');
  const shown = text(page);
  expect(shown).toContain('x_scaled = (x − 2.5) / 4');
  expect(shown).toContain('a_x_b = a × b');
  expect(shown).toContain('1 of 3 columns stay');
  expect(shown).toContain('The model does not need y, z any more.');
  expect(shown).toMatch(/y correlation of 0\.9910 with x/);
  expect(shown).toMatch(/z 2(\.0)? % of the gain, eliminated/);
  expect(shown).toMatch(/2 0\.4321 1 0\.4322/);
});
