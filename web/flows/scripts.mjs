// Programs in Studio: lines are numbered, Tab indents and lets go after Escape, the large window is the same text.
import assert from 'node:assert/strict';

const PROJECT = 'script-flow';
const base = `/api/v1/projects/${PROJECT}`;
const DOC = { pipeline: 1, nodes: { script: { module: 'python_script', at: [60, 60], params: { image: `${PROJECT}/python:3`, code: 'for row in rows:' } } } };

export const flows = {
  'a program is typed with its lines numbered': async (t) => {
    const { page } = t;
    await t.api('POST', '/api/v1/projects', { name: PROJECT }).catch(() => undefined);
    await t.api('PUT', `${base}/pipelines/typed`, JSON.stringify(DOC));
    await page.goto(`${t.url}/ui/p/${PROJECT}/pipelines/typed`);
    await page.locator('.react-flow__node[data-id="script"] .step-head').click();
    const code = page.getByRole('textbox', { name: 'code', exact: true });
    await code.click();
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await page.keyboard.type('print(row)');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('x');
    assert.equal(await code.inputValue(), 'for row in rows:\n    print(row)\n        x');
    assert.deepEqual(await page.locator('.code-gutter div').allInnerTexts(), ['1', '2', '3']);
    const tops = await page.evaluate(() => [document.querySelector('.code-gutter div:nth-child(3)').getBoundingClientRect().bottom, document.querySelector('.code-field textarea').getBoundingClientRect().bottom]);
    assert.ok(tops[0] > 0 && tops[0] <= tops[1], `the numbers are beside the lines: ${tops}`);
    await t.shot(page, 'code');
    await t.accessible(page);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Tab');
    assert.notEqual(await page.evaluate(() => document.activeElement?.tagName), 'TEXTAREA');
    await page.getByRole('button', { name: 'Large window' }).click();
    const large = page.getByRole('dialog').getByRole('textbox');
    await large.fill('outputs["report"] = 1');
    await t.shot(page, 'large');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    assert.equal(await code.inputValue(), 'outputs["report"] = 1');
  },
};
