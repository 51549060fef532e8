// Metrics: a first look, units, the legend, mistakes, and an address that others can open.
import assert from 'node:assert/strict';

const settle = (page) => page.waitForFunction(() => document.querySelector('.plot canvas') && !document.querySelector('.content .ant-skeleton'));

/** A new server has figures of its machine after the first scrape. */
const measured = async (t) => {
  for (;;) {
    const found = await t.api('GET', `/prometheus/api/v1/query?query=${encodeURIComponent('node_memory_MemAvailable_bytes')}`);
    if (found.data.result.length) return;
    await t.page.waitForTimeout(200);
  }
};

export const flows = {
  'a click on an example draws it with its unit; the address shows the same to others': async (t) => {
    const { page } = t;
    await measured(t);
    await page.goto(`${t.url}/ui/monitoring`);
    await page.getByRole('heading', { name: 'Containers of your projects' }).waitFor();
    await t.shot(page, 'metrics-first');
    await page.getByRole('button', { name: /^Memory in use, in percent/ }).click();
    await settle(page);
    await page.locator('.legend li').first().waitFor();
    assert.match(await page.locator('.legend li').first().innerText(), /[\d.]+ %$/);
    assert.match(page.url(), /q=100/);
    const box = await page.locator('.plot .u-over').boundingBox();
    await page.mouse.move(box.x + box.width - 3, box.y + box.height / 2);
    await page.locator('.content').getByText(/^\d+\/\d+\/\d+, /).waitFor(); // the time under the pointer
    await t.shot(page, 'metrics-pointer');
    await t.accessible(page);
    const other = await t.newPage({ locale: 'zh-TW', width: 400, dark: true });
    await other.goto(page.url());
    await settle(other);
    assert.match(await other.locator('.legend li').first().innerText(), /[\d.]+ %$/);
    await t.shot(other, 'metrics-small');
    await t.accessible(other);
  },

  'what is wrong with a query is said at its place; nothing found says why': async (t) => {
    const { page } = t;
    await page.goto(`${t.url}/ui/monitoring?q=sum(up`);
    await page.getByRole('alert').getByText('Query A, line 1, column 4:').waitFor();
    await page.locator('.cm-lintRange-error, .cm-lintPoint-error').first().waitFor();
    assert.equal(await page.locator('.ant-empty').count(), 0, 'a mistake is no empty answer');
    await t.shot(page, 'metrics-mistake');
    await t.accessible(page);
    await page.goto(`${t.url}/ui/monitoring?q=no_such_metric`);
    await page.locator('.ant-empty').getByRole('link', { name: 'What is scraped' }).click();
    await page.getByRole('heading', { name: 'Targets' }).waitFor();
  },

  'who is no administrator is offered what he may see': async (t) => {
    await t.api('POST', '/api/v1/users', { name: 'metrics-guest', password: 'correct horse battery' }).catch(() => undefined);
    const page = await t.newPage({ user: 'metrics-guest', password: 'correct horse battery', locale: 'zh-CN', width: 400 });
    await page.goto(`${t.url}/ui/monitoring`);
    await page.getByRole('button', { name: /^使用中的内存/ }).waitFor();
    assert.equal(await page.getByRole('button', { name: /node_cpu/ }).count(), 0);
    await t.shot(page, 'metrics-guest');
    await page.getByRole('button', { name: /^使用中的内存/ }).click();
    await page.locator('.ant-empty').getByText('机器的数字仅供管理员查看', { exact: false }).waitFor();
    await t.accessible(page);
  },
};
