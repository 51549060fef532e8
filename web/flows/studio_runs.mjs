// Studio: how a run goes is seen on its steps, it is ended and taken up again, in parts, with other parameters, and by the clock.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { at, base, ended, LEARN, open, press, put, step } from './lib/studio.mjs';

const read = (file) => ({ module: 'read_csv', at: [0, 60], params: { path: `data:${file}` } });
const stateOf = (page, id, state) => step(page, id).locator('.state').getByText(state, { exact: true });

/** Learns for as long as nobody ends it. */
const ENDLESS = {
  pipeline: 1,
  nodes: {
    read: read('flowers.csv'),
    learn: { module: 'mlp', at: [240, 60], cache: false, params: { label_col: 'kind', feature_cols: 'length,width', epochs: 1000000, early_stop: 0, layers: '16' }, inputs: { train: 'read.table' } },
    predict: { module: 'predict', at: [480, 60], inputs: { model: 'learn.model', table: 'read.table' } },
  },
};

async function more(page, item) {
  await page.getByRole('button', { name: 'More ways to run' }).click();
  await page.getByRole('menuitem', { name: item }).click();
}

export const flows = {
  'a run is seen on its steps while it goes, is ended, and shows its log': async (t) => {
    const { page } = t;
    await put(t, 'endless', ENDLESS);
    await open(t, 'endless');
    await press(page, 'Run');
    await stateOf(page, 'learn', 'running').waitFor();
    await stateOf(page, 'predict', 'waiting').waitFor();
    await stateOf(page, 'read', /succeeded|from the cache/).waitFor();
    await step(page, 'learn').locator('.step-run').getByText(/epoch/).waitFor(); // what the step says of itself
    await t.shot(page, 'live');
    await t.accessible(page);
    await step(page, 'learn').locator('.step-head').click();
    await press(page, 'Log');
    const log = page.getByRole('dialog').locator('.run-log');
    await log.waitFor();
    const before = (await log.innerText()).length;
    await page.waitForFunction((n) => document.querySelector('.run-log')?.innerText.length > n, before); // and more of it comes
    await t.shot(page, 'log');
    await page.keyboard.press('Escape');
    await press(page, 'Cancel the run');
    await ended(page, 'cancelled');
    await stateOf(page, 'learn', 'cancelled').waitFor();
    await t.shot(page, 'cancelled');
  },

  'what failed is mended and tried again; what had succeeded is not': async (t) => {
    const { page } = t;
    const files = `${base}/volumes/data/files`;
    await t.api('DELETE', `${files}/late.csv`).catch(() => undefined);
    await put(t, 'mended', { pipeline: 1, nodes: { early: read('flowers.csv'), late: { ...read('late.csv'), at: [0, 220] }, both: { module: 'append_rows', at: [240, 100], inputs: { first: 'early.table', second: 'late.table' } } } });
    await t.api('PUT', `${files}/late.csv`, `row,length,width,kind\n${'1,2,3,setosa\n'.repeat(200_000)}1,2\n`); // past what the check looks at
    await open(t, 'mended');
    await press(page, 'Run');
    await ended(page, 'failed');
    await stateOf(page, 'both', 'skipped').waitFor();
    await step(page, 'late').locator('.step-head').click();
    await page.locator('.inspector').getByRole('alert').waitFor();
    await t.shot(page, 'failed');
    await t.accessible(page);
    await t.api('PUT', `${files}/late.csv`, 'row,length,width,kind\n1,2,3,setosa\n');
    await press(page, 'Retry what failed');
    await ended(page, 'succeeded');
    await stateOf(page, 'both', /succeeded|from the cache/).waitFor();
    await page.goto(at(t, '/runs?pipeline=mended'));
    const runs = page.getByRole('checkbox', { name: /^Choose run/ });
    await runs.first().waitFor();
    assert.equal(await runs.count(), 1, 'it is the same run');
  },

  'a run goes to a step or from one, and takes parameters': async (t) => {
    const { page } = t;
    const document = structuredClone(LEARN);
    document.params = [{ name: 'seed', type: 'int', default: Date.now() % 1_000_000, help: 'Which rows are drawn.' }];
    document.nodes.split.params.seed = '${seed}';
    await put(t, 'parts', document);
    await open(t, 'parts');
    const dialog = page.getByRole('dialog', { name: 'Run parts' });
    await step(page, 'split').locator('.step-head').click();
    await more(page, 'Run to split');
    await dialog.getByText('Which rows are drawn.').waitFor();
    await t.shot(page, 'parameters');
    await t.accessible(page);
    await press(dialog, 'Run');
    await ended(page, 'succeeded');
    await page.locator('.run-bar').getByText('2 of 2 steps').waitFor();
    await step(page, 'learn').locator('.step-head').click();
    const was = await page.locator('.run-bar a').innerText();
    await more(page, 'Run from learn');
    await press(dialog, 'Run');
    await page.waitForFunction((old) => document.querySelector('.run-bar a')?.textContent !== old, was);
    await ended(page, 'succeeded');
    for (const id of ['read', 'split']) {
      await stateOf(page, id, 'from the cache').waitFor();
    }
    await press(page, 'Run');
    await dialog.getByLabel('seed').fill('12x');
    await press(dialog, 'Run');
    await dialog.getByRole('alert').waitFor(); // the server says what is wrong with it
    await t.shot(page, 'parameter-wrong');
    await dialog.getByLabel('seed').fill('12');
    await press(dialog, 'Run');
    await dialog.waitFor({ state: 'hidden' });
    await ended(page, 'succeeded');
    await page.locator('.run-bar a').click();
    await page.getByText('seed = 12', { exact: true }).waitFor();
    await page.getByRole('region', { name: 'judge' }).getByText('Accuracy', { exact: true }).waitFor();
    await t.accessible(page);
    await t.shot(page, 'run');
  },

  'a pipeline runs by the clock': async (t) => {
    const { page } = t;
    await put(t, 'nightly', { ...LEARN, params: [{ name: 'seed', type: 'int', default: 7 }] });
    await open(t, 'nightly');
    const schedule = async () => {
      await press(page, 'More');
      await page.getByRole('menuitem', { name: 'Schedule' }).click();
      return page.getByRole('dialog', { name: 'Schedule of nightly' });
    };
    let dialog = await schedule();
    await dialog.getByLabel('cron').fill('3 3 * * 99');
    await press(dialog, 'Save');
    await dialog.getByRole('alert').getByText(/99/).waitFor();
    await dialog.getByRole('button', { name: 'Mondays at 3:00' }).click();
    await dialog.getByLabel('seed').fill('5');
    await t.shot(page, 'schedule');
    await t.accessible(page);
    await press(dialog, 'Save');
    await dialog.waitFor({ state: 'hidden' });
    const { schedule: kept } = await t.api('GET', `${base}/pipelines/nightly`);
    assert.deepEqual([kept.cron, kept.params, kept.enabled], ['0 3 * * 1', { seed: '5' }, true]);
    await page.goto(at(t, '/pipelines?q=nightly'));
    await page.getByRole('row', { name: /nightly.*0 3 \* \* 1/ }).waitFor();
    await open(t, 'nightly');
    dialog = await schedule();
    assert.equal(await dialog.getByLabel('seed').inputValue(), '5');
    await press(dialog, 'Remove the schedule');
    await dialog.waitFor({ state: 'hidden' });
    assert.equal((await t.api('GET', `${base}/pipelines/nightly`)).schedule, null);
  },

  'a pipeline goes out as YAML and comes back as the same': async (t) => {
    const { page } = t;
    const document = { ...LEARN, description: 'Which flower: by two lengths', params: [{ name: 'seed', type: 'int', default: 7 }], comments: [{ text: 'Rows are kept\nin order.', at: [0, 200], size: [220, 90] }] };
    await put(t, 'out', document);
    await t.api('DELETE', `${base}/pipelines/back`).catch(() => undefined);
    await open(t, 'out');
    await press(page, 'More');
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: 'Save as YAML' }).click()]);
    const file = await download.path();
    assert.equal(download.suggestedFilename(), 'out.yaml');
    await page.goto(at(t, '/pipelines'));
    await press(page, 'New pipeline');
    await page.getByRole('radio', { name: 'A file (YAML or JSON)' }).check();
    await page.locator('input[type=file]').setInputFiles({ name: 'broken.yaml', mimeType: 'application/yaml', buffer: Buffer.from('pipeline: 1\nnodes: [') });
    await page.getByRole('alert').getByText(/This is not YAML; line 2/).waitFor();
    await t.shot(page, 'import-broken');
    await page.locator('input[type=file]').setInputFiles({ name: 'back.yaml', mimeType: 'application/yaml', buffer: readFileSync(file) });
    await page.getByRole('button', { name: 'back.yaml' }).waitFor();
    await press(page, 'Create');
    await page.locator('.react-flow__node-note').waitFor();
    assert.deepEqual((await t.api('GET', `${base}/pipelines/back`)).document, (await t.api('GET', `${base}/pipelines/out`)).document);
    await page.goto(at(t, '/pipelines/back?view=yaml'));
    const text = page.getByRole('textbox', { name: 'The pipeline as YAML' });
    await text.fill((await text.inputValue()).replace('kind', 'kinds'));
    await press(page, 'Take this text');
    await page.getByText('not saved').waitFor();
    await t.accessible(page);
    await t.shot(page, 'yaml');
  },
};
