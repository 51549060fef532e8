// Studio: the pipelines of examples/, brought as files, run and judged in the editor.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { at, base, ended, prepare, press, step } from './lib/studio.mjs';

const example = (name) => new URL(`../../examples/${name}`, import.meta.url);

/** The figures of a step that judged, as its report shows them; `asks`: a run has parameters. */
async function judge(t, name, file, node, figure, asks) {
  const { page } = t;
  await t.api('PUT', `${base}/volumes/data/files/${file}`, readFileSync(example(`data/${file}`), 'utf8'));
  await t.api('DELETE', `${base}/pipelines/${name}`).catch(() => undefined);
  await page.goto(at(t, '/pipelines'));
  await press(page, 'New pipeline');
  await page.getByRole('radio', { name: 'A file (YAML or JSON)' }).check();
  await page.locator('input[type=file]').setInputFiles({ name: `${name}.yaml`, mimeType: 'application/yaml', buffer: readFileSync(example(`${name}-pipeline.yaml`)) });
  await page.getByRole('button', { name: `${name}.yaml` }).waitFor();
  await press(page, 'Create');
  await page.getByText('Nothing is wrong with it.').waitFor();
  await press(page, 'Run');
  if (asks) {
    await press(page.getByRole('dialog'), 'Run');
  }
  await ended(page, 'succeeded');
  await step(page, node).locator('.step-head').click();
  await press(page, 'Preview report');
  await page.getByRole('dialog').getByText(figure, { exact: true }).first().waitFor();
  await t.shot(page, name);
  const runs = await t.api('GET', `${base}/runs?pipeline=${name}`);
  const done = await t.api('GET', `${base}/runs/${runs.items[0].id}`);
  return done.nodes[node].metrics;
}

export const flows = {
  'the pipelines of the examples are run and judged in the editor': async (t) => {
    await prepare(t.api);
    assert.ok((await judge(t, 'churn', 'churn.csv', 'judge', 'auc', true)).auc > 0.75);
    assert.ok((await judge(t, 'wine', 'wine.csv', 'judge_trees', 'r2')).r2 > 0.4);
    assert.ok((await judge(t, 'penguins', 'penguins.csv', 'judge', 'Purity', true)).purity > 0.85);
  },
};
