// Small things that users of other consoles look for: figures for a spreadsheet, tabs that tell, the way back.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

const SMALL = { cpu: '100m', memory: '64Mi' };

async function submit(api, spec) {
  return api('POST', '/api/v1/projects/demo/jobs', { image: 'demo/busybox:1', resources: SMALL, ...spec });
}

async function saved(page, click) {
  const [download] = await Promise.all([page.waitForEvent('download'), click()]);
  return { name: download.suggestedFilename(), text: (await readFile(await download.path(), 'utf8')).replace(/^\ufeff/, '') };
}

export const flows = {
  'the figures of a job and the audit log are saved for a spreadsheet': async ({ page, url, api, shot, accessible }) => {
    const job = await submit(api, { name: 'figures', command: ['sleep', '3'] });
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}`);
    await page.locator('.page-head .state', { hasText: 'succeeded' }).waitFor();
    await page.getByRole('img', { name: /^CPU/ }).waitFor();
    await accessible(page);
    await shot(page, 'job');
    const usage = await saved(page, () => page.getByRole('button', { name: 'CSV' }).click());
    assert.equal(usage.name, `figures-${job.id}-1.csv`);
    const [head, ...rows] = usage.text.trim().split('\r\n');
    assert.equal(head, 'at,cpu_usec,memory_bytes,memory_peak_bytes,io_read_bytes,io_write_bytes,processes');
    assert.equal(rows.length, (await api('GET', `/api/v1/projects/demo/jobs/${job.id}/usage`)).samples.length);
    await page.goto(`${url}/ui/admin/audit?q=/jobs`);
    await page.getByRole('row').filter({ hasText: '/api/v1/projects/demo/jobs' }).first().waitFor();
    await page.getByRole('button', { name: 'Export' }).click();
    const audit = await saved(page, () => page.getByRole('menuitem', { name: 'CSV' }).getByRole('link').click());
    assert.match(audit.text, /^id,at,user,method,path,project,status,peer,request_id\r\n\d+,.*,"admin","POST","\/api\/v1\/projects\/demo\/jobs","demo",202,/);
  },

  'the tab of the browser tells how a job goes, and its id is copied': async ({ page, url, api }) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    const job = await submit(api, { name: 'titled', command: ['sleep', '60'] });
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}`);
    await page.waitForFunction(() => document.title === 'running · titled · Strata');
    await page.getByRole('cell', { name: job.id }).or(page.locator('.ant-descriptions-item-content', { hasText: job.id })).first().getByRole('button').click();
    await page.waitForFunction(async (id) => (await navigator.clipboard.readText()) === id, job.id);
    await api('POST', `/api/v1/projects/demo/jobs/${job.id}/cancel`);
    await page.waitForFunction(() => document.title === 'cancelled · titled · Strata');
  },

  'the search shows what one saw last, until one signs out': async ({ newPage, url }) => {
    const page = await newPage();
    await page.goto(`${url}/ui/p/demo/images/busybox`);
    await page.getByRole('heading', { name: 'busybox' }).waitFor();
    await page.getByRole('link', { name: 'Overview' }).first().click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    await page.getByRole('combobox', { name: 'Search' }).click();
    await page.locator('.ant-select-item-option', { hasText: 'busybox · demo' }).click();
    await page.waitForURL(/\/images\/busybox$/);
    await page.getByRole('button', { name: /Account and settings/ }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.getByLabel('User').waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem('strata.recent')), null);
  },

  'the whole name of an image is copied from the list of tags': async ({ page, url }) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.goto(`${url}/ui/p/demo/images/busybox`);
    await page.getByRole('row', { name: /^1 / }).getByRole('button', { name: /Copy/ }).first().click();
    await page.waitForFunction(async (name) => (await navigator.clipboard.readText()) === name, `${new URL(url).host}/demo/busybox:1`);
  },
};
