// Studio: a graph is built by dragging, refused where it cannot work, mended, run, looked at; what is there already is spared.
import assert from 'node:assert/strict';
import { at, base, connect, drag, edges, ended, LEARN, open, prepare, press, put, step } from './lib/studio.mjs';

export const flows = {
  'a graph is built by dragging, refused, mended, run and looked at': async (t) => {
    const { page } = t;
    await prepare(t.api);
    await t.api('DELETE', `${base}/pipelines/built`).catch(() => undefined);
    await page.goto(at(t, '/pipelines'));
    await press(page, 'New pipeline');
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('built');
    await page.getByRole('radio', { name: 'An empty canvas' }).check();
    await press(page, 'Create');
    await page.getByText('Drag a module here').waitFor();
    await drag(page, 'Read CSV', 100, 60);
    await press(page, 'Choose a file');
    await page.getByRole('dialog').getByRole('button', { name: 'flowers.csv' }).click();
    await drag(page, 'Logistic', 110, 200);
    await drag(page, 'evaluate_multiclass', 420, 330);
    await connect(page, 'read_csv', 'table', 'logistic_regression', 'train');
    await page.waitForFunction(() => document.querySelectorAll('.react-flow__edge').length === 1);

    // A model is no table: refused at once, and what would make it work is offered.
    await connect(page, 'logistic_regression', 'model', 'evaluate_multiclass', 'table');
    await page.getByRole('alert').getByText('logistic_regression.model gives a model, and evaluate_multiclass.table takes a table.').waitFor();
    assert.equal(await edges(page), 1);
    await t.shot(page, 'refused');
    await t.accessible(page);
    await press(page, 'Put Predict in between');
    await step(page, 'predict').waitFor();
    await connect(page, 'read_csv', 'table', 'predict', 'table');
    await page.waitForFunction(() => document.querySelectorAll('.react-flow__edge').length === 4);

    // The server knows the columns before anything ran.
    await step(page, 'logistic_regression').locator('.step-head').click();
    const label = page.getByRole('combobox', { name: 'label_col' });
    await label.fill('kinds');
    await page.locator('.mistakes').getByText(/'kinds'/).waitFor();
    assert.equal(await step(page, 'logistic_regression').locator('.step-wrong').count(), 1);
    await t.shot(page, 'mistake');
    await page.locator('.mistakes').getByRole('button', { name: 'Set label_col to kind' }).click();
    await page.waitForFunction(() => !document.querySelector('.step-wrong .step-title')?.textContent.includes('logistic'));
    assert.equal(await label.inputValue(), 'kind');
    await step(page, 'evaluate_multiclass').locator('.step-head').click();
    await page.getByRole('combobox', { name: 'label_col' }).click();
    await page.locator('.ant-select-dropdown').getByText('kind', { exact: true }).click(); // the columns are known before anything ran
    await page.getByText('Nothing is wrong with it.').waitFor();
    await press(page, 'Arrange');
    await press(page, 'Run');
    await ended(page, 'succeeded');
    assert.equal(await page.locator('.react-flow__node .state-good').count(), 4);
    await t.shot(page, 'ran');
    await t.accessible(page);

    await step(page, 'read_csv').locator('.step-head').click();
    await press(page, 'Preview table');
    const drawer = page.getByRole('dialog', { name: /read_csv, run/ });
    await drawer.getByRole('columnheader', { name: 'kind text' }).waitFor();
    await t.shot(page, 'preview');
    await drawer.getByText('Columns', { exact: true }).click();
    await drawer.getByRole('img', { name: /^Distribution of length/ }).waitFor();
    await t.accessible(page);
    await t.shot(page, 'columns');
    await page.keyboard.press('Escape');
    await drawer.waitFor({ state: 'hidden' });
    await step(page, 'evaluate_multiclass').locator('.step-head').click();
    await press(page, 'Preview report');
    await page.getByRole('dialog').getByRole('table').first().waitFor();
    await t.accessible(page);
    await t.shot(page, 'report');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });

    // What runs within the server has no memory of its own.
    assert.equal(await page.locator('.inspector').getByLabel('Memory', { exact: true }).count(), 1);
    await drag(page, 'Import from the web', 100, 330);
    await page.locator('.inspector').getByText('Import from the web', { exact: true }).waitFor();
    assert.equal(await page.locator('.inspector').getByLabel('Memory', { exact: true }).count(), 0);
  },

  'one parameter is changed: the editor says what the cache spared, and two runs are compared': async (t) => {
    const { page } = t;
    await prepare(t.api);
    const fresh = structuredClone(LEARN);
    fresh.nodes.split.params.seed = Date.now() % 1_000_000; // nobody ran this before
    await t.api('PUT', `${base}/pipelines/spared`, fresh);
    await open(t, 'spared');
    await press(page, 'Run');
    await ended(page, 'succeeded');
    const first = await page.locator('.run-bar a').innerText();
    await step(page, 'learn').locator('.step-head').click();
    await page.getByRole('combobox', { name: 'l2' }).fill('0.5');
    await page.getByText('Nothing is wrong with it.').waitFor();
    await press(page, 'Run');
    await page.waitForFunction((was) => document.querySelector('.run-bar a')?.textContent !== was, first);
    await ended(page, 'succeeded');
    await page.locator('.run-bar').getByText('2 from the cache').waitFor();
    await page.locator('.inspector').getByText(/l2 changed from .* to 0\.5/).waitFor();
    await t.shot(page, 'spared');
    await page.goto(at(t, '/runs?pipeline=spared'));
    const boxes = page.getByRole('checkbox', { name: /^Choose run/ });
    await boxes.nth(0).check();
    await boxes.nth(1).check();
    await press(page, 'Compare');
    await page.getByRole('row', { name: /learn\.l2/ }).first().waitFor();
    await page.getByRole('row', { name: /Accuracy judge\.accuracy/ }).waitFor();
    await t.accessible(page);
    await t.shot(page, 'compare');
    await page.goto(at(t, '/pipelines/spared/versions'));
    await page.locator('.diff-changed .step').waitFor();
    await page.getByRole('row', { name: /learn.*changed.*l2/ }).waitFor();
    await t.accessible(page);
    await t.shot(page, 'versions');
  },

  'keys undo, copy and paste, also into another pipeline; a draft survives a reload': async (t) => {
    const { page } = t;
    await prepare(t.api);
    await t.api('PUT', `${base}/pipelines/keys`, LEARN);
    await t.api('DELETE', `${base}/pipelines/other`).catch(() => undefined);
    await t.api('PUT', `${base}/pipelines/other`, { pipeline: 1, nodes: {} });
    await open(t, 'keys');
    const count = (n) => page.waitForFunction((want) => document.querySelectorAll('.react-flow__node').length === want, n);
    await count(5);
    await step(page, 'split').locator('.step-head').click();
    await page.keyboard.press('Delete');
    await count(4);
    assert.equal(await edges(page), 2);
    await page.keyboard.press('Control+z');
    await count(5);
    assert.equal(await edges(page), 5);
    await page.keyboard.press('Control+y');
    await count(4);
    await page.keyboard.press('Control+z');
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Control+c');
    await page.keyboard.press('Control+v');
    await count(10);
    assert.equal(await edges(page), 10);
    await page.getByText('not saved').waitFor();
    await page.waitForFunction(() => JSON.stringify({ ...sessionStorage }).includes('split_2'));
    await page.reload();
    await count(10);
    await open(t, 'other');
    await page.locator('.react-flow__pane').click();
    await page.keyboard.press('Control+v');
    await count(5);
    assert.equal(await edges(page), 5);
    await press(page, 'Save');
    await page.getByText('Version 2', { exact: true }).waitFor();
    const saved = await t.api('GET', `${base}/pipelines/other`);
    assert.deepEqual(saved.document.nodes.judge.inputs, { table: 'predict.table' });
  },

  'a step with many lines is dragged: they go with it, and stay where they are when it is dropped': async (t) => {
    const { page } = t;
    const takers = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`s${i}`, { module: 'sort', at: [240 + 220 * (i % 6), 120 * Math.floor(i / 6)], params: { by: 'length' }, inputs: { table: 'read.table' } }]));
    await put(t, 'hub', { pipeline: 1, nodes: { read: { module: 'read_csv', at: [0, 500], params: { path: 'data:flowers.csv' } }, ...takers } });
    await open(t, 'hub');
    await page.getByText('Nothing is wrong with it.').waitFor();
    const lines = (where) => page.locator(`${where} .react-flow__edge-path`).evaluateAll((all) => all.map((p) => p.getAttribute('d')).join(''));
    const before = await lines('.react-flow__edges');
    const box = await step(page, 'read').locator('.step-head').boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 + 20, box.y - 30);
    await page.mouse.move(box.x + box.width / 2 + 30, box.y - 60);
    await page.locator('.dragged-lines').waitFor({ state: 'attached' });
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    const dragged = await lines('.dragged-lines');
    assert.notEqual(dragged, before);
    assert.equal(await edges(page), 0, 'none of them is a component');
    await t.shot(page, 'hub');
    await page.mouse.up();
    await page.waitForFunction(() => document.querySelectorAll('.react-flow__edge').length === 60);
    assert.equal(await lines('.react-flow__edges'), dragged);
    assert.equal(await page.locator('.dragged-lines').count(), 0);
    await page.keyboard.press('Control+z');
    await page.waitForFunction((was) => [...document.querySelectorAll('.react-flow__edges .react-flow__edge-path')].map((p) => p.getAttribute('d')).join('') === was, before);
  },

  'what cannot run says each mistake once; what failed offers what mends it': async (t) => {
    const { page } = t;
    await prepare(t.api);
    await t.api('PUT', `${base}/volumes/data/files/gaps.csv`, ['a,kind', ...Array.from({ length: 40 }, (_, i) => `${i === 7 ? '' : (i % 2) * 5 + i / 40},${i % 2 ? 'x' : 'y'}`)].join('\n'));
    await put(t, 'offered', { pipeline: 1, nodes: {
      read: { module: 'read_csv', at: [0, 0], params: { path: 'data:gaps.csv' } },
      learn: { module: 'logistic_regression', at: [240, 0], params: { label_col: 'kinds' }, inputs: { train: 'read.table' } },
    } });
    await open(t, 'offered');
    await page.locator('.mistakes').getByText(/'kinds'/).waitFor();
    await press(page, 'Run');
    await page.getByText('It cannot run yet. Mistakes to mend, as listed: 1').waitFor();
    const field = page.locator('.inspector .ant-form-item', { has: page.getByRole('combobox', { name: 'label_col' }) });
    await field.getByText(/'kinds'/).waitFor(); // the step with the mistake is shown
    assert.equal(await page.getByText(/'kinds'/).count(), 2, 'in the list, and at its field');
    assert.equal(await page.locator('.run-bar').count(), 0);
    await t.accessible(page);
    await t.shot(page, 'cannot-run');
    await field.getByRole('button', { name: 'Set label_col to kind' }).click();
    await page.getByText('Nothing is wrong with it.').waitFor();
    await press(page, 'Run');
    await ended(page, 'failed');
    await page.locator('.run-bar').getByText(/row 8: the value is missing/).waitFor();
    await page.locator('.run-bar').getByRole('button', { name: 'learn' }).click();
    await t.accessible(page);
    await t.shot(page, 'failed');
    await page.locator('.inspector').getByRole('button', { name: 'Set missing to mean' }).click();
    await press(page, 'Run');
    await ended(page, 'succeeded');
  },

  'somebody else saves meanwhile: nothing is overwritten': async (t) => {
    const { page } = t;
    await prepare(t.api);
    await t.api('PUT', `${base}/pipelines/shared`, LEARN);
    await open(t, 'shared');
    const { version } = await t.api('PUT', `${base}/pipelines/shared`, { ...LEARN, description: 'theirs' });
    await page.locator('#studio-description').fill('mine');
    await press(page, 'Save');
    await page.getByText('Somebody saved another version meanwhile').waitFor();
    await t.accessible(page);
    await t.shot(page, 'conflict');
    assert.equal((await t.api('GET', `${base}/pipelines/shared`)).version, version);
    await press(page, 'Drop my changes and take theirs');
    await page.waitForFunction(() => document.querySelector('#studio-description')?.value === 'theirs');
  },

  'the same on a small dark screen, in Chinese, without a mouse': async (t) => {
    await prepare(t.api);
    await t.api('DELETE', `${base}/pipelines/small`).catch(() => undefined);
    await t.api('PUT', `${base}/pipelines/small`, { pipeline: 1, nodes: { read: { module: 'read_csv', params: { path: 'data:flowers.csv' } } } });
    const page = await t.newPage({ width: 400, dark: true, locale: 'zh-TW' });
    await open(t, 'small', page);
    await page.getByRole('combobox', { name: '新增步驟' }).focus();
    await page.keyboard.type('split');
    await page.keyboard.press('Enter');
    await page.getByRole('combobox', { name: '輸入 table' }).focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await page.getByText('沒有發現錯誤。').waitFor(); // it was connected
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
    await t.accessible(page);
    await t.shot(page, 'small');
    await press(page, '執行');
    await ended(page, '成功');
    await page.goto(at(t, '/pipelines/small?preview=split.train'));
    await page.getByRole('dialog').getByRole('columnheader').first().waitFor();
    await t.accessible(page);
    await t.shot(page, 'small-preview');
  },
};
