// Long lists, folders as tar, and what a job wrote, in a browser.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

const some = (prefix) => `${prefix}${randomBytes(4).toString('hex')}`;

async function volume(api) {
  const p = some('list');
  await api('POST', '/api/v1/projects', { name: p });
  await api('POST', `/api/v1/projects/${p}/volumes`, { name: 'data' });
  const put = (path, body) => api('PUT', `/api/v1/projects/${p}/volumes/data/files/${path}`, body);
  return { p, put, at: `/ui/p/${p}/data/data` };
}

async function job(api, p, script, more = {}) {
  const spec = { name: 'writer', image: 'demo/busybox:1', command: ['sh', '-c', script], resources: { cpu: '100m', memory: '64Mi' },
    volumes: [{ name: 'data', path: '/data', mode: 'rw' }], ...more };
  let now = await api('POST', `/api/v1/projects/${p}/jobs`, spec);
  for (let i = 0; i < 600 && ['queued', 'starting', 'running'].includes(now.state) && !more.grace; i++) {
    await new Promise((done) => setTimeout(done, 100));
    now = await api('GET', `/api/v1/projects/${p}/jobs/${now.id}`);
  }
  return now;
}

async function fits(page) {
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${page.url()} is too wide`);
}

const names = (page) => page.locator('.entries .name-text').allInnerTexts();

export const flows = {
  'a folder is sorted by its columns and filtered by the server': async ({ page, url, api, shot, accessible }) => {
    const { put, at } = await volume(api);
    for (const [name, size] of [['b.txt', 3], ['A.txt', 300], ['c%_*.csv', 30], ['\u00c4RGER.txt', 1]]) {
      await put(encodeURIComponent(name), 'x'.repeat(size));
    }
    await page.goto(url + at);
    await page.getByText('A.txt', { exact: true }).waitFor();
    assert.deepEqual(await names(page), ['A.txt', 'b.txt', 'c%_*.csv', '\u00c4RGER.txt']);
    await page.getByRole('button', { name: 'Size' }).click();
    await page.waitForURL(/sort=size&desc=1/);
    await page.waitForFunction(() => [...document.querySelectorAll('.entries .name-text')].map((e) => e.textContent).join() === 'A.txt,c%_*.csv,b.txt,\u00c4RGER.txt');
    assert.equal(await page.getByRole('columnheader', { name: 'Size' }).getAttribute('aria-sort'), 'descending');
    await page.getByRole('button', { name: 'Size' }).click();
    await page.waitForFunction(() => document.querySelector('.entries .name-text')?.textContent === '\u00c4RGER.txt');
    await page.reload(); // the address says it all
    await page.waitForFunction(() => document.querySelector('.entries .name-text')?.textContent === '\u00c4RGER.txt');
    await page.goto(`${url}${at}?q=TXT&sort=size`);
    await page.waitForFunction(() => document.querySelectorAll('.entries .name-text').length === 3);
    await page.getByLabel('Filter by name').fill('\u00e4rger');
    await page.waitForFunction(() => document.querySelectorAll('.entries .name-text').length === 1);
    await page.getByLabel('Filter by name').fill('%_');
    await page.getByText('c%_*.csv', { exact: true }).waitFor();
    assert.match(decodeURIComponent(page.url()), /q=%_/);
    await page.getByLabel('Filter by name').fill('no such name');
    await page.getByText('Nothing fits this filter.').waitFor();
    await page.getByLabel('Filter by name').fill('');
    await page.waitForFunction(() => document.querySelectorAll('.entries .name-text').length === 4);
    await shot(page, 'sorted');
    await accessible(page);
  },

  'a folder and a volume are downloaded as tar': async ({ page, url, api, shot }) => {
    const { put, at } = await volume(api);
    await put('models/one/weights.bin', 'weights');
    await put('beside.txt', 'beside');
    await page.goto(url + at);
    await page.getByText('models', { exact: true }).waitFor();
    await shot(page, 'tar');
    const tarOf = async (click) => {
      const [download] = await Promise.all([page.waitForEvent('download'), click()]);
      return [download.suggestedFilename(), execFileSync('tar', ['-tf', await download.path()], { encoding: 'utf8' }).trim().split('\n').sort()];
    };
    const whole = await tarOf(() => page.getByRole('link', { name: 'Download as tar' }).click());
    assert.deepEqual(whole, ['data.tar', ['beside.txt', 'models/', 'models/one/', 'models/one/weights.bin']]);
    await page.getByRole('button', { name: 'Actions for models' }).click();
    const folder = await tarOf(() => page.getByRole('menuitem', { name: 'Download as tar' }).getByRole('link').click());
    assert.deepEqual(folder, ['models.tar', ['one/', 'one/weights.bin']]);
  },

  'what a job wrote is listed, previewed and fetched': async ({ page, url, api, shot, accessible, newPage }) => {
    const { p, at } = await volume(api);
    const hostile = '<img src=x onerror=document.title=1>';
    const done = await job(api, p, `cd /data; mkdir -p out/deep; echo first > out/deep/a.txt; usleep 50000; echo 'x,y' > out/result.csv; echo z > '${hostile}'; ln -s out link`);
    assert.equal(done.state, 'succeeded');
    await page.goto(`${url}/ui/p/${p}/jobs/${done.id}`);
    await page.getByRole('tab', { name: 'Files' }).click();
    await page.getByText('4 changed').waitFor();
    await page.getByText(hostile, { exact: true }).waitFor();
    await page.waitForTimeout(300); // the mark under the tab arrives
    await shot(page, 'job-files');
    await accessible(page);
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download out/deep/a.txt' }).click()]);
    assert.equal(download.suggestedFilename(), 'a.txt');
    await page.getByRole('link', { name: 'result.csv', exact: true }).click();
    await page.locator('.preview-body').waitFor();
    assert.match(page.url(), new RegExp(`${at}/out\\?preview=result.csv`));
    await page.goBack();
    await page.getByRole('link', { name: 'data/out/deep' }).click();
    await page.getByText('a.txt', { exact: true }).waitFor();
    const nothing = await job(api, p, 'true');
    await page.goto(`${url}/ui/p/${p}/jobs/${nothing.id}?tab=files`);
    await page.getByText('No file has changed in its volumes.').waitFor();
    for (const options of [{ width: 400, dark: true, locale: 'zh-TW' }, { width: 400, locale: 'zh-CN' }]) {
      const small = await newPage(options);
      await small.goto(`${url}/ui/p/${p}/jobs/${done.id}?tab=files`);
      await small.getByText('result.csv').waitFor();
      await fits(small);
      await small.waitForTimeout(300);
      await shot(small, `job-files-${options.locale}`);
      await accessible(small);
    }
  },

  'files appear while a job runs, and there may be more than are shown': async ({ page, url, api }) => {
    const { p } = await volume(api);
    const running = await job(api, p, 'cd /data; i=0; while [ $i -lt 150 ]; do : > f$i; i=$((i+1)); done; sleep 300', { grace: '0s' });
    await page.goto(`${url}/ui/p/${p}/jobs/${running.id}?tab=files`);
    for (let i = 0; i < 100 && !(await page.getByText('The newest 100 of 150 that changed').count()); i++) {
      await page.getByRole('button', { name: 'Refresh' }).click();
      await page.waitForTimeout(200);
    }
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.getByText('150 changed').waitFor();
    await api('POST', `/api/v1/projects/${p}/jobs/${running.id}/cancel`);
  },

  'lists of many rows are read as one scrolls, and filtered by the address': async ({ page, url, api, shot, accessible }) => {
    const all = 100_000;
    const asked = [];
    await page.route('**/api/v1/users?*', (r) => {
      const params = new URL(r.request().url()).searchParams;
      asked.push(params.get('q'));
      const q = params.get('q') ?? '';
      const after = Number(params.get('after') ?? 0);
      const found = q ? [77_777] : Array.from({ length: Math.min(100, all - after) }, (_, i) => after + i);
      const items = found.map((n) => ({ name: `user-${String(n).padStart(6, '0')}`, is_admin: false, disabled: false, created_at: '2026-01-01T00:00:00Z', last_seen_at: null }));
      return r.fulfill({ json: { items, next: q || after + 100 >= all ? null : String(after + 100) } });
    });
    await page.goto(`${url}/ui/admin/users`);
    await page.getByText('user-000000', { exact: true }).waitFor();
    await page.getByText(/loaded, there are more/).waitFor();
    for (let i = 0; i < 60 && !(await page.locator('.ant-table-tbody-virtual-holder').count()); i++) {
      await page.mouse.move(600, 500);
      await page.mouse.wheel(0, 4000);
      await page.waitForTimeout(100);
    }
    const holder = page.locator('.ant-table-tbody-virtual-holder');
    for (let i = 0; i < 15; i++) {
      await holder.hover();
      await page.mouse.wheel(0, 20_000);
      await page.waitForTimeout(60);
    }
    assert.ok((await page.locator('.ant-table-row').count()) < 80, 'only rows in sight exist');
    await page.waitForTimeout(500);
    const before = asked.length;
    await page.waitForTimeout(500);
    assert.ok(asked.length - before <= 1, 'nothing is read that nobody scrolls to');
    await shot(page, 'many-users');
    await accessible(page);
    await page.getByLabel('Filter by name').fill('77777');
    await page.getByText('user-077777').waitFor();
    await page.waitForURL(/q=77777/);
    assert.ok(!asked.includes('7'), 'asked when typing rests');
    await page.goto(`${url}/ui/admin/users?kind=disabled&q=77777`);
    await page.getByText('user-077777').waitFor();
  },

  'the search asks the server, over all projects': async ({ page, url, api, shot }) => {
    const { p } = await volume(api);
    const v = some('found');
    await api('POST', `/api/v1/projects/${p}/volumes`, { name: v });
    await page.goto(`${url}/ui/p/demo/jobs`);
    await page.getByRole('heading', { name: 'Jobs' }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type(v.toUpperCase());
    await page.getByText(`${p} / ${v}`).waitFor();
    await shot(page, 'search');
    await page.keyboard.press('Enter');
    await page.waitForURL(new RegExp(`/p/${p}/data/${v}`));
    await page.getByRole('combobox', { name: 'Search' }).fill('nothing-is-called-so');
    await page.getByText('Nothing is called like this').waitFor();
    await page.getByRole('combobox', { name: 'Project' }).click();
    await page.keyboard.type(p.slice(0, 9));
    await page.locator('.ant-select-item-option', { hasText: p }).first().click();
    await page.waitForURL(new RegExp(`/p/${p}/`));
  },
};
