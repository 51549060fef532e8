// Studio: what came out is looked at, in every form that it has; what cannot be learned from is refused with what mends it; and
// what others may see and do.
import assert from 'node:assert/strict';
import { at, base, connect, drag, ended, LEARN, open, press, PROJECT, put, step } from './lib/studio.mjs';

const csv = (file, y) => ({ module: 'read_csv', at: [0, y], params: { path: `data:${file}` } });

/** Everything that has a picture of its own. */
const ALL = {
  pipeline: 1,
  nodes: {
    people: csv('people.csv', 0),
    tree: { module: 'decision_tree', at: [240, 0], params: { label_col: 'stays', max_depth: 3 }, inputs: { train: 'people.table' } },
    guess: { module: 'predict', at: [480, 0], inputs: { model: 'tree.model', table: 'people.table' } },
    judge: { module: 'evaluate_binary', at: [720, 0], params: { label_col: 'stays', positive: 'yes' }, inputs: { table: 'guess.table' } },
    matrix: { module: 'evaluate_multiclass', at: [720, 120], params: { label_col: 'stays' }, inputs: { table: 'guess.table' } },
    relies: { module: 'permutation_importance', at: [480, 120], inputs: { model: 'tree.model', table: 'people.table' } },
    flowers: csv('flowers.csv', 260),
    line: { module: 'linear_regression', at: [240, 260], params: { label_col: 'width', feature_cols: 'length' }, inputs: { train: 'flowers.table' } },
    widths: { module: 'predict', at: [480, 260], inputs: { model: 'line.model', table: 'flowers.table' } },
    errors: { module: 'evaluate_regression', at: [720, 260], params: { label_col: 'width' }, inputs: { table: 'widths.table' } },
    groups: { module: 'kmeans', at: [240, 400], params: { k: 3, feature_cols: 'length,width' }, inputs: { train: 'flowers.table' } },
    clusters: { module: 'evaluate_clustering', at: [480, 400], params: { cluster_col: 'cluster', feature_cols: 'length,width', label_col: 'kind' }, inputs: { table: 'groups.table' } },
    together: { module: 'correlation', at: [240, 520], inputs: { table: 'flowers.table' } },
  },
};

const figures = (page) => page.getByRole('dialog').locator('figure');

