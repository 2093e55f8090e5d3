/** Writes the page where people look for it: `reports/<pipeline>/<asOf>-<digest>/exploration.html`. */
import type { BlobRef } from '../spec/artifacts.ts';
import type { Exploration } from '../spec/exploration.ts';
import { defineStep } from '../store/step.ts';
import { renderExploration } from './explore-page.ts';

export interface PublishExplorationInput {
  pipeline: string;
  question: string;
  asOf: string;
  figures: BlobRef;
}

/** `page`: store key of the page; its name carries the page's content, so that two pages never fight for one. */
export const publishExploration = defineStep<PublishExplorationInput, { report: BlobRef; page: string }>({
  name: 'publish-exploration',
  version: 1,
  natives: [],
  source: import.meta.url,
  async run({ figures, ...facts }, { blobs }) {
    const exploration = await blobs.json<Exploration>(figures);
    const bytes = new TextEncoder().encode(renderExploration({ ...facts, exploration }));
    const report = await blobs.putBytes(bytes);
    const page = `reports/${facts.pipeline}/${facts.asOf}-${report.sha256.slice(0, 12)}/exploration.html`;
    await blobs.objects.put(page, bytes, { create: true });
    return { report, page };
  },
});