export const flows = {
  'models and reports are looked at, in two languages': async (t) => {
    const { page } = t;
    await put(t, 'views', ALL);
    await open(t, 'views');
    await press(page, 'Run');
    await ended(page, 'succeeded');
    await t.shot(page, 'graph');
    const look = async (ref, title, on = page) => {
      await on.goto(at(t, `/pipelines/views?preview=${ref}`));
      await figures(on).getByText(title, { exact: true }).first().waitFor();
    };
    await look('judge.report', 'ROC');
    for (const title of ['Precision and recall', 'Lift', 'Calibration', 'Confusion matrix', 'Best thresholds']) {
      assert.equal(await figures(page).getByText(title, { exact: true }).count(), 1, title);
    }
    await t.accessible(page);
    await t.shot(page, 'binary');
    await look('matrix.report', 'Confusion matrix');
    await t.shot(page, 'matrix');
    await look('tree.model', 'Tree');
    assert.ok(await figures(page).getByText('Importance of features').count());
    await figures(page).getByText(/^≤/).first().waitFor();
    await t.accessible(page);
    await t.shot(page, 'tree');
    await look('relies.report', 'Importance of features');
    await t.shot(page, 'importance');
    await look('errors.report', 'Residuals');
    await t.accessible(page);
    await t.shot(page, 'residuals');
    await look('clusters.report', 'Rows by cluster');
    assert.ok(await figures(page).locator('svg .legend-svg text').count() >= 3, 'each cluster by its name');
    await t.accessible(page);
    await t.shot(page, 'clusters');
    await look('together.report', 'Correlations');
    assert.equal(await figures(page).locator('.heat tbody td').count(), 9);
    await t.accessible(page);
    await t.shot(page, 'correlation');
    const chinese = await t.newPage({ locale: 'zh-TW' });
    await look('judge.report', '校準', chinese);
    await figures(chinese).getByText('最佳門檻').waitFor();
    await t.shot(chinese, 'binary-zh-TW');
    await chinese.goto(at(t, '/pipelines/views'));
    await step(chinese, 'tree').locator('.step-head').click();
    await chinese.getByRole('combobox', { name: '最大深度 max_depth' }).waitFor();
    await chinese.getByText('葉節點的最少列數。').waitFor();
    await t.accessible(chinese);
    await t.shot(chinese, 'editor-zh-TW');
  },

  'text where numbers are learned from is refused, and mended by a step in between': async (t) => {
    const { page } = t;
    await put(t, 'encoded', { pipeline: 1, nodes: { read: csv('people.csv', 60), learn: { module: 'logistic_regression', at: [480, 60], params: { label_col: 'stays', feature_cols: 'age,income,city' } } } });
    await open(t, 'encoded');
    await connect(page, 'read', 'table', 'learn', 'train');
    await page.locator('.mistakes').getByText(/city/).first().waitFor();
    await t.shot(page, 'text');
    await page.locator('.mistakes').getByRole('button', { name: 'Put One-hot encoding in between' }).click();
    await step(page, 'one_hot').waitFor();
    await page.getByText('Nothing is wrong with it.').waitFor();
    await t.shot(page, 'text-mended');
    await press(page, 'Run');
    await ended(page, 'succeeded');
  },

  'who may only read sees all of it and changes nothing; what was copied goes with the session': async (t) => {
    await put(t, 'seen', LEARN);
    const who = { user: 'flow-reader', password: 'correct horse battery' };
    await t.api('POST', '/api/v1/users', { name: who.user, password: who.password }).catch(() => undefined);
    await t.api('PATCH', `/api/v1/users/${who.user}`, { password: who.password });
    await t.api('PUT', `/api/v1/projects/${PROJECT}/members/${who.user}`, { role: 'guest' });
    const page = await t.newPage(who);
    await open(t, 'seen', page);
    await step(page, 'learn').locator('.step-head').click();
    assert.ok(await page.getByRole('combobox', { name: 'label_col' }).isDisabled());
    assert.equal(await page.locator('.palette').count(), 0);
    assert.equal(await page.getByRole('button', { name: /^(save )?Save$|Run$/ }).count(), 0);
    await page.keyboard.press('Delete');
    assert.equal(await step(page, 'learn').count(), 1);
    await t.accessible(page);
    await t.shot(page, 'reader');

    await t.api('PUT', `/api/v1/projects/${PROJECT}/members/${who.user}`, { role: 'developer' });
    await open(t, 'seen', page);
    await step(page, 'learn').locator('.step-head').click();
    await page.keyboard.press('Control+c');
    await page.locator('#studio-description, .node-form').first().waitFor();
    await page.getByRole('textbox', { name: 'Title', exact: true }).fill('Mine');
    const kept = () => page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]).split('strata.work.').length - 1);
    await page.waitForFunction(() => Object.keys(sessionStorage).some((k) => k.startsWith('strata.work.')));
    assert.equal(await kept(), 2);
    await page.getByRole('button', { name: who.user }).click();
    await page.getByText('Sign out').click();
    await page.locator('input[autocomplete=username]').waitFor();
    assert.equal(await kept(), 0);
  },

  'a comment, a tidy graph and a way back, by keys alone': async (t) => {
    const { page } = t;
    await put(t, 'tidy', { pipeline: 1, nodes: Object.fromEntries(Object.entries(LEARN.nodes).map(([id, n]) => [id, { ...n, at: [0, 0] }])) });
    await open(t, 'tidy');
    const places = () => page.$$eval('.react-flow__node-step', (all) => new Set(all.map((n) => n.style.transform)).size);
    await page.getByRole('button', { name: 'Arrange' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => new Set([...document.querySelectorAll('.react-flow__node-step')].map((n) => n.style.transform)).size === 5);
    await page.getByRole('button', { name: 'Add a comment' }).focus();
    await page.keyboard.press('Enter');
    const note = page.getByRole('textbox', { name: 'Comment' });
    await note.fill('Two lengths are enough.');
    await t.shot(page, 'comment');
    await page.getByRole('button', { name: 'Undo (Ctrl+Z)' }).focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => !document.querySelector('.react-flow__node-note'));
    await page.getByRole('button', { name: 'Undo (Ctrl+Z)' }).click();
    await page.waitForFunction(() => new Set([...document.querySelectorAll('.react-flow__node-step')].map((n) => n.style.transform)).size === 1);
    assert.equal(await places(), 1);

    // A step is reached by Tab, moved by arrows, taken away by Delete.
    await page.getByRole('button', { name: 'Redo (Ctrl+Y)' }).click();
    await step(page, 'split').focus();
    await page.keyboard.press('Enter');
    const before = await step(page, 'split').evaluate((n) => n.style.transform);
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction((was) => document.querySelector('[data-id=split]').style.transform !== was, before);
    await page.keyboard.press('Delete');
    await page.waitForFunction(() => !document.querySelector('[data-id=split]'));
    await page.keyboard.press('Control+z');
    await step(page, 'split').waitFor();
    await drag(page, 'Summarize', 120, 300);
    await t.accessible(page);
  },
};
